"""Is the same found in other people? The same pretraining on each half of the training people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rheobase.models.brainmae import interpret, learn, pretrain, reconstruct, start
from rheobase.models.brainmae.labels import Learnt
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Deck, Run
from rheobase.models.parallel import World

if TYPE_CHECKING:
    from rheobase.models.brainmae import BrainMAE
    from rheobase.recording import Recording

SPLIT = 10
KEPT = ("similarity", "attention")


def fit(
    model: BrainMAE, stretches: Sequence[Run], samples: int, first: Recording, *, seed: int,
    device: str,
) -> Learnt:  # fmt: skip
    """Return what a network of its own finds in each half of the people.

    The settings are the model's; the halves share no person and no random number. One process
    trains them, and a fit that is stopped begins them anew.
    """
    people = np.array(sorted({run.subject for run in stretches}))
    if len(people) < 2:
        return Learnt(notices=["stability over halves needs two training people, so it is not "
                               "known"])  # fmt: skip
    order = np.random.default_rng([seed, SPLIT]).permutation(len(people))
    found: list[dict[str, np.ndarray]] = []
    for number in (0, 1):
        chosen = set(people[order[number::2]].tolist())
        mine = [run for run in stretches if run.subject in chosen]
        own = int(np.random.SeedSequence([seed, SPLIT, number]).generate_state(1)[0])
        found.append(_half(model, mine, samples, first, seed=own, device=device))
    square = ("half", "unit", "unit_from")
    return Learnt(arrays={
        f"half/{name}": (square, np.stack([one[name] for one in found]).astype(np.float32))
        for name in found[0]
    })  # fmt: skip


def _half(
    model: BrainMAE, mine: Sequence[Run], samples: int, first: Recording, *, seed: int,
    device: str,
) -> dict[str, np.ndarray]:  # fmt: skip
    torch.manual_seed(seed)
    regions = len(first.unit_names)
    network = BrainMAENetwork(learn.sizes_of(model, regions, samples)).to(device)
    lagged = reconstruct.covariances(mine)
    same = lagged[regions : 2 * regions, regions : 2 * regions]
    if (model.embedding_start, model.embedding) == ("covariance", "learned"):
        start.from_covariance(network, same)
    decks = [Deck(part, samples=samples, period_s=1 / first.rate, device=device) if part else None
             for part in learn.hold_out(mine, model.held_share, seed)]  # fmt: skip
    assert decks[0] is not None
    pretrain.train(network, decks[0], decks[1], learn.plan(model, samples, first), seed=seed,
                   world=World())  # fmt: skip
    made: dict[str, Any] = interpret.arrays(network.eval())
    scale = np.sqrt(np.maximum(np.diag(same), 1e-12))
    kept = {name: made[name][1] for name in KEPT if name in made}
    return {**kept, "connectivity": same / np.outer(scale, scale)}
