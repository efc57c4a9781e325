"""``rheobase run``: check everything that can be checked first, then hand over to Snakemake."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil

from rheobase import layout
from rheobase.stages import plan
from rheobase.stages.check import checked

LEAST_FREE_GB = 1.0
ELSEWHERE = {"--executor", "-e", "--profile", "--workflow-profile"}
"""Options that send jobs to other machines: this one's cores say nothing then."""
COMMAND = "RHEOBASE_COMMAND"
"""Where the provenance finds what the user typed."""
DEFAULT_CONFIG = Path("config/config.yaml")


def run(config: Path | None, *, cores: int | None, dry_run: bool, rest: Sequence[str]) -> int:
    """Run the workflow on a config; returns Snakemake's exit code."""
    parsed = checked(config or DEFAULT_CONFIG)
    _check_disk()
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(snakefile()),
        "--logger",
        "rheobase",
    ]
    if cores or not ELSEWHERE & {word.partition("=")[0] for word in rest}:
        command += ["--cores", str(cores or os.cpu_count() or 1)]
    if "--workflow-profile" not in {word.partition("=")[0] for word in rest}:
        command += ["--workflow-profile", profile()]
    # With "=" it takes one file; else it would take the targets that follow for files, too.
    command += [f"--configfile={config}"] if config else []
    command += ["--dry-run"] if dry_run else []
    command += list(rest)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        COMMAND: shlex.join(["rheobase", *sys.argv[1:]]),
    }
    with _alone() as lock:
        _unlock_if_stale()
        code = subprocess.run(
            command, env=environment, check=False, pass_fds=[lock.fileno()]
        ).returncode
    if not dry_run:
        _tell(plan.targets(parsed), code)
    return code


def snakefile() -> Path:
    """Return the workflow that belongs to this package: of the clone, else of the wheel."""
    here = Path(__file__).resolve()
    places = [
        here.parents[3] / "Snakefile",
        here.parents[1] / "_workflow" / "Snakefile",
    ]
    return next(place for place in places if place.is_file())


def profile() -> str:
    """Return the default profile by path, of the working folder or beside the workflow, or none.

    By name, Snakemake would take any file or folder called ``default``.
    """
    places = [Path("profiles", "default"), snakefile().parent / "profiles" / "default"]
    return next((str(place.resolve()) for place in places if place.is_dir()), "none")


def _check_disk() -> None:
    try:
        layout.RESULTS.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=layout.RESULTS):
            pass
    except OSError as error:
        raise OSError(
            f"{layout.RESULTS.resolve()} cannot be written ({error.strerror}); free it or run "
            "in another folder"
        ) from error
    free = shutil.disk_usage(layout.RESULTS).free / 1e9
    if free < LEAST_FREE_GB:
        raise OSError(
            f"only {free:.1f} GB are free for {layout.RESULTS.resolve()}; a run needs "
            f"{LEAST_FREE_GB:g} GB"
        )


@contextmanager
def _alone() -> Iterator[IO[str]]:
    """Hold the folder's lock; Snakemake inherits it, so it is held as long as either is alive."""
    with (layout.RESULTS / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run works in this folder; waiting until it has ended", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _unlock_if_stale() -> None:
    """Remove a lock that a killed run left, unless a Snakemake of other origin is alive here."""
    locks = list(Path(".snakemake/locks").glob("*"))
    if not locks:
        return
    for process in psutil.process_iter(["cmdline", "pid"]):
        try:
            other = any("snakemake" in word for word in process.info["cmdline"] or [])
            if other and process.pid != os.getpid() and Path(process.cwd()) == Path.cwd():
                raise ValueError(
                    f"Snakemake (process {process.pid}) works in this folder; wait for it to end"
                )
        except psutil.Error:
            continue
    print("a stopped run left a lock; removing it and going on", file=sys.stderr)
    for lock in locks:
        lock.unlink(missing_ok=True)


def _tell(reports: Sequence[Path], code: int) -> None:
    there = [path for path in reports if path.is_file()]
    if code:
        print("some jobs failed; the sentences above and the reports say why", file=sys.stderr)
    for path in there:
        print(path.resolve())
