"""Progress of a run in one line a job: what was done, what is left, how long it will take.

Used by ``rheobase run`` (``snakemake --logger rheobase``); Snakemake finds plugins by this package
name.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from logging import ERROR, LogRecord
from statistics import median
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

USUAL_SECONDS = 4.0
QUIET = {"all", "default"}
STAGES = ("fetch", "preprocess", "split", "fit", "evaluate", "aggregate")
ORDER = {name: n for n, name in enumerate((*STAGES, "provenance", "report", "index"))}
SAID_ALREADY = ("RuleException", "Exiting because a job", "WorkflowError:\nAt least one job")


@dataclass(frozen=True)
class Job:
    """A job that was started."""

    rule: str
    words: str
    log: list[str] = field(default_factory=list)
    start: float = 0.0
    wildcards: dict[str, Any] = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """The dataset it belongs to: a wildcard, or part of the rule's name."""
        return str(self.wildcards.get("dataset") or _lot(self.rule)[0])


class LogHandler(LogHandlerBase):
    """Prints one line for each finished job, and one for each failure."""

    def __post_init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.left: dict[str, int] = {}
        self.spent: dict[str, list[float]] = {}
        self.total = self.done = 0
        self.planned = False
        self.cores = 1
        self.failed: dict[int, Job] = {}

    def emit(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self._plan(record)
        elif event == LogEvent.RESOURCES_INFO:
            self.cores = int(getattr(record, "cores", None) or self.cores)
        elif event == LogEvent.JOB_INFO:
            self._start(record)
        elif event == LogEvent.JOB_FINISHED:
            self._finish(int(getattr(record, "job_id", -1)))
        elif event == LogEvent.JOB_ERROR:
            self._fail(int(getattr(record, "jobid", -1)))
        elif record.levelno >= ERROR and event not in (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR):
            self._complain(record)
        elif event is None and record.getMessage().startswith("Nothing to be done"):
            _say("everything is up to date; nothing was run")

    def _plan(self, record: LogRecord) -> None:
        """Say how many jobs there are; a dry run plans twice and is told each rule, once."""
        if self.planned:
            return
        self.planned = True
        counts = dict(getattr(record, "stats", None) or {})
        counts.pop("total", None)
        self.left = {rule: n for rule, n in counts.items() if rule not in QUIET}
        self.total = sum(self.left.values())
        if self.total:
            _say(f"{self.total} job{'s' if self.total > 1 else ''} to do")
        if self.common_settings.dryrun:
            for kind, number in _by_kind(self.left).items():
                _say(f"  {kind:<12} {number}")

    def _start(self, record: LogRecord) -> None:
        rule = str(getattr(record, "rule_name", ""))
        wildcards = dict(getattr(record, "wildcards", None) or {})
        log = [str(path) for path in getattr(record, "log", None) or []]
        jobid = int(getattr(record, "jobid", -1))
        self.failed.pop(jobid, None)  # with --retries it may still succeed
        self.jobs[jobid] = Job(rule, _describe(rule, wildcards), log, time.monotonic(), wildcards)

    def _finish(self, jobid: int) -> None:
        job = self.jobs.pop(jobid, None)
        if job is None or not job.rule or job.rule in QUIET:
            return
        rule, seconds = job.rule, time.monotonic() - job.start
        self.done += 1
        self.left[rule] = self.left.get(rule, 1) - 1
        self.spent.setdefault(_kind(rule), []).append(seconds)
        width = len(str(self.total))
        count = f"[{self.done:{width}}/{self.total}]"
        _say(f"{count} {job.words:<52} {seconds:5.1f} s{self._remaining()}")

    def _remaining(self) -> str:
        """Return how long the rest takes; an upper limit once a job failed, as the events do not
        tell all that depends on it.
        """
        lost = _lost(self.failed.values())
        everything = [s for seconds in self.spent.values() for s in seconds]
        usual = median(everything) if everything else USUAL_SECONDS
        work = sum(
            max(n - lost[rule], 0) * median(self.spent.get(_kind(rule), [usual]))
            for rule, n in self.left.items()
        )
        seconds = work / max(self.cores, 1)
        if seconds < 1:
            return ""
        return f"   {'at most ' if self.failed else ''}about {_duration(seconds)} left"

    def _fail(self, jobid: int) -> None:
        if jobid in self.failed:
            return
        job = self.failed[jobid] = self.jobs.get(jobid, Job("", f"job {jobid}"))
        where = f"; the log is {job.log[0]}" if job.log else ""
        _say(f"FAILED {job.words}{where}")

    def _complain(self, record: LogRecord) -> None:
        text = record.getMessage()
        if text and text != "None" and not text.startswith(SAID_ALREADY):
            _say(text)

    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return True

    @property
    def has_formatter(self) -> bool:
        return True

    @property
    def needs_rulegraph(self) -> bool:
        return False


def _kind(rule: str) -> str:
    return rule.partition("_")[0]


def _lot(rule: str) -> tuple[str, str]:
    """Return the dataset and the number in a name like ``preprocess_rest_0``."""
    name, _, number = rule.partition("_")[2].rpartition("_")
    return (name, number) if number.isdigit() else ("", "")


def _lost(failed: Iterable[Job]) -> Counter[str]:
    """Return by rule how many jobs can no longer run, as far as the failed ones tell."""
    failed = list(failed)
    lost = Counter(job.rule for job in failed)
    lost["evaluate"] += sum(job.rule == "fit" for job in failed)
    lost["aggregate"] += len(
        {
            (job.dataset, job.wildcards.get("model"))
            for job in failed
            if job.rule in ("fit", "evaluate")
        }
    )
    stages = {(job.dataset, _kind(job.rule)) for job in failed if job.dataset}
    lost["split"] += len({name for name, kind in stages if kind in ("fetch", "preprocess")})
    ended = {name for name, kind in stages if kind not in ("provenance", "report")}
    lost["provenance"] += len(ended)
    lost["report"] += len(ended | {name for name, kind in stages if kind == "provenance"})
    lost["index"] += bool(stages)
    return lost


def _by_kind(counts: dict[str, int]) -> dict[str, int]:
    """Return the jobs of each stage in the order in which they run."""
    found: dict[str, int] = {}
    for rule, number in counts.items():
        found[_kind(rule)] = found.get(_kind(rule), 0) + number
    return dict(sorted(found.items(), key=lambda item: (ORDER.get(item[0], len(ORDER)), item[0])))


def _describe(rule: str, wildcards: dict[str, Any]) -> str:
    stage, _, rest = rule.partition("_")
    if not wildcards:
        name, number = _lot(rule)
        return f"{stage} {name}, lot {int(number) + 1}" if number else f"{stage} {rest}".strip()
    where = "/".join(str(wildcards[key]) for key in ("dataset", "model") if key in wildcards)
    fold = f", fold {wildcards['fold']}, seed {wildcards['seed']}" if "fold" in wildcards else ""
    return f"{stage} {where}{fold}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
