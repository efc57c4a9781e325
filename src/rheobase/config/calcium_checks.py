"""What a configuration of calcium recordings must agree on; raw movies are turned away here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from rheobase.config.schema import suggest

if TYPE_CHECKING:
    from rheobase.config.parse import Dataset

Problem = tuple[list[str | int], str]

HOLDS = {
    ("suite2p", "F"): "raw",
    ("suite2p", "spks"): "deconvolved",
    ("caiman", "C+YrA"): "neuropil_corrected",
    ("caiman", "C"): "neuropil_corrected",
    ("caiman", "F_dff"): "dff",
    ("caiman", "S"): "deconvolved",
}
"""What the traces of a program are, by format and ``reader.key``."""
KEYS = {"suite2p": "F", "caiman": "C+YrA"}
ALSO = {"raw": {"neuropil_corrected"}, "dff": {"zscore"}}
"""What else they may be called: neuropil may have been taken out, dF/F standardised."""
FLUORESCENCE = ("raw", "neuropil_corrected")
MOVIES = (".tif", ".tiff", ".avi", ".mp4", ".sbx", ".isxd", ".mesc", ".oir", ".czi", ".nd2")


def usual_input(reader: Mapping[str, Any]) -> str:
    """Return what the traces of a reader are, where the config does not say."""
    form = str(reader.get("format"))
    return HOLDS.get((form, str(reader.get("key") or KEYS.get(form))), "raw")


def movie(source: Mapping[str, Any], form: str) -> str | None:
    """Return why a movie is not read and what to do instead; None where it is none."""
    named = str(source.get("path") or source.get("url") or "")
    if form != "movie" and PurePosixPath(named).suffix.lower() not in MOVIES:
        return None
    return movie_remedy(named or "this source")


def movie_remedy(named: str) -> str:
    """Return the one sentence about a raw movie."""
    return (
        f"{named} is a movie, and motion correction and finding cells are not done here: run "
        "suite2p on it and read its folder with reader.format suite2p, or run CaImAn, save the "
        "result as HDF5 and read that with reader.format caiman (docs/data.md, From a movie to "
        "traces)"
    )


def check_calcium(dataset: Dataset) -> Iterator[Problem]:
    """Yield what is wrong with the ``preprocess`` block of a calcium dataset."""
    if dataset.modality != "calcium":
        return
    yield from _input(dataset)
    yield from _stretches(dataset)
    yield from _baseline(dataset)
    yield from _deconvolution(dataset)
    yield from _rate(dataset)


def _input(dataset: Dataset) -> Iterator[Problem]:
    form = dataset.reader.get("format")
    key = str(dataset.reader.get("key") or KEYS.get(str(form)))
    known = [name for program, name in HOLDS if program == form]
    if known and key not in known:
        yield ["reader", "key"], f"{key!r} is not one of {', '.join(known)}{suggest(key, known)}"
        return
    holds = HOLDS.get((str(form), key))
    given = dataset.preprocess["input"]
    if holds and given != holds and given not in ALSO.get(holds, ()):
        yield (
            ["preprocess", "input"],
            f"{given!r} cannot be right: {key} of {form} is {holds}; leave input out, or read "
            "another key",
        )


def _stretches(dataset: Dataset) -> Iterator[Problem]:
    names = [entry.name for entry in dataset.recordings]
    for name, stretches in dataset.preprocess.get("bad_s", {}).items():
        if name not in names:
            yield (
                ["preprocess", "bad_s", name],
                f"no recording is called {name!r}{suggest(name, names)}",
            )
        for start, stop in stretches:
            if stop <= start:
                yield (
                    ["preprocess", "bad_s", name],
                    f"the stretch [{start:g}, {stop:g}] ends before it starts; swap the two",
                )


def _baseline(dataset: Dataset) -> Iterator[Problem]:
    given, kind = dataset.preprocess["input"], dataset.preprocess.get("baseline")
    if kind == "none" and given in FLUORESCENCE:
        yield (
            ["preprocess", "baseline"],
            f"dF/F of {given} traces needs a baseline; choose percentile, maximin or exp",
        )
    if kind == "exp" and given == "dff":
        yield (
            ["preprocess", "baseline"],
            "exp follows bleaching, which dF/F has no more; choose percentile, maximin or none",
        )


def _deconvolution(dataset: Dataset) -> Iterator[Problem]:
    options = dataset.preprocess
    wanted = options.get("deconvolve") == "oasis"
    decay, indicator = options.get("decay_s"), options.get("indicator")
    if wanted and options["input"] in ("zscore", "deconvolved"):
        yield (
            ["preprocess", "deconvolve"],
            f"oasis needs fluorescence or dF/F, and input is {options['input']}; set none",
        )
    if decay is not None and indicator:
        yield ["preprocess", "indicator"], "give indicator or decay_s, not both"
    if not wanted and (decay is not None or indicator):
        key = "decay_s" if decay is not None else "indicator"
        yield ["preprocess", key], "it belongs to deconvolve: oasis only; set that or remove it"
    if wanted and indicator and dataset.time_unit == "frame":
        yield (
            ["preprocess", "indicator"],
            "its decay is in seconds and time_unit is frame; give decay_s in frames, or auto",
        )


def _rate(dataset: Dataset) -> Iterator[Problem]:
    wanted, rate = dataset.preprocess.get("resample_hz"), dataset.sampling_rate_hz
    if wanted is None:
        return
    if dataset.time_unit == "frame":
        yield ["preprocess", "resample_hz"], "a rate in hertz needs the sampling rate, not frames"
    elif rate and wanted > rate:
        yield (
            ["preprocess", "resample_hz"],
            f"{wanted:g} Hz is above the sampling rate, {rate:g} Hz; resampling adds nothing there",
        )
