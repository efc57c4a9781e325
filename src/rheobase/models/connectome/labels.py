"""The label of the dataset, decoded from the components, beside as many principal components.

Over time: an example is a bin, its features the courses of all components. Of whole recordings: an
example is a recording, its features mean and deviation of each course, and the rival is
connectivity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Score
from rheobase.models.connectome.courses import Placed, as_recordings, bins_of
from rheobase.models.decoding import decode, null, vectors
from rheobase.models.decoding.decode import Decoder
from rheobase.models.decoding.examples import Examples, How, NotDecodableError, gather, label_of
from rheobase.models.inputs import acausal_note, by_name, own_standard, scaler

if TYPE_CHECKING:
    from rheobase.recording import Recording

PENALTIES = tuple(float(p) for p in np.logspace(0, 5, 9))
INVERSE_PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
"""The grids of the linear family"""


@dataclass(frozen=True)
class Inputs:
    """The same bins of the same recordings, as components and as the rival's features."""

    components: list[Recording]
    signals: list[Recording]
    """Principal components of the signals in the same bins"""
    original: list[Recording]

    @property
    def over_time(self) -> bool:
        return isinstance(label_of(self.original[0]), np.ndarray)


@dataclass(frozen=True)
class Learnt:
    """Decoders by name, ours (``components``) first, or why there is none."""

    decoders: dict[str, Decoder]
    why: str = ""


def axes_of(recordings: Sequence[Recording], units: Sequence[str], *, count: int) -> np.ndarray:
    """Return principal axes of the standardised signals, (unit, component).

    A neuron that a recording lacks counts as its mean.
    """
    total = np.zeros((len(units), len(units)))
    for parts in by_name(recordings).values():
        kept, at = _known(parts[0], units)
        signal = own_standard(parts)[:, kept]
        total[np.ix_(at, at)] += signal.T @ signal
    _, vectors_of = np.linalg.eigh(total)
    return vectors_of[:, ::-1][:, : min(count, len(units))]


def _known(recording: Recording, units: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    place = {name: i for i, name in enumerate(units)}
    kept = [(i, place[n]) for i, n in enumerate(recording.unit_names) if n in place]
    source, to = (np.array(x) for x in zip(*kept, strict=True))
    return source, to


def principal(
    recordings: Sequence[Recording], made: Sequence[Placed], axes: np.ndarray,
    units: Sequence[str],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Return principal components of every recording in its bins, as ``whole_courses`` does."""
    found = {}
    for one, (name, parts) in zip(made, by_name(recordings).items(), strict=True):
        mean, scale = scaler(parts)
        kept, at = _known(parts[0], units)
        signal = np.concatenate([r.signal for r in parts])
        usable = one.frames.drive.valid
        scores = ((signal - mean) / scale)[:, kept] @ axes[at] * usable[:, None]
        index = bins_of(one.frames, one.arrangement.plan.frames.shape[2]).frames[0]
        count = usable[index].sum(axis=1)
        courses = scores[index].sum(axis=1) / np.maximum(count, 1)[:, None]
        found[name] = courses.T, count * 2 >= index.shape[1]
    return found


def inputs_of(
    recordings: Sequence[Recording], made: Sequence[Placed],
    courses: dict[str, tuple[np.ndarray, np.ndarray]], axes: np.ndarray, units: Sequence[str],
) -> Inputs:  # fmt: skip
    """Return both sets of features of recordings."""
    bin_s = made[0].arrangement.bin_s
    ours = names_of(len(next(iter(courses.values()))[0]))
    theirs = [f"principal component {i + 1}" for i in range(axes.shape[1])]
    step = {"step": "components", "family": "connectome"}
    against = principal(recordings, made, axes, units)
    return Inputs(
        as_recordings(recordings, courses, names=ours, bin_s=bin_s, step=step),
        as_recordings(recordings, against, names=theirs, bin_s=bin_s, step=step),
        list(recordings),
    )  # fmt: skip


def names_of(count: int) -> list[str]:
    """Return what components are called."""
    return [f"component {i + 1}" for i in range(count)]


def fit(given: Inputs, *, ignore: Sequence[str]) -> Learnt:
    """Return the decoders of the training part's label."""
    try:
        if given.over_time:
            how = _how(given, ignore)
            return Learnt({
                name: decode.fit(part, how, cs=INVERSE_PENALTIES, penalties=PENALTIES, delay_s=None)
                for name, part in _sources(given).items()
            })  # fmt: skip
        return Learnt({name: _of_recordings(one, name) for name, one in _whole(given).items()})
    except NotDecodableError as reason:
        return Learnt({}, str(reason))


def _how(given: Inputs, ignore: Sequence[str]) -> How:
    kind = given.original[0].label_kind or "class"
    return How("samples", kind, 0.0, 0.0, 0.0, tuple(str(name) for name in ignore))


def _sources(given: Inputs) -> dict[str, list[Recording]]:
    return {"components": given.components, "pca_of_signals": given.signals}


def _whole(given: Inputs) -> dict[str, Examples]:
    """Return one example a recording: ours, then connectivity where units are the same."""
    how = replace(_how(given, ()), features="connectivity")
    names = {tuple(r.unit_names) for r in given.original}
    base = gather(given.components, how)
    made = {"components": replace(base, x=_moments(given.components, base.recording))}
    if len(names) == 1:
        made["connectivity"] = gather(given.original, how)
    return made


def _moments(recordings: Sequence[Recording], wanted: np.ndarray) -> np.ndarray:
    """Return mean and deviation of each course, (recording, 2 component)."""
    found = {
        name: np.concatenate([r.signal[r.valid] for r in parts]).astype(np.float64)
        for name, parts in by_name(recordings).items()
    }
    return np.stack([
        np.concatenate([found[str(n)].mean(axis=0), found[str(n)].std(axis=0)]) for n in wanted
    ])  # fmt: skip


def _of_recordings(known: Examples, name: str) -> Decoder:
    if len(np.unique(known.y)) < 2:
        raise NotDecodableError(
            f"the training part holds the one class {known.y[0]!s}; decoding needs two, so change "
            "the split or drop the label"
        )
    if known.y.dtype.kind == "f":
        return vectors.fit_values(known, features=name, penalties=PENALTIES)
    return vectors.fit_classes(known, features=name, cs=INVERSE_PENALTIES)


def score(
    decoders: dict[str, Decoder], given: Inputs, *, ignore: Sequence[str], draws: int, seed: int
) -> Score:
    """Return how well the label of the test part is decoded, beside the rivals.

    Raises ``NotDecodableError`` where the test part holds no usable label.
    """
    values = {}
    if given.over_time:
        how = _how(given, ignore)
        known = {n: gather(part, how, delay=decoders[n].delay)
                 for n, part in _sources(given).items() if n in decoders}  # fmt: skip
    else:
        known = {n: one for n, one in _whole(given).items() if n in decoders}
    for name in list(decoders)[1:]:
        rng = null.stream(seed, 3, given.original)
        values[name] = decode.evaluate(decoders[name], known[name], draws=0, rng=rng).value
    rng = null.stream(seed, 2, given.original)
    ours = decode.evaluate(decoders["components"], known["components"], draws=draws, rng=rng)
    shared = acausal_note(given.original) if given.over_time else ""
    caution = f"{shared} in both parts, so decoding may be flattered" if shared else ""
    return replace(
        ours, rivals={**values, **ours.rivals}, title=f"decoding, {_measure(ours.name)}",
        caution="; ".join(filter(None, [ours.caution, caution])),
    )  # fmt: skip


def _measure(name: str) -> str:
    return "R²" if name.endswith("r2") else "balanced accuracy"
