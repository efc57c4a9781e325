"""Write the report of a dataset; it is owed even when something failed."""

from __future__ import annotations

import csv
import io
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rheobase import layout
from rheobase.report.calcium_cells import cells_tsv
from rheobase.report.embed import Budget, Figure
from rheobase.report.inputs import ReportInput, index_entry
from rheobase.stages import provenance
from rheobase.stages.collect import collect, stored_drawings
from rheobase.stages.gathered import across
from rheobase.stages.learn import save_drawings
from rheobase.stages.prepare import load_spec
from rheobase.storage import write_text

INDEX_BYTES = 1_000_000
log = logging.getLogger(__name__)


def report(spec: str, models: str) -> None:
    """Write ``report.html``, ``qc.tsv`` and ``config.effective.yaml`` of a dataset.

    ``qc_group.tsv`` is written where measures need all recordings, ``qc_cells.tsv`` for calcium.
    """
    import yaml

    from rheobase.report.page import render

    dataset, rest = load_spec(spec)
    told = json.loads(models)
    config = yaml.safe_dump(provenance.effective_config(dataset, rest, told), sort_keys=False)
    folder = layout.dataset_dir(dataset.name)
    try:
        content = collect(dataset, told, config)
        write_text(config, folder / "config.effective.yaml")
        write_text(quality_table(content), folder / "qc.tsv")
        if told_group := group_quality(content):
            write_text(told_group, folder / "qc_group.tsv")
        if content.modality == "calcium":
            write_text(cells_tsv(content.qc), folder / "qc_cells.tsv")
        write_text(render(content), folder / "report.html")
    except Exception:
        # A page of an earlier run would be taken for this one's.
        (folder / "report.html").unlink(missing_ok=True)
        raise


def index(specs: str) -> None:
    """Write ``results/index.html``; ``specs`` is JSON: a list of dataset and models specs."""
    from rheobase.report.index import render_index

    contents = []
    for told in json.loads(specs):
        dataset, _ = load_spec(json.dumps(told["spec"]))
        contents.append(collect(dataset, told["models"], "", drawn=False))
    page = render_index([index_entry(content) for content in contents], _over_datasets(contents))
    write_text(page, layout.RESULTS / "index.html")


def _over_datasets(contents: Sequence[ReportInput]) -> dict[str, tuple[Figure, ...]]:
    """Return, by model, the drawings of its fits on several datasets together."""
    from rheobase.report.modelling import drawn_figures

    budget, made = Budget(INDEX_BYTES), {}
    for model in dict.fromkeys(name for content in contents for name in content.models):
        used = [content for content in contents if content.runs.get(model)]
        if len(used) < 2:
            continue
        folders = {c.dataset: _folders(c.dataset, model, c.runs[model]) for c in used}
        try:
            drawings = across(str(used[0].models[model]["family"]), folders)
        except (ValueError, OSError):
            log.exception("%s over datasets is not shown", model)
            continue
        with tempfile.TemporaryDirectory() as here:
            save_drawings(drawings, Path(here))
            made[model] = drawn_figures(stored_drawings(Path(here)), Path(here), budget)
    return {model: figures for model, figures in made.items() if figures}


def _folders(
    dataset: str, model: str, runs: Sequence[Mapping[str, Any]]
) -> dict[tuple[int, int], Path]:
    return {
        (run["fold"], run["seed"]): layout.fit_dir(dataset, model, run["fold"], run["seed"])
        for run in runs
    }


def quality_table(content: ReportInput) -> str:
    """Return quality metrics and flags as TSV, a row a recording."""
    columns = sorted({key for one in content.qc.values() for key in one["metrics"]})
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(["recording", *columns, "units_excluded", "flags"])
    for name, one in content.qc.items():
        flags = [*one["flags"], *content.group_flags.get(name, [])]
        excluded = sum(1 for unit in one["units"] if unit.get("excluded"))
        values = [
            "n/a" if one["metrics"].get(key) is None else one["metrics"][key] for key in columns
        ]
        writer.writerow(
            [name, *values, excluded, "; ".join(f"{f['level']}: {f['text']}" for f in flags)]
        )
    return out.getvalue()


def group_quality(content: ReportInput) -> str:
    """Return the measures that need all recordings as TSV; empty where there are none."""
    if content.motion is None:
        return ""
    rows = [f"{name}\t{'n/a' if value is None else f'{value:.6g}'}"
            for name, value in content.motion.metrics.items()]  # fmt: skip
    return "\n".join(["measure\tvalue", *rows]) + "\n"
