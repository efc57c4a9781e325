"""Head motion, jumps and global signal over the carpet of a run, on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rheobase.report.embed import Figure, csv_address
from rheobase.report.figures import measure
from rheobase.report.raster import grey_image
from rheobase.report.svg import BOTTOM, RIGHT, TOP, Axis, Canvas, label, picture, text_at

if TYPE_CHECKING:
    import xarray as xr

COURSES = ("framewise_displacement_mm", "dvars", "std_dvars", "global_signal")
WIDE, SIDE = 680, 118
"""Width of the figure and of what stands left of its panels."""
COURSE_HEIGHT, CARPET_HEIGHT, GAP, FOOT = 54, 150, 26, 36
CARPET_TENTHS, LEAST_NAMED = 20, 11


def stack(
    name: str,
    preview: Mapping[str, Any],
    pictures: xr.Dataset,
    limits: Mapping[str, float],
    time_unit: str,
) -> Figure | None:
    """Draw displacement, DVARS, global signal and the carpet before and after over one time axis.

    Frames that are not used are shaded in all of them; ``limits`` are drawn where given.
    """
    series, duration = preview.get("series") or {}, preview.get("duration")
    courses = {key: series[key] for key in COURSES if series.get(key)}
    if not courses or "carpet_after" not in pictures or not duration:
        return None
    x = Axis(0.0, float(duration), f"time ({time_unit})")
    drawn, top = [], TOP
    for key, values in courses.items():
        drawn.append(_course(top, x, key, values, limits.get(key)))
        top += COURSE_HEIGHT + GAP
    groups = pictures["carpet_group"].values.tolist()
    kind, of = pictures.attrs["carpet_kind"], int(pictures.attrs["carpet_of"])
    many = f"{len(groups)} of {of} {kind}s" if len(groups) < of else f"{of} {kind}s"
    for when in ("before", "after"):
        drawn.append(_carpet(top, f"{many}, {when}", pictures[f"carpet_{when}"].values, groups))
        top += CARPET_HEIGHT + GAP
    bottom, spans = top - GAP, preview.get("censored") or ()
    drawn += [_band(x, span, bottom) for span in spans]
    drawn += [text_at(_at(x, value), bottom + 15, label(value)) for value in x.ticks(8)]
    drawn.append(text_at((SIDE + WIDE) / 2, bottom + 30, x.title, style="axis"))
    named = ", ".join(measure(key) for key in courses)
    alt = f"{name}: {named} and {many} before and after cleaning over time; {_unused(spans)}"
    rows = zip(*courses.values(), strict=False)
    return Figure(
        "Motion and carpet",
        picture("".join(drawn), alt=alt, height=bottom + FOOT, width=WIDE),
        _caption(kind, many, spans, bool(limits.keys() & courses.keys()), any(groups)),
        csv_address(["point", *courses], ([i, *row] for i, row in enumerate(rows))),
        f"{name}_motion.csv",
        wide=True,
    )


def _unused(spans: Sequence[Any]) -> str:
    if not spans:
        return "all frames are used"
    many = f"{len(spans)} stretches of frames are" if len(spans) > 1 else "1 stretch of frames is"
    return f"{many} not used"


def _caption(kind: str, many: str, spans: Sequence[Any], limited: bool, grouped: bool) -> str:
    voxels = kind == "voxel"
    rows = f"{many}{', ordered by network' * (grouped and not voxels)}"
    rows += ", taken evenly from each tissue of the MNI152 templates, not smoothed" * voxels
    tissue = " What shows in white matter and CSF as well does not come from neurons." * voxels
    return (
        f"All share one time axis; {_unused(spans)}{' (shaded)' * bool(spans)}. Each row of the "
        f"carpet is a {kind} ({rows}). Dark is low, light is high, cut at 2 SD of the frames that "
        f"are used. Columns that are dark or light in all rows are events that hit every {kind} at "
        f"once, such as movement; they should be weaker after cleaning.{tissue}"
        + " Dashed lines are limits."
        * limited
    )


def _course(
    top: int, x: Axis, key: str, values: Sequence[float | None], limit: float | None
) -> str:
    finite = [v for v in values if v is not None]
    y = Axis.over([*finite, *([limit] if limit is not None else [])], measure(key))
    canvas = Canvas(x, y, TOP + COURSE_HEIGHT + BOTTOM, SIDE, WIDE)
    step = (x.high - x.low) / len(values)
    line = canvas.line([x.low + step * (i + 0.5) for i in range(len(values))], values, "after")
    line += canvas.level(limit, "limit") if limit is not None else ""
    ticks = "".join(
        f'<path class="gl" d="M{SIDE} {canvas.at_y(v)}H{WIDE - RIGHT}"/>'
        + text_at(SIDE - 6, canvas.at_y(v) + 4, label(v), anchor="end")
        for v in y.ticks(3)
    )
    title = text_at(SIDE, TOP - 6, y.title, anchor="start", style="axis")
    return f'<g transform="translate(0 {top - TOP})">{ticks}{line}{title}</g>'


def _carpet(top: int, title: str, values: Any, groups: Sequence[str]) -> str:
    """Return rows as an image with a line and a name where a group begins."""
    drawn = [text_at(SIDE, top - 6, title, anchor="start", style="axis")]
    box = (SIDE, top, WIDE - SIDE - RIGHT, CARPET_HEIGHT)
    drawn.append(grey_image(values, box, limit=CARPET_TENTHS))
    step, at = CARPET_HEIGHT / len(groups), 0.0
    for name, rows in groupby(groups):
        high = step * len(list(rows))
        if at:
            drawn.append(f'<path class="border" d="M{SIDE - 6} {top + at:.1f}H{WIDE - RIGHT}"/>')
        if high >= LEAST_NAMED:
            drawn.append(text_at(SIDE - 8, top + at + high / 2 + 4, name[:16], anchor="end"))
        at += high
    return "".join(drawn)


def _at(x: Axis, value: float) -> float:
    return round(SIDE + x.share(value) * (WIDE - SIDE - RIGHT), 1)


def _band(x: Axis, span: Sequence[float], bottom: int) -> str:
    left, right = _at(x, span[0]), _at(x, span[1])
    wide = max(round(right - left, 1), 0.8)
    return f'<rect class="shade" x="{left}" y="{TOP}" width="{wide}" height="{bottom - TOP}"/>'
