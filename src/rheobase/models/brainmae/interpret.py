"""What the network has learnt about regions: embeddings and attention beside connectivity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

from rheobase import metrics
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.glass import in_mni

DRAWS = 1000
OF_REGIONS = ("network", "x", "y", "z", "space")
HEMISPHERE = ("hemisphere", "hemi", "side")
"""Names of the label of regions that tells left from right"""
SIDES = {"l": "left", "lh": "left", "left": "left", "r": "right", "rh": "right", "right": "right"}


@torch.no_grad()
def arrays(network: BrainMAENetwork) -> dict[str, Any]:
    """Return embeddings, their similarity, and the mean attention where there is any.

    Similarity is the cosine of embeddings from which their mean over regions is subtracted; it does
    not depend on how the embedding space is turned, so fits can be compared by it.
    """
    embedded = network.regions().double().cpu().numpy()
    made: dict[str, Any] = {
        "embedding": (("unit", "width"), embedded.astype(np.float32)),
        "similarity": (("unit", "unit_from"), similarity(embedded).astype(np.float32)),
    }
    attention = network.region_attention()
    if attention:
        mean = torch.stack([layer.mean(dim=0) for layer in attention]).mean(dim=0)
        made["attention"] = (("unit", "unit_from"), mean.cpu().numpy())
    return made


def similarity(embedded: np.ndarray) -> np.ndarray:
    """Return the cosine similarity of mean-centred embeddings, (unit, unit)."""
    centred = embedded - embedded.mean(axis=0)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)
    return unit @ unit.T


@dataclass(frozen=True)
class Agreement:
    """How two things agree, and how often shuffled regions agree as well."""

    value: float
    p_value: float


def with_connectivity(
    matrix: np.ndarray, connectivity: np.ndarray, *, seed: int, sides: np.ndarray | None = None
) -> Agreement:
    """Return Spearman's correlation of two (region, region) matrices over pairs of regions.

    The diagonal is left out. For the null the regions of one are exchanged, within the left and
    the right hemisphere where ``sides`` tells them apart.
    """
    one, other = _ranked(matrix), _ranked(connectivity)
    value = float((one * other).sum())
    rng = np.random.default_rng([seed, 7])
    null = [(one[np.ix_(o, o)] * other).sum() for o in shuffles(len(matrix), rng, sides)]
    return Agreement(value, metrics.permutation_p(value, np.array(null)))


def _ranked(matrix: np.ndarray) -> np.ndarray:
    """Return the ranks off the diagonal, centred and of length 1; 0 on it and where unknown."""
    from scipy.stats import rankdata

    known = np.isfinite(matrix) & ~np.eye(len(matrix), dtype=bool)
    ranks = rankdata(matrix[known])
    ranks -= ranks.mean()
    made = np.zeros(matrix.shape)
    made[known] = ranks / (np.linalg.norm(ranks) or 1.0)
    return made


def shuffles(
    count: int, rng: np.random.Generator, sides: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield random orders of regions, each side in itself."""
    groups = [np.arange(count)] if sides is None else [np.flatnonzero(sides == s)
                                                       for s in np.unique(sides)]  # fmt: skip
    for _ in range(DRAWS):
        order = np.arange(count)
        for group in groups:
            order[group] = rng.permutation(group)
        yield order


def of_regions(recording: xr.Dataset) -> dict[str, Any]:
    """Return what a recording says of its regions, as coordinates of ``unit``.

    Networks, coordinates with the space that they lie in, and ``hemisphere``.
    """
    known = {name: name for name in OF_REGIONS if name in recording.coords}
    side = next((name for name in HEMISPHERE if name in recording.coords), "")
    known |= {"hemisphere": side} if side else {}
    found = {name: recording[label].values for name, label in known.items()}
    return {name: ("unit", values if name in "xyz" else values.astype(str))
            for name, values in found.items()}  # fmt: skip


def sides_of(stored: xr.Dataset) -> np.ndarray | None:
    """Return the side of each region, (region,): left, right, or other; None where unknown.

    The atlas's word stands, else ``x`` where coordinates lie in an MNI space: elsewhere the
    midline need not be at 0.
    """
    if "hemisphere" in stored.coords:
        told = [SIDES.get(word.strip().lower(), "other")
                for word in stored["hemisphere"].values.astype(str)]  # fmt: skip
        if set(told) != {"other"}:
            return np.array(told)
    if not in_mni(stored):
        return None
    x = stored["x"].values.astype(np.float64)
    return np.where(np.isfinite(x), np.where(x < 0, "left", "right"), "other")


def with_networks(
    embedded: np.ndarray, networks: np.ndarray, *, seed: int, sides: np.ndarray | None = None
) -> Agreement:
    """Return the adjusted Rand index of k-means on embeddings against the atlas's networks.

    The null exchanges the networks of regions, which keeps their sizes.
    """
    from sklearn.cluster import KMeans

    count = len(np.unique(networks))
    found = _members(KMeans(count, random_state=seed).fit_predict(embedded))
    own, rng = _members(networks), np.random.default_rng([seed, 8])
    value = adjusted_rand(own, found)
    null = [adjusted_rand(own[o], found) for o in shuffles(len(networks), rng, sides)]
    return Agreement(value, metrics.permutation_p(value, np.array(null)))


def _members(labels: np.ndarray) -> np.ndarray:
    """Return which label each region has, (region, label) of 0 and 1."""
    _, own = np.unique(labels, return_inverse=True)
    return np.eye(own.max() + 1)[own]


def adjusted_rand(one: np.ndarray, other: np.ndarray) -> float:
    """Return Hubert and Arabie's adjusted Rand index of two partitions, (region, label) each."""

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    both = pairs(one.T @ other)
    first, second, every = (pairs(x) for x in (one.sum(0), other.sum(0), np.array([len(one)])))
    expected = first * second / every
    most = (first + second) / 2
    return (both - expected) / (most - expected) if most != expected else 1.0


def separation(
    alike: np.ndarray, networks: np.ndarray, *, seed: int, sides: np.ndarray | None = None
) -> Agreement:
    """Return the mean silhouette of the networks, distance being 1 - likeness (region, region).

    Rousseeuw (1987): ``(b - a) / max(a, b)`` with a the mean distance to the own network and b the
    least mean distance to another; 0 for a network of one region. The same null.
    """
    value = _silhouette(1 - alike, networks)
    rng = np.random.default_rng([seed, 9])
    null = [_silhouette(1 - alike, networks[o]) for o in shuffles(len(networks), rng, sides)]
    return Agreement(value, metrics.permutation_p(value, np.array(null)))


def _silhouette(distance: np.ndarray, networks: np.ndarray) -> float:
    members = _members(networks)
    own, rows, sizes = members.argmax(axis=1), np.arange(len(members)), members.sum(axis=0)
    sums = (distance - np.diag(np.diag(distance))) @ members
    inside = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    outside = sums / sizes
    outside[rows, own] = np.inf
    nearest = outside.min(axis=1)
    scale = np.maximum(np.maximum(inside, nearest), 1e-12)
    return float(np.where(sizes[own] > 1, (nearest - inside) / scale, 0.0).mean())


def own_network_share(attention: np.ndarray, networks: np.ndarray) -> tuple[float, float]:
    """Return the share of attention inside the own network, and that of even attention."""
    same = networks[:, None] == networks[None, :]
    np.fill_diagonal(same, False)
    share = float((attention * same).sum(axis=1).mean())
    return share, float(same.sum(axis=1).mean() / (len(networks) - 1))


def summary(stored: xr.Dataset) -> dict[str, float]:
    """Return all agreements of a fit as plain numbers."""
    told: dict[str, Any] = {"seed": int(stored["seed"]), "sides": sides_of(stored)}
    group = stored["connectivity"].values.astype(np.float64)
    alike = stored["similarity"].values.astype(np.float64)
    attention = stored["attention"].values.astype(np.float64) if "attention" in stored else None
    made = {}
    found = {"embedding_connectivity": with_connectivity(alike, group, **told)}
    if attention is not None:
        both = (attention + attention.T) / 2
        found["attention_connectivity"] = with_connectivity(both, group, **told)
        odd = np.linalg.norm(attention - attention.T) / np.linalg.norm(attention + attention.T)
        made["attention_asymmetry"] = float(odd)
    networks = networks_of(stored)
    if networks is not None:
        found["network_rand"] = with_networks(stored["embedding"].values, networks, **told)
        found["network_silhouette"] = separation(alike, networks, **told)
        if attention is not None:
            share, chance = own_network_share(attention, networks)
            made |= {"own_network_share": share, "own_network_chance": chance}
    for name, one in found.items():
        made |= {name: one.value, f"{name}_p": one.p_value}
    return made


def networks_of(stored: xr.Dataset) -> np.ndarray | None:
    """Return the networks of the regions; None where the atlas has none, or one, or one each."""
    if "network" not in stored.coords:
        return None
    networks = stored["network"].values.astype(str)
    return networks if 1 < len(np.unique(networks)) < len(networks) else None
