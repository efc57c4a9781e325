"""What the schema cannot say: keys that must agree with each other.

Every check yields (key path inside the dataset or model, sentence).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rheobase.config.calcium_checks import check_calcium, movie
from rheobase.config.entries import fill
from rheobase.config.fmri_checks import check_fmri
from rheobase.config.label_checks import check_label
from rheobase.config.patterns import check_patterns
from rheobase.config.schema import suggest
from rheobase.config.together import check_together

if TYPE_CHECKING:
    from rheobase.config.parse import Dataset

Problem = tuple[list[str | int], str]

CARRIES_RATE = {
    *("nifti", "fmriprep", "cifti", "edf", "bdf", "brainvision", "fif", "nwb", "caiman", "wfdb"),
}
CARRIES_UNITS = {"edf", "bdf", "brainvision", "fif", "wfdb"}
MATRICES = {"npy", "npz", "mat"}
FOR_MODALITY = {
    **dict.fromkeys(("nifti", "fmriprep", "cifti"), {"fmri"}),
    "suite2p": {"calcium"},
    "nwb": {"calcium"},
    "caiman": {"calcium"},
    "edf": {"emg", "series"},
    "bdf": {"emg", "series"},
    "brainvision": {"emg", "series"},
    "fif": {"emg", "series"},
    "wfdb": {"emg", "series"},
}

VIEW_OF = {"envelope": "emg", "events": "calcium"}
"""The modality of each view but ``signal``, which all have."""
RATES_HZ = {"fmri": (0.1, 20.0), "calcium": (0.05, 1000.0), "emg": (50.0, float("inf"))}
"""Rates that occur, chosen here; fMRI from 10 s to 0.05 s a volume."""
ENVELOPE_HZ = 6.0
"""The least rate of an EMG envelope, which keeps 3 Hz or more; chosen here."""


def unlikely_rate(modality: str, rate: float, *, envelope: bool = False) -> str | None:
    """Return why a rate in hertz cannot be right for a modality; None where it can."""
    low, high = RATES_HZ.get(modality, (0.0, float("inf")))
    low = ENVELOPE_HZ if envelope else low
    if low * (1 - 1e-9) <= rate <= high * (1 + 1e-9):
        return None
    if modality == "fmri":
        return (
            f"a repetition time of {1 / rate:.4g} s is not one of fmri, {1 / high:g} s to "
            f"{1 / low:g} s"
        )
    limit = f"below {low:g} Hz" if rate < low else f"above {high:g} Hz"
    what = "an EMG envelope" if envelope else modality
    return f"a rate of {rate:.4g} Hz is {limit}, the limit for {what}"


def check_models(models: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield problems among the models themselves: ``on:`` names and circles."""
    for name, entry in models.items():
        seen, at = [name], str(entry.get("on") or "")
        if at and at not in models:
            yield ["models", name, "on"], f"no model is called {at!r}{suggest(at, list(models))}"
        if at and entry.get("view"):
            yield (
                ["models", name, "view"],
                "a model with `on:` takes the other model's output; remove `view`",
            )
        while at in models and at not in seen:
            seen.append(at)
            at = str(models[at].get("on") or "")
        if at == name:
            yield (
                ["models", name, "on"],
                f"the models run on each other in a circle: {' -> '.join([*seen, at])}",
            )


def check_dataset(dataset: Dataset, models: Mapping[str, Any], data_dir: Path) -> Iterator[Problem]:
    """Yield every problem of one dataset."""
    yield from _models_named(dataset, models)
    yield from _recordings(dataset, data_dir)
    yield from _places(dataset)
    yield from check_patterns(dataset)
    yield from _reader(dataset)
    yield from _rate(dataset)
    yield from _split(dataset)
    yield from check_label(dataset)
    yield from _preprocess(dataset)
    yield from check_fmri(dataset)
    yield from check_calcium(dataset)


def _models_named(dataset: Dataset, models: Mapping[str, Any]) -> Iterator[Problem]:
    for number, name in enumerate(dataset.models):
        if name not in models:
            yield ["models", number], f"no model is called {name!r}{suggest(name, list(models))}"
        elif (other := models[name].get("on")) and other not in dataset.models:
            yield (
                ["models", number],
                f"{name!r} runs on {other!r}, which must be a model of this dataset too",
            )
        view = str(models.get(name, {}).get("view"))
        if VIEW_OF.get(view, dataset.modality) != dataset.modality:
            yield (
                ["models", number],
                f"{name!r} has view: {view}, which is for {VIEW_OF[view]}, and this is "
                f"{dataset.modality}; use view: signal or another model",
            )


def _recordings(dataset: Dataset, data_dir: Path) -> Iterator[Problem]:
    where = "table" if "table" in dataset.raw else "entities"
    names = Counter(entry.name for entry in dataset.recordings)
    for name, count in names.items():
        if count > 1:
            yield (
                [where],
                f"{count} recordings would be called {name!r}; names keep letters and digits only",
            )
    if not dataset.recordings:
        yield [where], "no recording is left"
    for key in ("path", "url"):
        pattern = dataset.source.get(key)
        if pattern is None or (
            key == "url" and "path" in dataset.source and dataset.source["kind"] == "url"
        ):
            continue
        try:
            files = Counter(fill(pattern, entry, data_dir) for entry in dataset.recordings)
        except ValueError as error:
            yield ["source", key], str(error)
            continue
        folder = dataset.reader.get("format") == "fmriprep"
        shared = [name for name, count in files.items() if count > 1 and not folder]
        if shared:
            yield (
                ["source", key],
                f"{files[shared[0]]} recordings share the file {shared[0]!r}; name every "
                "entity in it",
            )


def _places(dataset: Dataset) -> Iterator[Problem]:
    """Yield addresses that are none, files without checksum and entities that leave a folder."""
    source = dataset.source
    if source["kind"] == "url":
        if not source["url"].startswith(("http://", "https://")):
            yield ["source", "url"], f"{source['url']!r} is no http:// or https:// address"
        bare = [e.name for e in dataset.recordings if not (e.sha256 or source.get("sha256"))]
        if bare:
            yield (
                ["source"],
                f"{bare[0]} has no checksum ({len(bare)} of {len(dataset.recordings)} recordings); "
                "give source.sha256, or a column sha256 in the table for several files",
            )
    for entry in dataset.recordings if source["kind"] == "path" else ():
        for key, value in entry.entities.items():
            if f"{{{key}}}" in source["path"] and ("/" in value or ".." in value):
                yield (
                    ["table" if "table" in dataset.raw else "entities"],
                    f"{key} {value!r} holds / or .., which leads to another folder; write the "
                    "folders into source.path",
                )


def _reader(dataset: Dataset) -> Iterator[Problem]:
    if dataset.source["kind"] == "synthetic":
        if "reader" in dataset.raw:
            yield ["reader"], "a synthetic dataset needs no reader; remove it"
        made = dataset.source["generator"]
        if (made if made in ("fmri", "calcium", "emg") else "series") != dataset.modality:
            yield (
                ["source", "generator"],
                f"{dataset.source['generator']!r} makes another modality than {dataset.modality!r}",
            )
        return
    if "reader" not in dataset.raw:
        yield [], "the key 'reader' is missing (file format, orientation and names)"
        return
    form = dataset.reader["format"]
    if why := movie(dataset.source, form):
        yield ["reader", "format"], why
        return
    if form in MATRICES and "orientation" not in dataset.reader:
        yield (
            ["reader"],
            f"format {form} needs `orientation: time_first` or `time_last`; it is never guessed",
        )
    if dataset.modality not in FOR_MODALITY.get(form, {dataset.modality}):
        yield ["reader", "format"], f"format {form} does not hold {dataset.modality} signals"
    if form in ("npz", "mat") and "key" not in dataset.reader:
        yield ["reader"], f"format {form} needs `key`, the name of the signal's variable"
    if dataset.modality == "emg" and not dataset.units and form not in CARRIES_UNITS:
        yield [], "the key 'units' is missing: emg needs uV, mV, V or count"


def _rate(dataset: Dataset) -> Iterator[Problem]:
    raw, form = dataset.raw, dataset.reader.get("format")
    if "sampling_rate_hz" in raw and "repetition_time_s" in raw:
        yield ["repetition_time_s"], "give sampling_rate_hz or repetition_time_s, not both"
    carried = (
        form in CARRIES_RATE
        or "time_column" in dataset.reader
        or dataset.reader.get("trust_pickle")
        or dataset.source["kind"] == "synthetic"
    )
    if dataset.sampling_rate_hz is None and not carried and form != "movie":
        yield (
            [],
            "the sampling rate is missing: give sampling_rate_hz (or repetition_time_s); it is "
            "never guessed",
        )
    if dataset.time_unit == "frame" and dataset.sampling_rate_hz != 1:
        yield ["time_unit"], "with `time_unit: frame` the rate is unknown: set sampling_rate_hz: 1"
    rate, emg = dataset.sampling_rate_hz, dataset.modality == "emg"
    why = unlikely_rate(dataset.modality, rate, envelope=emg) if rate else None
    if why and dataset.time_unit == "s":
        key = "sampling_rate_hz" if "sampling_rate_hz" in raw else "repetition_time_s"
        yield [key], f"{why}; correct it (hertz, or seconds a volume)"


def _split(dataset: Dataset) -> Iterator[Problem]:
    by, folds = dataset.split.by, dataset.split.folds
    if dataset.split.gap_s and by != "time":
        yield ["split", "gap_s"], "gap_s belongs to a split by time only"
    if dataset.split.together and by != "subject":
        yield ["split", "together"], f"together keeps people of a split by subject, not by {by}"
        return
    numbered = {"trial_key", "block_key", "block_column"} & set(dataset.reader)
    if by == "trial" and not numbered and dataset.source["kind"] != "synthetic":
        yield ["split", "by"], "a split by trial needs reader.trial_key (or block_key)"
    if by in ("time", "trial"):
        return
    missing = [e.name for e in dataset.recordings if by not in {**e.labels, **e.entities}]
    if missing:
        yield (
            ["split", "by"],
            f"recording {missing[0]} has no {by!r}; add it to entities or to the table",
        )
        return
    if apart := list(check_together(dataset)):
        yield from apart
        return
    groups, what = len(dataset.groups), dataset.split.group
    if groups < 2:
        yield (
            ["split", "together" if dataset.split.together else "by"],
            f"there is only {groups} {what}; a split needs 2 or more (or split by time)",
        )
    elif folds and folds > groups:
        yield ["split", "folds"], f"{folds} folds need {folds} {what}s; there are {groups}"


def _preprocess(dataset: Dataset) -> Iterator[Problem]:
    options, rate = dataset.preprocess, dataset.sampling_rate_hz
    if options.get("standardise") == "zscore" and dataset.split.by in ("time", "trial"):
        yield (
            ["preprocess", "standardise"],
            (
                f"zscore would use samples of the test part when splitting by {dataset.split.by}; "
                "set none (models scale on their training part)"
            ),
        )
    band = options.get("band_hz")
    if not band:
        return
    low, high = band
    if dataset.time_unit == "frame":
        yield (
            ["preprocess", "band_hz"],
            "a filter in hertz needs the sampling rate, and time_unit is frame; set null",
        )
    elif low is not None and high is not None and low >= high:
        yield (
            ["preprocess", "band_hz"],
            f"the lower edge {low} Hz must be below the upper edge {high} Hz",
        )
    elif rate and max(low or 0, high or 0) >= rate / 2:
        yield (
            ["preprocess", "band_hz"],
            (f"the edge {high or low} Hz must be below half the sampling rate, {rate / 2:g} Hz"),
        )
