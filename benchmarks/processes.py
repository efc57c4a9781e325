"""The two things that can be measured, a command and a function, each in processes of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
METER = [sys.executable, "-I", "-S", str(ROOT / "benchmarks" / "meter.py")]
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
LAST_LINES = 3
OURS_ALONE = ("RHEOBASE_DATA", "RHEOBASE_DOWNLOADS", "RHEOBASE_COMMAND")


class Failed(ValueError):
    """A measured command or function that ended badly."""


@dataclass(frozen=True)
class Cost:
    """What one run cost: seconds, and the most MiB that its process had held by its end."""

    cpu_s: float
    wall_s: float
    peak_mb: float


@dataclass(frozen=True)
class Command:
    """A command line, measured from start to end with all processes that it waits for."""

    argv: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> RunningCommand:
        return RunningCommand(self)


@dataclass(frozen=True)
class Call:
    """A function ``module:name``: called with ``arguments`` untimed, it returns what is timed.

    What is timed returns an array, a mapping of arrays, or a function that returns one of these and
    is called at the end, untimed. Names that begin with ``_`` are numbers for the row (``_file_mb``
    becomes ``ours_file_mb`` or ``peer_file_mb``) and are not compared.
    """

    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def start(self) -> RunningCall:
        return RunningCall(self)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of what is measured: one thread, this Python and this tree first."""
    mine = {key: value for key, value in os.environ.items() if key not in OURS_ALONE}
    for key, first in (("PATH", Path(sys.executable).parent), ("PYTHONPATH", ROOT)):
        mine[key] = os.pathsep.join([str(first), *filter(None, [mine.get(key)])])
    return {**mine, **ONE_THREAD, **more}


class RunningCommand:
    """A command that is started anew for every run."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.peak_mb = 0.0

    def once(self) -> Cost:
        """Run the command; raises ``Failed`` with its last words."""
        with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
            report = Path(folder) / "cost.json"
            done = subprocess.run(
                [*METER, str(report), *self.command.argv],
                cwd=self.command.folder,
                env=environment(self.command.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
            if done.returncode:
                raise Failed(f"{self.command.argv[0]} ended with {done.returncode}: {_last(log)}")
            cost = Cost(**json.loads(report.read_text(encoding="utf-8")))
        self.peak_mb = max(self.peak_mb, cost.peak_mb)
        return cost

    def finish(self) -> dict[str, np.ndarray]:
        """Return no arrays: what a command leaves behind is not compared."""
        return {}

    def close(self) -> None:
        """Do nothing: no process outlives a run."""


class RunningCall:
    """A function that waits in a process of its own, so that two can be run turn by turn."""

    def __init__(self, call: Call) -> None:
        self.target = call.target
        self.folder = tempfile.TemporaryDirectory()
        report, self.result = (
            Path(self.folder.name) / name for name in ("cost.json", "result.npz")
        )
        self.log = (Path(self.folder.name) / "log").open("w+")
        worker = [sys.executable, "-m", "benchmarks.worker"]
        told = [call.target, json.dumps(dict(call.arguments)), str(self.result)]
        self.process = subprocess.Popen(
            [*METER, str(report), *worker, *told],
            env=environment({}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.peak_mb = 0.0
        self.ready = False

    def once(self) -> Cost:
        """Run the function once; raises ``Failed`` with the last words of its process."""
        if not self.ready:
            self._answer()
            self.ready = True
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        cost = Cost(**json.loads(self._answer()))
        self.peak_mb = cost.peak_mb
        return cost

    def finish(self) -> dict[str, np.ndarray]:
        """End the process and return the arrays of the last run."""
        self.process.communicate()
        if self.process.returncode:
            raise Failed(f"{self.target} failed: {_last(self.log)}")
        with np.load(self.result, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def close(self) -> None:
        """End the process, however the runs went, and remove its files."""
        if self.process.poll() is None:
            self.process.communicate()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self.folder.cleanup()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise Failed(f"{self.target} failed: {_last(self.log)}")
        return line


def _last(log: IO[str]) -> str:
    log.flush()
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()]
    return " | ".join(lines[-LAST_LINES:]) or "it said nothing"
