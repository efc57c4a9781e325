"""What a spiking network stands beside: LDA and a perceptron on features, networks without spikes.

All are trained on the same windows and judged on the same held-out trials. Sizes are chosen here.
Targets are numbers of classes, or values (floats), for which LDA gives way to ridge regression.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rheobase import rivals as linear

EPOCHS = {"mlp": 60, "cnn": 12, "gru": 12}
RATE, DECAY, BATCH = 2e-3, 1e-3, 64
UNITS = 128
FILTERS = ((32, 11), (64, 7), (64, 5))
"""Outputs and kernel of each convolution, every second sample kept"""
AT_ONCE = 1024
PENALTIES = tuple(float(p) for p in np.logspace(0, 5, 9))
"""Of ridge regression, the grid of the linear family"""


@dataclass(frozen=True)
class Rival:
    """A trained rival: what it answers, and its multiply-adds a window."""

    answer: Callable[[np.ndarray], np.ndarray]
    """Numbers of the classes, or values, (example,)"""
    multiply_adds: float
    kept: np.ndarray
    """All that was learnt, in one row; ``again`` makes the rival of it"""


def again(name: str, kept: np.ndarray, *, features: int, length: int, classes: int) -> Rival:
    """Return a rival from what was kept of it; ``classes`` is 1 where it tells a value.

    ``features`` are those of one example, or of one step; ``length`` is in steps or samples.
    """
    if name in ("lda", "ridge"):
        return _affine(kept, features, classes)
    if name == "mlp":
        net, count = _perceptron(features, classes), _mlp_count(features, classes)
        mean, spread, rest = np.split(kept, [features, 2 * features])
        return _rival(_filled(net, rest), _standard(mean, spread), count, np.array([mean, spread]))
    if name == "cnn":
        net, count = _convolutions(features, classes), _cnn_count(features, length, classes)
        return _rival(_filled(net, kept), _channels_first, count)
    net, count = _Gru(features, classes), _gru_count(features, length, classes)
    return _rival(_filled(net, kept), _as_it_is, count)


def lda(x: np.ndarray, y: np.ndarray) -> Rival:
    """Return linear discriminant analysis of features (example, feature), shrinkage by Ledoit-Wolf.

    Features are standardised by the training part, and classes have equal priors.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    classes = int(y.max()) + 1
    mean, spread = x.mean(0), x.std(0) + 1e-9
    fit = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage="auto", priors=np.full(classes, 1 / classes)
    ).fit((x - mean) / spread, y)
    weights, bias = fit.coef_, np.asarray(fit.intercept_)
    if classes == 2:
        weights, bias = np.concatenate([0 * weights, weights]), np.concatenate([0 * bias, bias])
    weights = weights / spread
    return _affine(np.concatenate([weights.ravel(), bias - weights @ mean]), x.shape[1], classes)


def ridge(x: np.ndarray, y: np.ndarray, held: tuple[np.ndarray, np.ndarray]) -> Rival:
    """Return ridge regression on standardised features, the penalty best on held-out trials."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    gram = linear.Gram.of((x - mean) / spread, y[:, None].astype(np.float64))
    best = (math.inf, np.zeros(0))
    for weights, bias in linear.ridge_path(gram, PENALTIES):
        row = weights[:, 0] / spread
        kept = np.append(row, bias[0] - row @ mean)
        error = float(np.mean((held[0] @ row + kept[-1] - held[1]) ** 2))
        best = min(best, (error, kept), key=lambda one: one[0])
    return _affine(best[1], x.shape[1], 1)


def _affine(kept: np.ndarray, features: int, classes: int) -> Rival:
    weights, bias = kept[:-classes].reshape(classes, features), kept[-classes:]

    def answer(x: np.ndarray) -> np.ndarray:
        told = x @ weights.T + bias
        return told[:, 0] if classes == 1 else told.argmax(1)

    return Rival(answer, float(features * classes), kept)


def _outputs(y: np.ndarray) -> int:
    """Return the number of classes, 1 for values."""
    return 1 if y.dtype.kind == "f" else int(y.max()) + 1


def mlp(
    x: np.ndarray, y: np.ndarray, held: tuple[np.ndarray, np.ndarray], *, seed: int,
    epochs: int = EPOCHS["mlp"],
) -> Rival:  # fmt: skip
    """Return a perceptron 128-128 on standardised features (example, feature)."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    classes = _outputs(y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _perceptron(x.shape[1], classes)
    prepare = _standard(mean, spread)
    _train(net, prepare, x, y, held, epochs, seed)
    return _rival(net, prepare, _mlp_count(x.shape[1], classes), np.array([mean, spread]))


def cnn(
    x: np.ndarray, y: np.ndarray, held: tuple[np.ndarray, np.ndarray], *, seed: int,
    epochs: int = EPOCHS["cnn"],
) -> Rival:  # fmt: skip
    """Return a convolutional network on raw windows (example, sample, channel)."""
    classes = _outputs(y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _convolutions(x.shape[2], classes)
    _train(net, _channels_first, x, y, held, epochs, seed)
    return _rival(net, _channels_first, _cnn_count(x.shape[2], x.shape[1], classes))


def gru(
    x: np.ndarray, y: np.ndarray, held: tuple[np.ndarray, np.ndarray], *, seed: int,
    epochs: int = EPOCHS["gru"],
) -> Rival:  # fmt: skip
    """Return a gated recurrent network of 128 units on events (example, step, feature)."""
    classes = _outputs(y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _Gru(x.shape[2], classes)
    _train(net, _as_it_is, x, y, held, epochs, seed)
    return _rival(net, _as_it_is, _gru_count(x.shape[2], x.shape[1], classes))


class _Gru(nn.Module):
    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.cells = nn.GRU(inputs, UNITS, batch_first=True)
        self.readout = nn.Linear(UNITS, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.cells(x)[0][:, -1])


def _perceptron(features: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(features, UNITS), nn.ReLU(), nn.Linear(UNITS, UNITS), nn.ReLU(),
        nn.Linear(UNITS, classes),
    )  # fmt: skip


def _convolutions(channels: int, classes: int) -> nn.Module:
    blocks, inputs = [], channels
    for outputs, kernel in FILTERS:
        blocks += [nn.Conv1d(inputs, outputs, kernel, stride=2, padding=kernel // 2),
                   nn.BatchNorm1d(outputs), nn.ReLU()]  # fmt: skip
        inputs = outputs
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(inputs, classes))


def _mlp_count(features: int, classes: int) -> float:
    return float(features * UNITS + UNITS * UNITS + UNITS * classes)


def _cnn_count(channels: int, length: int, classes: int) -> float:
    total, inputs = 0, channels
    for outputs, kernel in FILTERS:
        length = math.ceil(length / 2)
        total += length * inputs * outputs * kernel
        inputs = outputs
    return float(total + inputs * classes)


def _gru_count(inputs: int, length: int, classes: int) -> float:
    return float(length * 3 * UNITS * (inputs + UNITS) + UNITS * classes)


def _as_it_is(values: np.ndarray) -> np.ndarray:
    return values


def _channels_first(values: np.ndarray) -> np.ndarray:
    return values.transpose(0, 2, 1)


def _standard(mean: np.ndarray, spread: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: (values - mean) / spread


def _given(prepare: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(prepare(values)), dtype=torch.float32)


def _rival(
    net: nn.Module, prepare: Callable[[np.ndarray], np.ndarray], multiply_adds: float,
    before: np.ndarray | None = None,
) -> Rival:  # fmt: skip
    net.eval()

    def answer(test: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            parts = [net(_given(prepare, test[at : at + AT_ONCE]))
                     for at in range(0, len(test), AT_ONCE)]  # fmt: skip
        told = torch.cat(parts).numpy()
        return told[:, 0] if told.shape[1] == 1 else told.argmax(1)

    state = [value.detach().numpy().ravel() for value in net.state_dict().values()]
    first = [] if before is None else [before.ravel()]
    return Rival(answer, multiply_adds, np.concatenate([*first, *state]).astype(np.float64))


def _filled(net: nn.Module, kept: np.ndarray) -> nn.Module:
    """Put a row of numbers back where ``_rival`` took them from."""
    state, at = net.state_dict(), 0
    for value in state.values():
        part = kept[at : at + value.numel()].reshape(value.shape)
        value.copy_(torch.as_tensor(part))
        at += value.numel()
    if at != len(kept):
        raise ValueError(f"a rival of {at} numbers was kept as {len(kept)}; fit again")
    return net


def _squared(told: Tensor, wanted: Tensor) -> Tensor:
    return nn.functional.mse_loss(told[:, 0], wanted.float())


def _train(
    net: nn.Module, prepare: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray,
    held: tuple[np.ndarray, np.ndarray], epochs: int, seed: int,
) -> None:  # fmt: skip
    """Leave the network of the epoch with the least loss on held-out trials, as ours is chosen."""
    inputs, targets = _given(prepare, x), torch.as_tensor(y)
    kept_inputs, kept_targets = _given(prepare, held[0]), torch.as_tensor(held[1])
    loss = _squared if y.dtype.kind == "f" else nn.functional.cross_entropy
    order = torch.Generator().manual_seed(seed)
    adam = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs)
    least, best = math.inf, net.state_dict()
    for _ in range(epochs):
        net.train()
        for chosen in torch.randperm(len(y), generator=order).split(BATCH):
            if len(chosen) < 2:
                continue  # batch normalisation needs two
            adam.zero_grad()
            loss(net(inputs[chosen]), targets[chosen]).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            adam.step()
        fall.step()
        net.eval()
        with torch.no_grad():
            now = float(loss(net(kept_inputs), kept_targets))
        if now < least:
            least, best = now, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(best)
