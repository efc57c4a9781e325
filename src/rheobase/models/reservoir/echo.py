"""The rival: a conventional echo-state network, leaky units with tanh (Jaeger 2001).

``x[t+1] = (1 - leak) x[t] + leak tanh(radius W x[t] + input_scale W_in u[t] + bias b)``, W of
spectral radius 1, b uniform on (-1, 1). It runs in the same engine, columns being settings of
radius, leak, input scale and bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array, hstack
from torch import Tensor

from rheobase.models.reservoir.engine import Block, Engine
from rheobase.models.reservoir.product import SparseProduct


@dataclass(frozen=True)
class EchoNetwork:
    """One setting of the echo-state network."""

    n_units: int = 500
    degree: int = 50
    radius: float = 0.95
    """Spectral radius of the coupling."""
    leak: float = 1.0
    """Share of the new value, in (0, 1]; 1 forgets the old one."""
    input_scale: float = 0.5
    """Half width of the uniform input weights, over the root of the channels."""
    bias: float = 0.0
    """Half width of a constant input to each unit. Without one the network is odd: it answers -u by
    the opposite of its answer to u, and cannot multiply two inputs."""

    def __post_init__(self) -> None:
        if not 1 <= self.degree <= self.n_units:
            raise ValueError(
                f"echo: degree is {self.degree}; it must be 1 to n_units ({self.n_units})"
            )
        if not 0 < self.leak <= 1 or self.radius < 0 or self.input_scale <= 0:
            raise ValueError(
                f"echo: leak {self.leak}, radius {self.radius}, input_scale {self.input_scale}; "
                "leak is above 0 and at most 1, radius not negative, input_scale above 0"
            )

    @property
    def structure(self) -> tuple[object, ...]:
        """Return the values that the drawn weights depend on."""
        return self.n_units, self.degree


class BatchedEcho(Engine):
    """Settings of echo-state networks that share their wiring, drawn with several seeds."""

    resting = 0.0

    def __init__(
        self, networks: Sequence[EchoNetwork], seeds: Sequence[int], *, channels: int,
        device: str = "cpu", dtype: torch.dtype = torch.float32,
        drawn: Sequence[tuple[csr_array, np.ndarray]] | None = None,
    ) -> None:  # fmt: skip
        """``drawn`` are coupling and biases of each seed where they were drawn before."""
        if not networks or len({network.structure for network in networks}) > 1:
            raise ValueError("networks of one engine share n_units and degree; give one such set")
        self.networks, self.units = list(networks), networks[0].n_units
        self.seeds, self.settings = len(seeds), len(networks)
        self.channels, self.device, self.dtype = channels, device, dtype
        drawn = drawn or [_draw(networks[0], seed, channels) for seed in seeds]
        self.weights = [weights for weights, _ in drawn]
        self.biases = np.stack([bias for _, bias in drawn])
        """(seed, unit)"""

    def dynamics(self, block: Block, recordings: int) -> EchoColumns:
        return EchoColumns(self, block, recordings)


class EchoColumns:
    """The equations of one block."""

    def __init__(self, engine: BatchedEcho, block: Block, recordings: int) -> None:
        networks, weights = engine.networks[block.settings], engine.weights[block.seeds]
        self.units = engine.units

        def values(name: str) -> Tensor:
            found = [float(getattr(network, name)) for network in networks]
            return torch.as_tensor(found, dtype=engine.dtype, device=engine.device)

        self.leak = values("leak").repeat_interleave(recordings)
        self.input_scale = values("input_scale") / float(np.sqrt(engine.channels))
        biases = torch.as_tensor(engine.biases[block.seeds], dtype=engine.dtype,
                                 device=engine.device)  # fmt: skip
        self.bias = biases[:, :, None] * values("bias").repeat_interleave(recordings)
        radius = values("radius").repeat_interleave(recordings)
        scale = torch.ones((engine.units + engine.channels, len(radius)), dtype=engine.dtype,
                           device=engine.device)  # fmt: skip
        scale[: engine.units] = radius
        self.before = scale.repeat(len(weights), 1)
        self.product = SparseProduct(weights, columns=len(radius), device=engine.device,
                                     dtype=engine.dtype)  # fmt: skip

    def inputs(self, inputs: Tensor) -> Tensor:
        """Return inputs (time, seed or 1, channel, recording) scaled for each column."""
        return (inputs[:, :, :, None, :] * self.input_scale[:, None]).flatten(3, 4)

    def step(self, now: Tensor, potential: Tensor | None, after: Tensor) -> Tensor | None:
        """Write the next state into ``after`` (seed, unit, column)."""
        target = self.product(now * self.before).view(after.shape).add_(self.bias).tanh_()
        old = now.view(len(after), -1, now.shape[1])[:, : self.units]
        torch.lerp(old, target, self.leak, out=after)
        return potential


def _draw(network: EchoNetwork, seed: int, channels: int) -> tuple[csr_array, np.ndarray]:
    """Return coupling of spectral radius 1 with the input weights beside it, and biases."""
    generator = np.random.Generator(np.random.PCG64(seed))
    n = network.n_units
    mask = generator.random((n, n)) < network.degree / n
    coupling = mask * generator.normal(size=(n, n))
    radius = np.abs(np.linalg.eigvals(coupling)).max()
    if radius < 1e-9:
        raise ValueError(f"echo: degree {network.degree} leaves no loop in the network; raise it")
    inputs = generator.uniform(-1, 1, (n, channels))
    whole = csr_array(hstack([csr_array(coupling / radius), csr_array(inputs)]))
    return whole, generator.uniform(-1, 1, n)
