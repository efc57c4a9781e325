"""What the linear family did, in the words of a methods text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rheobase.models.decoding.classify import INNER_FOLDS

Cite = Callable[..., str]


def sentences(
    settings: Mapping[str, Any], cite: Cite, *, frames: bool, label: Mapping[str, Any] | None
) -> list[str]:
    """Return what was fitted with these hyperparameters, one sentence each.

    ``label`` is None or holds ``name``, ``kind`` (class | value), ``modality``, ``over_time`` and
    ``tested`` (against chance in ``every`` fold, ``some`` or ``none``). ``frames`` says that time
    counts frames. ``cite`` returns the citation of works by their keys.
    """
    past = settings.get("order", 1)
    seen = "the last sample" if past == 1 else f"the last {past} samples"
    said = [
        f"Each unit was forecast {_listed(settings.get('horizons', []))} samples ahead from {seen} "
        "of all units by a vector autoregression with a ridge penalty, one regression a horizon on "
        "signals standardised by the training part, the penalty chosen in inner folds of the "
        f"training part {_grid(settings.get('penalties', []))}.",
        "Static connectivity was the correlation of each recording, shrunk towards independence by "
        f"the rule of Ledoit and Wolf {cite('ledoit2004')}, averaged over training recordings.",
    ]
    return said + ([_decoding(settings, label, frames=frames)] if label else [])


def _decoding(settings: Mapping[str, Any], label: Mapping[str, Any], *, frames: bool) -> str:
    features, source = _features(settings, label)
    chosen = f"chosen in up to {INNER_FOLDS} inner folds of the training part"
    if label["kind"] == "value":
        by = f"ridge regression, its penalty {chosen} {_grid(settings.get('penalties', []))}"
    elif features == "windows":
        by = "linear discriminant analysis with equal priors, which has no setting to choose"
    else:
        grid = _grid(settings.get("inverse_penalties", []))
        by = f"multinomial logistic regression, its inverse penalty {chosen} {grid}"
    delay = settings.get("delay_s")
    late = f" {delay:g} {'frames' if frames else 's'} later" if delay else ""
    if features == "samples" and delay is None and label["modality"] == "fmri":
        late = f" up to 8 {'frames' if frames else 's'} later, the delay chosen in the same folds"
    late = late if features == "samples" else ""
    left = settings.get("ignore_labels") or []
    without = f" Examples of the class {_listed(left)} were left out." if left else ""
    return (
        f"The label {label['name']} was decoded from {source}{late} by {by}. "
        f"{_chance(settings, label)}{without}"
    )


def _chance(settings: Mapping[str, Any], label: Mapping[str, Any]) -> str:
    value, shifted = label["kind"] == "value", label["kind"] == "value" and label["over_time"]
    if label["tested"] == "none":
        if shifted:
            return "It was too smooth or too short to be tested against chance."
        level = "" if value else " and chance is one over the number of classes"
        return f"No labels of a test part could be exchanged, so none were permuted{level}."
    many = settings.get("permutations")
    moved = f"{many} circular shifts" if shifted else f"{many} permutations"
    score = "R2, values below 0 set to 0," if value else "score"
    where = " in the folds that allowed it" if label["tested"] == "some" else ""
    return f"Chance was the mean {score} over {moved} of the labels of the test part{where}."


def _features(settings: Mapping[str, Any], label: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind of features, chosen as ``examples.choose`` does, and its words."""
    if label["modality"] == "emg" and (label["over_time"] or label["kind"] == "class"):
        width, hop = settings.get("window_s", 0), settings.get("hop_s", 0)
        return "windows", (
            "the logarithm of 1 + root mean square of each channel in windows of "
            f"{width:g} s every {hop:g} s"
        )
    if label["over_time"]:
        return "samples", "single samples of the signal"
    return "connectivity", "the Fisher-z correlations between the units of a whole recording"


def _grid(values: Sequence[float]) -> str:
    if not values:
        return "from a grid"
    if len(values) == 1:
        return f"from the one value {values[0]:g}"
    return f"from {len(values)} values from {min(values):g} to {max(values):g}"


def _listed(values: Sequence[Any]) -> str:
    words = [str(value) for value in values]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
