"""One stage in several processes of one machine, started by torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence


def started() -> bool:
    """Return whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def count() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1")) if started() else 1


def leads() -> bool:
    """Return whether this is the only process, or the one of several that writes."""
    return not started() or os.environ.get("RANK", "0") == "0"


def start(words: Sequence[str], processes: int) -> None:
    """Run a command of rheobase in several processes; raises ``OSError`` if one of them fails."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", str(processes), "-m", "--", "rheobase", *words]  # fmt: skip
    code = subprocess.run(command, check=False).returncode
    if code:
        raise OSError(
            f"one of {processes} processes that train together ended with an error, so all were "
            "stopped; the log says why, or set `processes: 1` to train in one"
        )
