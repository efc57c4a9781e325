"""Matrices as small embedded images, coloured the same in light and dark."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from rheobase.report.embed import address

Box = tuple[float, float, float, float]
"""Left, top, width and height."""
LOW, MIDDLE, HIGH = (0, 90, 160), (247, 247, 247), (190, 80, 0)
EDGE, EDGE_SHARE = (0, 110, 220), 0.7
GREYS = 16
"""Levels of a carpet: more cannot be told apart and make its noise cost twice the room."""
SIGNED = 50
"""Levels of blue, and of orange."""
TISSUE_GREYS, TISSUE_WHITE, OUTSIDE = 32, 255, 255
MISSING = (150, 150, 150)


def grey_image(values: Sequence[Sequence[float]], box: Box, *, limit: float) -> str:
    """Return values as grey, dark at ``-limit`` and light at ``limit``, in 16 levels."""
    share = np.clip((np.asarray(values, float) + limit) / (2 * limit), 0, 1)
    ramp = np.rint(np.linspace(0, 255, GREYS))
    return _indexed(np.rint((GREYS - 1) * share), np.repeat(ramp[:, None], 3, axis=1), box, bits=4)


def signed_image(values: Sequence[Sequence[float | None]], box: Box, *, limit: float = 100) -> str:
    """Return values as blue (negative) to orange (positive); what is missing is grey."""
    numbers = np.array(values, float)
    known = np.isfinite(numbers)
    share = np.clip(np.where(known, numbers, 0) / limit, -1, 1)
    level = np.where(known, np.rint(SIGNED * (share + 1)), 2 * SIGNED + 1)
    low, middle, high = (np.asarray(c, float) for c in (LOW, MIDDLE, HIGH))
    part = np.linspace(-1, 1, 2 * SIGNED + 1)[:, None]
    colours = middle + np.abs(part) * (np.where(part < 0, low, high) - middle)
    return _indexed(level, np.vstack([np.rint(colours), [MISSING]]), box, bits=8)


def tissue_image(values: np.ndarray, edges: np.ndarray, box: Box) -> str:
    """Return values 0 to 254 as grey in 32 levels and 255 as white, tinted where ``edges`` are."""
    grey = np.rint(np.linspace(0, 254, TISSUE_GREYS))[:, None].repeat(3, axis=1)
    tinted = grey + EDGE_SHARE * (np.asarray(EDGE) - grey)
    level = np.rint(values / 254 * (TISSUE_GREYS - 1)) + TISSUE_GREYS * edges
    level = np.where(values == OUTSIDE, 2 * TISSUE_GREYS, level)
    return _indexed(level, np.vstack([grey, np.rint(tinted), [[TISSUE_WHITE] * 3]]), box, bits=8)


def _indexed(numbers: np.ndarray, colours: np.ndarray, box: Box, *, bits: int) -> str:
    """Return a picture of colour numbers, (row, column), in ``colours`` (number, 3) 0 to 255."""
    from PIL import Image

    image = Image.fromarray(numbers.astype(np.uint8), "P")
    image.putpalette(colours.astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, bits=bits)
    x, y, width, height = box
    return (
        f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'preserveAspectRatio="none" href="{address(buffer.getvalue(), "image/png")}"/>'
    )
