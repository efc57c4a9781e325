"""``rheobase init``: a starter config from a folder of recordings.

It asks nothing that it can see in the files, and writes ``"?"`` for what it cannot know, so that
``rheobase check`` points at every such place.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rheobase.preprocess import quality
from rheobase.stages.init.names import name_pattern, participants
from rheobase.storage import write_text

FORMATS = {
    ".npy": "npy",
    ".npz": "npz",
    ".csv": "csv",
    ".tsv": "tsv",
    ".mat": "mat",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".edf": "edf",
    ".bdf": "bdf",
    ".vhdr": "brainvision",
    ".fif": "fif",
    ".nwb": "nwb",
}
MODALITY = {"nifti": "fmri", "nwb": "calcium", "suite2p": "calcium"}
MODALITY |= dict.fromkeys(("edf", "bdf", "brainvision", "fif"), "emg")
TIME_NAMES = {"t", "time", "timestamp"}
SIDECARS = re.compile(
    r"(events|channels|electrodes|participants|scans|regions|confounds|timeseries)\.(tsv|csv)$"
)
UNKNOWN = '"?"'


@dataclass(frozen=True)
class Found:
    """Files of one format, and how their names differ."""

    format: str
    paths: tuple[Path, ...]
    pattern: str
    rows: tuple[dict[str, str], ...]
    """The entities of every file."""
    ignored: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """Columns of ``rows`` that come from ``participants.tsv``."""


def init(folder: Path, output: Path) -> str:
    """Write a starter config for the recordings below ``folder``; returns what to do next.

    Raises ``ValueError`` where there is no recording or where ``output`` exists.
    """
    if output.exists():
        raise ValueError(f"{output} exists; name another file with --output")
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is no folder; name the folder that holds your recordings"
        )
    found = look(folder)
    rows, labels, merged = participants(folder / "participants.tsv", found.rows)
    found = replace(found, rows=rows, labels=labels)
    table = None if _is_product(rows) and not labels else output.with_suffix(".tsv")
    if table is not None:
        if table.exists():
            raise ValueError(f"{table} exists; name another file with --output")
        keys = list(found.rows[0])
        lines = ["\t".join(keys), *("\t".join(row[key] for key in keys) for row in found.rows)]
        write_text("\n".join(lines) + "\n", table)
    text = compose(found, table)
    write_text(text, output)
    unknown = text.count(f": {UNKNOWN}")
    said = f"{output}: {len(found.paths)} recordings of format {found.format}"
    if found.ignored:
        said += f" (left aside: {', '.join(found.ignored)})"
    said += f"\n{merged}" if merged else ""
    return f"{said}\nfill in {unknown} unknown values, then: rheobase check {output}"


def look(folder: Path) -> Found:
    """Return the recordings below a folder: the commonest format, its files and their names."""
    planes = sorted(
        {path.parent for path in folder.rglob("F.npy") if (path.parent / "iscell.npy").is_file()}
    )
    by_format: dict[str, list[Path]] = {"suite2p": planes} if planes else {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.parent not in planes):
        form = FORMATS.get(_suffix(path))
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if form and not hidden and not SIDECARS.search(path.name) and _has_time(path, form):
            by_format.setdefault(form, []).append(path)
    if not by_format:
        raise ValueError(f"{folder} holds no recording; known endings: {', '.join(FORMATS)}")
    form = max(by_format, key=lambda name: len(by_format[name]))
    ignored = [f"{len(paths)} {name}" for name, paths in by_format.items() if name != form]
    pattern, rows, kept, aside = name_pattern(folder, by_format[form])
    if aside:
        ignored.append(f"{quality.listed(aside)}, whose names are no BIDS names like the others")
    return Found(form, tuple(kept), pattern, rows, tuple(ignored))


def _has_time(path: Path, form: str) -> bool:
    """Return whether a file can hold a recording: of images, only those with a fourth dimension."""
    if form != "nifti":
        return True
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        return len(nibabel.load(path).shape) == 4  # pyright: ignore[reportAttributeAccessIssue]
    except ImageFileError:
        return False


def _suffix(path: Path) -> str:
    return ".nii.gz" if path.name.endswith(".nii.gz") else path.suffix.lower()


def _is_product(rows: Sequence[Mapping[str, str]]) -> bool:
    values = {key: {row[key] for row in rows} for key in rows[0]}
    full = 1
    for some in values.values():
        full *= len(some)
    return "file" not in values and full == len(rows)


def compose(found: Found, table: Path | None) -> str:
    """Return the text of the starter config."""
    modality = MODALITY.get(found.format, "?")
    lines = ['# Written by `rheobase init`. Fill in every "?", then run: rheobase check FILE']
    lines += [
        "# All keys are explained in config/README.md.",
        "seeds: [0]",
        "",
        "datasets:",
        "  mine:",
    ]
    lines += [
        f"    modality: "
        f"{modality if modality != '?' else UNKNOWN + '  # fmri, calcium, emg or series'}"
    ]
    lines += [f'    source: {{kind: path, path: "{found.pattern}"}}']
    lines += _entities(found.rows) if table is None else [f"    table: {table}"]
    lines += _labels(found.labels)
    lines += _reader(found) + _rate(found)
    if modality == "emg" and found.format not in ("edf", "bdf", "brainvision", "fif"):
        lines += [f"    units: {UNKNOWN}  # uV, mV, V or count"]
    elif modality == "?":
        lines += ["    # units: uV                # emg only: uV, mV, V or count"]
    if found.format == "nifti":
        lines += [
            "    preprocess: {atlas: seitzman300}   # or {image: atlas.nii.gz, labels: atlas.tsv}"
        ]
    lines += [f"    split: {_split(found.rows)}", "    models: [baseline]", "", "models:"]
    return "\n".join([*lines, "  baseline: {family: linear}", ""])


def _entities(rows: Sequence[Mapping[str, str]]) -> list[str]:
    keys = list(rows[0])
    values = {key: sorted({row[key] for row in rows}) for key in keys}
    return [
        "    entities:",
        *(f"      {k}: [{', '.join(chr(34) + v + chr(34) for v in values[k])}]" for k in keys),
    ]


def _labels(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [
        f"    # label: {{name: {names[0]}, kind: class}}  # or value; one of {', '.join(names)}"
    ]


def _reader(found: Found) -> list[str]:
    first = found.paths[0]
    match found.format:
        case "npy":
            return [
                f"    reader: {{format: npy, orientation: {UNKNOWN}}}  # time_first or "
                f"time_last{_shape(first)}"
            ]
        case "npz" | "mat":
            key, shape = _largest(first)
            said = f"  # time_first or time_last; {key} is {shape}"
            return [
                "    reader:",
                f"      format: {found.format}",
                f"      key: {key}",
                f"      orientation: {UNKNOWN}{said}",
            ]
        case "csv" | "tsv":
            return [f"    reader: {{format: {found.format}{_columns(first)}}}"]
        case form:
            return [f"    reader: {{format: {form}}}"]


def _shape(path: Path) -> str:
    import numpy as np

    try:
        return f"; the first file is {np.load(path, mmap_mode='r', allow_pickle=False).shape}"
    except ValueError:
        return ""


def _largest(path: Path) -> tuple[str, str]:
    """Return the name and shape of the largest matrix in an npz or mat file."""
    import numpy as np

    shapes: dict[str, tuple[int, ...]] = {}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            shapes = {name: file[name].shape for name in file.files}
    else:
        from scipy.io import whosmat

        try:
            shapes = {name: shape for name, shape, _ in whosmat(path)}
        except NotImplementedError:
            import h5py

            with h5py.File(path) as file:
                shapes = {str(n): d.shape for n, d in file.items() if isinstance(d, h5py.Dataset)}
    matrices = {name: shape for name, shape in shapes.items() if len(shape) == 2}
    if not matrices:
        return UNKNOWN, "not found: no matrix in the first file"
    key = max(matrices, key=lambda name: matrices[name][0] * matrices[name][1])
    return key, " x ".join(map(str, matrices[key]))


def _columns(path: Path) -> str:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = next(csv.reader(itertools.islice(file, 1), delimiter=delimiter), [])
    if head and all(re.fullmatch(r"[-+0-9.eE ]+", cell) for cell in head):
        return ", header: false"
    time = next((cell for cell in head if cell.strip().lower() in TIME_NAMES), None)
    return f', time_column: "{time}"' if time else ""


def _rate(found: Found) -> list[str]:
    if found.format in ("nifti", "nwb", "edf", "bdf", "brainvision", "fif"):
        return []
    if found.format in ("csv", "tsv") and "time_column" in _columns(found.paths[0]):
        return []
    return [f"    sampling_rate_hz: {UNKNOWN}  # or repetition_time_s, or 1 with time_unit: frame"]


def _split(rows: Sequence[Mapping[str, str]]) -> str:
    counts = Counter(row["subject"] for row in rows) if "subject" in rows[0] else Counter()
    return "{by: subject}" if len(counts) > 1 else "{by: time, folds: 5}"
