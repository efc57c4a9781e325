"""Forward-backward recursions, exact, on all chunks of all models at once.

With ``b[t, k]`` the likelihood of sample t in state k (divided by the largest over k):

    pred[t] = A' alpha[t-1],  alpha[t] = pred[t] b[t] / c[t],  c[t] = sum_k pred[t] b[t]
    r[t] = gamma[t] / pred[t],  gamma[t-1] = alpha[t-1] (A r[t]),  xi[t] = alpha[t-1] r[t]' A

The second line is the smoother on filtered probabilities (Askar and Derin 1981); it needs neither
b nor a scale. Only where a chunk begins is open. Chains forget: so a short run through the end of
the chunk before guesses it, the chunk is run, and its end must agree with what the next chunk began
with, component by component (Hilbert's metric, in which these maps never increase a distance).
Where it does not, products of matrices over each chunk give the beginnings exactly (``entries``).

On chunks everything is (step, model, state, chunk).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rheobase.models.hmm_rnn import entries
from rheobase.models.hmm_rnn.chunks import Chunks, cut

BURN = 32
"""Steps of the run that guesses a beginning (chosen here)."""
AGREE = {torch.float64: 1e-12, torch.float32: 2e-5}
"""Largest relative difference of a state between the end of a chunk and the beginning after it."""
SMALLEST = {torch.float64: 1e-150, torch.float32: 1e-18}
"""Smallest predicted probability of a state."""
LOWEST = {torch.float64: -345.0, torch.float32: -41.0}
"""Log likelihoods below the best state's by more than this count as this much. So products with the
smallest probability keep a normal form; numbers without one are slow."""

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Smoothed:
    """What a sequence says of states, on chunks."""

    gamma: Tensor
    """(step, model, state, chunk) probability of a state given all samples; 0 for no sample."""
    evidence: Tensor
    """(step, model, chunk) float64 log p(x[t] | x[..t-1]), 0 at pads."""
    counts: Tensor
    """(model, state, state) float64 expected transitions, over chunks of weight 1."""
    starts: Tensor
    """(model, state) float64 expected first states of segments."""
    guessed: bool
    """Whether no product of matrices was needed."""

    def loglik(self, chunks: Chunks) -> Tensor:
        """Return the log-likelihood of every segment, (model, segment) float64."""
        by_chunk = self.evidence.sum(0)
        out = by_chunk.new_zeros((len(by_chunk), chunks.segments))
        return out.index_add_(1, chunks.segment, by_chunk)


@dataclass(frozen=True)
class Posterior:
    """What sequences say of states, along time."""

    gamma: Tensor
    """(model, time, state)"""
    counts: Tensor
    """(model, state, state) expected transitions."""
    loglik: Tensor
    """(model, segment)"""


class Workspace:
    """Memory that is used again: fresh pages cost more than the recursions."""

    def __init__(self) -> None:
        self.kept: Tensors = {}

    def take(self, name: str, shape: Sequence[int], like: Tensor) -> Tensor:
        """Return an uninitialised tensor; the one of this name taken before is gone."""
        size = 1
        for n in shape:
            size *= n
        held = self.kept.get(name)
        if held is None or held.numel() < size or held.dtype != like.dtype:
            held = self.kept[name] = torch.empty(size, dtype=like.dtype, device=like.device)
        return held[:size].view(*shape)


@torch.no_grad()
def smooth(
    logb: Tensor, A: Tensor, pi: Tensor, chunks: Chunks, *, weights: Tensor | None = None,
    guess: bool = True, workspace: Workspace | None = None,
) -> Smoothed:  # fmt: skip
    """Return the smoothed states of ``logb`` (step, model, state, chunk), which is overwritten.

    ``A`` (model, state, state), ``pi`` (model, state); ``weights`` (model, chunk) say which chunks
    count in ``counts`` and ``starts``. The result lies in the workspace, until its next use.
    """
    space = workspace or Workspace()
    A, pi = A.to(logb.dtype), pi.to(logb.dtype)
    shift = torch.amax(logb, 2, keepdim=True)
    b = logb.sub_(shift).clamp_(min=LOWEST[logb.dtype]).exp_()
    pred, alpha = (space.take(name, b.shape, b) for name in ("pred", "alpha"))
    scale = space.take("scale", shift.shape, b)
    made = _forward_all(b, A, pi, chunks, pred, alpha, scale, guess=guess)
    evidence = (scale.double().log_() + shift.double()).squeeze(2)
    if len(chunks.padded):
        evidence[:, :, chunks.padded] *= chunks.valid[:, None, chunks.padded]
    ratio = space.take("ratio", b.shape, b)
    gamma = space.take("gamma", b.shape, b)
    guessed = _backward_all(b, A, chunks, pred, alpha, gamma, ratio, made=made)
    if len(chunks.padded):
        ratio[..., chunks.padded] *= chunks.valid[:, None, None, chunks.padded].to(b.dtype)
    counts = _transitions(alpha, ratio, A, chunks, weights)
    starts = gamma[0] if weights is None else gamma[0] * weights[:, None].to(b.dtype)
    return Smoothed(gamma, evidence, counts, starts[..., chunks.first].double().sum(-1), guessed)


def forward_backward(
    logb: Tensor, A: Tensor, pi: Tensor, lengths: Sequence[int] | None = None,
    chunk: int | Literal["auto"] = "auto", *, guess: bool = True,
) -> Posterior:  # fmt: skip
    """Return state probabilities, expected transitions and log-likelihoods.

    ``logb`` (model, time, state), ``A`` (model, state, state), ``pi`` (model, state); ``lengths``
    of the segments, across which no transition is counted and each of which begins with ``pi``.
    """
    chunks, b = laid(logb, A, lengths, chunk)
    found = smooth(b, A, pi, chunks, guess=guess)
    gamma = chunks.along(found.gamma).movedim(0, 1)
    return Posterior(gamma, found.counts, found.loglik(chunks))


def loglik(
    logb: Tensor, A: Tensor, pi: Tensor, lengths: Sequence[int] | None = None,
    chunk: int | Literal["auto"] = "auto",
) -> Tensor:  # fmt: skip
    """Return the log-likelihood of every segment, (model, segment); arguments as above."""
    return forward_backward(logb, A, pi, lengths, chunk).loglik


def laid(
    logb: Tensor, A: Tensor, lengths: Sequence[int] | None, chunk: int | Literal["auto"]
) -> tuple[Chunks, Tensor]:
    """Return chunks and ``logb`` (model, time, state) on them; raises for shapes that differ."""
    models, samples, states = logb.shape
    lengths = [samples] if lengths is None else list(lengths)
    if sum(lengths) != samples:
        raise ValueError(f"lengths sum to {sum(lengths)}, and there are {samples} samples")
    if A.shape != (models, states, states):
        raise ValueError(f"A is {tuple(A.shape)}; logb asks for {(models, states, states)}")
    chunks = cut(lengths, chunk=chunk, models=models, device=str(logb.device))
    flat = chunks.lay(logb.permute(1, 0, 2).reshape(samples, models * states))
    return chunks, flat.view(chunks.steps, models, states, chunks.count)


def _forward_all(
    b: Tensor, A: Tensor, pi: Tensor, chunks: Chunks, pred: Tensor, alpha: Tensor, scale: Tensor,
    *, guess: bool,
) -> entries.Operators | None:  # fmt: skip
    """Fill ``pred``, ``alpha``, ``scale``; returns the chunks' operators if a guess failed."""
    At, start = A.mT.contiguous(), pi[:, :, None].expand(*pi.shape, chunks.count)
    start = start.clamp(min=SMALLEST[b.dtype])
    if chunks.count == chunks.segments:
        _forward(b, At, start, pred, alpha, scale)
        return None
    if guess:
        begins = chunks.follow(_warm_forward(b, At), start)
        for _ in range(2):
            _forward(b, At, begins, pred, alpha, scale)
            ends = chunks.follow(_next(At, alpha[-1]), start)
            if float((ends / begins - 1).abs().max()) <= AGREE[b.dtype]:
                return None
            begins = ends
    made = entries.products(b, A)
    begins = entries.forward(made, A, pi, chunks).clamp_(min=SMALLEST[b.dtype])
    _forward(b, At, begins, pred, alpha, scale)
    return made


def _forward(
    b: Tensor, At: Tensor, begins: Tensor, pred: Tensor, alpha: Tensor, scale: Tensor
) -> None:
    smallest = SMALLEST[b.dtype]
    pred[0].copy_(begins)
    before: Tensor | None = None
    for p, a, like, c in zip(
        pred.unbind(), alpha.unbind(), b.unbind(), scale.unbind(), strict=True
    ):
        if before is not None:
            torch.bmm(At, before, out=p)
            p.clamp_(min=smallest)
        torch.mul(p, like, out=a)
        torch.sum(a, 1, keepdim=True, out=c)
        a.div_(c)
        before = a


def _next(At: Tensor, alpha: Tensor) -> Tensor:
    return torch.bmm(At, alpha).clamp_(min=SMALLEST[alpha.dtype])


def _warm_forward(b: Tensor, At: Tensor) -> Tensor:
    """Return what is predicted behind each chunk from its last steps, after no knowledge."""
    now = torch.full_like(b[0], 1 / b.shape[2])
    for like in b[-BURN:].unbind():
        now = now * like
        now = _next(At, now / now.sum(1, keepdim=True))
    return now


def _backward_all(
    b: Tensor, A: Tensor, chunks: Chunks, pred: Tensor, alpha: Tensor, gamma: Tensor, ratio: Tensor,
    *, made: entries.Operators | None,
) -> bool:  # fmt: skip
    """Fill ``gamma`` and ``ratio``; returns whether the ends of chunks were guessed."""
    if chunks.count == chunks.segments:
        _backward(A, alpha[-1], pred, alpha, gamma, ratio)
        return True
    if made is None:
        ahead = _ahead(_warm_backward(A, pred, alpha), A, chunks)
        for _ in range(2):
            _backward(A, _normal(alpha[-1] * ahead), pred, alpha, gamma, ratio)
            found = _ahead(ratio[0], A, chunks)
            if float((found / ahead - 1).abs().max()) <= AGREE[b.dtype]:
                return True
            ahead = found
    ahead = entries.backward(made or entries.products(b, A), A, chunks)
    _backward(A, _normal(alpha[-1] * ahead), pred, alpha, gamma, ratio)
    return False


def _backward(
    A: Tensor, end: Tensor, pred: Tensor, alpha: Tensor, gamma: Tensor, ratio: Tensor
) -> None:
    gamma[-1].copy_(end)
    g = [*gamma.unbind()]
    p, a, r = pred.unbind(), alpha.unbind(), ratio.unbind()
    for t in range(len(g) - 1, 0, -1):
        torch.div(g[t], p[t], out=r[t])
        torch.bmm(A, r[t], out=g[t - 1])
        g[t - 1].mul_(a[t - 1])
    torch.div(g[0], p[0], out=r[0])


def _warm_backward(A: Tensor, pred: Tensor, alpha: Tensor) -> Tensor:
    """Return ``r`` of each chunk's first step from its first steps, knowing nothing of the rest."""
    last = min(BURN, len(pred)) - 1
    now = alpha[last] / pred[last]
    for t in range(last - 1, -1, -1):
        now = _normal(torch.bmm(A, now) * alpha[t]) / pred[t]
    return now


def _ahead(ratio: Tensor, A: Tensor, chunks: Chunks) -> Tensor:
    """Return what follows says of each chunk's last state, scaled to sum 1; equal at the ends."""
    found = torch.bmm(A, ratio)
    found = _normal(found.clamp_(min=SMALLEST[found.dtype]))
    return torch.where(chunks.last, 1 / A.shape[1], found.roll(-1, -1))


def _normal(values: Tensor) -> Tensor:
    return values / values.sum(1, keepdim=True)


def _transitions(
    alpha: Tensor, ratio: Tensor, A: Tensor, chunks: Chunks, weights: Tensor | None
) -> Tensor:
    """Return the expected transitions, (model, state, state) float64."""
    across = ratio[0] * (~chunks.first).to(ratio.dtype)
    if weights is not None:
        ratio.mul_(weights[None, :, None].to(ratio.dtype))
        across = across * weights[:, None].to(ratio.dtype)
    total = torch.zeros(A.shape, dtype=torch.float64, device=A.device)
    part = torch.empty_like(A)
    for a, r in zip(alpha[:-1].unbind(), ratio[1:].mT.unbind(), strict=True):
        torch.bmm(a, r, out=part)
        total += part
    total += torch.bmm(alpha[-1].roll(1, -1), across.mT)
    return total * A.double()
