"""Figures of an fMRI recording's quality: motion, carpet, image, connectivity, confounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.report.embed import Figure, csv_address
from rheobase.report.fmri_carpet import stack
from rheobase.report.fmri_mosaic import mosaic
from rheobase.report.matrices import Matrix, panels
from rheobase.report.svg import Axis, Canvas, picture

if TYPE_CHECKING:
    import xarray as xr

HISTOGRAM = "share of pairs (‰)"


def connectivity(name: str, pictures: xr.Dataset) -> Figure | None:
    """Draw the correlation of all regions before and after cleaning, ordered by network."""
    if "fc_after" not in pictures:
        return None
    names, of = pictures["fc_name"].values.tolist(), int(pictures.attrs["regions"])
    thinned = f" {len(names)} of {of} regions are shown, evenly thinned." * (len(names) < of)
    networks = pictures["fc_network"].values.tolist() if "fc_network" in pictures else []
    values = {when: pictures[f"fc_{when}"].values.tolist() for when in ("before", "after")}
    drawn = [
        Matrix(when, values[when], networks, f"{name}: connectivity {when} cleaning")
        for when in values
    ]
    ordered = "ordered by network, borders drawn" if networks else "in the atlas's order"
    rows = [
        [when, unit, *row] for when in values
        for unit, row in zip(names, values[when], strict=True)
    ]  # fmt: skip
    return Figure(
        "Connectivity",
        panels(drawn),
        f"Pearson correlation over the frames used, regions {ordered}; blue is negative, orange is "
        f"positive, the deepest colour is 1.{thinned} Motion and the global signal show as orange "
        "all over, which should be less after cleaning; networks show as blocks.",
        csv_address(["stage", "region", *names], rows),
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


def of_recording(
    name: str,
    preview: Mapping[str, Any],
    pictures: xr.Dataset,
    limits: Mapping[str, float],
    time_unit: str,
) -> tuple[Figure | None, ...]:
    """Return the figures of one recording that only fMRI has."""
    return (
        stack(name, preview, pictures, limits, time_unit),
        mosaic(name, pictures),
        connectivity(name, pictures),
        histogram(name, preview),
        confounds(name, preview),
    )
