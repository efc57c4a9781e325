"""BrainMAE: what the network must and must not see, and how it is trained."""

import dataclasses

import numpy as np
import pytest
import torch

from rheobase.models.brainmae import masking, pretrain, reconstruct, segments
from rheobase.models.brainmae.network import Block, BrainMAENetwork, Sizes
from rheobase.models.parallel import World
from rheobase.recording import Recording

SIZES = Sizes(9, 5, 16, 16, 4, 3, 1, 1, "sg", "flatten", "learned", False)
PLAN = pretrain.Plan(
    steps=8, batch=3, segments=4, learning_rate=1e-2, warm_up=0.1, weight_decay=0.05,
    mask="roi_segment", mask_ratio=(0.2, 0.6), mask_weight=0.75, plain=False, check_every=2,
    patience=20,
)  # fmt: skip


def network(**changes):
    torch.manual_seed(0)
    made = BrainMAENetwork(dataclasses.replace(SIZES, **changes))
    for value in made.parameters():
        torch.nn.init.normal_(value, std=0.3)
    return made.eval()


def batch(runs=2, count=4, sizes=SIZES, seed=0):
    rng = torch.Generator().manual_seed(seed)
    signal = torch.randn(runs, count, sizes.regions, sizes.samples, generator=rng)
    hidden = torch.rand(runs, count, sizes.regions, 1, generator=rng) < 0.4
    return signal, hidden, (torch.arange(count) * 15.0).expand(runs, count)


def some_runs(rng, people=5, length=60):
    signals = rng.normal(size=(people, length, 9)).astype(np.float32)
    return [segments.Run(f"r{i}", f"s{i}", x, np.ones(length, bool), 0.0)
            for i, x in enumerate(signals)]  # fmt: skip


def deck(runs):
    return segments.Deck(runs, samples=5, period_s=3.0, device="cpu")


def recording(rng, number, samples=80, regions=6, **more):
    return Recording.build(
        rng.normal(size=(samples, regions)), name=f"sub-{number}", modality="fmri",
        sampling_rate_hz=0.2, entities={"subject": str(number)}, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tr_s", "samples"),
    [(0.72, 21), (0.8, 19), (1.0, 15), (1.35, 11), (1.6, 9), (2.0, 8), (2.5, 6), (3.0, 5)],
)
def test_samples_a_segment(tr_s, samples):
    assert segments.samples_per_segment(tr_s, 15.0) == samples


def test_region_attention_sums_to_one_without_itself():
    for layer in network().region_attention():
        torch.testing.assert_close(layer.sum(dim=-1), torch.ones(4, 9))
        assert torch.all(layer.diagonal(dim1=1, dim2=2) == 0)


@pytest.mark.parametrize("variant", ["sg", "ag", "vanilla"])
def test_hidden_values_change_nothing_and_visible_ones_do(variant):
    net, (signal, hidden, middle) = network(variant=variant), batch()
    before = net(signal, hidden, middle)
    changed = torch.where(hidden, signal + 100, signal)
    torch.testing.assert_close(net(changed, hidden, middle), before, atol=1e-6, rtol=0)
    assert not torch.allclose(net(torch.where(hidden, signal, signal + 1), hidden, middle), before)


def test_hidden_frames_change_nothing():
    net, (signal, _, middle) = network(), batch()
    hidden = torch.zeros(2, 4, 1, 5, dtype=torch.bool)
    hidden[:, :, :, 2] = True
    before = net(signal, hidden, middle)
    changed = signal.clone()
    changed[..., 2] = 50
    torch.testing.assert_close(net(changed, hidden, middle), before, atol=1e-6, rtol=0)


def test_regions_can_change_places():
    net, (signal, hidden, middle) = network(pool="attention"), batch()
    before = net(signal, hidden, middle)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        net.embedding.copy_(net.embedding[order])
    after = net(signal[:, :, order], hidden[:, :, order], middle)
    torch.testing.assert_close(after, before[:, :, order], atol=1e-5, rtol=0)


def test_gradient_reaches_embeddings_queries_and_keys():
    net, (signal, hidden, middle) = network(), batch()
    net(signal, hidden, middle).square().mean().backward()
    reached = {
        name for name, value in net.named_parameters()
        if value.grad is not None and float(value.grad.norm()) > 0
    }  # fmt: skip
    wanted = {f"graph_blocks.{i}.{part}.weight" for i in range(3) for part in ("query", "key")}
    assert {"embedding", *wanted} <= reached


def test_only_the_first_block_of_ag_ignores_the_signal():
    net = network(variant="ag")
    assert len(net.region_attention()) == 1
    one, other = (torch.randn(3, 9, 16, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    for block in net.free_blocks:
        assert isinstance(block, Block)
        assert not torch.allclose(block.weights(one), block.weights(other))


@pytest.mark.parametrize("count", [4, 17, 80])
def test_any_number_of_segments_and_padding_changes_nothing(count):
    net, (signal, hidden, middle) = network(), batch(1, count)
    alone = net(signal, hidden, middle)
    longer = torch.cat([signal, torch.randn(1, 3, 9, 5)], dim=1)
    shown = torch.cat([hidden, torch.zeros(1, 3, 9, 1, dtype=torch.bool)], dim=1)
    present = torch.arange(count + 3)[None] < count
    late = (torch.arange(count + 3) * 15.0)[None]
    padded = net(longer, shown, late, present)[:, :count]
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-5)


def test_masks_have_their_size_and_differ_between_segments():
    rng, present = torch.Generator().manual_seed(0), torch.ones(4, 10, dtype=torch.bool)
    hidden = masking.draw(present, 20, 5, kind="roi_segment", ratio=0.42, rng=rng)
    assert hidden.shape == (4, 10, 20, 1)
    assert torch.all(hidden.sum(dim=2) == 8)
    assert len(torch.unique(hidden.view(40, 20), dim=0)) > 30
    frames = masking.draw(present, 20, 5, kind="frame", ratio=0.42, rng=rng)
    assert frames.shape == (4, 10, 1, 5)
    assert torch.all(frames.sum(dim=3) == 2)
    whole = masking.draw(present, 20, 5, kind="segment", ratio=0.42, rng=rng)
    assert torch.all(whole.sum(dim=1) == 4)
    tokens = masking.draw(present, 20, 5, kind="random_token", ratio=0.42, rng=rng)
    assert abs(float(tokens.float().mean()) - 0.42) < 0.06
    assert masking.draw(present, 20, 5, kind="roi_segment", ratio=0.0, rng=rng).sum() == 40


def test_the_share_hidden_is_drawn_anew_for_each_step_over_the_whole_range(rng):
    low, high, seen = 0.1, 0.9, []
    plan = dataclasses.replace(PLAN, steps=60, check_every=60, mask_ratio=(low, high))
    net = network()
    net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1].sum(dim=2).numpy()))
    pretrain.train(net, deck(some_runs(rng)), None, plan, seed=1, world=World())
    assert len(seen) == plan.steps
    for step, hidden in enumerate(seen):
        draw = np.random.default_rng([1, pretrain.HIDE, step]).random()
        assert np.all(hidden == np.floor((low + (high - low) * draw) * 9 + 0.5))
    assert abs(np.mean([hidden.mean() for hidden in seen]) / 9 - 0.5) < 0.05


def test_loss_equals_a_loop(rng):
    made, signal = rng.normal(size=(2, 2, 3, 4, 5))
    hidden = rng.random((2, 3, 4, 1)) < 0.5
    weight = (rng.random((2, 3, 5)) < 0.7).astype(float)
    parts = {True: [], False: []}
    for b in range(2):
        for k in range(3):
            for which, found in parts.items():
                errors = [
                    (made[b, k, i, t] - signal[b, k, i, t]) ** 2
                    for i in range(4) for t in range(5)
                    if hidden[b, k, i, 0] == which and weight[b, k, t]
                ]  # fmt: skip
                if errors:
                    found.append(np.mean(errors))
    wanted = 0.75 * np.mean(parts[True]) + 0.25 * np.mean(parts[False])
    found = masking.errors(*(torch.from_numpy(x) for x in (made, signal, hidden, weight)))
    assert float(found.loss(0.75)) == pytest.approx(wanted, abs=1e-9)
    assert float(found.loss(1.0)) == pytest.approx(np.mean(parts[True]), abs=1e-9)


def test_a_stopped_training_ends_with_the_same_weights(rng, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "SAVE_EVERY_S", 0.0)
    cards, held = deck(some_runs(rng)), deck(some_runs(rng))

    def train(steps, keep=None):
        torch.manual_seed(3)
        net = BrainMAENetwork(SIZES)
        state = dataclasses.replace(PLAN, steps=steps)
        if steps < PLAN.steps:
            monkeypatch.setattr(pretrain, "rate", lambda step, _: full_rate(step, PLAN))
        curves = pretrain.train(net, cards, held, state, seed=1, world=World(), keep=keep)
        return net.state_dict(), curves

    full_rate = pretrain.rate
    whole, curves = train(8)
    train(4, keep=tmp_path / "state")
    monkeypatch.setattr(pretrain, "rate", full_rate)
    rest, again = train(8, keep=tmp_path / "state")
    assert curves == again
    for name, value in whole.items():
        assert torch.equal(value, rest[name]), name


def test_flagged_frames_do_not_count(rng):
    signal = rng.normal(size=(60, 9)).astype(np.float32)
    valid = np.ones(60, bool)
    valid[[3, 20, 21, 22]] = False
    cards = deck([segments.Run("r", "s", signal, valid, 0.0)])
    dealt = cards.deal([(0, 0)], 12)
    assert dealt.weight[0, 0].tolist() == [1, 1, 1, 0, 1]
    assert dealt.lost[0].nonzero().flatten().tolist() == [4]
    assert dealt.weight[0, 4].sum() == 0


def test_gaussian_recovers_what_is_planted(rng):
    mixing = rng.normal(size=(9, 3))
    signal = rng.normal(size=(4000, 3)) @ mixing.T
    signal = ((signal - signal.mean(0)) / signal.std(0)).astype(np.float32)
    run = segments.Run("r", "s", signal, np.ones(4000, bool), 0.0)
    lagged = reconstruct.covariances([run])
    hidden = reconstruct.hidden_sets([run], 5, 0.25)
    for fill, covariance in ((reconstruct.gaussian, lagged[9:18, 9:18]),
                             (reconstruct.gaussian_3, lagged)):  # fmt: skip
        tally = reconstruct.Tally(9)
        tally.add(run, fill(run, hidden[0], samples=5, covariance=covariance), hidden[0], 5)
        assert tally.r2 > 0.9


def test_short_recordings_are_left_out_or_refused(rng):
    with pytest.raises(ValueError, match="sub-1 has no unbroken stretch with 4 segments of 5"):
        segments.runs([recording(rng, 1, samples=12)], 5)
    kept, said = segments.runs([recording(rng, 1, samples=12), recording(rng, 2)], 5)
    assert [run.name for run in kept] == ["sub-2"]
    assert "sub-1" in said[0]
    assert "of 92 volumes 87% are used: 0% are flagged" in said[1]


def test_segments_that_are_mostly_flagged_leave_a_recording_out_and_are_counted(rng):
    two_in_five = np.arange(60) % 5 > 1
    gone = [recording(rng, number, samples=60) for number in (1, 2)]
    gone[0].data["valid"].values[:] = two_in_five
    kept, said = segments.runs(gone, 5)
    assert [run.name for run in kept] == ["sub-2"]
    assert (
        "sub-1 has no unbroken stretch with 4 segments of 5 volumes of which at most 20%" in said[0]
    )
    with pytest.raises(ValueError, match="milder censoring"):
        segments.runs(gone[:1], 5)
    gone[1].data["valid"].values[[0, 1, 7]] = False
    _, said = segments.runs(gone[1:], 5)
    assert said == (
        "of 60 volumes 90% are used: 5% are flagged, 5% stand in segments of 5 volumes of "
        "which more than 20% are flagged, 0% at the ends or in what is too short",
    )
