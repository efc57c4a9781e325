"""How BrainMAE is trained: which loss is descended, which weights are kept, for how long."""

import copy
import dataclasses
import threading

import numpy as np
import pytest
import torch
import xarray as xr
from torch.nn import functional as F

from rheobase.models import base, parallel
from rheobase.models.brainmae import blocks, label_rivals, learn, pretrain, represent, states, tune
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Run, runs
from rheobase.models.parallel import World
from test_brainmae import PLAN, SIZES, batch, deck, network, recording, some_runs
from test_brainmae_states import SAMPLES, planted


def flagged(rng, people=5):
    """Return a deck of runs of which some frames and whole segments do not count."""
    made = some_runs(rng, people=people)
    for run in made:
        run.valid[rng.choice(60, 6, replace=False)] = False
        run.valid[rng.integers(40) + np.arange(4)] = False
    return deck(made)


def looped(made, dealt, hidden):
    """Return the two parts of the loss, hidden and visible, one segment after the other."""
    parts = {True: [], False: []}
    for b, k in np.ndindex(*dealt.weight.shape[:2]):
        kept = dealt.weight[b, k] > 0
        for which, found in parts.items():
            regions = hidden[b, k, :, 0] == which
            errors = (made[b, k] - dealt.signal[b, k])[regions][:, kept]
            if errors.numel():
                found.append(errors.square().mean())
    return [torch.stack(found).mean() if found else torch.zeros(()) for found in parts.values()]


@pytest.mark.parametrize(
    ("weight", "plain", "wanted"), [(0.7, False, 0.7), (1.0, False, 1.0), (0.7, True, 0.0)]
)
def test_a_step_descends_the_loss_of_a_loop(rng, weight, plain, wanted):
    plan = dataclasses.replace(PLAN, steps=1, batch=5, mask_weight=weight, plain=plain)
    cards, net = flagged(rng), network()
    before, seen = copy.deepcopy(net), []
    net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    curves = pretrain.train(net, cards, None, plan, seed=1, world=World())
    dealt = cards.deal(pretrain.batch_of(cards, plan, 0, 1), 4)
    ((signal, hidden, middle, _),) = seen
    assert dealt.lost.any()
    assert hidden[dealt.lost].all()
    assert hidden[~dealt.lost].any() != plain
    torch.testing.assert_close(signal, dealt.signal)
    masked, visible = looped(before(signal, hidden, middle), dealt, hidden)
    loss = wanted * masked + (1 - wanted) * visible
    loss.backward()
    given = {name: x.grad for name, x in before.named_parameters() if x.grad is not None}
    norm = torch.stack([x.norm() for x in given.values()]).norm()
    for name, value in (("loss", loss), ("loss_masked", masked), ("loss_visible", visible),
                        ("gradient_norm", norm)):  # fmt: skip
        assert getattr(curves, name) == pytest.approx([float(value.detach())], rel=1e-4), name
    moved = (net.embedding - before.embedding).detach()
    torch.testing.assert_close(moved, -1e-2 * given["embedding"].sign(), atol=1e-4, rtol=0)


def test_the_settings_of_the_loss_reach_the_training(rng):
    made = [recording(rng, i, samples=40) for i in range(3)]
    params = {"width": 8, "heads": 2, "steps": 2, "check_every": 1, "label": False,
              "mask_weight": 0.6}  # fmt: skip
    for more, weight in (({}, 0.6), ({"pretrain": "plain_autoencoder"}, 0.0)):
        told = base.build("brainmae", params={**params, **more}).fit(made, seed=0).history
        parts = [np.array(told[f"loss_{name}"]) for name in ("masked", "visible")]
        np.testing.assert_allclose(told["loss"], weight * parts[0] + (1 - weight) * parts[1],
                                   rtol=1e-5)  # fmt: skip
        assert np.all(parts[0] > 0) == (weight > 0)


def test_the_rate_rises_and_falls_to_nothing():
    plan = dataclasses.replace(PLAN, steps=10, warm_up=0.2, learning_rate=2.0)
    wanted = [1.0, 2.0, *(1 + np.cos(np.pi * np.arange(8) / 8))]
    assert [pretrain.rate(step, plan) for step in range(10)] == pytest.approx(wanted)


def test_every_run_is_read_once_an_epoch_from_anywhere_in_it(rng):
    cards = deck([*some_runs(rng, people=6), *some_runs(rng, people=1, length=15)])
    drawn = [pretrain.batch_of(cards, PLAN, step, 0) for step in range(90)]
    epochs = [[one for part in drawn[3 * e : 3 * e + 3] for one in part] for e in range(30)]
    orders = {tuple(run for run, _ in epoch) for epoch in epochs}
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len(orders) > 25
    assert all(len(part) <= PLAN.batch for part in drawn)
    starts = [start for part in drawn for run, start in part if run < 6]
    assert min(starts) == 0
    assert max(starts) == 60 - PLAN.segments * 5
    assert len(set(starts)) > 35
    assert {start for part in drawn for run, start in part if run == 6} == {0}


def test_the_weights_of_the_best_check_are_kept_and_patience_ends_the_training(rng, monkeypatch):
    halves, kept = iter([0.1, 0.3, 0.2, 0.25, 0.29, 0.9]), []

    def judged(network, held, segments, ratio):
        assert held is other
        assert segments == PLAN.segments
        if ratio != 0.5:
            return len(kept) * (ratio - 0.5)
        kept.append({k: v.clone() for k, v in network.state_dict().items()})
        return next(halves)

    monkeypatch.setattr(pretrain, "network_r2", judged)
    net, cards, other = network(), deck(some_runs(rng)), deck(some_runs(rng, people=2))
    plan = dataclasses.replace(PLAN, steps=20, check_every=2, patience=3)
    curves = pretrain.train(net, cards, other, plan, seed=1, world=World())
    assert curves.step == [2, 4, 6, 8, 10]
    assert curves.held_r2_50 == [0.1, 0.3, 0.2, 0.25, 0.29]
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, kept[1][name], atol=0, rtol=0)
    assert not torch.equal(kept[1]["embedding"], kept[0]["embedding"])
    assert not torch.equal(kept[1]["embedding"], kept[-1]["embedding"])


def test_whole_people_stop_the_training_where_there_are_enough(rng):
    made = [dataclasses.replace(run, name=run.name + part) for run in some_runs(rng, people=10)
            for part in "ab"]  # fmt: skip
    parts = learn.hold_out(made, 0.3, 0)
    people = [{run.subject for run in part} for part in parts]
    assert [len(names) for names in people] == [7, 3]
    assert not people[0] & people[1]
    assert [len(part) for part in parts] == [14, 6]
    drawn = {frozenset(run.subject for run in learn.hold_out(made, 0.3, s)[1]) for s in range(9)}
    assert len(drawn) > 5
    assert learn.hold_out(made, 0.0, 0) == (made, [])
    assert learn.hold_out(made[:8], 0.5, 0) == (made[:8], [])
    assert len(learn.hold_out(made[:10], 0.2, 0)[1]) == 2


def in_threads(monkeypatch, size, work):
    """Run ``work`` of each rank in a thread; tensors are summed as between processes."""
    gate, parts, found = threading.Barrier(size, timeout=60), {}, {}
    ranks = threading.local()

    def all_reduce(tensor):
        parts[ranks.own] = tensor.clone()
        gate.wait()
        total = sum(parts[rank] for rank in range(size))
        gate.wait()
        tensor.copy_(total)

    def run(rank):
        ranks.own = rank
        found[rank] = work(World(rank, size))

    monkeypatch.setattr(parallel.dist, "all_reduce", all_reduce)
    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[rank] for rank in range(size)]


def test_three_processes_learn_what_one_learns(rng, monkeypatch):
    """Batches of four and of three runs: their parts are of one or two."""
    cards = flagged(rng, people=7)
    plan = dataclasses.replace(PLAN, steps=6, batch=4, check_every=1)
    signal, hidden, middle = batch()

    def train(world):
        net = network_of_seed(0)
        curves = pretrain.train(net, cards, None, plan, seed=1, world=world)
        return curves, net(signal, hidden, middle).detach()

    alone, made = train(World())
    for curves, again in in_threads(monkeypatch, 3, train):
        assert curves.loss == pytest.approx(alone.loss, abs=1e-5)
        assert curves.loss_masked == pytest.approx(alone.loss_masked, abs=1e-5)
        assert curves.gradient_norm == pytest.approx(alone.gradient_norm, rel=1e-4)
        torch.testing.assert_close(again, made, atol=1e-3, rtol=0)


def network_of_seed(seed):
    rng = torch.Generator().manual_seed(seed)
    made = BrainMAENetwork(SIZES)
    with torch.no_grad():
        for value in made.parameters():
            value.copy_(0.3 * torch.randn(value.shape, generator=rng))
    return made


def watched(monkeypatch, module, name, losses):
    """Let held-out losses be as planted; return a list of the epochs of each training."""
    told, epochs, real = iter(losses), [], tune.descend

    def counted(*args):
        epochs.append(0)
        for _ in real(*args):
            epochs[-1] += 1
            yield

    monkeypatch.setattr(module, name, lambda *_: np.full(3, next(told)))
    monkeypatch.setattr(tune, "descend", counted)
    return epochs


CHOSEN = [([3.0, 2.0, 1.0, 2.0, 2.0, 0.0], [4, 2], True), ([1.0, 2.0, 3.0, 0.0], [2], False)]


def test_epochs_that_clearly_help_are_taken_and_no_more():
    start, clear = np.array([1.0, 1.2, 0.8, 1.1]), np.array([0.5, 0.7, 0.3, 0.6])
    vague = clear - np.array([0.4, -0.3, 0.2, -0.2])
    assert vague.mean() < clear.mean()
    assert tune.fewest_epochs([start, clear, vague]) == 1
    assert tune.fewest_epochs([clear, vague]) == 0
    assert tune.fewest_epochs([clear, vague - 0.5]) == 1
    assert tune.fewest_epochs([np.array([1.0]), np.array([0.9])]) == 1


@pytest.mark.parametrize(("losses", "wanted", "moved"), CHOSEN)
def test_all_recordings_are_trained_on_for_the_chosen_epochs(
    rng, monkeypatch, losses, wanted, moved
):
    cards, names = deck(some_runs(rng, people=10)), tuple(f"r{i}" for i in range(10))
    width = represent.features(network(), cards, names, segments=4, batch=4).shape[1]
    targets = tune.Targets(names, tuple(f"s{i}" for i in range(10)), np.arange(10) % 2, 2)
    plan, told = tune.Tuning(6, 2, 4, 4, 2, 1e-3, 1e-2, 0.75), []

    def begin(keep):
        told.append(keep)
        torch.manual_seed(0)
        return tune.Tuned(network(), width + 3, 2)

    epochs = watched(monkeypatch, tune, "held_losses", losses)
    tuned, found = tune.tune(begin, cards, rng.normal(size=(10, 3)), targets, plan, seed=0)
    assert epochs == wanted
    assert found == wanted[-1] * moved
    assert [int(keep.sum()) for keep in told] == [8, 10]
    first = begin(np.ones(10, bool))
    for part in ("head.weight", "network.embedding", "network.encoder.0.out.weight"):
        assert torch.equal(tuned.state_dict()[part], first.state_dict()[part]) != moved


@pytest.mark.parametrize(("losses", "wanted", "moved"), CHOSEN)
def test_all_blocks_are_trained_on_for_the_chosen_epochs(rng, monkeypatch, losses, wanted, moved):
    made = planted(rng, count=5, rounds=2)
    stretches, _ = runs(made, SAMPLES)
    chosen = blocks.find(made, stretches, SAMPLES, delay=0, ignore=("rest",))
    sizes = dataclasses.replace(SIZES, regions=10, samples=SAMPLES)
    reader = blocks.Reader.of(network_like(sizes))
    cards = states.Deck(stretches, samples=SAMPLES, period_s=2.5, device="cpu")
    known = chosen.known
    targets = tune.Targets(tuple(known.recording.tolist()), tuple(known.subject.tolist()),
                           np.unique(known.y, return_inverse=True)[1], 3)  # fmt: skip
    plan = tune.Tuning(6, 2, 16, 4, 1, 1e-3, 1e-2, 0.75)
    epochs = watched(monkeypatch, states, "_losses", losses)
    tuned, count = states.tuned(reader, cards, chosen, targets, plan, [0.1], seed=0)
    assert epochs == wanted
    assert count == (wanted[-1] if moved else 0)
    own = reader.network.embedding
    assert torch.equal(tuned.network.embedding, own) != moved
    probe = states.linear(reader.groups(), chosen, reader.vectors(cards, chosen), [0.1])
    head = torch.as_tensor(probe.weights.T, dtype=torch.float32)
    assert torch.allclose(tuned.head.weight, head) != moved
    torch.testing.assert_close(tuned.mean, torch.as_tensor(probe.mean, dtype=torch.float32))


def network_like(sizes):
    torch.manual_seed(0)
    return BrainMAENetwork(sizes).eval()


def runs_of_two_kinds(rng, count):
    """Return runs in which two regions move together, or against each other, and which."""
    made, kind = [], np.arange(count) % 2
    for i in range(count):
        x = rng.normal(size=(60, 5))
        x[:, 1] = x[:, 0] * (1 if kind[i] else -1) + 0.3 * x[:, 1]
        x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
        made.append(Run(f"r{i}", f"s{i}", x, np.ones(60, bool), 0.0))
    return made, kind


def test_the_rival_network_learns_what_single_frames_tell(rng):
    made, kind = runs_of_two_kinds(rng, 30)
    names = tuple(run.name for run in made)
    frames = label_rivals.frames_of(made, names, "cpu")
    targets = tune.Targets(names[:20], tuple(f"s{i}" for i in range(20)), kind[:20], 2)
    small = label_rivals.fit_mean_mlp(frames[:20], targets, np.arange(20) >= 16, seed=0)
    weights = xr.Dataset(label_rivals.pack_mean_mlp(small))
    out = label_rivals.mean_mlp_outputs(weights, frames[20:], 2)
    assert np.mean(np.argmax(out, axis=1) == kind[20:]) > 0.9
    one = small(frames[27]).detach().mean(dim=0)
    torch.testing.assert_close(torch.from_numpy(out[7]), one)
    told = F.cross_entropy(torch.from_numpy(out), torch.from_numpy(kind[20:]))
    assert float(told) < 0.3
