"""States of components: exact on small cases, and blind to what must not matter."""

import itertools

import numpy as np
import torch

from rheobase.models.brainmae import switching
from rheobase.models.brainmae.segments import Run


def planted(rng, dwell, runs=12, frames=400, regions=10):
    """Return runs whose two states differ in the correlation of the first two regions only."""
    made, paths = [], []
    for i in range(runs):
        state = np.cumsum(rng.random(frames) < 1 / dwell) % 2
        x = rng.normal(size=(frames, regions))
        shared = rng.normal(size=frames) * 2
        x[:, 0] += shared
        x[:, 1] += np.where(state == 1, shared, -shared)
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        made.append(Run(f"r{i}", f"s{i}", x.astype(np.float32), np.ones(frames, bool), 0.0))
        paths.append(state)
    return made, paths


def brute(told, transition):
    """Return states, expected steps and likelihood by going through every path."""
    frames, states = told.shape
    state, pairs, total = np.zeros((frames, states)), np.zeros((states, states)), 0.0
    for path in itertools.product(range(states), repeat=frames):
        p = np.exp(sum(told[t, k] for t, k in enumerate(path))) / states
        p *= np.prod([transition[a, b] for a, b in itertools.pairwise(path)])
        total += p
        for t, k in enumerate(path):
            state[t, k] += p
        for a, b in itertools.pairwise(path):
            pairs[a, b] += p
    return state / total, pairs / total, np.log(total)


def test_forward_backward_equals_going_through_every_path(rng):
    told = rng.normal(size=(5, 3))
    transition = rng.dirichlet(np.ones(3), size=3)
    found = switching.forward_backward(
        torch.from_numpy(told)[None, None], torch.from_numpy(transition)[None],
        torch.ones(1, 5, dtype=torch.float64),
    )  # fmt: skip
    for ours, theirs in zip(found, brute(told, transition), strict=True):
        np.testing.assert_allclose(ours.squeeze().numpy(), theirs, rtol=1e-10)


def test_likelihood_of_em_never_falls(rng, monkeypatch):
    totals = []
    exact = switching.forward_backward

    def watched(*args):
        found = exact(*args)
        totals.append(found[2])
        return found

    monkeypatch.setattr(switching, "forward_backward", watched)
    monkeypatch.setattr(switching, "FLOOR", 1e-9)
    runs, _ = planted(rng, 20)
    maps = torch.eye(10, dtype=torch.float64)[:, :3]
    switching.fit(maps, runs, period_s=3.0, seed=0)
    rise = torch.stack(totals).diff(dim=0)
    assert rise.min() > -0.5  # steps between states are smoothed by a count, so not quite 0
    assert rise.sum(dim=0).min() > 0


def test_longer_states_switch_less_often_where_connectivity_is_the_same(rng):
    short, _ = planted(rng, 6)
    long, _ = planted(rng, 40)
    runs = [*short, *(Run(f"l{r.name}", r.subject, r.signal, r.valid, 0.0) for r in long)]
    maps = torch.eye(10, dtype=torch.float64)[:, :3]
    model = switching.fit(maps, runs, period_s=3.0, seed=0)
    found = switching.features(model, runs, [r.name for r in runs], period_s=3.0)
    switch = found[:, switching.groups(3)["correlation of maps"]]
    assert switch[: len(short)].min() > switch[len(short) :].max()


def test_order_changes_sign_when_time_runs_backwards(rng):
    runs, _ = planted(rng, 10, runs=6)
    maps = torch.eye(10, dtype=torch.float64)[:, :3]
    model = switching.Switching(
        maps, torch.stack([torch.eye(3, dtype=torch.float64) * s for s in (0.4, 0.8, 1.2, 1.6)]),
        torch.full((4, 4), 0.25, dtype=torch.float64),
    )  # fmt: skip
    x = torch.from_numpy(rng.normal(size=(1, 50, 3)))
    squares = (x[..., :, None] * x[..., None, :]).flatten(-2)
    valid = torch.ones(1, 50, dtype=torch.float64)

    def steps(values):
        told = switching._log_density(values, model.covariance[None], valid, 1.0)
        return switching.forward_backward(told, model.transition[None], valid)[1][0, 0]

    torch.testing.assert_close(steps(squares), steps(squares.flip(1)).T)


def test_flagged_frames_do_not_count(rng):
    runs, _ = planted(rng, 20, runs=4)
    maps = torch.eye(10, dtype=torch.float64)[:, :3]
    model = switching.fit(maps, runs, period_s=3.0, seed=0)
    name, valid = [runs[0].name], runs[0].valid.copy()
    valid[-50:] = False
    cut = Run(runs[0].name, "s0", runs[0].signal, valid, 0.0)
    shorter = Run(runs[0].name, "s0", runs[0].signal[:-50], valid[:-50], 0.0)
    flagged = switching.features(model, [cut], name, period_s=3.0)
    np.testing.assert_allclose(
        flagged, switching.features(model, [shorter], name, period_s=3.0), atol=0.02
    )
    assert not np.allclose(flagged, switching.features(model, runs[:1], name, period_s=3.0))
