"""Figures of signal quality, drawn from the previews that preprocessing leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rheobase.report.embed import Figure, csv_address
from rheobase.report.raster import grey_image
from rheobase.report.svg import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Axis, Canvas, picture

UNITS = {
    "mm": "mm",
    "hz": "Hz",
    "s": "s",
    "db": "dB",
    "uv": "µV",
    "mv": "mV",
    "percent": "%",
    "ms": "ms",
}
PROPER = {
    "tsnr": "tSNR",
    "dvars": "DVARS",
    "snr": "SNR",
    "hz": "Hz",
    "sd": "SD",
    "fd": "FD",
    "fc": "FC",
    "gcor": "GCOR",
    "dff": "dF/F",
}
UNIT_WORD = {"fmri": "region", "calcium": "cell", "emg": "channel", "series": "channel"}


def spectrum(
    name: str, preview: Mapping[str, Any], modality: str, time_unit: str, units: str = "a.u."
) -> Figure | None:
    """Draw the median power spectrum before and after cleaning; ``units`` are the signal's."""
    unit = "Hz" if time_unit == "s" else "cycles per frame"
    data = preview.get("spectrum") or {}
    x, before, after = (list(data.get(key) or []) for key in ("frequency_hz", "before", "after"))
    if not x:
        return None
    canvas = Canvas(
        Axis.over(x, f"frequency ({unit})", pad=0),
        Axis.over([*before, *after], _density(units, time_unit), log=True),
    )
    drawn = canvas.frame() + canvas.line(x, before, "before") + canvas.line(x, after, "after")
    word = UNIT_WORD.get(modality, "unit")
    return Figure(
        "Power spectrum",
        picture(drawn, alt=f"{name}: power over frequency, before and after cleaning"),
        f"Median over {word}s, power on a logarithmic scale. Dashed grey before, solid blue after. "
        "A filter shows as a drop outside its band; a narrow peak that remains is interference.",
        csv_address(
            [f"frequency ({unit})", "before", "after"], zip(x, before, after, strict=False)
        ),
        f"{name}_spectrum.csv",
    )


def carpet(name: str, preview: Mapping[str, Any], modality: str, time_unit: str) -> Figure | None:
    """Draw all units over time as two grey images, before and after cleaning."""
    data = preview.get("carpet") or {}
    if not data.get("after"):
        return None
    time = data.get("time") or range(len(data["after"][0]))
    word = UNIT_WORD.get(modality, "unit")
    shown, of = len(data["after"]), int(data.get("of") or len(data["after"]))
    many = f"{shown} of {of} {word}s" if shown < of else f"{word}s"
    panels = [
        _carpet_panel(
            f"{name}: {many} over time, {when} cleaning", data[when], time, time_unit, when, many
        )
        for when in ("before", "after")
        if data.get(when)
    ]
    names = data.get("names") or range(len(data["after"]))
    rows = [
        [when, unit, *values]
        for when in ("before", "after")
        for unit, values in zip(names, data.get(when) or [], strict=False)
    ]
    return Figure(
        "Carpet",
        Markup("").join(panels),
        f"One row a {word}{f', {many}, evenly thinned' if shown < of else ''}; time to the right; "
        "dark is low, light is high (3 SD each way). "
        f"Columns that are dark or light in all rows are events that hit every {word} at once, "
        "such as movement; they should be weaker after cleaning.",
        csv_address(["stage", word, *map(str, time)], rows),
        f"{name}_carpet.csv",
        wide=True,
    )


def _carpet_panel(
    alt: str,
    values: Sequence[Sequence[int]],
    time: Sequence[float],
    time_unit: str,
    when: str,
    many: str,
) -> Markup:
    height = 200
    canvas = Canvas(
        Axis(float(time[0]), float(time[-1]) or 1.0, f"time ({time_unit})"),
        Axis(0, 1, f"{many}, {when}"),
        height,
    )
    inner_w, inner_h = WIDTH - LEFT - RIGHT, height - TOP - BOTTOM
    image = grey_image(values, (LEFT, TOP, inner_w, inner_h), limit=30)
    return picture(
        canvas.frame(y_ticks=[(1.0, "1"), (0.0, str(len(values)))]) + image, alt=alt, height=height
    )


def traces(
    name: str, preview: Mapping[str, Any], time_unit: str, units: str = "a.u."
) -> Figure | None:
    """Draw a few units before and after cleaning, one panel each, in the signal's units."""
    data = preview.get("traces") or {}
    time = data.get("time") or []
    if not time:
        return None
    panels, rows = [], []
    for i, unit in enumerate(data["names"]):
        before, after = data["before"][i], data["after"][i]
        x = Axis.over(time, f"time ({time_unit})", pad=0)
        upper = Canvas(x, Axis.over(_finite(before), f"{str(unit)[:40]}, before ({units})"), 185)
        lower = Canvas(x, Axis.over(_finite(after), f"{str(unit)[:40]}, after ({units})"), 185)
        panels.append(
            picture(
                upper.frame() + upper.line(time, before, "plain-before"),
                alt=f"{name}, {unit}, before cleaning",
                height=185,
            )
        )
        panels.append(
            picture(
                lower.frame() + lower.line(time, after, "after"),
                alt=f"{name}, {unit}, after cleaning",
                height=185,
            )
        )
        rows += [[unit, *row] for row in zip(time, before, after, strict=False)]
    return Figure(
        "Traces",
        Markup("").join(panels),
        "A few units before (grey) and after cleaning (blue), each on its own scale: drifts and "
        "steps should be gone, the shape of single events should not.",
        csv_address(["unit", f"time_{time_unit}", "before", "after"], rows),
        f"{name}_traces.csv",
        wide=True,
    )


def series(
    name: str,
    preview: Mapping[str, Any],
    limits: Mapping[str, float],
    time_unit: str = "s",
    duration: float | None = None,
) -> Figure | None:
    """Draw per-sample quality measures, such as framewise displacement, one panel each.

    Time runs over ``duration``, or counts samples where that is not known.
    """
    data = {key: values for key, values in (preview.get("series") or {}).items() if values}
    if not data:
        return None
    panels = []
    for key, values in data.items():
        limit = limits.get(key)
        y = Axis.over([*_finite(values), *([limit] if limit is not None else [])], measure(key))
        step = duration / len(values) if duration else 1
        title = f"time ({time_unit})" if duration else "sample"
        canvas = Canvas(Axis(0, step * max(len(values) - 1, 1), title), y, 190)
        times = [step * i for i in range(len(values))]
        drawn = canvas.frame() + canvas.line(times, values, "after")
        drawn += canvas.level(limit, "limit") if limit is not None else ""
        panels.append(picture(drawn, alt=f"{name}: {measure(key)} over samples", height=190))
    longest = max(len(values) for values in data.values())
    columns = [[*values, *[None] * (longest - len(values))] for values in data.values()]
    marked = (
        " The dashed line is the limit above which samples are not used."
        if limits.keys() & data.keys()
        else ""
    )
    return Figure(
        "Sample by sample",
        Markup("").join(panels),
        f"Peaks are samples that differ abruptly from the one before, mostly movement.{marked}",
        csv_address(
            ["sample", *data], ([i, *row] for i, row in enumerate(zip(*columns, strict=True)))
        ),
        f"{name}_series.csv",
    )


def strip(metric: str, values: Mapping[str, float], outliers: Mapping[str, str]) -> Figure:
    """Draw one measure of all recordings as points, outliers named."""
    height = 130
    x = Axis.over(list(values.values()), measure(metric))
    canvas = Canvas(x, Axis(0, 1, ""), height, left=12)
    drawn = canvas.frame(y_ticks=[(0.0, "")])
    for n, (name, value) in enumerate(values.items()):
        style = "outlier" if name in outliers else "model"
        drawn += canvas.dot(value, 0.3 + 0.4 * (n * 7 % 11) / 11, style, title=f"{name}: {value:g}")
    words = "; ".join(f"{name} is {outliers[name]}" for name in values if name in outliers)
    return Figure(
        measure(metric),
        picture(
            drawn,
            alt=f"{measure(metric)} of {len(values)} recordings. Outliers: {words or 'none'}",
            height=height,
        ),
        "One point a recording; height has no meaning. "
        + (f"Outliers: {words}." if words else "No outlier."),
    )


def measure(key: str) -> str:
    """Return a measure's name in words: ``mean_fd_mm`` becomes "mean fd (mm)"."""
    stem, _, last = key.rpartition("_")
    words = stem if stem and last.lower() in UNITS else key
    text = words.replace("_", " ")
    text = " ".join(PROPER.get(part.lower(), part) for part in text.split(" "))
    return f"{text} ({UNITS[last.lower()]})" if words != key else text


def _density(units: str, time_unit: str) -> str:
    per = "Hz" if time_unit == "s" else "(cycles per frame)"
    squared = f"({units})²" if set(units) & set("/ ") else f"{units}²"
    return f"power ({squared}/{per})"


def _finite(values: Sequence[float | None]) -> list[float]:
    return [v for v in values if v is not None]
