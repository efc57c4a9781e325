"""The colours of every page: Okabe-Ito hues, safe for colour-blind readers, light and dark.

Text on its background has a contrast of at least 4.5:1, lines at least 3:1.
"""

from __future__ import annotations

LIGHT = {
    "page": "#ffffff",
    "panel": "#f5f7f9",
    "ink": "#1b2530",
    "quiet": "#4f5b67",
    "rule": "#d5dce3",
    "link": "#00558a",
    "focus": "#00558a",
    "accent": "#0072b2",
    "rival": "#8a5a00",
    "before": "#7d8792",
    "after": "#0072b2",
    "limit": "#c04a00",
    "good": "#00664b",
    "good-panel": "#e4f4ee",
    "caution": "#704a00",
    "caution-panel": "#fdf1d8",
    "bad": "#9a2c00",
    "bad-panel": "#fce8df",
    "unknown": "#47525d",
    "unknown-panel": "#eceff2",
}

DARK = {
    "page": "#12171d",
    "panel": "#1b222a",
    "ink": "#e6ebf0",
    "quiet": "#a9b4bf",
    "rule": "#36414c",
    "link": "#7cc4f2",
    "focus": "#7cc4f2",
    "accent": "#56b4e9",
    "rival": "#e6b14c",
    "before": "#8d98a4",
    "after": "#56b4e9",
    "limit": "#f08a4b",
    "good": "#63d3ae",
    "good-panel": "#15302a",
    "caution": "#f0c46a",
    "caution-panel": "#352a12",
    "bad": "#ff9d76",
    "bad-panel": "#3a2018",
    "unknown": "#b4bfca",
    "unknown-panel": "#262f38",
}


def css() -> str:
    """Return the custom properties of both sets; paper is always light."""

    def block(colours: dict[str, str]) -> str:
        return "".join(f"--{name}:{value};" for name, value in colours.items())

    return (
        f":root{{color-scheme:light dark;{block(LIGHT)}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{block(DARK)}}}}}\n"
    )
