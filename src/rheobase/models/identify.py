"""Telling people apart: is a person's profile nearest to that person's other session, or half?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rheobase import metrics
from rheobase.models.decoding.null import rounded
from rheobase.models.inputs import by_name
from rheobase.recording import Recording

Side = list[Recording]


@dataclass(frozen=True)
class Found:
    """How often people were found again."""

    accuracy: float
    """Mean of both directions"""
    there: float
    back: float
    people: int
    p_value: float
    null: tuple[float, ...]


def people(first: np.ndarray, second: np.ndarray, *, draws: int, rng: np.random.Generator) -> Found:
    """Return how often the nearest profile is the same person's; rows (person, feature) match.

    The null exchanges people on one side.
    """
    there, back = metrics.identification(first, second)
    matches = [metrics.nearest_profile(first, second), metrics.nearest_profile(second, first)]
    orders = [rng.permutation(len(first)) for _ in range(draws)]
    null = np.array(
        [np.mean([_hits(matches[0], o), _hits(matches[1], o.argsort())]) for o in orders]
    )
    accuracy = (there + back) / 2
    p_value = metrics.permutation_p(accuracy, null)
    return Found(accuracy, there, back, len(first), p_value, rounded(null))


def _hits(match: np.ndarray, order: np.ndarray) -> float:
    return float(np.mean(match == order))


def pairs(test: Sequence[Recording]) -> tuple[list[tuple[Side, Side]], str]:
    """Return two sets of segments for each person: two sessions where two people have them."""
    sessions: dict[str, dict[str, list[list[Recording]]]] = {}
    for segments in by_name(test).values():
        session = segments[0].entities.get("session", "")
        sessions.setdefault(segments[0].subject, {}).setdefault(session, []).append(segments)
    several = {k: v for k, v in sessions.items() if len(v) >= 2}
    if len(several) >= 2:
        return [_first_two(v) for v in several.values()], "sessions"
    return [_halves(next(iter(v.values()))[0]) for v in sessions.values()], "halves"


def _first_two(sessions: Mapping[str, list[list[Recording]]]):
    one, two = (
        [segment for recording in sessions[key] for segment in recording]
        for key in sorted(sessions)[:2]
    )
    return one, two


def _halves(segments: Side) -> tuple[Side, Side]:
    """Return the segments cut where half of their valid samples lie behind."""
    left = sum(int(s.valid.sum()) for s in segments) // 2
    first, second = [], []
    for segment in segments:
        cut = (
            int(np.searchsorted(np.cumsum(segment.valid), left, side="left")) + 1 if left > 0 else 0
        )
        for half, start, stop in ((first, 0, cut), (second, cut, None)):
            if segment.valid[start:stop].any():
                half.append(segment.segment(start, stop))
        left -= int(segment.valid[:cut].sum())
    return first, second
