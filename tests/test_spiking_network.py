"""Networks learn, stop and go on bit for bit, and say what is wrong."""

import numpy as np
import pytest
import torch

from rheobase.models.spiking import confidence, cost, losses, readout, start, streaming, train
from rheobase.models.spiking.cells import Cell
from rheobase.models.spiking.network import Network, Output, Shape
from rheobase.models.spiking.train import Examples, Schedule, TrainingFailed

STEPS, CLASSES = 20, 3
QUICK = Schedule(epochs=4, batch=16)


def examples(number=96, seed=0, *, rate=0.1):
    drawn = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (number,), generator=drawn)
    chance = torch.full((STEPS, number, 9), rate)
    for one in range(CLASSES):
        chance[:, y == one, 3 * one : 3 * one + 3] = 4 * rate
    return Examples((torch.rand(chance.shape, generator=drawn) < chance).float(), y)


def shape(**more):
    return Shape(9, CLASSES, **{"hidden": (24, 16), **more})


def accuracy(net, held):
    return float((train.predict(net, held.events).steps.sum(0).argmax(1) == held.targets).float()
                 .mean())  # fmt: skip


@pytest.mark.parametrize("more", [{}, {"recurrent": True}, {"learn_decay": True},
                                  {"cell": Cell(kappa=0.3)}, {"readout_tau_s": 0.02},
                                  {"gain_over_time": STEPS}], ids=str)  # fmt: skip
def test_networks_learn_what_events_say(more):
    fit = train.train(shape(**more), Schedule(epochs=16, batch=16), examples(192), examples(seed=1),
                      seed=0)  # fmt: skip
    assert accuracy(fit.network, examples(seed=2)) > 0.85


@pytest.mark.parametrize("loss", [name for name in losses.LOSSES if name != "value"])
def test_every_loss_teaches(loss):
    schedule = Schedule(epochs=16, batch=16, loss=loss)
    more = {"spiking_output": loss in losses.ON_SPIKES}
    fit = train.train(shape(**more), schedule, examples(192), examples(seed=1), seed=0)
    output = train.predict(fit.network, examples(seed=2).events)
    silent = torch.cumprod(1 - output.steps, 0).sum(0)
    told = -silent if loss == "latency" else output.steps.sum(0)
    assert (told.argmax(1) == examples(seed=2).targets).float().mean() > 0.7


def test_values_are_learnt_too():
    known, held = examples(), examples(seed=1)
    data = [Examples(e.events, e.events[:, :, :3].mean((0, 2))[:, None] * 5) for e in (known, held)]
    fit = train.train(Shape(9, 1, hidden=(24, 16), readout_tau_s=0.02),
                      Schedule(epochs=10, batch=16, loss="value"), *data, seed=0)  # fmt: skip
    left = (train.predict(fit.network, held.events).steps[-1] - data[1].targets).square().mean()
    assert left < 0.4 * data[1].targets.var()


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    given = (shape(learn_decay=True, gain_over_time=STEPS), QUICK, examples(), examples(seed=1))
    whole = train.train(*given, seed=3)
    path = tmp_path / "checkpoint.safetensors"
    train.train(*given, seed=3, resume=path, until=2)
    again = train.train(*given, seed=3, resume=path)
    assert again.history == whole.history
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])


def test_gains_over_time_learn_in_the_last_quarter_alone():
    fits = [train.train(shape(gain_over_time=STEPS), QUICK, examples(), examples(seed=1), seed=0,
                        until=until) for until in (3, 4)]  # fmt: skip
    gains = [dict(fit.network.named_parameters())["layers.0.gain"].detach() for fit in fits]
    moved = [float((gain - 1).abs().max()) for gain in gains]
    assert moved[0] == 0
    assert moved[1] > 0


def test_gains_over_time_refuse_other_lengths_and_streams():
    net = Network(shape(gain_over_time=STEPS), seed=0)
    with pytest.raises(ValueError, match="windows of one length"):
        net(torch.zeros(STEPS + 1, 2, 9))
    with pytest.raises(ValueError, match="meaningless on a stream"):
        streaming.Stepper(net)


def test_weights_start_where_layers_fire():
    net = Network(Shape(9, CLASSES, hidden=(64, 64, 64)), seed=0)
    for name, value in net.named_parameters():
        if name.startswith("layers.") and name.endswith("weight"):
            value.data *= 0.05
    assert float(net(examples().events).spikes[2].detach().mean()) == 0
    rates = start.scale(net, examples().events)
    assert all(start.RANGE[0] <= rate <= start.RANGE[1] for rate in rates)


def test_no_scale_helps_without_events():
    with pytest.raises(ValueError, match="layer 1 fires at 0.00%"):
        start.scale(Network(shape(), seed=0), torch.zeros(STEPS, 4, 9))


def test_a_loss_that_is_not_finite_names_its_batch():
    known = examples()
    known.events[0, :, 0] = torch.inf
    course = train.Course(shape(), QUICK, examples(), examples(seed=1), 0, "cpu", None)
    course.known = known
    with pytest.raises(TrainingFailed, match="in batch 0 of epoch 1"):
        course.advance()


def test_silent_layers_are_named():
    with pytest.raises(TrainingFailed, match="layer 2 fires"):
        train._refuse_silence([0.1, 0.0001])


def test_penalty_counts_rates_above_and_below_the_wanted_range():
    rates = [torch.tensor([0.35, 0.1]), torch.tensor([0.0, 0.15])]
    told = losses.spike_penalty(rates, losses.Weights(rate=2, up=10, low=1000))
    assert float(told) == pytest.approx(2 * 0.15 + 10 * 0.1**2 / 4 + 1000 * 0.01**2 / 4)


def test_anytime_loss_is_that_of_its_formula():
    steps = torch.randn(10, 4, 3, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 1])
    entropy = torch.nn.functional.cross_entropy
    each = [float(entropy(steps[:t].mean(0), y)) for t in range(1, 11)]
    expected = 0.5 * each[-1] + 0.5 * np.mean(each[2:])
    assert float(losses.anytime(Output(steps, ()), y)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("steps", [7, 1200])
def test_leaky_readout_equals_its_recursion(steps):
    currents = torch.randn(steps, 2, 3, dtype=torch.float64)
    state, expected = torch.zeros(2, 3, dtype=torch.float64), []
    for now in currents:
        state = 0.97 * state + now
        expected.append(state)
    torch.testing.assert_close(readout.leaky(currents, 0.97), torch.stack(expected))


def test_operations_and_energy_are_those_counted_by_hand():
    events, first, second = torch.zeros(3, 2, 4), torch.zeros(3, 2, 5), torch.zeros(3, 2, 6)
    events[0, 0, 0], events[2, 1, 3] = 1, 2
    first[1, 0, :2] = 1
    second[2, 1] = 1
    found = cost.of_answers(events, (first, second), [5, 6, 7])
    operations = (3 * 5 + 2 * 6 + 6 * 7) / 2
    assert found.operations == operations
    assert found.spikes == 4
    assert found.dense == 3 * (4 * 5 + 5 * 6 + 6 * 7)
    assert found.energy_pj == pytest.approx(0.9 * operations)
    assert found.energy_with_leak_pj == pytest.approx(0.9 * operations + 4.6 * 3 * 18)
    early = cost.of_answers(events, (first, second), [5, 6, 7], stop=torch.tensor([1, 2]))
    assert early.operations == 5 / 2
    real = cost.of_answers(events, (first, second), [5, 6, 7], real_inputs=True)
    assert real.operations == (2 * 6 + 6 * 7) / 2
    assert real.energy_pj == pytest.approx(0.9 * real.operations + 4.6 * 3 * 4 * 5)
    assert cost.network_energy(cost.dense_multiply_adds((4, 5, 6))) == pytest.approx(4.6 * 50)


def test_threshold_scale_trades_spikes():
    fit = train.train(shape(), QUICK, examples(), examples(seed=1), seed=0)
    held = examples(seed=2)
    spikes = [sum(float(s.sum()) for s in train.predict(fit.network, held.events,
              threshold_scale=k).spikes) for k in (0.9, 1.0, 1.1)]  # fmt: skip
    assert spikes[0] > spikes[1] > spikes[2]


@pytest.mark.parametrize("cell", [Cell(), Cell(kappa=0.3, synapse=0.4), Cell(reset="zero")],
                         ids=["leaky", "adaptive", "to zero"])  # fmt: skip
def test_stopping_for_real_gives_the_answers_of_the_whole_run(cell):
    known = examples()
    net = Network(shape(cell=cell, recurrent=True), seed=0).double()
    events = known.events.double()
    start.scale(net, events)
    steps = net(events).steps.detach().numpy()
    z = confidence.evidence(steps, 4.0)
    level = float(np.median(confidence.sureness(z)[8]))
    for patience in (1, 2):
        rule = confidence.Rule(4.0, level, patience=patience)
        answer, at = confidence.running(streaming.Stepper(net), events, rule)
        expected = confidence.first(confidence.sureness(z), level, patience=patience)
        assert 1 < expected.mean() < STEPS
        np.testing.assert_array_equal(at, expected)
        np.testing.assert_array_equal(answer, confidence.answers(z, expected))
