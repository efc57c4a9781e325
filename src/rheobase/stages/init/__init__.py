"""``rheobase init``: a starter config from a folder of recordings.

It asks nothing that it can see in the files, and writes ``"?"`` for what it cannot know, so that
``rheobase check`` points at every such place.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rheobase.config.calcium_checks import MOVIES, movie_remedy
from rheobase.preprocess import quality
from rheobase.stages.init.contents import FORMATS, format_of, has_time
from rheobase.stages.init.derivatives import derivatives, participants_of
from rheobase.stages.init.names import name_pattern, participants
from rheobase.stages.init.starter import UNKNOWN, Derivatives, Found, compose
from rheobase.storage import write_text

SIDECARS = re.compile(
    r"(events|channels|electrodes|participants|scans|sessions|regions|confounds"
    r"|confounds\w*_timeseries|motion|outliers|relmat|conmat|stat-(alff|coverage|reho)_bold)"
    r"\.(tsv|csv)$"
)
"""Tables beside recordings: of BIDS, and of fMRIPrep and XCP-D, whose region series are
``*_timeseries`` too."""


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
    people = folder / "participants.tsv"
    if found.derived and not people.is_file():
        people = participants_of(found.derived.top)
    rows, labels, merged = participants(people, found.rows)
    found = replace(found, rows=rows, labels=labels, guessed=found.guessed and not labels)
    table = None if _is_product(rows) and not labels else output.with_suffix(".tsv")
    if table is not None and table.exists():
        raise ValueError(f"{table} exists; name another file with --output")
    text = compose(found, table)
    if table is not None:
        write_text(_tsv(rows), table)
    write_text(text, output)
    unknown = text.count(f": {UNKNOWN}")
    said = f"{output}: {len(found.paths)} recordings of format {found.format}"
    if found.ignored:
        said += f" (left aside: {', '.join(found.ignored)})"
    said += f"\n{_space(found.derived)}" if found.derived else ""
    said += f"\n{merged}" if merged else ""
    todo = f"fill in {unknown} unknown values, then: " if unknown else "now: "
    return f"{said}\n{todo}rheobase check {output}"


def _space(derived: Derivatives) -> str:
    """Return which space was chosen, and what else there is."""
    res = f", res {derived.reader['res']}" if "res" in derived.reader else ""
    said = f"images of space {derived.reader['space']}{res} were chosen"
    if not derived.others:
        return said
    return (
        f"{said}; there are {', '.join(derived.others)} too: for another one, correct reader.space "
        "and take an atlas of that space"
    )


def look(folder: Path) -> Found:
    """Return the recordings below a folder: runs of fMRIPrep, else the commonest format."""
    if (found := derivatives(folder)) is not None:
        return found
    planes = sorted(
        {path.parent for path in folder.rglob("F.npy") if (path.parent / "iscell.npy").is_file()}
    )
    by_format: dict[str, list[Path]] = {"suite2p": planes} if planes else {}
    broken: list[str] = []
    for path in _candidates(folder, planes):
        form = format_of(path) or ""
        try:
            if has_time(path, form):
                by_format.setdefault(form, []).append(path)
        except ValueError as error:
            broken.append(str(error))
    movies = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in MOVIES]
    if not by_format:
        also = "".join(f"\n{text}" for text in broken)
        if movies:
            raise ValueError(f"{folder} holds no recording; {movie_remedy(str(movies[0]))}{also}")
        raise ValueError(f"{folder} holds no recording; known endings: {', '.join(FORMATS)}{also}")
    form = max(by_format, key=lambda name: len(by_format[name]))
    ignored = [f"{len(paths)} {name}" for name, paths in by_format.items() if name != form]
    ignored += [f"{len(movies)} of movies"] if movies else []
    named = name_pattern(folder, by_format[form])
    if named.aside:
        aside = quality.listed(named.aside)
        ignored.append(f"{aside}, whose names are no BIDS names like the others")
    return Found(
        form, named.kept, named.pattern, named.rows, (*ignored, *broken), guessed=named.guessed
    )


def _candidates(folder: Path, planes: Sequence[Path]) -> list[Path]:
    """Return the files of a known format that are neither hidden, nor sidecars, nor in a plane."""
    return [
        path
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.parent not in planes)
        if format_of(path)
        and not SIDECARS.search(path.name)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _tsv(rows: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _is_product(rows: Sequence[Mapping[str, str]]) -> bool:
    values = {key: {row[key] for row in rows} for key in rows[0]}
    full = 1
    for some in values.values():
        full *= len(some)
    return "file" not in values and full == len(rows)
