"""What the methods text of a report says of this family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DRIVES = {
    "derivative": "the size of the smoothed slope (Gaussian of at least {sigma}) above "
    "{theta:g} median absolute deviations, where it kept its sign for at least {run}",
    "deconvolved": "smoothed deconvolved events",
    "zpos": "the positive part of the z-scored signal",
}
KERNELS = {
    "geomean": "the geometric mean of two drives", "product": "the product of two drives",
    "codirectional": "the geometric mean of two drives of the same direction",
    "min": "the smaller of two drives",
    "ratio": "the geometric mean of two drives times their ratio",
}  # fmt: skip


def sentences(
    settings: Mapping[str, Any], cite: Callable[..., str], *, frames: bool,
    label: Mapping[str, Any] | None,
) -> list[str]:  # fmt: skip
    """Return sentences on affinities, factorisation, tests and communities."""
    how, ntf, null = settings["affinity"], settings["ntf"], settings["null"]

    def lasting(value: float) -> str:
        return f"{value:g} {('frame' if value == 1 else 'frames') if frames else 's'}"

    said = [
        f"Following a published idea {cite('dyballa2024')}, {_affinities(how, lasting)}.",
        "The tensor of pairs, bins and animals was factorised without negative entries by "
        f"accelerated HALS from {ntf['restarts']} random starts and one from a singular value "
        f"decomposition; the number of components was chosen among "
        f"{', '.join(map(str, ntf['ranks']))} by stability over starts and the error on entries "
        f"hidden {ntf['holdout_folds']} times, all inside the training part.",
    ]
    if null["n"]:
        said.append(
            f"Components were tested against {null['n']} tensors in which every unit was shifted "
            f"in a circle by {lasting(null['shift_s'])} or more."
        )
    said.append(_communities(settings["communities"]))
    if label and settings["label"]:
        what = "courses" if label["over_time"] else "means and deviations of the courses"
        said.append(
            f"The label {label['name']} was decoded linearly from the {what} of the components in "
            "the test part, which were found with the patterns held fixed."
        )
    return said


def _affinities(how: Mapping[str, Any], lasting: Callable[[float], str]) -> str:
    """Return how signals became affinities; ``lasting`` writes a duration with its unit."""
    bins = f"bins of at least {lasting(how['dt_s'])} and two samples"
    if how["kernel"] not in KERNELS:
        return (
            "the affinity of two units was the correlation of their signals, where positive, in "
            f"windows of at least {lasting(how['window_s'])} and ten samples around the middle of "
            f"{bins}"
        )
    drive = DRIVES[how["drive"]].format(
        sigma=lasting(how["sigma_s"]), theta=how["theta"], run=lasting(how["min_run_s"])
    )
    return (
        f"each signal became a drive in [0, 1]: {drive}, averaged in {bins}; the affinity of two "
        f"units was {KERNELS[how['kernel']]}"
    )


def _communities(how: Mapping[str, Any]) -> str:
    if how["backend"] != "own":
        return f"Communities of each component were found by {how['backend']}."
    corrected = {"no": "", "yes": ", corrected for degree",
                 "shorter": ", corrected for degree where that was shorter"}  # fmt: skip
    return (
        "Communities of each component were found by a weighted stochastic block model with "
        f"{how['weights']} weights{corrected[how['degree_correction']]}."
    )
