"""Figures of an fMRI recording's quality: motion over the carpet, connectivity, confounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from rheobase.report.embed import Figure, csv_address
from rheobase.report.figures import measure
from rheobase.report.matrices import Matrix, panels
from rheobase.report.raster import grey_image, tissue_image
from rheobase.report.svg import LEFT, RIGHT, WIDTH, Axis, Canvas, label, picture, text_at

COURSES = ("framewise_displacement_mm", "dvars", "std_dvars", "global_signal")
COURSE_HEIGHT, CARPET_HEIGHT, GAP, FOOT = 54, 120, 28, 36
CARPET_SD = 2
TILES = 4
HISTOGRAM = "share of pairs (‰)"


def stack(
    name: str, preview: Mapping[str, Any], limits: Mapping[str, float], time_unit: str
) -> Figure | None:
    """Draw displacement, DVARS, global signal and the carpet before and after over one time axis.

    Frames that are not used are shaded in all of them; ``limits`` are drawn where given.
    """
    series = preview.get("series") or {}
    courses = {key: series[key] for key in COURSES if series.get(key)}
    data = preview.get("carpet") or {}
    duration = preview.get("duration")
    if not courses or not data.get("after") or not duration:
        return None
    x = Axis(0.0, float(duration), f"time ({time_unit})")
    drawn, top = [], 24
    for key, values in courses.items():
        drawn.append(_course(top, x, key, values, limits.get(key)))
        top += COURSE_HEIGHT + GAP
    many = f"{len(data['after'])} of {data.get('of')} regions"
    for when in ("before", "after"):
        drawn.append(text_at(2, top - 5, f"{many}, {when}", anchor="start", style="axis"))
        box = (LEFT, top, WIDTH - LEFT - RIGHT, CARPET_HEIGHT)
        drawn.append(grey_image(data[when], box, limit=10 * CARPET_SD))
        top += CARPET_HEIGHT + GAP
    bottom = top - GAP
    drawn += [_band(x, span, bottom) for span in preview.get("censored") or ()]
    ticks = [text_at(_at(x, v), bottom + 15, label(v)) for v in x.ticks()]
    drawn += [*ticks, text_at((LEFT + WIDTH) / 2, bottom + 30, x.title, style="axis")]
    censored = len(preview.get("censored") or ())
    unused = f"{censored} stretches of frames are" if censored != 1 else "1 stretch of frames is"
    unused = f"{unused} not used" if censored else "all frames are used"
    return Figure(
        "Motion and carpet",
        picture(
            "".join(drawn),
            alt=f"{name}: {', '.join(measure(k) for k in courses)} and all regions before and "
            f"after cleaning over time; {unused}",
            height=bottom + FOOT,
        ),
        f"All share one time axis; {unused}{' (shaded)' * (censored > 0)}. The carpet "
        f"has one row a region, {many}, ordered by network where known; dark is low, light is "
        f"high ({CARPET_SD} SD each way). Columns that are dark or light in all rows are events "
        "that hit every region at once, such as movement; they should be weaker after cleaning."
        + (" Dashed lines are limits." if limits.keys() & courses.keys() else ""),
        csv_address(
            ["point", *courses],
            ([i, *row] for i, row in enumerate(zip(*courses.values(), strict=False))),
        ),
        f"{name}_motion.csv",
    )


def _course(
    top: int, x: Axis, key: str, values: Sequence[float | None], limit: float | None
) -> str:
    finite = [v for v in values if v is not None]
    y = Axis.over([*finite, *([limit] if limit is not None else [])], measure(key))
    canvas = Canvas(x, y, 42 + 24 + COURSE_HEIGHT)
    step = (x.high - x.low) / len(values)
    line = canvas.line([x.low + step * (i + 0.5) for i in range(len(values))], values, "after")
    line += canvas.level(limit, "limit") if limit is not None else ""
    ticks = "".join(
        f'<path class="gl" d="M{LEFT} {canvas.at_y(v)}H{WIDTH - RIGHT}"/>'
        + text_at(LEFT - 6, canvas.at_y(v) + 4, label(v), anchor="end")
        for v in y.ticks(2)
    )
    title = text_at(2, 15, y.title, anchor="start", style="axis")
    return f'<g transform="translate(0 {top - 24})">{ticks}{line}{title}</g>'


def _at(x: Axis, value: float) -> float:
    return round(LEFT + x.share(value) * (WIDTH - LEFT - RIGHT), 1)


def _band(x: Axis, span: Sequence[float], bottom: int) -> str:
    left, right = _at(x, span[0]), _at(x, span[1])
    wide = max(round(right - left, 1), 0.8)
    return f'<rect class="shade" x="{left}" y="12" width="{wide}" height="{bottom - 12}"/>'


def connectivity(name: str, preview: Mapping[str, Any]) -> Figure | None:
    """Draw the correlation of all regions before and after cleaning, ordered by network."""
    data = preview.get("fc_matrix") or {}
    if not data.get("after"):
        return None
    shown, of = len(data["names"]), int(data["of"])
    thinned = f" {shown} of {of} regions are shown, evenly thinned." if shown < of else ""
    networks = data.get("networks")
    drawn = [
        Matrix(when, data[when], networks or [], f"{name}: connectivity {when} cleaning")
        for when in ("before", "after")
    ]
    ordered = "ordered by network, borders drawn" if networks else "in the atlas's order"
    rows = [
        [when, unit, *row] for when in ("before", "after")
        for unit, row in zip(data["names"], data[when], strict=True)
    ]  # fmt: skip
    return Figure(
        "Connectivity",
        panels(drawn),
        f"Pearson correlation over the frames used, regions {ordered}; blue is negative, orange is "
        f"positive, the deepest colour is 1.{thinned} Motion and the global signal show as orange "
        "all over, which should be less after cleaning; networks show as blocks.",
        csv_address(["stage", "region", *data["names"]], rows),
        f"{name}_connectivity.csv",
        wide=True,
    )


def histogram(name: str, preview: Mapping[str, Any]) -> Figure | None:
    """Draw how connectivity is distributed before and after cleaning."""
    data = preview.get("fc") or {}
    if not data.get("after"):
        return None
    return distribution(
        name, data["before"], data["after"],
        "Correlations of all pairs of regions. Dashed grey before, solid blue after: after "
        "cleaning the middle should be near 0.", f"{name}_fc_histogram.csv",
    )  # fmt: skip


def distribution(
    name: str, before: Sequence[float], after: Sequence[float], caption: str, file: str
) -> Figure:
    """Draw two histograms over correlations from -1 to 1 as lines."""
    edges = np.linspace(-1, 1, len(after) + 1)
    x = ((edges[1:] + edges[:-1]) / 2).tolist()
    axis = Axis.over([0, *before, *after], HISTOGRAM)
    canvas = Canvas(Axis(-1, 1, "correlation"), axis)
    drawn = canvas.frame() + canvas.line(x, before, "before") + canvas.line(x, after, "after")
    return Figure(
        "Distribution of connectivity",
        picture(drawn, alt=f"{name}: histogram of connectivity before and after cleaning"),
        caption,
        csv_address(["correlation", "before", "after"], zip(x, before, after, strict=True)),
        file,
    )


def confounds(name: str, preview: Mapping[str, Any]) -> Figure | None:
    """Draw the correlation of what was regressed out with each other."""
    data = preview.get("confounds") or {}
    if not data.get("r"):
        return None
    many, of = len(data["names"]), int(data["of"])
    drawn = Matrix("confounds", data["r"], [], f"{name}: correlation of {many} confounds")
    some = f" The first {many} of {of} are shown." if many < of else ""
    return Figure(
        "Confounds",
        panels([drawn]),
        "Correlation of the regressors, in the order of the numbers; blue is negative, orange is "
        f"positive.{some} Large squares mean that several regressors say the same, and cost "
        "degrees of freedom for nothing.",
        csv_address(["confound", *data["names"]],
                    ([n, *row] for n, row in zip(data["names"], data["r"], strict=True))),
        f"{name}_confounds.csv",
    )  # fmt: skip


def mosaic(name: str, preview: Mapping[str, Any]) -> Figure | None:
    """Draw axial slices of the mean image and of temporal SNR, regions outlined on the first."""
    data = preview.get("maps") or {}
    named = {"mean": "mean", "tsnr": "tSNR"}
    drawn = []
    for key in (key for key in named if key in data):
        rows = _tiled(np.asarray(data[key]["values"]), 255)
        edges = _tiled(np.asarray(data["edges"]), 0) * (key == "mean")
        scale = f"{data[key]['low']:g} (dark) to {data[key]['high']:g} (light)"
        high = round(WIDTH * rows.shape[0] / rows.shape[1])
        image = tissue_image(rows, edges, (0, 20, WIDTH, high))
        title = text_at(2, 13, f"{named[key]}, {scale}", anchor="start", style="axis")
        alt = f"{name}: axial slices of the {named[key]}, {scale}"
        drawn.append(picture(title + image, alt=alt, height=high + 24))
    if not drawn:
        return None
    return Figure(
        "Image",
        Markup("").join(drawn),
        "Axial slices from low to high. The mean should look like a brain under the borders of the "
        "regions (blue); where tSNR is dark inside a region, its signal is weak. Voxels that were "
        "not used are white.",
        wide=True,
    )


def _tiled(slices: np.ndarray, outside: int) -> np.ndarray:
    """Return (slice, row, column) as one picture, four slices in a row."""
    missing = -len(slices) % TILES
    blank = np.full((missing, *slices.shape[1:]), outside)
    tiles = np.concatenate([slices, blank])
    lines = [np.concatenate(tiles[i : i + TILES], axis=1) for i in range(0, len(tiles), TILES)]
    return np.concatenate(lines, axis=0)


def of_recording(
    name: str, preview: Mapping[str, Any], limits: Mapping[str, float], time_unit: str
) -> tuple[Figure | None, ...]:
    """Return the figures of one recording that only fMRI has."""
    return (
        stack(name, preview, limits, time_unit),
        connectivity(name, preview),
        histogram(name, preview),
        confounds(name, preview),
        mosaic(name, preview),
    )
