"""Hidden states of a few spatial components, learnt without labels: when they switch, and to what.

An addition of ours, not of the paper. Connectivity over a whole run says nothing of how long a
state lasts or what follows it. Components are maps of regions (of the learnt embeddings, or
principal ones as a rival); their courses are deconvolved, and a hidden Markov model whose states
differ in covariance alone is fitted to the runs of the training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.brainmae.segments import Run

COMPONENTS, STATES = 8, 4
INDEPENDENT_S = 3.0
"""Seconds between frames that count as independent: neighbouring frames say nearly the same."""
NOISE = 0.1
"""Of the Wiener deconvolution, relative to the response's largest power."""
RESTARTS, ITERATIONS = 12, 30
WINDOW_S, WINDOWS = 30.0, 8
"""A restart begins with the covariances of a few random windows a state."""
FIRST_STAY, FLOOR = 0.95, 0.02
MOST_RUNS = 64
"""Runs that the model is fitted to, and that are read at once: bounds memory."""


@dataclass(frozen=True)
class Switching:
    """Maps of components and the states of their courses."""

    maps: Tensor
    """(region, component) float64"""
    covariance: Tensor
    """(state, component, component)"""
    transition: Tensor
    """(state, state), rows sum to 1"""


def embedding_maps(embedded: Tensor, count: int | None = COMPONENTS) -> Tensor:
    """Return the leading maps, or all, of region embeddings (region, width), (region, map)."""
    return torch.linalg.svd(embedded.detach().cpu().double(), full_matrices=False).U[:, :count]


def principal_maps(covariance: np.ndarray) -> Tensor:
    """Return the leading eigenvectors of a covariance (region, region)."""
    return torch.from_numpy(np.linalg.eigh(covariance)[1][:, ::-1][:, :COMPONENTS].copy())


def fit(maps: Tensor, runs: Sequence[Run], *, period_s: float, seed: int) -> Switching:
    """Return the states of the runs' courses: the likeliest of several restarts of EM."""
    rng = np.random.default_rng([seed, 21])
    chosen = sorted(rng.permutation(len(runs))[:MOST_RUNS].tolist())
    x, valid = _stack([runs[i] for i in chosen], maps, period_s)
    squares = (x[..., :, None] * x[..., None, :]).flatten(-2)
    lengths = valid.sum(dim=1).tolist()
    covariance = torch.stack([_first(x, lengths, period_s, rng) for _ in range(RESTARTS)])
    stay = torch.eye(STATES, dtype=x.dtype)
    transition = FIRST_STAY * stay + (1 - FIRST_STAY) / (STATES - 1) * (1 - stay)
    transition = transition.expand(RESTARTS, -1, -1)
    temper = min(1.0, period_s / INDEPENDENT_S)
    total = torch.zeros(RESTARTS)
    for _ in range(ITERATIONS):
        told = _log_density(squares, covariance, valid, temper)
        state, pairs, total = forward_backward(told, transition, valid)
        covariance = _covariances(state, squares, x.shape[-1])
        transition = pairs.sum(dim=1) + 1
        transition = transition / transition.sum(dim=-1, keepdim=True)
    best = int(total.argmax())
    return Switching(maps, covariance[best], transition[best])


def _first(
    x: Tensor, lengths: Sequence[float], period_s: float, rng: np.random.Generator
) -> Tensor:
    """Return a first covariance of each state, (state, component, component)."""
    window, made = max(8, round(WINDOW_S / period_s)), []
    for _ in range(STATES):
        parts = []
        for run in rng.integers(len(x), size=WINDOWS).tolist():
            start = int(rng.integers(max(int(lengths[run]) - window, 0) + 1))
            parts.append(x[run, start : start + window])
        joined = torch.cat(parts)
        made.append(joined.T @ joined / len(joined) + FLOOR * torch.eye(x.shape[-1], dtype=x.dtype))
    return torch.stack(made)


def _covariances(state: Tensor, squares: Tensor, width: int) -> Tensor:
    weight = state.sum(dim=(1, 2)).clamp(min=1e-6)
    made = torch.einsum("rntk,ntf->rkf", state, squares) / weight[..., None]
    return made.unflatten(-1, (width, width)) + FLOOR * torch.eye(width, dtype=squares.dtype)


def _log_density(squares: Tensor, covariance: Tensor, valid: Tensor, temper: float) -> Tensor:
    """Return tempered log densities, (restart, run, frame, state); 0 where a frame is not valid."""
    inverse = torch.linalg.inv(covariance).flatten(-2)
    made = -0.5 * torch.einsum("ntf,rkf->rntk", squares, inverse)
    made = made - 0.5 * torch.logdet(covariance)[:, None, None]
    return temper * made * valid[None, ..., None]


def forward_backward(
    told: Tensor, transition: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return states (restart, run, frame, state), expected steps (..., state, state), likelihood.

    ``told`` are log densities, ``transition`` (restart, state, state); steps from or to a frame
    that is not valid are not counted (Rabiner, Proc. IEEE 77:257, 1989, scaled).
    """
    top = told.max(dim=-1, keepdim=True).values
    density = (told - top).exp()
    frames, states = density.shape[-2:]
    now = torch.full_like(density[..., 0, :], 1 / states)
    forward, scale = [], []
    for t in range(frames):
        now = (now @ transition if t else now) * density[..., t, :]
        size = now.sum(dim=-1, keepdim=True)
        now = now / size
        forward.append(now)
        scale.append(size)
    back = torch.ones_like(now)
    backward = [back]
    turned = transition.transpose(-1, -2)
    for t in range(frames - 1, 0, -1):
        back = (density[..., t, :] * back / scale[t]) @ turned
        backward.append(back)
    ahead, behind = torch.stack(forward, dim=-2), torch.stack(backward[::-1], dim=-2)
    sizes = torch.stack(scale, dim=-2)
    state = ahead * behind * valid[None, ..., None]
    both = (valid[:, :-1] * valid[:, 1:])[None, ..., None]
    later = (density * behind / sizes)[..., 1:, :]
    pairs = torch.einsum("rntk,rntl->rnkl", ahead[..., :-1, :] * both, later) * transition[:, None]
    likelihood = ((sizes.log() + top)[..., 0] * valid).sum(dim=(-1, -2))
    return state, pairs, likelihood


def groups(components: int) -> dict[str, int]:
    """Return names and lengths of the groups of features, in their order."""
    return {
        "correlation of maps": components * (components - 1) // 2,
        "switching of states": 1,
        "order of states": STATES * (STATES - 1) // 2,
        "time in states": STATES,
    }


def features(
    model: Switching, runs: Sequence[Run], names: Sequence[str], *, period_s: float
) -> np.ndarray:
    """Return one vector a recording, (recording, feature) float64.

    Fisher's z of correlations between components; the log odds of a switch; for each pair of states
    how much oftener it is passed one way than the other, as a share of all steps; and the share of
    time in each state.
    """
    temper = min(1.0, period_s / INDEPENDENT_S)
    steps: dict[str, Tensor] = {}
    time: dict[str, Tensor] = {}
    product: dict[str, Tensor] = {}
    for first in range(0, len(runs), MOST_RUNS):
        part = runs[first : first + MOST_RUNS]
        x, valid = _stack(part, model.maps, period_s)
        squares = (x[..., :, None] * x[..., None, :]).flatten(-2)
        told = _log_density(squares, model.covariance[None], valid, temper)
        state, pairs, _ = forward_backward(told, model.transition[None], valid)
        for i, run in enumerate(part):
            found = pairs[0, i], state[0, i].sum(dim=0), (squares[i] * valid[i, :, None]).sum(dim=0)
            for kept, value in zip((steps, time, product), found, strict=True):
                kept[run.name] = kept.get(run.name, 0) + value
    return np.stack([_vector(steps[n], time[n], product[n]).numpy() for n in names])


def _vector(steps: Tensor, time: Tensor, product: Tensor) -> Tensor:
    square = product.unflatten(0, (-1, round(len(product) ** 0.5)))
    deviation = square.diagonal().clamp(min=1e-12).sqrt()
    low = torch.tril_indices(*square.shape, offset=-1)
    links = (square / deviation / deviation[:, None])[low[0], low[1]].clamp(-0.999, 0.999).atanh()
    stayed, all_steps = steps.diagonal().sum(), steps.sum()
    switch = ((all_steps - stayed + 0.5) / (stayed + 0.5)).log()[None]
    high = torch.triu_indices(*steps.shape, offset=1)
    order = ((steps - steps.T)[high[0], high[1]]) / all_steps
    return torch.cat([links, switch, order, time / time.sum()])


def _stack(runs: Sequence[Run], maps: Tensor, period_s: float) -> tuple[Tensor, Tensor]:
    """Return deconvolved courses of the runs, (run, frame, component), and which frames count.

    Each course of each run is standardised over its valid frames; shorter runs are padded.
    """
    longest = max(len(run.signal) for run in runs)
    x = torch.zeros(len(runs), longest, maps.shape[1], dtype=torch.float64)
    valid = torch.zeros(len(runs), longest, dtype=torch.float64)
    for i, run in enumerate(runs):
        frames = len(run.signal)
        course = _deconvolved(torch.from_numpy(run.signal).double() @ maps, period_s)
        good = torch.from_numpy(run.valid)
        deviation = course[good].std(dim=0, correction=0).clamp(min=1e-12)
        x[i, :frames] = (course - course[good].mean(dim=0)) / deviation
        valid[i, :frames] = good.double()
    return x, valid


def _deconvolved(course: Tensor, period_s: float) -> Tensor:
    """Return a course (frame, component) without the haemodynamic response, by a Wiener filter."""
    from nilearn.glm.first_level import spm_hrf

    response = torch.from_numpy(np.asarray(spm_hrf(period_s, oversampling=1), dtype=np.float64))
    size = len(course) + len(response)
    gain = torch.fft.rfft(response, size)
    power = gain.abs() ** 2
    filtered = gain.conj() / (power + NOISE * power.max())
    made = torch.fft.rfft(course, size, dim=0) * filtered[:, None]
    return torch.fft.irfft(made, size, dim=0)[: len(course)]
