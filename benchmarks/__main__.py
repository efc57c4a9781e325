"""``python -m benchmarks [FAMILY]``: run all benchmark scripts, or one."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.harness import run_family
from rheobase.models.base import FAMILIES


def scripts() -> list[str]:
    """Return the names that have a script here: workflow, calcium, families and their parts."""
    here = Path(__file__).parent
    known = dict.fromkeys(("workflow", "calcium", *FAMILIES, "hmm_rnn", "spiking"))
    return [name for name in known if (here / f"{name}.py").is_file()]


def main(arguments: list[str]) -> int:
    """Run scripts; returns 0, 1 where results differ or a run failed, 2 for wrong usage."""
    known = scripts()
    unknown = [name for name in arguments if name not in known]
    if len(arguments) > 1 or unknown:
        said = (
            f"{unknown[0]!r} has no benchmark"
            if unknown
            else "one family at a time, or none for all"
        )
        print(f"benchmarks: {said}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    wanted = arguments or known
    return max(
        run_family(name, importlib.import_module(f"benchmarks.{name}").rows()) for name in wanted
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
