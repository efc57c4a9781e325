"""Numbers as they are written in sentences and tables."""

from __future__ import annotations

from rheobase.evaluate.statistics import Interval


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with at most ``digits`` significant digits, or "n/a"."""
    if value is None or value != value:
        return "n/a"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-4 <= abs(value) < 1e7:
        text = f"{value:.0f}"
    return text.replace("-", "\N{MINUS SIGN}")


def score_text(value: float | None) -> str:
    """Return a score with three significant digits, trailing zeros kept: 0.610."""
    if value is None or value != value or not 1e-3 <= abs(value) < 1000:
        return number(value)
    return f"{value:#.3g}".rstrip(".").replace("-", "\N{MINUS SIGN}")


def p_text(p: float | None) -> str:
    """Return a p-value as it stands in a sentence, like "p = 0.012"."""
    if p is None:
        return "not tested"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def interval_text(interval: Interval | None) -> str:
    """Return an interval as "0.02 to 0.10"."""
    return (
        "none" if interval is None else f"{score_text(interval.low)} to {score_text(interval.high)}"
    )
