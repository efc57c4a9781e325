"""Keep one side of a comparison ready and time it on request.

``python -m benchmarks.worker MODULE:FUNCTION ARGUMENTS RESULT``: the function is called once with
the JSON arguments, untimed, and returns what is timed. Every line on standard input is one timed
call, answered by one line of JSON. At the end of the input the last result is written to ``RESULT``
(npz); where it is a function, that function is called for it then, untimed.
"""

import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import numpy as np

from benchmarks.meter import MIB_IN_RUSAGE


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_mb() -> float:
    """Return the most MiB that this process, or any child that has ended, has held."""
    most = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return most / MIB_IN_RUSAGE


def serve(run: Callable[[], Any], requests: TextIO, answers: TextIO) -> Any:
    """Answer every request with the cost of one call; returns the last result."""
    result = None
    for _ in requests:
        result = None
        gc.collect()
        cpu, wall = cpu_seconds(), time.perf_counter()
        result = run()
        cost = {"cpu_s": cpu_seconds() - cpu, "wall_s": time.perf_counter() - wall}
        print(json.dumps({**cost, "peak_mb": peak_mb()}), file=answers, flush=True)
    return result


def main(target: str, arguments: str, path: str) -> None:
    """Serve one function, with its own prints sent to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, _, name = target.partition(":")
    run = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    print("ready", file=answers, flush=True)
    result = serve(run, sys.stdin, answers)
    result = result() if callable(result) else result
    arrays = result if isinstance(result, Mapping) else {"result": result}
    named: dict[str, Any] = {key: np.asarray(value) for key, value in arrays.items()}
    np.savez(path, **named)


if __name__ == "__main__":
    main(*sys.argv[1:])
