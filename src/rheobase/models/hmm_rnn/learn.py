"""One fit: what states see, how many there are, the states, their path, rates, and all rivals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from rheobase.models.base import Fitted
from rheobase.models.hmm_rnn import (
    emulated,
    fitting,
    front,
    jumped,
    kept,
    memoryless,
    select,
    stats,
    surrogates,
)
from rheobase.models.hmm_rnn.decoder import Decoder
from rheobase.models.hmm_rnn.front import Series
from rheobase.models.hmm_rnn.hmm import HMM, GaussianHMM
from rheobase.models.hmm_rnn.select import Choice
from rheobase.models.inputs import check
from rheobase.models.units import of_units

if TYPE_CHECKING:
    from rheobase.models.hmm_rnn import HMMRNN
    from rheobase.recording import Recording

DESCRIPTION = (
    "a hidden Markov model is a description of the signal: states are no proof that the brain "
    "switches, and smooth fluctuations without any states are cut into states too"
)
MOST_UNITS = 500
"""Units up to which the covariance between units is kept for each state"""


def fit_training(
    model: HMMRNN, train: Sequence[Recording], *, seed: int, device: str,
    checkpoint: Path | None = None,
) -> Fitted:  # fmt: skip
    """Return everything that is learnt from the training part.

    ``checkpoint``: where the training of emulators is kept; states are fitted again after a stop.
    """
    check(train, part="training")
    first, least = train[0], fitting.shortest(model)
    seen = front.learn(model, train, shortest=least)
    series = seen.series(train, shortest=least)
    engine = fitting.engine(model, modality=first.modality, rate=first.rate,
                            states=model.tried[0], restarts=model.restarts)  # fmt: skip
    choice = _choose(model, engine, series, first.name, seed=seed, device=device)
    x, lengths = choice.fitted.prepare(series.x, series.lengths)
    cov = engine.cov if isinstance(engine, GaussianHMM) else "full"
    kind = kept.Kind(fitting.kind_of(model), cov, getattr(engine, "order", 1))
    variables = {
        **seen.pack(), **kind.pack(), **_models(choice), **_choice(choice),
        **_series(series, lengths, first, seed),
    }  # fmt: skip
    path = _decode(choice, series, x, lengths, kind, variables)
    variables |= _rivals(model, x, lengths, choice, kind, seed=seed)
    variables |= _copies(model, engine, series, choice, seed=seed, device=device)
    notices = [DESCRIPTION, *_notices(choice, series, seen, first, path, lengths)]
    names, rates = _rates(model, path, lengths, first.rate, seed=seed, notices=notices)
    more = emulated.Made()
    if model.emulate:
        more = emulated.of_fit(
            model, path, variables["gamma"][1], x, lengths, variables["A"][1], seed=seed,
            device=device, checkpoint=checkpoint,
        )  # fmt: skip
    units = np.array(first.unit_names, str)
    coordinates = {"unit": units, "kept_unit": units[seen.kept], "tried": np.array(choice.grid),
                   "state": np.arange(1, choice.states + 1), **names,
                   **more.coordinates, **of_units(train, first.unit_names)}  # fmt: skip
    trace = choice.fitted.fits.trace[choice.fitted.best]
    return Fitted(
        xr.Dataset({**variables, **rates, **more.variables}, coords=coordinates),
        weights=more.weights, metrics={**_scalars(choice), **more.metrics},
        history={"loglik": trace[np.isfinite(trace)].tolist(), **more.history},
        notices=(*notices, *more.notices),
    )  # fmt: skip


def groups_of(series: Series, folds: int) -> list[str] | None:
    """Return what inner folds keep together, by segment: people, else recordings, else None."""
    for groups in (series.subjects, [one.name for one in series.segments]):
        if len(set(groups)) >= folds:
            return groups
    return None


def _models(choice: Choice) -> dict[str, Any]:
    """Return the parameters of the model and of those of the two halves."""
    return {**kept.pack(choice.fitted.chain), **kept.pack_embedding(choice.fitted.embedding),
            **kept.pack(choice.halves, "half/", model="half")}  # fmt: skip


def _series(
    series: Series, lengths: Sequence[int], first: Recording, seed: int
) -> dict[str, Any]:  # fmt: skip
    return {
        "seed": ((), np.int64(seed)), "rate_hz": ((), np.float64(first.rate)),
        "time_unit": ((), np.array(first.time_unit)),
        "recording": ("segment", np.array([r.name for r in series.segments], str)),
        "subject": ("segment", np.array(series.subjects, str)),
        "length": ("segment", np.array(lengths)),
    }  # fmt: skip


def _scalars(choice: Choice) -> dict[str, float]:
    alike = choice.reproducibility[choice.grid.index(choice.states)]
    return {"states": float(choice.states), "restart_agreement": choice.fitted.stability,
            "replication": float(alike), "parameters": float(choice.fitted.parameters)}  # fmt: skip


def _choose(
    model: HMMRNN, engine: Any, series: Series, name: str, *, seed: int, device: str
) -> Choice:  # fmt: skip
    try:
        return select.choose(engine, series.x, series.lengths, grid=model.tried,
                             subjects=groups_of(series, model.folds), folds=model.folds,
                             seed=seed, device=device)  # fmt: skip
    except ValueError as reason:
        raise ValueError(f"{name} and others of the training part: {reason}") from reason


def _decode(
    choice: Choice, series: Series, x: np.ndarray, lengths: Sequence[int], kind: kept.Kind,
    variables: dict[str, Any],
) -> np.ndarray:  # fmt: skip
    """Return the most likely path of the training part; adds what it says to the variables."""
    chain = choice.fitted.chain
    decoder = Decoder(emission=kind.emission(x.shape[1]), chain=chain)
    gamma, path = decoder.posterior(x, lengths)[0], decoder.viterbi(x, lengths)
    variables |= {"gamma": (("sample", "state"), gamma.astype(np.float32)),
                  "viterbi": ("sample", path)}  # fmt: skip
    lags = choice.fitted.embedding
    z = series.z if lags is None else series.z[lags.inside(series.lengths)]
    variables |= _in_units(z, gamma)
    return path


def _copies(
    model: HMMRNN, engine: HMM, series: Series, choice: Choice, *, seed: int, device: str
) -> dict[str, Any]:  # fmt: skip
    """Return the same model fitted to phase-randomised copies, whole and halves."""
    found = surrogates.fits(
        engine.with_states(choice.states), series.x, series.lengths, choice.split,
        choice.fitted.embedding, count=model.surrogates, seed=seed, device=device,
    )  # fmt: skip
    if found is None:
        return {}
    whole, halves = found
    return {**kept.pack(whole, "rival/copy_", model="copy"),
            **kept.pack(halves, "rival/copy_half_", model="copy_half")}  # fmt: skip


def _choice(choice: Choice) -> dict[str, Any]:
    """Return what was found of each number of states, and of the restarts of the chosen one."""
    fits = choice.fitted.fits
    return {
        "heldout_loglik": (("tried", "inner_fold"), choice.heldout),
        "bic": ("tried", choice.bic), "aic": ("tried", choice.aic),
        "reproducibility": ("tried", choice.reproducibility),
        "one_se": ((), np.int64(choice.one_se)), "reason": ((), np.array(choice.reason)),
        "loglik_trace": (("restart", "iteration"), fits.trace),
        "restart_objective": ("restart", fits.objective.cpu().numpy()),
        "restart_agreement": ((), np.float64(choice.fitted.stability)),
        "occupancy": ("state", choice.fitted.occupancy),
    }  # fmt: skip


def _in_units(z: np.ndarray, gamma: np.ndarray) -> dict[str, Any]:
    """Return mean and covariance of the standardised channels in each state, by probability."""
    weight = np.maximum(gamma.sum(axis=0), 1e-12)
    means = gamma.T @ z / weight[:, None]
    power = gamma.T @ z**2 / weight[:, None]
    made: dict[str, Any] = {
        "state_mean": (("state", "kept_unit"), means.astype(np.float32)),
        "state_deviation": (("state", "kept_unit"),
                            np.sqrt(np.maximum(power - means**2, 0)).astype(np.float32)),
    }  # fmt: skip
    if z.shape[1] <= MOST_UNITS:
        covs = np.stack([(z * g[:, None]).T @ z / w - np.outer(m, m)
                         for g, w, m in zip(gamma.T, weight, means, strict=True)])  # fmt: skip
        made["state_cov"] = ("state", "kept_unit", "kept_unit_to"), covs.astype(np.float32)
    return made


def _rivals(
    model: HMMRNN, x: np.ndarray, lengths: Sequence[int], choice: Choice,
    kind: kept.Kind, *, seed: int,
) -> dict[str, Any]:  # fmt: skip
    nu = float(x.shape[1] + 2 if model.prior.covariance is None else model.prior.covariance)
    centred, states = kind.name != "ar" and kind.cov == "zero-mean-full", choice.states
    one = memoryless.one_gaussian(x, nu=nu, centred=centred)
    order = kind.order if kind.name == "ar" else 1
    made = memoryless.pack_linear(
        memoryless.linear(x, lengths, order=order, prior=model.prior, first=one)
    )
    cov = "full" if kind.name == "ar" else kind.cov
    mixed = memoryless.mixture(x, states=states, cov=cov, prior=model.prior,
                               starts=model.restarts, seed=seed)  # fmt: skip
    made |= kept.pack(mixed, "rival/gaussian_mixture_")
    centres = memoryless.kmeans(x, states=states, starts=model.restarts, seed=seed)
    made["rival/kmeans_centres"] = ("state", "component"), centres
    half = np.repeat(choice.split.halves, choice.split.lengths, axis=1) > 0
    made["rival/kmeans_half"] = ("half", "state", "component"), np.stack(
        [memoryless.kmeans(x[own], states=states, starts=model.restarts, seed=seed)
         for own in half])  # fmt: skip
    return made


def _notices(
    choice: Choice, series: Series, seen: front.Front, first: Recording, path: np.ndarray,
    lengths: Sequence[int],
) -> list[str]:  # fmt: skip
    said = []
    if len(choice.grid) > 1:
        said.append(f"{choice.states} states were chosen: {choice.reason}")
    said += choice.fitted.notices
    found = stats.statistics(path, lengths, states=choice.states, rate_hz=first.rate,
                             subjects=series.subjects)  # fmt: skip
    if len(found.subjects) > 1 and found.static:
        said.append(
            f"the largest state of a person holds {np.median(found.largest):.0%} of the time "
            "(median): states tell people apart rather than moments"
        )
    if series.skipped:
        said.append(f"{series.skipped} samples in stretches that are too short are left out")
    if not seen.kept.all():
        gone = np.array(first.unit_names)[~seen.kept][:5]
        said.append(f"constant in the training part, and left out: {', '.join(gone)}")
    return said


def _rates(
    model: HMMRNN, path: np.ndarray, lengths: Sequence[int], rate: float, *, seed: int,
    notices: list[str],
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Return coordinates and variables of the rates; adds what they say to the notices."""
    if not model.rate_samples:
        return {}, {}
    made, names, why = jumped.of_path(path.astype(int), lengths, step=1 / rate,
                                      most=model.rate_samples, seed=seed)  # fmt: skip
    notices += [why] if why else []
    if made and not str(made["jump_verdict"][1]).startswith("Stays"):
        notices.append(f"rates of switching: {str(made['jump_verdict'][1]).rstrip('.')}")
    return names, made
