"""The text of a starter config, with ``"?"`` for what the files cannot tell."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rheobase.stages.init import contents

MODALITY = {"nifti": "fmri", "nwb": "calcium", "suite2p": "calcium"}
MODALITY |= dict.fromkeys(("edf", "bdf", "brainvision", "fif"), "emg")
CARRY_RATE = {"nifti", "nwb", "edf", "bdf", "brainvision", "fif"}
UNKNOWN = '"?"'
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Found:
    """Files of one format, and how their names differ."""

    format: str
    paths: tuple[Path, ...]
    pattern: str
    rows: tuple[dict[str, str], ...]
    """The entities of every file."""
    ignored: tuple[str, ...]
    guessed: bool = False
    """Whether ``subject`` is only the part of the names that differs."""
    labels: tuple[str, ...] = ()
    """Columns of ``rows`` that come from ``participants.tsv``."""


def quoted(text: str) -> str:
    """Return a text in quotes as YAML reads it, whatever characters it holds."""
    return UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))


def compose(found: Found, table: Path | None) -> str:
    """Return the text of the starter config."""
    modality = MODALITY.get(found.format)
    known = modality or f"{UNKNOWN}  # fmri, calcium, emg or series"
    lines = [
        '# Written by `rheobase init`. Fill in every "?", then run: rheobase check FILE',
        "# All keys are explained in config/README.md.",
        "seeds: [0]",
        "",
        "datasets:",
        "  mine:",
        f"    modality: {known}",
        f"    source: {{kind: path, path: {quoted(found.pattern)}}}",
    ]
    lines += _entities(found.rows) if table is None else [f"    table: {quoted(str(table))}"]
    lines += _labels(found.labels)
    lines += _reader(found) + _rate(found)
    if modality is None:
        lines += [
            f"    units: {UNKNOWN}  # emg: uV, mV, V or count; for all others take this line out"
        ]
    if found.format == "nifti":
        lines += [
            f"    preprocess: {{atlas: {UNKNOWN}}}  # seitzman300, voxels or "
            "{image: atlas.nii.gz, labels: atlas.tsv}"
        ]
    lines += [f"    split: {_split(found)}", "    models: [baseline]", "", "models:"]
    return "\n".join([*lines, "  baseline: {family: linear}", ""])


def _entities(rows: Sequence[Mapping[str, str]]) -> list[str]:
    values = {key: sorted({row[key] for row in rows}) for key in rows[0]}
    return [
        "    entities:",
        *(f"      {key}: [{', '.join(map(quoted, some))}]" for key, some in values.items()),
    ]


def _labels(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    known = ", ".join(map(quoted, names))
    return [f"    # label: {{name: {quoted(names[0])}, kind: class}}  # or value; one of {known}"]


def _reader(found: Found) -> list[str]:
    first = found.paths[0]
    match found.format:
        case "npy":
            shape = contents.npy_shape(first)
            return [
                f"    reader: {{format: npy, orientation: {UNKNOWN}}}  # time_first or "
                f"time_last; the first file is {shape}"
            ]
        case "npz" | "mat":
            return _matrix(found.format, contents.arrays(first))
        case "csv" | "tsv":
            return [f"    reader: {{format: {found.format}{_columns(first)}"]
        case form:
            return [f"    reader: {{format: {form}}}"]


def _columns(path: Path) -> str:
    """Return the end of the reader of a table; a time is one in seconds only where it says so."""
    if not contents.has_header(path):
        return ", header: false}"
    if (time := contents.time_column(path)) is None:
        return "}"
    name, in_seconds = quoted(time[0]), time[1]
    if in_seconds is None:
        return (
            f", time_column: {UNKNOWN}}}  # {name} if it is in seconds; else write "
            f"columns: {{exclude: [{name}]}} instead, and sampling_rate_hz"
        )
    return f", time_column: {name}}}" if in_seconds else f", columns: {{exclude: [{name}]}}}}"


def _matrix(form: str, held: contents.Arrays) -> list[str]:
    key, said = UNKNOWN, "not found: no matrix in the first file"
    if held.key is not None:
        key = quoted(held.key)
        said = f"{key} is {' x '.join(map(str, held.shape))}"
    lines = [
        "    reader:",
        f"      format: {form}",
        f"      key: {key}",
        f"      orientation: {UNKNOWN}  # time_first or time_last; {said}",
    ]
    return lines + [f"      # {option}: {quoted(name)}" for option, name in held.per_time]


def _rate(found: Found) -> list[str]:
    tables = ("csv", "tsv")
    if found.format in CARRY_RATE:
        return []
    time = contents.time_column(found.paths[0]) if found.format in tables else None
    if time is not None and time[1] is not False:
        return []
    return [f"    sampling_rate_hz: {UNKNOWN}  # or repetition_time_s, or 1 with time_unit: frame"]


def _split(found: Found) -> str:
    if len({row.get("subject") for row in found.rows}) == 1:
        return "{by: time, folds: 5}"
    if not found.guessed:
        return "{by: subject}"
    return (
        f"{{by: {UNKNOWN}}}  # is the part of the name in {{subject}} one person or animal a "
        "file? then subject, else time"
    )
