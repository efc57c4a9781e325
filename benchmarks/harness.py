"""Cases, each run several times beside its peer, and the rows and the table that they give."""

from __future__ import annotations

import contextlib
import importlib.metadata
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.machine import machine
from benchmarks.processes import Call, Command, Cost, Failed, RunningCall, RunningCommand
from rheobase import layout
from rheobase.storage import write_json

Arrays = Mapping[str, np.ndarray]
Row = dict[str, Any]
COLUMNS = ("case", "CPU s", "peer CPU s", "ratio", "equal", "MB", "peer MB", "remarks")


def largest_difference(ours: Arrays, peer: Arrays) -> float:
    """Return the largest absolute difference; infinite where names or shapes of arrays differ."""
    if set(ours) != set(peer) or any(ours[n].shape != peer[n].shape for n in ours):
        return float("inf")
    apart = (ours[n].astype(np.float64) - peer[n].astype(np.float64) for n in ours if ours[n].size)
    return max((float(np.abs(one).max()) for one in apart), default=0.0)


@dataclass(frozen=True)
class Equal:
    """What must agree between the two results before their costs may be compared."""

    what: str
    tolerance: float
    difference: Callable[[Arrays, Arrays], float] = largest_difference


@dataclass(frozen=True)
class Peer:
    """What people would use otherwise; ``package`` is the name that it is installed by."""

    name: str
    package: str
    run: Call | Command
    version: str | None = None
    """Of a program that is no Python package of this environment"""


LIMITS = {"cpu_s": "CPU s", "wall_s": "s wall", "peak_mb": "MB"}
"""What may be limited, with its unit"""
BOUNDS = {"least_ratio": "a ratio of at least", "most_extra_share": "a share of memory of at most"}


@dataclass(frozen=True)
class Case:
    """One line of the table; ``equal`` is required with a peer."""

    name: str
    ours: Call | Command
    peer: Peer | None = None
    equal: Equal | None = None
    repeats: int = 3
    limit_cpu_s: float | None = None
    limit_peak_mb: float | None = None
    least_ratio: float | None = None
    """How many times the peer's CPU seconds must be ours"""
    most_extra_share: float | None = None
    """Of the peer's ``_extra_mb``, the most that ours may be"""

    def __post_init__(self) -> None:
        if (self.peer is None) != (self.equal is None):
            raise ValueError(
                f"{self.name}: a peer and what must be equal go together; give both or none"
            )


@dataclass(frozen=True)
class Side:
    """The runs of one side of a case."""

    costs: list[Cost]
    peak_mb: float
    result: Arrays

    @property
    def cpu_s(self) -> float:
        return statistics.median(cost.cpu_s for cost in self.costs)

    @property
    def wall_s(self) -> float:
        return statistics.median(cost.wall_s for cost in self.costs)

    @property
    def compared(self) -> Arrays:
        return {name: value for name, value in self.result.items() if not name.startswith("_")}


def empty_row(case: str) -> Row:
    """Return a row in which nothing was measured."""
    nothing = dict.fromkeys(("ours_cpu_s", "peer", "peer_version", "peer_cpu_s", "ratio"))
    equal = dict.fromkeys(("what", "tolerance", "measured"))
    return {"case": case, **nothing, "equal": equal, "ours_peak_mb": None, "peer_peak_mb": None}


def measure(case: Case) -> Row:
    """Return the row of a case; a run that fails, or a peer that is absent, is named in it."""
    row, peer = empty_row(case.name), case.peer
    if peer is not None:
        row["peer"] = peer.name
        try:
            row["peer_version"] = peer.version or importlib.metadata.version(peer.package)
        except importlib.metadata.PackageNotFoundError:
            row["skipped"] = f"the peer {peer.package} is not installed"
            peer = None
    try:
        sides = interleave([case.ours, *([peer.run] if peer else [])], case.repeats)
    except Failed as error:
        return {**row, "failed": str(error)}
    row.update(_own(sides[0], case))
    if peer is not None and case.equal is not None:
        row.update(_beside(sides[0], sides[1], case.equal))
        row.update(_bounds(row, case))
    return row


def interleave(sides: Iterable[Call | Command], repeats: int) -> list[Side]:
    """Return the runs of every side, taken in turns; every other round in reverse order."""
    with contextlib.ExitStack() as stack:
        running: list[RunningCall | RunningCommand] = []
        for side in sides:
            running.append(side.start())
            stack.callback(running[-1].close)
        costs: list[list[Cost]] = [[] for _ in running]
        for turn in range(repeats):
            order = range(len(running)) if turn % 2 == 0 else reversed(range(len(running)))
            for index in order:
                costs[index].append(running[index].once())
        results = [one.finish() for one in running]
        return [Side(c, one.peak_mb, r) for c, one, r in zip(costs, running, results, strict=True)]


def _own(ours: Side, case: Case) -> Row:
    row: Row = {"ours_cpu_s": round(ours.cpu_s, 4), "ours_peak_mb": round(ours.peak_mb, 1)}
    row.update(_numbers("ours", ours))
    kept = []
    for name, value in (("cpu_s", ours.cpu_s), ("peak_mb", ours.peak_mb)):
        limit = getattr(case, f"limit_{name}")
        if limit is not None:
            row[f"limit_{name}"] = limit
            kept.append(value <= limit)
    if kept:
        row["within_limit"] = all(kept)
    return row


def _beside(ours: Side, peer: Side, equal: Equal) -> Row:
    measured = equal.difference(ours.compared, peer.compared)
    return {
        "peer_cpu_s": round(peer.cpu_s, 4),
        "ratio": round(peer.cpu_s / ours.cpu_s, 3) if ours.cpu_s > 0 else None,
        "equal": {
            "what": equal.what,
            "tolerance": equal.tolerance,
            "measured": measured if np.isfinite(measured) else None,
        },
        "peer_peak_mb": round(peer.peak_mb, 1),
        **_numbers("peer", peer),
    }


def _bounds(row: Row, case: Case) -> Row:
    """Return what is asked for beside the peer, and whether all limits are kept."""
    made: Row = {}
    kept = [row.get("within_limit", True)]
    if case.least_ratio is not None:
        made["least_ratio"] = case.least_ratio
        kept.append((row["ratio"] or 0.0) >= case.least_ratio)
    if case.most_extra_share is not None:
        share = row["ours_extra_mb"] / row["peer_extra_mb"]
        made |= {"most_extra_share": case.most_extra_share, "extra_share": round(share, 3)}
        kept.append(share <= case.most_extra_share)
    return made | {"within_limit": all(kept)} if made else {}


def _numbers(side: str, runs: Side) -> Row:
    return {
        f"{side}{key}": round(float(v), 4) for key, v in runs.result.items() if key.startswith("_")
    }


def wrong(row: Row) -> str | None:
    """Return why a row must fail the whole run, or None: limits are reported and fail nothing."""
    if "failed" in row:
        return f"{row['case']}: {row['failed']}"
    equal = row["equal"]
    if equal["tolerance"] is None or (
        equal["measured"] is not None and equal["measured"] <= equal["tolerance"]
    ):
        return None
    found = "not comparable" if equal["measured"] is None else f"{equal['measured']:g}"
    limit = f"{found}, limit {equal['tolerance']:g}"
    return f"{row['case']}: {equal['what']} differ from {row['peer']}: {limit}"


def run_family(family: str, rows: Iterable[Row]) -> int:
    """Print and write the rows of a family as they come; returns 1 where results differ or failed.

    The file is written after every row, so that an interrupted run keeps what it measured.
    """
    before, done = machine(), []
    busy = f"{before['cores']} cores, load {before['load_average'][0]}, one thread"
    print(f"{family}: {before['cpu']}, {busy}")
    for row in rows:
        done.append(row)
        print(f"  {row['case']}: {remark(row) or _number(row['ours_cpu_s'], ' CPU s')}", flush=True)
        told = {**before, "load_average_end": machine()["load_average"]}
        path = layout.RESULTS / "benchmarks" / f"{family}.json"
        write_json({"family": family, "machine": told, "rows": done}, path)
    print(f"\n{table(done)}\nload at the end {machine()['load_average'][0]}")
    problems = [problem for row in done if (problem := wrong(row))]
    for problem in problems:
        print(f"WRONG {problem}")
    return int(bool(problems))


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    sides = [str.ljust if i in (0, len(COLUMNS) - 1) else str.rjust for i in range(len(COLUMNS))]
    texts = [
        "| " + " | ".join(s(c, w) for s, c, w in zip(sides, line, widths, strict=True)) + " |"
        for line in lines
    ]
    rule = (
        "|"
        + "|".join(
            "-" * (w + 1) + ("-" if s is str.ljust else ":")
            for s, w in zip(sides, widths, strict=True)
        )
        + "|"
    )
    return "\n".join([texts[0], rule, *texts[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    beside = f" / {row['peer']}" if row["peer"] else ""
    return (
        row["case"] + beside,
        _number(row["ours_cpu_s"]),
        _number(row["peer_cpu_s"]),
        _number(row["ratio"]),
        "" if row["equal"]["tolerance"] is None else ("no" if wrong(row) else "yes"),
        _number(row["ours_peak_mb"]),
        _number(row["peer_peak_mb"]),
        remark(row),
    )


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    digits = 3 if abs(value) < 10 else 1
    return f"{value:.{digits}f}{unit}"


def remark(row: Row) -> str:
    """Return what else a reader of a row must know: failures, limits and further numbers."""
    words = [f"{key}: {row[key]}" for key in ("failed", "skipped") if key in row]
    if "within_limit" in row:
        limits = " and ".join(f"{row[f'limit_{name}']:g} {unit}" for name, unit in LIMITS.items()
                              if f"limit_{name}" in row)  # fmt: skip
        more = [f"{said} {row[key]:g}" for key, said in BOUNDS.items() if key in row]
        limits = " and ".join([limits, *more] if limits else more)
        words.append(f"{'within' if row['within_limit'] else 'OVER'} the limit of {limits}")
    own = {*(f"limit_{name}" for name in LIMITS), *BOUNDS, "within_limit", "failed", "skipped",
           *empty_row("")}  # fmt: skip
    words += [f"{key.replace('_', ' ')} {value:g}" for key, value in row.items() if key not in own]
    return "; ".join(words)
