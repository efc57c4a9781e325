"""Electrical recordings in microvolt: EDF, BDF, BrainVision, FIF (through MNE) and WFDB."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.io.values import floats, listing, reading

DAMAGE = ("does not match the file size", "Invalid tag")
DAMAGE_BRAINVISION = (*DAMAGE, "annotation(s) that were outside data range")
MICROVOLT = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "μv": 1.0}


def read_edf(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the chosen channels of an EDF or EDF+ file."""
    return _read(path, reader, "edf")


def read_bdf(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the chosen channels of a BDF or BDF+ file."""
    return _read(path, reader, "bdf")


def read_brainvision(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the chosen channels of a BrainVision recording; ``path`` is its .vhdr file."""
    _check_brainvision(path)
    return _read(path, reader, "brainvision")


def read_fif(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the chosen channels of a FIF file."""
    return _read(path, reader, "fif")


def _read(path: Path, reader: Mapping[str, Any], form: str) -> Raw:
    import mne

    opened = getattr(mne.io, f"read_raw_{form}")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            with reading(path, form):
                raw = opened(path, preload=False, verbose="WARNING")
                kinds = raw.get_channel_types()
            kept = pick(path, raw.ch_names, kinds, reader.get("channels"))
            with reading(path, form):
                values = raw.get_data(picks=kept, verbose="WARNING").T
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{error.filename} does not exist; {path} refers to it"
            ) from error
    signs = DAMAGE_BRAINVISION if form == "brainvision" else DAMAGE
    _check_told(path, [str(warning.message) for warning in told], signs)
    unit = {raw.ch_names[i]: raw.info["chs"][i]["unit"] for i in kept}
    if other := [name for name, code in unit.items() if code != mne.io.constants.FIFF.FIFF_UNIT_V]:
        raise ValueError(
            f"{path}: channels {listing(other)} are not in volt; leave them out of reader.channels"
        )
    signal = floats(values, path, "the recording") * 1e6
    steps = ({"step": "scale", "factor": 1e6, "from": "V", "to": "uV"},)
    return Raw(
        signal,
        tuple(unit),
        rate_hz=float(raw.info["sfreq"]),
        units="uV",
        times=_annotations(raw, len(signal)),
        steps=steps,
    )


def pick(path: Path, names: list[str], kinds: list[str], wanted: Any) -> list[int]:
    """Return the channels to keep: those named, else those typed emg, else those called emg."""
    if wanted:
        wanted = [str(name) for name in wanted]
        if absent := [name for name in wanted if name not in names]:
            raise ValueError(f"{path} has no channel {listing(absent)}; it has {listing(names)}")
        return [names.index(name) for name in wanted]
    typed = [i for i, kind in enumerate(kinds) if kind == "emg"]
    called = [i for i, name in enumerate(names) if re.search("emg", name, re.IGNORECASE)]
    if not typed and not called:
        raise ValueError(
            f"{path}: no channel is typed or called emg; list some of {listing(names)} under "
            "reader.channels"
        )
    return typed or called


def _check_told(path: Path, messages: list[str], signs: tuple[str, ...]) -> None:
    for message in messages:
        if any(sign in message for sign in signs):
            raise ValueError(
                f"{path} is cut off or damaged ({message[:120]}); fetch or export it again"
            )


def _check_brainvision(path: Path) -> None:
    """Refuse a data file that does not hold whole samples, which MNE would cut in silence."""
    with reading(path, "brainvision"):
        text = path.read_text(encoding="utf-8", errors="replace")
        entries = dict(re.findall(r"^(\w+)=(.*?)\s*$", text, re.MULTILINE))
        data, *others = [
            path.parent / entries[key].replace("$b", path.stem)
            for key in ("DataFile", "MarkerFile")
            if key == "DataFile" or entries.get(key)
        ]
        channels = int(entries["NumberOfChannels"])
    for file in (data, *others):
        if not file.is_file():
            raise FileNotFoundError(f"{file} does not exist; {path} refers to it")
    width = {"INT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}.get(entries.get("BinaryFormat", ""))
    if entries.get("DataFormat", "BINARY") != "BINARY" or width is None:
        return
    samples, rest = divmod(data.stat().st_size, channels * width)
    if rest or not samples or samples != int(entries.get("DataPoints") or samples):
        raise ValueError(
            f"{data} holds {samples} samples of {channels} channels and {rest} bytes more, not "
            f"what {path.name} says; it is cut off or damaged"
        )


def _annotations(raw: Any, n_time: int) -> dict[str, np.ndarray]:
    """Return which annotation holds at each sample ("" where none does), if there is any."""
    marks = [mark for mark in raw.annotations if not mark["description"].startswith("New Segment/")]
    if not marks:
        return {}
    text = np.full(n_time, "", dtype=f"<U{max(len(mark['description']) for mark in marks)}")
    origin = raw.first_time if raw.annotations.orig_time is not None else 0.0
    rate = raw.info["sfreq"]
    for mark in marks:
        start = max(round((mark["onset"] - origin) * rate), 0)
        stop = start + max(round(mark["duration"] * rate), 1)
        text[start:stop] = mark["description"]
    return {"annotation": text}


def read_wfdb(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the chosen channels of a WFDB record; ``path`` ends in .hea or not at all."""
    try:
        import wfdb
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: format wfdb needs the package wfdb; pip install wfdb") from error

    record = str(path.with_suffix("") if path.suffix in (".hea", ".dat") else path)
    with reading(path, "wfdb"):
        held: Any = wfdb.rdrecord(record)
        values, names, units = held.p_signal, list(held.sig_name), list(held.units)
    kept = pick(path, names, [""] * len(names), reader.get("channels"))
    if other := [names[i] for i in kept if units[i].lower() not in MICROVOLT]:
        raise ValueError(
            f"{path}: channels {listing(other)} are not in volt; leave them out of reader.channels"
        )
    factors = [MICROVOLT[units[i].lower()] for i in kept]
    signal = floats(values, path, "the record")[:, kept] * factors
    steps = ({"step": "scale", "factor": factors, "to": "uV"},)
    return Raw(
        signal, tuple(names[i] for i in kept), rate_hz=float(held.fs), units="uV", steps=steps
    )
