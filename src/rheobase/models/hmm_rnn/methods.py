"""What the methods text of a report says of this family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

EMISSIONS = {
    "gaussian": "Gaussian states", "ar": "autoregressive states of order {order}",
    "tde": "states of covariance over lags of up to {half} samples to both sides",
}  # fmt: skip
COVS = {"full": "full covariances", "diag": "variances alone", "tied": "one covariance for all",
        "spherical": "one variance each",
        "zero-mean-full": "covariances and no means"}  # fmt: skip


def sentences(
    settings: Mapping[str, Any], cite: Callable[..., str], *, frames: bool,
    label: Mapping[str, Any] | None,
) -> list[str]:  # fmt: skip
    """Return sentences on states, their number, rivals, rates and a label."""
    name = "gaussian" if settings["emission"] == "auto" else settings["emission"]
    what = EMISSIONS[name].format(**settings)
    if name == "gaussian" and settings["cov"] != "auto":
        what += f" with {COVS[settings['cov']]}"
    restarts = settings["restarts"]
    said = [
        "Channels were standardised by mean and deviation of the training part and, where there "
        "were more than 16, replaced by principal components of it. A hidden Markov model with "
        f"{what} {cite('rabiner1989')} was fitted by expectation-maximisation with a prior, the "
        f"best of {restarts} start{'s' * (restarts != 1)}.",
        _number(settings),
        "Rivals were one Gaussian, a Gaussian mixture with as many components, k-means and a "
        "vector autoregression on the same training part"
        + (
            f", and the same model on {settings['surrogates']} phase-randomised copies of it "
            f"{cite('prichard1994')}." if settings["surrogates"] else "."
        ),
    ]  # fmt: skip
    if settings["rate_samples"]:
        unit = "frame" if frames else "second"
        said.append(
            f"Rates of switching a {unit} were fitted to the most likely path as a Markov jump "
            f"process whose labels may be wrong {cite('berghaus2024')}, and checked against "
            "simulated paths."
        )
    if settings.get("emulate"):
        said.append(_emulators(settings["emulator"], cite))
    if label and settings["label"] and label["kind"] == "class":
        said.append(
            f"States were compared with the label {label['name']} by the adjusted Rand index "
            f"{cite('hubert1985')}; "
            "chance came from exchanging labels between whole stretches."
        )
    return said


def _number(settings: Mapping[str, Any]) -> str:
    if settings["states"] != "auto":
        return f"The number of states, {settings['states']}, was given."
    tried = ", ".join(str(k) for k in settings["grid"])
    return (
        f"The number of states was chosen among {tried} in {settings['folds']} inner folds of the "
        "training part: the smallest whose held-out likelihood was within one standard error of "
        "the best, or the largest smaller one whose states were found in both halves."
    )


def _emulators(own: Mapping[str, Any], cite: Callable[..., str]) -> str:
    """Return how networks emulate the chain, and which of them are taken apart."""
    members = own["members"]
    what = "states" if own["symbols"] == "state" else "centres of k-means"
    learnt = {"chain": "sequences of that chain", "data": "windows of these symbols"}[
        own.get("train_on", "chain")
    ]
    said = (
        f"The most likely path of the training part was thinned so that stays last about "
        f"{own['stay_steps']:g} steps, a chain over {what} was fitted to it, and {members} "
        f"recurrent network{'s' * (members != 1)} without biases, driven by noise, "
        f"{'were' if members != 1 else 'was'} trained on {learnt} {cite('torre2025')}, first by "
        "moments, then with the Sinkhorn divergence too. Networks whose symbols exceed the "
        "chain's own negative log-likelihood by 0.07 nats, or by a quarter of what sequences "
        "without memory do, or whose activity grows, count as failed."
    )
    if own["analysis"] == "none":
        return said
    return (f"{said} Those that pass were simulated to look for fixed points, orbits, zones and "
            "units that cause switches: properties of the emulator, not of the brain.")  # fmt: skip
