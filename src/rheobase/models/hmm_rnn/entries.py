"""Where chunks begin and end, exactly, by products of matrices.

The operator of a chunk is ``G = diag(b[0]) A diag(b[1]) ... A diag(b[C-1])``. All chunks multiply
side by side; each row of G is rescaled every few steps and the log of its scale carried apart.
Then one loop over the chunks of a segment hands the beginnings on: ``p <- p G A`` forwards, and
``v <- A G v`` backwards. Shapes as in ``scan``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rheobase.models.hmm_rnn.chunks import Chunks

EVERY = 4
"""Steps between rescalings, where no transition is so rare that four could underflow."""
RARE = {torch.float64: 1e-30, torch.float32: 1e-7}


Operators = tuple[Tensor, Tensor]


def forward(made: Operators, A: Tensor, pi: Tensor, chunks: Chunks) -> Tensor:
    """Return the predicted state at the beginning of each chunk, (model, state, chunk)."""
    operators, scales = made
    begins = pi[:, :, None].expand(*pi.shape, chunks.count).clone()
    for here, before in _handed_on(chunks):
        lead = scales[..., before] - scales[..., before].amax(1, keepdim=True)
        weights = begins[..., before] * lead.exp()
        moved = torch.einsum("mis,mjis,mjk->mks", weights, operators[..., before], A)
        begins[..., here] = moved / moved.sum(1, keepdim=True)
    return begins


def backward(made: Operators, A: Tensor, chunks: Chunks) -> Tensor:
    """Return what follows says of the last state of each chunk, sum 1, (model, state, chunk)."""
    operators, scales = made
    ahead = torch.full_like(scales, 1 / scales.shape[1])
    for here, before in reversed(_handed_on(chunks)):
        seen = torch.einsum("mjis,mjs->mis", operators[..., here], ahead[..., here])
        lead = scales[..., here] - scales[..., here].amax(1, keepdim=True)
        found = torch.bmm(A, seen * lead.exp())
        ahead[..., before] = found / found.sum(1, keepdim=True)
    return ahead


def products(b: Tensor, A: Tensor) -> Operators:
    """Return each chunk's operator, transposed, and the log scales of its rows.

    (model, to, from, chunk) and (model, from, chunk).
    """
    steps, models, states, count = b.shape
    every = EVERY if float(A.min()) > RARE[b.dtype] else 1
    At = A.mT.contiguous()
    eye = torch.eye(states, dtype=b.dtype, device=b.device)[None, :, :, None]
    now = eye * torch.ones_like(b[0])[:, :, None]
    scales = b[0].log()
    for t in range(1, steps):
        now = torch.bmm(At, now.flatten(2)).view(models, states, states, count)
        now *= b[t][:, :, None]
        if t % every == 0 or t == steps - 1:
            norm = now.sum(1, keepdim=True).clamp_(min=torch.finfo(b.dtype).tiny)
            now /= norm
            scales = scales + norm.squeeze(1).log_()
    return now, scales


def _handed_on(chunks: Chunks) -> list[tuple[Tensor, Tensor]]:
    """Return, for each position in a segment but the first, those chunks and the ones before."""
    made = []
    for place in range(1, int(chunks.position.max()) + 1):
        here = (chunks.position == place).nonzero().squeeze(1)
        made.append((here, here - 1))
    return made
