"""What kind of machine a benchmark ran on, and how busy it was."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from rheobase.stages.versions import versions


def machine() -> dict[str, Any]:
    """Return what kind of machine this is and how busy, without its name."""
    packages = versions()
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average": [round(one, 2) for one in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": packages.pop("python"),
        "packages": packages,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        "unknown",
    )
