"""The most likely path of states, and paths drawn from a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from rheobase.models.hmm_rnn.chunks import Chunks
from rheobase.models.hmm_rnn.scan import laid

SAME = 1e-9
"""Difference of log scores at which a chunk begins as the one before it ends."""


def viterbi(
    logb: Tensor, A: Tensor, pi: Tensor, lengths: Sequence[int] | None = None,
    chunk: int | Literal["auto"] = "auto",
) -> Tensor:  # fmt: skip
    """Return the most likely path of each model, (model, time) int16.

    ``logb`` (model, time, state), ``A`` (model, state, state), ``pi`` (model, state). All chunks
    run side by side, again and again until each begins as the one before it ends: twice or three
    times where the series forgets, as often as there are chunks where it does not.
    """
    chunks, b = laid(logb, A, lengths, chunk)
    logA, start = A.log()[..., None], pi.log()[:, :, None].expand(*pi.shape, chunks.count)
    begins = chunks.follow(torch.zeros_like(b[0]), start)
    while True:
        pointers, score = _sweep(b, logA, begins, chunks)
        reached = (score[:, :, None] + logA).amax(1)
        ends = chunks.follow(_highest(reached), start)
        if bool(((ends - begins).abs() <= SAME).logical_or(ends == begins).all()):
            break
        begins = ends
    pointers[0] = torch.where(
        chunks.first, pointers[0], (score[:, :, None] + logA).argmax(1).roll(1, -1)
    )
    return chunks.along(_back(pointers, score, chunks)).movedim(0, 1).to(torch.int16)


def _highest(score: Tensor) -> Tensor:
    return score - score.amax(1, keepdim=True)


def _sweep(b: Tensor, logA: Tensor, begins: Tensor, chunks: Chunks) -> tuple[Tensor, Tensor]:
    """Return whence each state was reached, (step, model, state, chunk), and the last scores."""
    stay = torch.arange(b.shape[2], device=b.device)[None, :, None].expand(b.shape[1:])
    pointers = [stay]
    score = begins + b[0]
    for t in range(1, len(b)):
        best, came = (_highest(score)[:, :, None] + logA).max(1)
        here = chunks.valid[t]
        score = torch.where(here, best + b[t], score)
        pointers.append(torch.where(here, came, stay))
    return torch.stack(pointers), score


def _back(pointers: Tensor, score: Tensor, chunks: Chunks) -> Tensor:
    """Return the states, (step, model, chunk)."""
    through = torch.arange(score.shape[1], device=score.device)[None, :, None].expand_as(score)
    for step in reversed(pointers.unbind()):
        through = step.gather(1, through)
    end = score.argmax(1)
    for place in range(int(chunks.position.max()), 0, -1):
        here = (chunks.position == place).nonzero().squeeze(1)
        end[:, here - 1] = through[..., here].gather(1, end[:, None, here]).squeeze(1)
    states = [end]
    for step in reversed(pointers[1:].unbind()):
        states.append(step.gather(1, states[-1][:, None]).squeeze(1))
    return torch.stack(states[::-1])


def sample(A: Tensor, pi: Tensor, length: int, count: int, *, generator: torch.Generator) -> Tensor:
    """Return paths (sequence, time) of one chain, ``A`` (state, state), ``pi`` (state,)."""
    heap, first = A.cumsum(-1), pi.cumsum(-1)
    uniform = torch.rand((length, count, 1), generator=generator, dtype=A.dtype, device=A.device)
    most = A.shape[0] - 1
    states = [(uniform[0] > first).sum(-1).clamp(max=most)]
    for t in range(1, length):
        states.append((uniform[t] > heap[states[-1]]).sum(-1).clamp(max=most))
    return torch.stack(states, 1)
