"""Errors in inner folds over balance and input scale, and of adaptation at the same scales."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.models.reservoir import search, tune
from rheobase.models.reservoir.aims import Ahead, Aim, Recall
from rheobase.models.reservoir.given import Given
from rheobase.models.reservoir.search import Trial

if TYPE_CHECKING:
    from rheobase.models.reservoir import Reservoir


def sweep(model: Reservoir, given: Given, aim: Aim | None = None) -> dict[str, Any]:
    """Return held-out errors, (input scale, balance) and (input scale, law); empty unless asked.

    The best penalty of each is taken; the median is over inner folds and seeds.
    """
    asked = model.sweep
    aim = aim or _aim(model)
    if not asked.balances or not asked.input_scales or aim is None:
        return {}
    made = tune.inner(model, given.stretches, aim, washout=given.washout)
    seeds = [given.seed * 1000 + number for number in range(model.search.seeds_per_trial)]
    plain = [Trial(replace(model.network, input_scale=scale, balance=balance))
             for scale in asked.input_scales for balance in asked.balances]  # fmt: skip
    adapted = [Trial(replace(model.network, input_scale=scale), replace(model.adapt, target=law))
               for scale in asked.input_scales for law in search.LAWS]  # fmt: skip
    errors = search.errors_of([*plain, *adapted], made, seeds=seeds, alphas=given.alphas,
                              device=given.device)  # fmt: skip
    level = np.median(errors, axis=(1, 2)).min(axis=1)
    scales = len(asked.input_scales)
    laws = [tune.law(replace(model.adapt, target=law)) for law in search.LAWS]
    return {
        "sweep_scale": ("swept_scale", np.array(asked.input_scales, float)),
        "sweep_balance": ("swept_balance", np.array(asked.balances, float)),
        "sweep_law": ("swept_law", np.array(laws, str)),
        "sweep_error": (("swept_scale", "swept_balance"), level[: len(plain)].reshape(scales, -1)),
        "sweep_adapted": (("swept_scale", "swept_law"), level[len(plain) :].reshape(scales, -1)),
    }  # fmt: skip


def _aim(model: Reservoir) -> Aim | None:
    if "memory" in model.tasks:
        return Recall(model.delays)
    return Ahead(model.horizons) if "forecast" in model.tasks else None
