"""Square matrices of correlations, with the borders of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from rheobase.report.raster import signed_image
from rheobase.report.svg import WIDTH, picture, text_at

SIDE, TOP, NAMES = 290, 22, 128
LEAST_NAMED = 12
"""Pixels that a group must be high to be named."""


@dataclass(frozen=True)
class Matrix:
    """Values in hundredths, None where missing; ``groups`` name each row, or are empty."""

    title: str
    values: Sequence[Sequence[float | None]]
    groups: Sequence[str]
    alt: str


def panels(matrices: Sequence[Matrix]) -> Markup:
    """Return matrices as pictures side by side."""
    return Markup("").join(_panel(matrix) for matrix in matrices)


def _panel(matrix: Matrix) -> Markup:
    left = NAMES if matrix.groups else (WIDTH - SIDE) / 2
    step = SIDE / len(matrix.values)
    drawn = [text_at(left, 14, matrix.title, anchor="start", style="axis")]
    drawn.append(signed_image(matrix.values, (left, TOP, SIDE, SIDE)))
    at = 0
    for name, rows in groupby(matrix.groups):
        high = len(list(rows)) * step
        start = at * step
        if at:
            for way in (f"M{left} {TOP + start:.1f}h{SIDE}", f"M{left + start:.1f} {TOP}v{SIDE}"):
                drawn.append(f'<path class="border" d="{way}"/>')
        if high >= LEAST_NAMED:
            drawn.append(text_at(left - 5, TOP + start + high / 2 + 4, name[:19], anchor="end"))
        at += round(high / step)
    return picture("".join(drawn), alt=matrix.alt, height=TOP + SIDE + 6)
