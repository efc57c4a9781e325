"""The text of a starter config, with ``"?"`` for what the files cannot tell."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rheobase.stages.init import contents

MODALITY = {"nifti": "fmri", "fmriprep": "fmri"}
MODALITY |= dict.fromkeys(("nwb", "suite2p", "caiman"), "calcium")
MODALITY |= dict.fromkeys(("edf", "bdf", "brainvision", "fif"), "emg")
CARRY_RATE = {"nifti", "fmriprep", "nwb", "caiman", "edf", "bdf", "brainvision", "fif"}
UNKNOWN = '"?"'
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


BAND_HZ, SIMPLE_REGRESSORS, LEAST_FREEDOM, USABLE = (0.01, 0.1), 26, 30, 0.9
"""The band of a starter config, what ``denoise: simple`` takes beside it, the least that must be
left, and the share of volumes that is taken to survive censoring."""
LEAST_VALID_S = 240


@dataclass(frozen=True)
class Derivatives:
    """What is known of a folder of fMRIPrep besides its runs."""

    top: Path
    """The folder that holds ``sub-<subject>``."""
    reader: dict[str, str]
    """``space`` and, where names hold it, ``res``."""
    others: tuple[str, ...]
    """Spaces that are there too."""
    volumes: tuple[int, float | None]
    """Of the first run, and its seconds a volume where known."""
    program: str
    """Who made them, as far as ``dataset_description.json`` says."""


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
    derived: Derivatives | None = None
    """Of a folder of fMRIPrep."""


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
        *([f"# Images made by {program}."] if (program := _program(found)) else []),
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
    if found.derived is not None:
        lines += _derived(found.derived)
    if found.format == "nifti":
        lines += [
            f"    preprocess: {{atlas: {UNKNOWN}}}  # seitzman300, voxels or "
            "{image: atlas.nii.gz, labels: atlas.tsv}"
        ]
    lines += [f"    split: {_split(found)}", "    models: [baseline]", "", "models:"]
    lines.append("  baseline: {family: linear}")
    if found.derived is not None:
        lines.append("  # mae: {family: brainmae, preset: small}  # then add mae to models above")
    return "\n".join([*lines, ""])


def _program(found: Found) -> str:
    return found.derived.program if found.derived else ""


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
        case "fmriprep":
            options = "".join(f", {k}: {quoted(v)}" for k, v in _of(found).reader.items())
            others = _of(found).others
            also = f"  # {', '.join(others)} are there too" if others else ""
            return [f"    reader: {{format: fmriprep{options}}}{also}"]
        case "caiman":
            return [
                "    reader: {format: caiman}  # rate: params/data/fr of the file, which CaImAn "
                "sets to 30 unless it was told another"
            ]
        case form:
            return [f"    reader: {{format: {form}}}"]


def _of(found: Found) -> Derivatives:
    if found.derived is None:
        raise ValueError("format fmriprep needs what is known of its folder")
    return found.derived


def _derived(derived: Derivatives) -> list[str]:
    """Return how runs of fMRIPrep are made into regions and cleaned, line by line."""
    space, (count, seconds) = derived.reader["space"], derived.volumes
    atlas = "seitzman300_voronoi  # 285 regions of grey matter in 13 networks; needs no file"
    if not space.startswith("MNI"):
        atlas = f"{UNKNOWN}  # {{image: atlas.nii.gz, labels: atlas.tsv, space: {space}}}"
    band = f"[{BAND_HZ[0]}, {BAND_HZ[1]}]"
    if not _carries_band(count, seconds):
        band = f"null  # a run of {count} volumes has too few for [{BAND_HZ[0]}, {BAND_HZ[1]}]"
    lines = [
        "    preprocess:",
        f"      atlas: {atlas}",
        "      n_dummy: auto  # volumes that fMRIPrep found before the steady state",
        "      denoise: simple  # 24 of motion, mean white matter and CSF; more: 36p, compcor",
        f"      band_hz: {band}",
        "      fd_mm: 0.5  # volumes that move more are not used; 0.2 is strict",
    ]
    lasts = count * seconds if seconds else LEAST_VALID_S
    if USABLE * lasts < LEAST_VALID_S:
        lines.append(f"      least_valid_s: {lasts / 2:.0f}  # half of a run of {lasts:.0f} s")
    return lines


def _carries_band(count: int, seconds: float | None) -> bool:
    """Return whether a run keeps its degrees of freedom after the band and ``simple``."""
    if seconds is None:
        return True
    nyquist = 1 / (2 * seconds)
    share = (min(BAND_HZ[1], nyquist) - BAND_HZ[0]) / nyquist
    left = USABLE * count * share - SIMPLE_REGRESSORS
    return BAND_HZ[1] < nyquist and left >= LEAST_FREEDOM


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
