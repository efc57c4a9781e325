"""What the network has learnt about regions: embeddings and attention beside connectivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

from rheobase import metrics
from rheobase.models.brainmae.network import BrainMAENetwork

DRAWS = 1000


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


def with_connectivity(matrix: np.ndarray, connectivity: np.ndarray, *, seed: int) -> Agreement:
    """Return Spearman's correlation of two symmetric matrices, regions shuffled for the null."""
    from scipy.stats import rankdata

    rng, n = np.random.default_rng([seed, 7]), len(matrix)
    other = rankdata(metrics.edges(connectivity))
    ranked = metrics.from_edges(rankdata(metrics.edges(matrix)), n)
    value = float(np.corrcoef(metrics.edges(ranked), other)[0, 1])
    null = np.empty(DRAWS)
    for i in range(DRAWS):
        order = rng.permutation(n)
        null[i] = np.corrcoef(metrics.edges(ranked[np.ix_(order, order)]), other)[0, 1]
    return Agreement(value, metrics.permutation_p(value, null))


def with_networks(embedded: np.ndarray, networks: np.ndarray, *, seed: int) -> Agreement:
    """Return the adjusted Rand index of k-means on embeddings against the atlas's networks.

    The null exchanges the networks of regions, which keeps their sizes.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    count = len(np.unique(networks))
    found = KMeans(count, random_state=seed).fit_predict(embedded)
    rng = np.random.default_rng([seed, 8])
    value = float(adjusted_rand_score(networks, found))
    null = [adjusted_rand_score(rng.permutation(networks), found) for _ in range(DRAWS)]
    return Agreement(value, metrics.permutation_p(value, np.array(null)))


def own_network_share(attention: np.ndarray, networks: np.ndarray) -> tuple[float, float]:
    """Return the share of attention inside the own network, and that of even attention."""
    same = networks[:, None] == networks[None, :]
    np.fill_diagonal(same, False)
    share = float((attention * same).sum(axis=1).mean())
    return share, float(same.sum(axis=1).mean() / (len(networks) - 1))


def summary(stored: xr.Dataset) -> dict[str, float]:
    """Return all agreements of a fit as plain numbers."""
    seed = int(stored["seed"])
    group = stored["connectivity"].values.astype(np.float64)
    found = with_connectivity(stored["similarity"].values, group, seed=seed)
    made = {"embedding_connectivity": found.value, "embedding_connectivity_p": found.p_value}
    attention = stored["attention"].values if "attention" in stored else None
    if attention is not None:
        both = (attention + attention.T) / 2
        found = with_connectivity(both, group, seed=seed)
        made |= {"attention_connectivity": found.value, "attention_connectivity_p": found.p_value}
        odd = np.linalg.norm(attention - attention.T) / np.linalg.norm(attention + attention.T)
        made["attention_asymmetry"] = float(odd)
    if "network" in stored.coords:
        networks = stored["network"].values.astype(str)
        if 1 < len(np.unique(networks)) < len(networks):
            found = with_networks(stored["embedding"].values, networks, seed=seed)
            made |= {"network_rand": found.value, "network_rand_p": found.p_value}
            if attention is not None:
                share, chance = own_network_share(attention, networks)
                made |= {"own_network_share": share, "own_network_chance": chance}
    return made
