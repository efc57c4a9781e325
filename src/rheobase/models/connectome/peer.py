"""The factorisation by tensorly, as another backend and as a reference."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.factorise import MAX_ITER, TOLERANCE, Run
from rheobase.models.connectome.factors import scaled_factors
from rheobase.models.connectome.layout import pair_indices
from rheobase.models.connectome.starts import Start, check_rank
from rheobase.models.connectome.step import Settings


def factorise_with_tensorly(tensor: Affinities, start: Start, settings: Settings) -> list[Run]:
    """Return a run of every restart by ``tensorly``'s HALS in float64, five inner sweeps.

    The packed tensor (pair, bin, animal) is built. tensorly stops where e falls by less than
    ``settings.tol`` once, absolutely. Missing neurons or bins, penalties and extrapolation are
    refused: it has none of them.
    """
    from tensorly.cp_tensor import CPTensor
    from tensorly.decomposition import non_negative_parafac_hals

    check_rank(tensor.layout, start.patterns.shape[1])
    if not tensor.mask.complete:
        raise ValueError("backend tensorly cannot leave out missing neurons or bins; use torch")
    if settings.sparsity or settings.smoothness or settings.extrapolate:
        raise ValueError("backend tensorly has no penalties and no extrapolation; use torch")
    x = packed(tensor)
    made = []
    for k in range(len(start)):
        began = time.perf_counter()
        parts = (start.patterns[k], start.times[k], start.animals[k])
        factors = [f.T.double().cpu().numpy().copy() for f in parts]
        given = CPTensor((np.ones(len(parts[0])), factors))
        options: dict[str, Any] = {"init": given, "tol": settings.tol or 1e-300}
        (_, found), errors = non_negative_parafac_hals(
            x, len(parts[0]), n_iter_max=settings.max_iter, return_errors=True, **options
        )
        rows = [np.ascontiguousarray(f.T) for f in found]
        end = Start(*(torch.from_numpy(f)[None].to(tensor.device, tensor.dtype) for f in rows))
        stop = MAX_ITER if len(errors) >= settings.max_iter else TOLERANCE
        seconds = time.perf_counter() - began
        told = tuple(float(e) for e in errors)
        made.append(Run(scaled_factors(*rows), told, stop, 0, seconds, end))
    return made


def packed(tensor: Affinities) -> np.ndarray:
    """Return the whole tensor, (pair, bin, animal) float64."""
    size = tensor.layout
    first, second = pair_indices(size.neurons, tensor.device)
    made = tensor.values(first, second, slice(0, size.columns)).double().cpu().numpy()
    return np.ascontiguousarray(
        made.reshape(size.pairs, size.animals, size.bins).transpose(0, 2, 1)
    )
