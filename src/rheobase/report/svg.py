"""Small static charts as inline SVG: drawn from numbers, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 24, 42


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis; ``low`` and ``high`` are data values."""

    low: float
    high: float
    title: str
    log: bool = False

    @classmethod
    def over(
        cls, values: Sequence[float], title: str, *, log: bool = False, pad: float = 0.04
    ) -> Axis:
        """Return an axis that holds all finite values (positive ones where logarithmic)."""
        usable = [v for v in values if v is not None and math.isfinite(v) and (v > 0 or not log)]
        if not usable:
            return cls(0.1, 1.0, title, log)
        low, high = min(usable), max(usable)
        if log:
            factor = max(high / low, 1.26) ** pad
            return cls(low / factor, high * factor, title, True)
        margin = (high - low) * pad if high > low else abs(high) * 0.1 or 1.0
        return cls(low - margin, high + margin, title)

    def share(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values inside the axis."""
        if self.log:
            decades = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            step = max(1, math.ceil(len(decades) / 6))
            return [10.0**k for k in decades if k % step == 0] or [self.low, self.high]
        raw = (self.high - self.low) / count
        unit = 10 ** math.floor(math.log10(raw))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) for k in range(first, last + 1)]


def label(value: float) -> str:
    """Return a tick label."""
    if value and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:g}"


@dataclass(frozen=True)
class Canvas:
    """A plotting area with two axes."""

    x: Axis
    y: Axis
    height: int = HEIGHT
    left: int = LEFT
    width: int = WIDTH

    def at_x(self, value: float) -> float:
        return round(self.left + self.x.share(value) * (self.width - self.left - RIGHT), 1)

    def at_y(self, value: float) -> float:
        return round(self.height - BOTTOM - self.y.share(value) * (self.height - TOP - BOTTOM), 1)

    def frame(self, *, y_ticks: Sequence[tuple[float, str]] | None = None) -> str:
        """Return grid lines, tick labels and axis titles; that of the y axis stands above."""
        floor, middle = self.height - BOTTOM, (self.left + self.width - RIGHT) / 2
        made = []
        for value in self.x.ticks():
            x = self.at_x(value)
            made.append(f'<path class="gl" d="M{x} {TOP}V{floor}"/>')
            made.append(text_at(x, floor + 15, label(value)))
        for value, text in y_ticks or [(v, label(v)) for v in self.y.ticks(4)]:
            y = self.at_y(value)
            made.append(f'<path class="gl" d="M{self.left} {y}H{self.width - RIGHT}"/>')
            made.append(text_at(self.left - 6, y + 4, text, anchor="end"))
        made.append(text_at(middle, self.height - 8, self.x.title, style="axis"))
        made.append(text_at(2, 12, self.y.title, anchor="start", style="axis"))
        return "".join(made)

    def line(self, xs: Sequence[float], ys: Sequence[float | None], style: str) -> str:
        """Return a line through the points; it breaks where a value is missing."""
        d, pen = [], "M"
        for x, y in zip(xs, ys, strict=False):
            if (
                y is None
                or not math.isfinite(y)
                or (self.y.log and y <= 0)
                or (self.x.log and x <= 0)
            ):
                pen = "M"
                continue
            d.append(f"{pen}{self.at_x(x):g} {self.at_y(y):g}")
            pen = " "
        return f'<path class="line {style}" d="{"".join(d)}"/>'

    def level(self, value: float, style: str) -> str:
        """Return a horizontal line across the plot."""
        y = self.at_y(value)
        return f'<path class="line {style}" d="M{self.left} {y}H{self.width - RIGHT}"/>'

    def dot(self, x: float, y: float, style: str, *, title: str = "", radius: float = 4) -> str:
        """Return a point, with a title shown on hover."""
        hover = f"<title>{escape(title)}</title>" if title else ""
        at = f'cx="{self.at_x(x)}" cy="{self.at_y(y)}" r="{radius}"'
        return f'<circle class="dot {style}" {at}>{hover}</circle>'


def text_at(x: float, y: float, text: str, *, anchor: str = "middle", style: str = "") -> str:
    """Return a text; nothing for an empty one."""
    kind = f' class="{style}"' if style else ""
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f"<text{kind} {place}>{escape(text)}</text>" if text else ""


def picture(content: str, *, alt: str, height: int = HEIGHT, width: int = WIDTH) -> Markup:
    """Return the SVG element with its alternative text."""
    box = f'viewBox="0 0 {width} {height}"'
    words = f'role="img" aria-label="{escape(alt)}"'
    return Markup(f'<svg class="chart" {box} {words}>{content}</svg>')
