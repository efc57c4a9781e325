"""Everything a report is made of: plain data, read from results by the stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rheobase.evaluate.aggregate import size_ratio, summarise
from rheobase.evaluate.summaries import ScoreSummary
from rheobase.evaluate.verdict import Verdict, judge

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.preprocess.fmri_group import MotionRelation


@dataclass(frozen=True)
class ReportInput:
    """What is known of one dataset when its report is made."""

    dataset: str
    modality: str
    config: Mapping[str, Any] = field(default_factory=dict)
    """The dataset's effective config."""
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name to ``{"family", "preset", "params", "on", ...}``, in the order of the config."""
    recordings: Sequence[Mapping[str, Any]] = ()
    """``{"name", "entities", "labels", "n_samples", "n_units", "duration", "time_unit", "rate",
    "units", "valid_fraction", "steps"}`` each."""
    qc: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Recording to ``{"metrics", "units", "flags", "preview"}``."""
    pictures: Mapping[str, xr.Dataset] = field(default_factory=dict)
    """Recording to what its figures need besides (fMRI)."""
    motion: MotionRelation | None = None
    """How connectivity goes with head motion over recordings (fMRI)."""
    group_flags: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    """Recording to flags that needed all recordings."""
    splits: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Model to its gathered metrics."""
    runs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Model to the ``run.json`` of its fits."""
    drawings: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Model to ``{"name", "title", "caption", "alt", "image_path", "csv_path"}``."""
    across: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Model to the drawings of all its fits together."""
    truth: Sequence[Mapping[str, Any]] = ()
    """``{"what", "planted", "recovered", "how"}``; synthetic datasets only."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """``{"versions", "git_commit", "git_dirty", "command", "host", "device", "seeds", "inputs",
    "cost", "config_text"}``; any further key with a plain value is shown too."""
    errors: Sequence[Mapping[str, Any]] = ()
    """``{"job", "message", "log_tail"}`` of each failed job."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Recordings left out, each with its reason."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Recordings that should be there and are not, each with the reason."""
    licence: str | None = None
    citation: Sequence[str] = ()
    folder: Path = Path()
    """Where the page will lie; files too large to embed are linked from there."""


@dataclass(frozen=True)
class IndexEntry:
    """One dataset on the page that links all reports."""

    dataset: str
    modality: str
    n_recordings: int
    verdict: Verdict
    headlines: Mapping[str, ScoreSummary | None]
    """Model to its first score; None where the model has none."""
    families: Mapping[str, str] = field(default_factory=dict)
    link: str = ""
    """Address of the report, relative to the index."""
    synthetic: bool = False


def ratio_of(report: ReportInput) -> float | None:
    """Return n_test / n_train in samples, averaged over folds."""
    return size_ratio(
        report.splits, {str(r["name"]): int(r["n_samples"]) for r in report.recordings}
    )


def summaries_of(report: ReportInput) -> dict[str, tuple[ScoreSummary, ...]]:
    """Return a summary of every score by model; models without results have an empty entry."""
    made = summarise(report.scores, ratio=ratio_of(report))
    return {model: made.get(model, ()) for model in {**report.models, **report.scores}}


def verdict_of(report: ReportInput, summaries: Mapping[str, Sequence[ScoreSummary]]) -> Verdict:
    """Return the verdict on the dataset."""
    folds = report.splits.get("folds", [])
    subjects = {(r.get("entities") or {}).get("subject", r["name"]) for r in report.recordings}
    return judge(
        summaries=summaries,
        qc=report.qc,
        group_flags=report.group_flags,
        excluded=report.excluded,
        shifts={int(f["fold"]): f["shift"] for f in folds if f.get("shift")},
        folds=len(folds),
        n_recordings=len(report.recordings),
        errors=len(report.errors),
        seedless={name for name, model in report.models.items() if not model.get("random", True)},
        subjects=len(subjects),
        by=str(report.splits.get("by", "")),
    )


def is_synthetic(report: ReportInput) -> bool:
    """Return whether the dataset was generated with a planted truth."""
    return report.config.get("source", {}).get("kind") == "synthetic"


def counts_frames(report: ReportInput) -> bool:
    """Return whether time counts frames, since the sampling rate is unknown."""
    return bool(report.recordings) and report.recordings[0].get("time_unit") == "frame"


def index_entry(report: ReportInput) -> IndexEntry:
    """Return what the index shows of a dataset."""
    summaries = summaries_of(report)
    return IndexEntry(
        dataset=report.dataset,
        modality=report.modality,
        n_recordings=len(report.recordings),
        verdict=verdict_of(report, summaries),
        headlines={model: scores[0] if scores else None for model, scores in summaries.items()},
        families={model: str(entry.get("family", "")) for model, entry in report.models.items()},
        link=f"{report.dataset}/report.html",
        synthetic=is_synthetic(report),
    )
