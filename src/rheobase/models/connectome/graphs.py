"""Networks and tables of a fit as text that other programs read: GraphML and CSV."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import xarray as xr

from rheobase.models.connectome.artefacts import Learnt
from rheobase.models.connectome.factors import as_matrix

SHARE = 1e-6
"""Edges below this share of the largest are left out, as communities leave them out"""
KINDS = {int: "long", float: "double", str: "string"}


def graphml(
    matrix: np.ndarray, units: Sequence[str], nodes: Mapping[str, Sequence[Any]]
) -> str:  # fmt: skip
    """Return an undirected weighted graph (unit, unit) as GraphML; ``nodes`` are their values."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
             '<key id="weight" for="edge" attr.name="weight" attr.type="double"/>']  # fmt: skip
    for name, values in nodes.items():
        kind = KINDS[type(values[0])]
        lines.append(f'<key id={quoteattr(name)} for="node" attr.name={quoteattr(name)} '
                     f'attr.type="{kind}"/>')  # fmt: skip
    lines.append('<graph edgedefault="undirected">')
    for place, unit in enumerate(units):
        data = "".join(f"<data key={quoteattr(n)}>{escape(str(v[place]))}</data>"
                       for n, v in nodes.items())  # fmt: skip
        lines.append(f"<node id={quoteattr(unit)}>{data}</node>")
    for i, j, weight in edges(matrix):
        lines.append(f"<edge source={quoteattr(units[i])} target={quoteattr(units[j])}>"
                     f'<data key="weight">{weight:.6g}</data></edge>')  # fmt: skip
    return "\n".join([*lines, "</graph>", "</graphml>", ""])


def edges(matrix: np.ndarray) -> list[tuple[int, int, float]]:
    """Return the edges of a symmetric matrix, the heaviest first."""
    rows, columns = np.triu_indices(len(matrix), 1)
    weights = matrix[rows, columns].astype(float)
    kept = np.flatnonzero(weights > SHARE * max(float(weights.max(initial=0)), 1e-300))
    order = kept[np.argsort(-weights[kept], kind="stable")]
    return [(int(rows[k]), int(columns[k]), float(weights[k])) for k in order]


def edge_table(matrix: np.ndarray, units: Sequence[str]) -> str:
    """Return the edges of a network as CSV: first, second, weight."""
    rows = [(units[i], units[j], f"{w:.6g}") for i, j, w in edges(matrix)]
    return csv_text(["first", "second", "weight"], rows)


def csv_text(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table as CSV."""
    import csv

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def network_files(arrays: xr.Dataset) -> dict[str, str]:
    """Return file names and contents: graph and edges of each component, and the tables."""
    learnt = Learnt(arrays)
    made = {}
    for number, pattern in enumerate(arrays["pattern"].values):
        matrix = as_matrix(pattern)
        community = [int(b) + 1 for b in arrays["community"].values[number]]
        sure = [round(float(c), 4) for c in arrays["community_confidence"].values[number]]
        nodes: dict[str, list[Any]] = {"community": community, "confidence": sure}
        for axis in ("x", "y", "z", "network"):
            if axis in arrays.coords:
                nodes[axis] = arrays[axis].values.tolist()
        made[f"component-{number + 1}.graphml"] = graphml(matrix, learnt.units, nodes)
        made[f"component-{number + 1}_edges.csv"] = edge_table(matrix, learnt.units)
    made["communities.csv"] = _communities(learnt)
    made["components.csv"] = _components(learnt)
    made["courses.csv"] = _courses(learnt)
    return made


def _communities(learnt: Learnt) -> str:
    labels = learnt.arrays["community"].values
    sure = learnt.arrays["community_confidence"].values
    rows = [(number + 1, unit, int(labels[number, k]) + 1, f"{sure[number, k]:.4f}")
            for number in range(learnt.rank) for k, unit in enumerate(learnt.units)]  # fmt: skip
    return csv_text(["component", "unit", "community", "confidence"], rows)


def _components(learnt: Learnt) -> str:
    arrays = learnt.arrays
    animals = [str(a) for a in arrays["animal"].values]
    rows = [
        (n + 1, f"{arrays['weight'].values[n]:.6g}", f"{arrays['component_p'].values[n]:.4g}",
         *(f"{v:.6g}" for v in arrays["animal_loading"].values[n]))
        for n in range(learnt.rank)
    ]  # fmt: skip
    return csv_text(["component", "weight", "p", *(f"loading {a}" for a in animals)], rows)


def _courses(learnt: Learnt) -> str:
    arrays = learnt.arrays
    owner = arrays["bin_owner"].values
    names = [str(n) for n in arrays["recording"].values]
    frame_s = learnt.bin_s / float(arrays["samples_a_bin"])
    times = arrays["bin_frame"].values * frame_s
    events, courses = arrays["bin_event"].values.astype(str), arrays["time_course"].values
    rows = [
        (k, names[owner[k]] if owner[k] >= 0 else "all", f"{times[k]:.6g}", events[k],
         *(f"{v:.6g}" for v in courses[:, k]))
        for k in range(len(times))
    ]  # fmt: skip
    return csv_text(["bin", "recording", "time", "event", *learnt.names], rows)
