"""Reservoirs of excitatory and inhibitory units whose inhibition adapts to target rates.

The equations stand in ``batched`` (network), ``adaptation`` and ``learning`` (inhibition),
``readout`` (ridge regression) and ``diagnose`` (stability). ``engine`` runs many networks at once,
``echo`` is the tanh rival in it, ``tasks``, ``scores`` and ``protocol`` are the benchmark signals,
``folds`` and ``search`` choose hyperparameters, ``estimators`` has the face of scikit-learn.
"""
