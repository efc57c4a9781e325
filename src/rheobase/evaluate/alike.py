"""Sentences that differ in their numbers alone, said once."""

from __future__ import annotations

import re
from collections.abc import Sequence

NUMBER = re.compile(r"(?<![\w.-])[-\N{MINUS SIGN}]?\d+(?:\.\d+)?(?![\w-]|\.\d)")
"""A number that stands by itself, not one inside of a name such as sub-03"""


def shape(sentence: str) -> str:
    """Return the sentence without its numbers, by which alike ones are found."""
    return NUMBER.sub("#", sentence)


def merged(notices: Sequence[str]) -> str:
    """Return notices that differ in their numbers as one, with the range of each."""
    values = zip(*(NUMBER.findall(notice) for notice in notices), strict=True)
    ranges = iter([_range(texts) for texts in values])
    return NUMBER.sub(lambda _: next(ranges), notices[0])


def _range(texts: Sequence[str]) -> str:
    ordered = sorted(texts, key=lambda text: float(text.replace("\N{MINUS SIGN}", "-")))
    low, high = ordered[0], ordered[-1]
    return low if low == high else f"{low} to {high}"
