"""What a spiking network stands beside: LDA and a perceptron on features, networks without spikes.

All are trained on the same windows and judged on the same held-out trials. Sizes are chosen here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

EPOCHS = {"mlp": 60, "cnn": 12, "gru": 12}
RATE, DECAY, BATCH = 2e-3, 1e-3, 64


@dataclass(frozen=True)
class Rival:
    """A trained rival: what it answers, and its multiply-adds a window."""

    answer: Callable[[np.ndarray], np.ndarray]
    multiply_adds: float


def lda(x: np.ndarray, y: np.ndarray) -> Rival:
    """Return linear discriminant analysis of features (example, feature), shrinkage by Ledoit-Wolf.

    Features are standardised by the training part.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fit = make_pipeline(
        StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    ).fit(x, y)
    return Rival(lambda test: np.asarray(fit.predict(test)), x.shape[1] * len(np.unique(y)))


def mlp(x: np.ndarray, y: np.ndarray, held: tuple[np.ndarray, np.ndarray], *, seed: int) -> Rival:
    """Return a perceptron 128-128 on standardised features (example, feature)."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    sizes = (x.shape[1], 128, 128, int(y.max()) + 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Linear(sizes[0], 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
            nn.Linear(128, sizes[3]),
        )  # fmt: skip
    return _trained(net, lambda v: (v - mean) / spread, x, y, held, EPOCHS["mlp"], seed,
                    sum(i * o for i, o in zip(sizes[:-1], sizes[1:], strict=True)))  # fmt: skip


def cnn(x: np.ndarray, y: np.ndarray, held: tuple[np.ndarray, np.ndarray], *, seed: int) -> Rival:
    """Return a convolutional network on raw windows (example, sample, channel)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            *_block(x.shape[2], 32, 11), *_block(32, 64, 7), *_block(64, 64, 5),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, int(y.max()) + 1),
        )  # fmt: skip
    lengths = [math.ceil(x.shape[1] / 2**k) for k in (1, 2, 3)]
    kernels = (x.shape[2] * 32 * 11, 32 * 64 * 7, 64 * 64 * 5)
    count = sum(n * k for n, k in zip(lengths, kernels, strict=True)) + 64 * (int(y.max()) + 1)
    return _trained(
        net, lambda v: v.transpose(0, 2, 1), x, y, held, EPOCHS["cnn"], seed, float(count)
    )


def gru(x: np.ndarray, y: np.ndarray, held: tuple[np.ndarray, np.ndarray], *, seed: int) -> Rival:
    """Return a gated recurrent network of 128 units on events (example, step, feature)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _Gru(x.shape[2], int(y.max()) + 1)
    count = x.shape[1] * 3 * 128 * (x.shape[2] + 128) + 128 * (int(y.max()) + 1)
    return _trained(net, lambda v: v, x, y, held, EPOCHS["gru"], seed, float(count))


class _Gru(nn.Module):
    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.cells = nn.GRU(inputs, 128, batch_first=True)
        self.readout = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.cells(x)[0][:, -1])


def _block(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [
        nn.Conv1d(inputs, outputs, kernel, stride=2, padding=kernel // 2),
        nn.BatchNorm1d(outputs),
        nn.ReLU(),
    ]


def _trained(
    net: nn.Module, prepare: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray,
    held: tuple[np.ndarray, np.ndarray], epochs: int, seed: int, multiply_adds: float,
) -> Rival:  # fmt: skip
    """Return the network of the epoch with the least loss on held-out trials, as ours is chosen."""

    def given(values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(prepare(values)), dtype=torch.float32)

    inputs, targets = given(x), torch.as_tensor(y)
    kept_inputs, kept_targets = given(held[0]), torch.as_tensor(held[1])
    order = torch.Generator().manual_seed(seed)
    adam = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs)
    least, best = math.inf, net.state_dict()
    for _ in range(epochs):
        net.train()
        for chosen in torch.randperm(len(y), generator=order).split(BATCH):
            adam.zero_grad()
            nn.functional.cross_entropy(net(inputs[chosen]), targets[chosen]).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            adam.step()
        fall.step()
        net.eval()
        with torch.no_grad():
            now = float(nn.functional.cross_entropy(net(kept_inputs), kept_targets))
        if now < least:
            least, best = now, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(best)

    def answer(test: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return net(given(test)).argmax(1).numpy()

    return Rival(answer, multiply_adds)
