"""Matrices as small embedded images, coloured the same in light and dark."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from rheobase.report.embed import address

Box = tuple[float, float, float, float]
"""Left, top, width and height."""
LOW, MIDDLE, HIGH = (0, 90, 160), (247, 247, 247), (190, 80, 0)
EDGE, EDGE_SHARE = (0, 110, 220), 0.45
MISSING = (150, 150, 150)


def grey_image(values: Sequence[Sequence[float]], box: Box, *, limit: float) -> str:
    """Return values as grey, dark at ``-limit`` and light at ``limit``."""
    grey = np.clip((np.asarray(values, float) + limit) / (2 * limit) * 255, 0, 255)
    return _image(grey.astype(np.uint8), box)


def signed_image(values: Sequence[Sequence[float | None]], box: Box, *, limit: float = 100) -> str:
    """Return values as blue (negative) to orange (positive); what is missing is grey."""
    numbers = np.array(values, float)
    share = np.nan_to_num(np.clip(numbers / limit, -1, 1))[..., None]
    low, middle, high = (np.asarray(c, float) for c in (LOW, MIDDLE, HIGH))
    colour = middle + np.abs(share) * (np.where(share < 0, low, high) - middle)
    colour[~np.isfinite(numbers)] = MISSING
    return _image(np.rint(colour).astype(np.uint8), box)


def tissue_image(values: np.ndarray, edges: np.ndarray, box: Box) -> str:
    """Return values 0 to 254 as grey and 255 as white, tinted where ``edges`` are 1."""
    pixels = np.repeat(np.asarray(values, float)[..., None], 3, axis=2)
    tinted = (np.asarray(edges) > 0) & (np.asarray(values) < 255)
    pixels[tinted] += EDGE_SHARE * (np.asarray(EDGE) - pixels[tinted])
    return _image(np.rint(pixels).astype(np.uint8), box)


def _image(pixels: np.ndarray, box: Box) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    x, y, width, height = box
    return (
        f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'preserveAspectRatio="none" href="{address(buffer.getvalue(), "image/png")}"/>'
    )
