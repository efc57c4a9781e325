"""How well networks emulate the chain, and what is left of it for the symbols of the test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from rheobase.models.base import Fitted, Score
from rheobase.models.hmm_rnn import emulated, gate, scan, symbols
from rheobase.models.hmm_rnn.targets import Target

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.hmm_rnn.output import Seen

RIVALS = ("chain_itself", "markov", "memoryless")


def scores(fitted: Fitted, seen: Seen) -> list[Score]:
    """Return what networks lack under the chain, and what they say of the test part's symbols."""
    return [_excess(fitted.arrays), _heldout(fitted.arrays, seen)]


def _excess(arrays: xr.Dataset) -> Score:
    title = "what the emulator's symbols lack under the chain"
    unit, name = "nats a symbol", "emulator_excess"
    if "emulator/score" not in arrays:
        return _none(arrays, name, unit, ("memoryless", "chain_itself"), title, better_high=False)
    own = arrays.sel(emulator_start=gate.STARTS[1], emulator_score="excess_nats")
    values = own["emulator/score"].values
    memoryless = float(own["emulator/trivial"].sel(emulator_trivial="memoryless"))
    null = own["emulator/null_mean"].item(), own["emulator/null_deviation"].item()
    passed = arrays["emulator/passed"].values
    low, high = arrays["emulator/limits"].values
    note = (
        f"{int(passed.sum())} of {len(passed)} networks pass: an excess of {low:.3f} to {high:.3f} "
        f"after the first {gate.SKIPPED} steps, and activity that does not grow; sequences of the "
        f"chain itself show {null[0]:.3f}, deviation {null[1]:.3f}"
    )
    failed = "no network emulates the chain, so that nothing is said of their inside"
    caution = "" if passed.any() else failed
    rivals = {"memoryless": abs(memoryless), "chain_itself": abs(null[0])}
    return Score(name, float(np.abs(values).mean()), rivals, higher_is_better=False, unit=unit,
                 note=note, caution=caution, title=title, question="emulator")  # fmt: skip


def _heldout(arrays: xr.Dataset, seen: Seen) -> Score:
    title, unit = "log-likelihood of held-out symbols", "nats a symbol"
    name = "emulator_loglik"
    if "emulator/score" not in arrays:
        return _none(arrays, name, unit, RIVALS, title, better_high=True)
    read = symbols.alphabet(arrays)
    drawn, lengths = read.read(seen.path.astype(int), seen.x, seen.lengths)
    if not lengths:
        return _none(arrays, name, unit, RIVALS, title, better_high=True,
                     why="the test part has no two steps in a stretch")  # fmt: skip
    target, refits = emulated.chains(arrays)
    values = [loglik(drawn, lengths, one) for one in refits]
    share, pairs = (arrays[f"rival/symbol_{n}"].values for n in ("share", "pairs"))
    rivals = {"chain_itself": loglik(drawn, lengths, target),
              "markov": markov(drawn, lengths, share, pairs),
              "memoryless": float(np.log(share[drawn]).mean())}  # fmt: skip
    note = (
        f"{len(drawn)} symbols, one every {read.stride} samples, of the paths of the test part; a "
        f"network is represented by the chain that is fitted to its own symbols, mean of "
        f"{len(values)}"
    )
    return Score(name, float(np.mean(values)), rivals, unit=unit, note=note, title=title,
                 question="emulator")  # fmt: skip


def loglik(drawn: np.ndarray, lengths: Sequence[int], target: Target) -> float:
    """Return the log-likelihood of a symbol (step,) under a chain, nats."""
    logb = torch.as_tensor(np.log(target.E.clip(1e-12)).T[drawn])[None]
    A, pi = (torch.as_tensor(a)[None] for a in (target.A, target.pi))
    return float(scan.loglik(logb, A, pi, list(lengths)).sum() / len(drawn))


def markov(
    drawn: np.ndarray, lengths: Sequence[int], share: np.ndarray, pairs: np.ndarray
) -> float:  # fmt: skip
    """Return the log-likelihood of a symbol given the one before it, nats."""
    told = np.log(share[drawn])
    told[1:] = np.log(pairs[drawn[:-1], drawn[1:]])
    begins = np.cumsum([0, *lengths[:-1]])
    told[begins] = np.log(share[drawn[begins]])
    return float(told.mean())


def _none(
    arrays: xr.Dataset, name: str, unit: str, rivals: Sequence[str], title: str, *,
    better_high: bool, why: str = "",
) -> Score:  # fmt: skip
    """Return an undefined score, and why it is."""
    reason = why or arrays["emulator/why"].item()
    return Score(name, float("nan"), {rival: float("nan") for rival in rivals}, unit=unit,
                 higher_is_better=better_high, note=f"no emulator: {reason}", title=title,
                 question="emulator")  # fmt: skip
