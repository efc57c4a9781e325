"""What a fit has finished so far, kept beside its output: every rank and every null draw.

A fit that was stopped takes them from there and ends with the same arrays, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rheobase.models import checkpoint
from rheobase.models.connectome.factorise import MAX_ITER, TOLERANCE, Run
from rheobase.models.connectome.factors import scaled_factors
from rheobase.models.connectome.ranks import RankRow
from rheobase.models.connectome.restarts import Fit
from rheobase.models.connectome.starts import Start

STOPS = (TOLERANCE, MAX_ITER)


class Memory:
    """Named tensors in one file; without a path nothing is kept."""

    def __init__(self, path: Path | None, device: str = "cpu") -> None:
        self.path, self.device = path, torch.device(device)
        there = path is not None and path.is_file()
        self.tensors = checkpoint.load(path, self.device) if there and path is not None else {}

    def keep(self, made: dict[str, Tensor]) -> None:
        """Write more tensors to the file."""
        if self.path is not None:
            self.tensors |= made
            checkpoint.save(self.tensors, self.path)

    def number(self, name: str, make: Callable[[], float]) -> float:
        """Return a number, made unless it was kept."""
        if name not in self.tensors:
            value = make()
            self.keep({name: torch.tensor(value, dtype=torch.float64)})
            return value
        return float(self.tensors[name])

    def rank(self, rank: int, make: Callable[[], tuple[Fit, RankRow]]) -> tuple[Fit, RankRow]:
        """Return fit and row of a rank, made unless they were kept."""
        if f"rank/{rank}/row" not in self.tensors:
            made, row = make()
            self.keep(_packed(rank, made, row))
            return made, row
        return self._unpacked(rank)

    def _unpacked(self, rank: int) -> tuple[Fit, RankRow]:
        def one(name: str) -> Tensor:
            return self.tensors[f"rank/{rank}/{name}"]

        runs = []
        for place in range(int(one("count"))):
            end = Start(*(one(f"{place}/{mode}") for mode in ("patterns", "times", "animals")))
            parts = (f[0].cpu().numpy() for f in (end.patterns, end.times, end.animals))
            stop, reseeded, seconds = one(f"{place}/told").tolist()
            errors = tuple(one(f"{place}/errors").tolist())
            runs.append(Run(scaled_factors(*parts), errors, STOPS[int(stop)], int(reseeded),
                            seconds, end))  # fmt: skip
        error, spread, stability, core, *hidden = one("row").tolist()
        row = RankRow(rank, error, spread, stability, tuple(hidden), core)
        return Fit(tuple(runs), tuple(one("screened").tolist())), row


def _packed(rank: int, made: Fit, row: RankRow) -> dict[str, Tensor]:
    def double(values) -> Tensor:  # noqa: ANN001
        return torch.from_numpy(np.array(values, np.float64))

    found = {
        "count": torch.tensor(len(made.runs)), "screened": double(made.screened),
        "row": double([row.error, row.spread, row.stability, row.core_consistency, *row.holdout]),
    }  # fmt: skip
    for place, run in enumerate(made.runs):
        told = double([STOPS.index(run.stop), run.reseeded, run.seconds])
        found |= {f"{place}/patterns": run.end.patterns, f"{place}/times": run.end.times,
                  f"{place}/animals": run.end.animals, f"{place}/errors": double(run.errors),
                  f"{place}/told": told}  # fmt: skip
    return {f"rank/{rank}/{name}": value for name, value in found.items()}
