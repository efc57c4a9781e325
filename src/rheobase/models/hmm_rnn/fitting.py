"""Which kind of states a modality gets, and the engine with the family's hyperparameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rheobase.models.hmm_rnn.hmm import ARHMM, HMM, TDEHMM, GaussianHMM

if TYPE_CHECKING:
    from rheobase.models.hmm_rnn import HMMRNN
    from rheobase.models.hmm_rnn.emissions import Cov

DWELL = 10.0
"""Samples"""
COVS: dict[str, Cov] = {"fmri": "zero-mean-full"}
"""Covariances by modality where they are not ``full``"""


def kind_of(model: HMMRNN) -> str:
    """Return the emissions: ``gaussian`` unless asked otherwise."""
    return "gaussian" if model.emission == "auto" else model.emission


def engine(model: HMMRNN, *, modality: str, rate: float, states: int, restarts: int) -> HMM:
    """Return the model of a modality sampled ``rate`` times a second."""
    dwell = DWELL if model.dwell_s is None else model.dwell_s * rate
    if dwell <= 1:
        raise ValueError(
            f"hmm_rnn: dwell_s is {model.dwell_s:g}, which is {dwell:.3g} samples; give more than "
            "one sample"
        )
    cov = COVS.get(modality, "full") if model.cov == "auto" else model.cov
    match kind_of(model):
        case "ar":
            return ARHMM(states, restarts, dwell, model.prior, model.stop, model.precision,
                         order=model.order)  # fmt: skip
        case "tde":
            return TDEHMM(states, restarts, dwell, model.prior, model.stop, model.precision,
                          half=model.half, components=model.embedded)  # fmt: skip
        case _:
            return GaussianHMM(states, restarts, dwell, model.prior, model.stop, model.precision,
                               cov=cov)  # fmt: skip


def shortest(model: HMMRNN) -> int:
    """Return the samples that a stretch must have."""
    return {"ar": model.order + 2, "tde": 2 * model.half + 2}.get(kind_of(model), 2)
