"""The network: regions attend to each other within a segment, segments to each other in a run.

Inside, activations are (region, segment, width), the segments of all runs of a batch side by side,
so that one region attention (head, region, region) is one matrix product for the whole batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHORTEST_PERIOD_S, LONGEST_PERIOD_S = 30.0, 3600.0
SPREAD = 0.02
"""Standard deviation of the first region embeddings."""
FIRST_POSITION_SCALE = 0.1
"""Sinusoids of size 1 drown the first segment vectors."""


@dataclass(frozen=True)
class Sizes:
    """What the weights' shapes depend on."""

    regions: int
    samples: int
    """Samples a segment."""
    width: int
    """Of a region in a segment"""
    segment_width: int
    """Of a segment"""
    heads: int
    spatial_layers: int
    encoder_layers: int
    decoder_layers: int
    variant: str
    """sg | ag | vanilla"""
    pool: str
    """flatten | attention | embedding"""
    embedding: str
    """learned | fixed_position"""
    self_loop: bool


class BrainMAENetwork(nn.Module):
    """Masked autoencoder of region time series (Yang et al. 2024, as we read it).

    ``signal`` is (run, segment, region, sample); ``hidden``, of the same shape or 1 along region or
    sample, says what is masked; ``present`` (run, segment) which segments exist, ``middle_s``
    (run, segment) their middle in seconds.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes, width, wide = sizes, sizes.width, sizes.segment_width
        self.embedding = nn.Parameter(_first_embedding(sizes))
        self.embedding.requires_grad_(sizes.embedding == "learned")
        self.sample_in = nn.Linear(sizes.samples, width)
        self.mask_vector = nn.Parameter(torch.zeros(width))
        graphs = {"sg": sizes.spatial_layers, "ag": 1, "vanilla": 0}[sizes.variant]
        self.graph_blocks = nn.ModuleList(GraphBlock(sizes) for _ in range(graphs))
        self.free_blocks = nn.ModuleList(
            Block(width, sizes.heads) for _ in range(sizes.spatial_layers - graphs)
        )
        self.spatial_norm = nn.LayerNorm(width)
        if sizes.pool == "attention":
            self.pool_query = nn.Parameter(torch.randn(width) * SPREAD)
            self.pool_out = nn.Linear(width, wide)
        else:
            first = sizes.regions if sizes.pool == "flatten" else width
            self.pool_out = nn.Linear(first * width, wide)
        self.cls = nn.Parameter(torch.zeros(wide))
        self.position_scale = nn.Parameter(torch.tensor(FIRST_POSITION_SCALE))
        self.encoder = nn.ModuleList(Block(wide, sizes.heads) for _ in range(sizes.encoder_layers))
        self.encoder_norm = nn.LayerNorm(wide)
        self.decoder = nn.ModuleList(Block(wide, sizes.heads) for _ in range(sizes.decoder_layers))
        self.decoder_norm = nn.LayerNorm(wide)
        self.time_out = nn.Linear(wide, 4 * width)
        self.region_out = nn.Linear(width, 4 * width)
        self.sample_out = nn.Linear(4 * width, sizes.samples)

    def regions(self) -> Tensor:
        """Return the region embeddings in use, (region, width), normalised."""
        return F.layer_norm(self.embedding, self.embedding.shape[-1:])

    def region_attention(self) -> list[Tensor]:
        """Return each graph block's attention, (head, region, region); rows sum to 1."""
        embedded = self.regions()
        blocks = (block for block in self.graph_blocks if isinstance(block, GraphBlock))
        return [block.attention(embedded) for block in blocks]

    def embed(self, signal: Tensor, hidden: Tensor) -> Tensor:
        """Return one vector a segment, (run, segment, segment width)."""
        runs, segments, n_regions, samples = signal.shape
        embedded = self.regions()
        if hidden.shape[-1] > 1:
            signal, hidden = signal.masked_fill(hidden, 0.0), hidden.all(dim=-1, keepdim=True)
        x = signal.permute(2, 0, 1, 3).reshape(n_regions, runs * segments, samples)
        away = hidden.expand(runs, segments, n_regions, 1).permute(2, 0, 1, 3)
        away = away.reshape(n_regions, runs * segments, 1)
        x = torch.where(away, self.mask_vector, self.sample_in(x)) + embedded[:, None]
        for block in self.graph_blocks:
            x = block(x, embedded)
        if self.free_blocks:
            x = x.transpose(0, 1)
            for block in self.free_blocks:
                x = block(x)
            x = x.transpose(0, 1)
        return self._pool(self.spatial_norm(x)).view(runs, segments, self.sizes.segment_width)

    def encode(
        self, segments: Tensor, middle_s: Tensor, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the run's vector (run, segment width) and its segments' (run, segment, same)."""
        x = segments + self._positions(middle_s)
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], dim=1)
        blocked = _blocked(present)
        for block in self.encoder:
            x = block(x, blocked)
        x = self.encoder_norm(x)
        return x[:, 0], x[:, 1:]

    def decode(
        self, run: Tensor, segments: Tensor, middle_s: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """Return the signal, (run, segment, region, sample): region maps times segment courses."""
        x = torch.cat([run[:, None], segments + self._positions(middle_s)], dim=1)
        blocked = _blocked(present)
        for block in self.decoder:
            x = block(x, blocked)
        course = self.time_out(self.decoder_norm(x)[:, 1:])
        maps = self.region_out(self.regions())
        return _outer(course, maps, self.sample_out.weight, self.sample_out.bias)

    def forward(
        self, signal: Tensor, hidden: Tensor, middle_s: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """Return the reconstructed signal, (run, segment, region, sample)."""
        return self.decode(
            *self.encode(self.embed(signal, hidden), middle_s, present), middle_s, present
        )

    def _positions(self, middle_s: Tensor) -> Tensor:
        return self.position_scale * positions(middle_s, self.sizes.segment_width)

    def _pool(self, x: Tensor) -> Tensor:
        """Return (segment, segment width) of (region, segment, width)."""
        if self.sizes.pool == "attention":
            weights = torch.softmax(x @ self.pool_query / math.sqrt(x.shape[-1]), dim=0)
            return self.pool_out(torch.einsum("ns,nsd->sd", weights, x))
        if self.sizes.pool == "embedding":
            maps = self.regions() / math.sqrt(len(x))
            mixed = maps.T @ x.reshape(len(x), -1)
            mixed = mixed.view(maps.shape[1], -1, x.shape[-1]).transpose(0, 1)
            return self.pool_out(mixed.flatten(1))
        weight = self.pool_out.weight.view(-1, x.shape[0], x.shape[-1]).permute(1, 2, 0)
        return torch.bmm(x, weight).sum(dim=0) + self.pool_out.bias


class Mlp(nn.Sequential):
    """Width to four times the width and back."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class GraphBlock(nn.Module):
    """Regions attend to each other by what they are, not by what they do."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.heads, self.self_loop = sizes.heads, sizes.self_loop
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def attention(self, embedded: Tensor) -> Tensor:
        """Return (head, region, region), rows summing to 1, the diagonal 0."""
        shape = (len(embedded), self.heads, -1)
        query = self.query(embedded).view(shape).transpose(0, 1)
        key = self.key(embedded).view(shape).transpose(0, 1)
        scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
        if not self.self_loop:
            own = torch.eye(len(embedded), dtype=torch.bool, device=embedded.device)
            scores = scores.masked_fill(own, -torch.inf)
        return torch.softmax(scores, dim=-1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """Return (region, segment, width)."""
        n_regions, segments, width = x.shape
        value = self.value(self.first_norm(x)).view(n_regions, segments, self.heads, -1)
        value = value.permute(2, 0, 1, 3).reshape(self.heads, n_regions, -1)
        mixed = torch.bmm(self.attention(embedded), value)
        mixed = mixed.view(self.heads, n_regions, segments, -1).permute(1, 2, 0, 3)
        x = x + self.out(mixed.reshape(n_regions, segments, width))
        return x + self.mlp(self.second_norm(x))


class Block(nn.Module):
    """A pre-norm transformer block over the second axis, (batch, token, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.mix = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def weights(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Return the attention itself, (batch, head, token, token)."""
        query, key, _ = self._split(x)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        return torch.softmax(scores, dim=-1)

    def forward(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Return (batch, token, width); ``allowed`` (batch, 1, 1, token) are tokens to look at."""
        mixed = F.scaled_dot_product_attention(*self._split(x), attn_mask=allowed)
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.mlp(self.second_norm(x))

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, tokens, _ = x.shape
        mixed = self.mix(self.first_norm(x)).view(batch, tokens, 3, self.heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        return query, key, value


def positions(middle_s: Tensor, width: int) -> Tensor:
    """Return sinusoids of a time in seconds, (..., width), periods 30 s to an hour."""
    half = width // 2
    ratio = torch.arange(half, device=middle_s.device) / max(half - 1, 1)
    period = SHORTEST_PERIOD_S * (LONGEST_PERIOD_S / SHORTEST_PERIOD_S) ** ratio
    angle = 2 * math.pi * middle_s[..., None] / period
    return torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)


def _blocked(present: Tensor | None) -> Tensor | None:
    """Return which tokens may be looked at, (run, 1, 1, 1 + segment), the run's own first."""
    return None if present is None else F.pad(present, (1, 0), value=True)[:, None, None]


def _outer(course: Tensor, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``((course * maps) W' + b)``, (run, segment, region, sample).

    The maps are weighted for each sample first: (sample * region, 4 width), so that no array of
    segments by regions by 4 width is ever made.
    """
    runs, segments, inner = course.shape
    n_regions, samples = len(maps), len(weight)
    weighted = (maps[:, None] * weight[None]).view(n_regions * samples, inner)
    made = course.reshape(runs * segments, inner) @ weighted.T
    return made.view(runs, segments, n_regions, samples) + bias


def _first_embedding(sizes: Sizes) -> Tensor:
    if sizes.embedding == "learned":
        return torch.randn(sizes.regions, sizes.width) * SPREAD
    place = torch.arange(sizes.regions, dtype=torch.float32)
    half = sizes.width // 2
    rate = torch.exp(-math.log(10000.0) * torch.arange(half) / max(half, 1))
    return torch.cat([torch.sin(place[:, None] * rate), torch.cos(place[:, None] * rate)], dim=-1)
