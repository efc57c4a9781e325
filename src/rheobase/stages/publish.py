"""Write the report of a dataset; it is owed even when something failed."""

from __future__ import annotations

import csv
import io
import json

from rheobase import layout
from rheobase.report.inputs import ReportInput, index_entry
from rheobase.stages import provenance
from rheobase.stages.collect import collect
from rheobase.stages.prepare import load_spec
from rheobase.storage import write_text


def report(spec: str, models: str) -> None:
    """Write ``report.html``, ``qc.tsv`` and ``config.effective.yaml`` of a dataset.

    ``qc_group.tsv`` is written where measures need all recordings.
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
        write_text(render(content), folder / "report.html")
    except Exception:
        # A page of an earlier run would be taken for this one's.
        (folder / "report.html").unlink(missing_ok=True)
        raise


def index(specs: str) -> None:
    """Write ``results/index.html``; ``specs`` is JSON: a list of dataset and models specs."""
    from rheobase.report.index import render_index

    entries = []
    for told in json.loads(specs):
        dataset, _ = load_spec(json.dumps(told["spec"]))
        entries.append(index_entry(collect(dataset, told["models"], "")))
    write_text(render_index(entries), layout.RESULTS / "index.html")


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
    from rheobase.preprocess.fmri_group import motion_relation

    relation = motion_relation(content.qc) if content.modality == "fmri" else None
    if relation is None:
        return ""
    rows = [f"{name}\t{'n/a' if value is None else f'{value:.6g}'}"
            for name, value in relation.metrics.items()]  # fmt: skip
    return "\n".join(["measure\tvalue", *rows]) + "\n"
