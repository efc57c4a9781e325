"""What spiking networks must do on synthetic gestures, beside rivals on the same windows.

Repetitions 1, 2, 4, 5 train, 3 validates and calibrates, 6 to 8 test; windows of 200 ms every 50.
"""

import functools
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from rheobase.io.synthetic.emg import simulate
from rheobase.models.spiking import calibration, confidence, cost, encode, losses, rivals, train
from rheobase.models.spiking.delta import DeltaPerceptron, changed, penalty
from rheobase.models.spiking.network import Network, Shape
from rheobase.models.spiking.windows import Windows, cut, hudgins
from rheobase.preprocess import filters

pytestmark = pytest.mark.slow
FAMILY = "spiking"
SEEDS = (0, 1, 2)
TRAIN, HELD, TEST = (1, 2, 4, 5), (3,), (6, 7, 8)
RATE = 1000.0
EASY = {"difficulty": 1.0, "gestures": 6}
HARD = {"difficulty": 2.2, "gestures": 12}


@functools.cache
def session(seed, **task):
    """Return windows of a filtered session by part, in units of active training samples."""
    made = simulate(seed=seed, **task)
    sections = np.concatenate(
        [filters.butterworth(20, 450, rate=RATE), filters.notch((50, 150, 250), rate=RATE)]
    )
    whole = [slice(0, len(made.signal))]
    x = filters.filter_pieces(made.signal, whole, sections, causal=False, pad=1000)
    known = np.isin(made.repetition, TRAIN) & (made.restimulus > 0)
    cutting = {"width": 200, "hop": 50, "trim_start": 250, "trim_end": 100, "ignore": (0,)}
    windows = cut(x / x[known].std(0), made.restimulus, made.repetition, **cutting)
    windows = Windows(windows.signal, windows.label - 1, windows.trial)
    return {name: windows.of(t) for name, t in (("train", TRAIN), ("held", HELD), ("test", TEST))}


@dataclass(frozen=True)
class Run:
    parts: dict
    events: dict
    net: Network
    seconds: float

    def output(self, part, **how):
        return train.predict(self.net, self.events[part].events, **how)

    def accuracy(self, part="test", **how):
        steps = self.output(part, **how).steps.numpy()
        return float(confidence.constant_time(steps, self.parts[part].label)[-1])

    def cost(self, part="test", stop=None):
        spikes = self.output(part).spikes
        return cost.of_answers(self.events[part].events, spikes, self.net.fan_out, stop=stop)


@functools.cache
def network(seed, *, task=(), penalty_on_rate=0.5):
    parts = session(seed, **dict(task))
    coder = encode.Encoder()
    events = {
        name: train.Examples(
            torch.as_tensor(coder.encode(part.signal)), torch.as_tensor(part.label)
        )
        for name, part in parts.items()
    }
    shape = Shape(events["train"].events.shape[2], int(parts["train"].label.max()) + 1)
    schedule = train.Schedule(weights=losses.Weights(rate=penalty_on_rate))
    began = time.process_time()
    fit = train.train(shape, schedule, events["train"], events["held"], seed=seed)
    return Run(parts, events, fit.network, time.process_time() - began)


@functools.cache
def beside(seed, task=()):
    """Return the test accuracy of every rival."""
    parts = session(seed, **dict(task))
    small = 0.01 * parts["train"].signal.std((0, 1))
    table = {name: hudgins(part.signal, small) for name, part in parts.items()}
    coder = encode.Encoder()
    coded = {n: coder.encode(p.signal).transpose(1, 0, 2) for n, p in parts.items()}
    raw = {name: part.signal for name, part in parts.items()}
    y = {name: part.label for name, part in parts.items()}
    fits = {"LDA": (rivals.lda(table["train"], y["train"]), table)}
    for name, make, data in (("MLP", rivals.mlp, table), ("CNN", rivals.cnn, raw),
                             ("GRU", rivals.gru, coded)):  # fmt: skip
        held = (data["held"], y["held"])
        fits[name] = (make(data["train"], y["train"], held, seed=seed), data)
    return {n: float((fit.answer(data["test"]) == y["test"]).mean()) for n, (fit, data) in
            fits.items()}  # fmt: skip


def shown(values, digits=3):
    return ", ".join(f"{value:.{digits}f}" for value in values)


def test_gestures_are_told_apart(criterion):
    runs = [network(seed) for seed in SEEDS]
    found = [run.accuracy() for run in runs]
    criterion("D1-accuracy", "test accuracy of each seed", ">= 0.86", shown(found),
              min(found) >= 0.86, 3)  # fmt: skip


def test_network_keeps_up_with_the_best_rival(criterion):
    behind, told = [], []
    for seed in SEEDS:
        others = beside(seed)
        behind.append(max(others.values()) - network(seed).accuracy())
        told.append(" ".join(f"{name} {value:.3f}" for name, value in others.items()))
    measured = f"{shown(behind)} ({'; '.join(told)})"
    criterion("D1-rivals", "accuracy behind the best rival", "<= 0.02", measured,
              max(behind) <= 0.02, 3)  # fmt: skip


def test_easy_gestures_are_told_apart(criterion):
    found = [network(seed, task=tuple(EASY.items())).accuracy() for seed in SEEDS]
    criterion(
        "D1-easy", "test accuracy, 6 gestures", ">= 0.98", shown(found), min(found) >= 0.98, 3
    )


def test_training_is_quick(criterion):
    spent = [network(seed).seconds for seed in SEEDS]
    criterion("D1-seconds", "CPU s of a training", "< 30", shown(spent, 1), max(spent) < 30, 3)


def contractions(part):
    """Return which contraction each window is of: the trials of one repetition."""
    return part.trial * 100 + part.label


def early(seed, *, bounded=False, task=()):
    run = network(seed, task=task)
    held = run.parts["held"]
    rule = confidence.calibrate(run.output("held").steps.numpy(), held.label, contractions(held),
                                bounded=bounded)  # fmt: skip
    steps, label = run.output("test").steps.numpy(), run.parts["test"].label
    return run, rule, steps, label, confidence.stopped(steps, label, rule)


def test_answers_come_early(criterion):
    share, lost, spared = [], [], []
    for seed in SEEDS:
        _, _, steps, label, stops = early(seed)
        curve = confidence.constant_time(steps, label)
        needed = int(np.argmax(curve >= stops.accuracy)) + 1
        share.append(stops.mean_step / len(steps))
        lost.append(float(curve[-1] - stops.accuracy))
        spared.append(1 - stops.mean_step / needed)
    criterion(
        "D2-latency",
        "mean steps over T; loss",
        "<= 0.60; <= 0.010",
        f"{shown(share)}; {shown(lost, 4)}",
        max(share) <= 0.6 and max(lost) <= 0.01,
        3,
    )
    criterion("D2-constant", "steps spared beside constant time", ">= 0.20", shown(spared),
              min(spared) >= 0.2, 3)  # fmt: skip


def test_few_operations_are_needed(criterion):
    found = [network(seed).cost() for seed in SEEDS]
    share = [one.operations / one.dense for one in found]
    criterion("D3-operations", "synaptic operations over dense multiply-adds", "<= 0.5",
              shown(share), max(share) <= 0.5, 3)  # fmt: skip


def test_penalty_on_rates_halves_spikes(criterion):
    spikes, lost = [], []
    for seed in SEEDS:
        free, held = (network(seed, penalty_on_rate=weight) for weight in (0.0, 1.0))
        spikes.append(held.cost().spikes / free.cost().spikes)
        lost.append(free.accuracy() - held.accuracy())
    criterion("D3-penalty", "spikes at penalty 1 over 0; accuracy lost", "<= 0.5; <= 0.01",
              f"{shown(spikes)}; {shown(lost)}",
              max(spikes) <= 0.5 and np.mean(lost) <= 0.01, 3)  # fmt: skip


def envelope(windows, tau=50.0):
    """Return the exponential envelope of windows every 4 samples, (step, example, channel)."""
    left, made = np.exp(-1 / tau), []
    level = np.abs(windows).mean(1)
    for sample in np.abs(windows).transpose(1, 0, 2):
        level = left * level + (1 - left) * sample
        made.append(level)
    return torch.as_tensor(np.stack(made)[3::4], dtype=torch.float32)


@functools.cache
def streamed(seed, weight):
    """Return test accuracy and what is sent a hidden layer; ``weight`` None: plain ReLU."""
    parts = session(seed)
    data = {n: (envelope(p.signal), torch.as_tensor(p.label)) for n, p in parts.items()}
    net = DeltaPerceptron((8, 128, 128, 8), quantised=weight is not None, seed=seed)
    adam = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    order = torch.Generator().manual_seed(seed)
    x, y = data["train"]
    for _ in range(30):
        for chosen in torch.randperm(len(y), generator=order).split(64):
            adam.zero_grad()
            out, sent = net(x[:, chosen])
            loss = torch.nn.functional.cross_entropy(out.mean(0), y[chosen])
            if weight is not None:
                loss = loss + weight * sum(penalty(k) for k in sent) / len(sent)
            loss.backward()
            adam.step()
    with torch.no_grad():
        out, sent = net(data["test"][0])
    accuracy = float((out.mean(0).argmax(1) == data["test"][1]).float().mean())
    whole = np.mean([float((s != 0).float().mean()) for s in sent])
    return accuracy, whole, np.mean([changed(s) for s in sent])


def test_delta_layers_send_less(criterion):
    gain, lost, told = [], [], []
    for seed in SEEDS:
        plain, free, held = (streamed(seed, weight) for weight in (None, 0.0, 1.0))
        gain.append(plain[1] / held[2])
        lost.append(plain[0] - held[0])
        told.append(f"ReLU {plain[1]:.2f}, quantised {held[1]:.2f}, delta without penalty "
                    f"{free[2]:.3f}, with {held[2]:.3f}")  # fmt: skip
    criterion("D4-delta", "fewer values sent; accuracy lost", ">= 3; <= 0.005",
              f"{shown(gain, 1)}; {shown(lost, 4)} ({'; '.join(told)})",
              min(gain) >= 3 and np.mean(lost) <= 0.005, 3)  # fmt: skip


def test_bound_keeps_what_it_promises(criterion):
    """On the hard task: does the bound over contractions lose less than the plain choice."""
    plain, safe = [], []
    for seed in range(10):
        for bounded, kept in ((False, plain), (True, safe)):
            run, rule, steps, label, stops = early(seed, bounded=bounded, task=tuple(HARD.items()))
            full = confidence.constant_time(steps, label)[-1]
            kept.append((rule.promised_loss, full - stops.accuracy, stops.mean_step / len(steps)))
    plain, safe = np.array(plain), np.array(safe)
    measured = (
        f"{safe[:, 1].mean():.4f} at {safe[:, 2].mean():.2f} T, promised {safe[:, 0].mean():.4f}; "
        f"without the bound {plain[:, 1].mean():.4f} at {plain[:, 2].mean():.2f} T, promised "
        f"{plain[:, 0].mean():.4f}"
    )
    criterion("B5-bound", "mean loss delivered, hard task", "<= 0.005", measured,
              safe[:, 1].mean() <= 0.005, 10)  # fmt: skip


def test_scale_of_evidence_is_calibrated(criterion):
    found = []
    for seed in SEEDS:
        run, rule, steps, label, _ = early(seed)
        z = confidence.evidence(steps, rule.alpha)[-1]
        sure = np.exp(calibration.log_softmax(z)).max(1)
        found.append(calibration.calibration_error(sure, z.argmax(1) == label))
    criterion("B4-calibration", "expected calibration error, last step", "<= 0.1", shown(found),
              max(found) <= 0.1, 3)  # fmt: skip
