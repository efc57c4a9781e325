"""Run one command and write down what it cost: ``python meter.py REPORT COMMAND...``.

Standard library only. On Linux the peak memory of a process counts from that of the process which
started it, so whatever is measured must be started by something smaller than itself.
"""

import json
import os
import subprocess
import sys
import time

MIB_IN_RUSAGE = 2**20 if sys.platform == "darwin" else 2**10


def main(report: str, *command: str) -> int:
    """Run ``command`` and write its CPU and wall seconds and peak memory, children included."""
    start = time.perf_counter()
    child = subprocess.Popen(command)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    cost = {
        "cpu_s": used.ru_utime + used.ru_stime,
        "wall_s": time.perf_counter() - start,
        "peak_mb": used.ru_maxrss / MIB_IN_RUSAGE,
    }
    with open(report, "w", encoding="utf-8") as file:
        json.dump(cost, file)
    return child.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
