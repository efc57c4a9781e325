"""The methods text of a report, written from what was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rheobase.models import base as models
from rheobase.report.inputs import ReportInput, counts_frames, is_synthetic
from rheobase.report.references import (
    FAMILY_WORKS,
    SOFTWARE,
    WORKS,
    Work,
    bibliography,
    named_short,
    plain_bibtex,
    software_used,
)
from rheobase.report.steps import describe_step, value_text
from rheobase.report.testing import decoded_label, describe_testing

SIGNALS = {
    "fmri": "functional MRI region time series",
    "calcium": "calcium imaging traces",
    "emg": "electromyographic recordings",
    "series": "multivariate time series",
}
FAMILIES = {
    "linear": "a ridge-regularised linear model",
    "brainmae": "a region-aware masked autoencoder",
    "connectome": "a non-negative tensor factorisation of dynamic affinities",
    "reservoir": "an echo-state network with adaptive inhibition",
    "hmm_rnn": "a hidden Markov model",
    "spiking": "a spiking network trained with surrogate gradients",
}

ATLASES = {
    "seitzman": (300, "seitzman2020"),
    "power264": (264, "power2011"),
    "dosenbach160": (160, "dosenbach2010"),
}


@dataclass(frozen=True)
class Methods:
    """Paragraphs, the works they cite, the data's own references, and all of them as BibTeX."""

    paragraphs: tuple[str, ...]
    works: tuple[Work, ...]
    data: tuple[str, ...] = ()

    @property
    def bibtex(self) -> str:
        return "\n".join([*(work.bibtex for work in self.works), *plain_bibtex(self.data)])


def write_methods(report: ReportInput, version: str) -> Methods:
    """Return the methods of a dataset, ready to paste."""
    cited: set[str] = set()

    def cite(*keys: str) -> str:
        cited.update(keys)
        return "(" + "; ".join(f"{WORKS[k].short} {WORKS[k].year}" for k in keys) + ")"

    paragraphs = [
        _data(report),
        _cleaning(report, cite),
        _models(report, cite),
        describe_testing(report, cite),
    ]
    paragraphs.append(_software(report, version, cite))
    data = tuple(report.citation) if report.recordings else ()
    return Methods(tuple(p for p in paragraphs if p), bibliography(cited), data)


def _data(report: ReportInput) -> str:
    recordings = report.recordings
    if not recordings:
        return f"No recording of the dataset {report.dataset} could be analysed."
    subjects = {str((r.get("entities") or {}).get("subject", r["name"])) for r in recordings}
    made_up = is_synthetic(report)
    units = _span(sorted({float(r["n_units"]) for r in recordings}))
    held = f"{_count(len(recordings), 'recording')} of {units} signals; {_rate(report)}"
    kind = SIGNALS.get(report.modality, report.modality)
    sources = "; ".join(named_short(reference) for reference in report.citation)
    text = (
        f"The signals of the dataset {report.dataset} were simulated, with a known truth planted "
        f"in them; nothing was recorded from anyone. We analysed simulated {kind} of "
        f"{_count(len(subjects), 'simulated subject')} ({held})"
        if made_up
        else f"We analysed {kind} of {_count(len(subjects), 'subject')} from the dataset "
        f"{report.dataset}{f' ({sources})' if sources else ''} ({held})"
    )
    cited = f" The simulation follows {sources}." if made_up and sources else ""
    many = len(report.excluded)
    left = f" {many} further recording{'s were' if many > 1 else ' was'} excluded." if many else ""
    return f"{text}.{cited}{left}"


def _count(many: int, thing: str) -> str:
    return f"{many} {thing}{'s' * (many != 1)}"


def _rate(report: ReportInput) -> str:
    if counts_frames(report):
        return "the sampling rate is unknown and time counts frames"
    rates = sorted({float(r["rate"]) for r in report.recordings if r.get("rate")})
    return f"sampled at {_span(rates)} Hz"


def _span(values: list[float]) -> str:
    if not values:
        return "unknown"
    low, high = f"{values[0]:.6g}", f"{values[-1]:.6g}"
    return low if low == high else f"{low} to {high}"


def _cleaning(report: ReportInput, cite: Any) -> str:
    steps = next((r["steps"] for r in report.recordings if r.get("steps")), [])
    if not steps:
        return (
            "The signals were analysed as they came, without further processing."
            if report.recordings
            else ""
        )
    text = f"Signals were processed in this order: {'; '.join(describe_step(s) for s in steps)}."
    acausal = [str(s.get("step")) for s in steps if s.get("acausal")]
    if acausal:
        text += (
            f" In {', '.join(acausal)}, later samples influence earlier ones, so forecasts of "
            "these signals are no forecasts in real time."
        )
    named = str(list(steps)).lower()
    if (report.config.get("reader") or {}).get("format") == "fmriprep":
        text += f" Images had been preprocessed with fMRIPrep {cite('esteban2019')}."
    for atlas, (many, work) in ATLASES.items():
        if atlas in named:
            text += f" Regions are those of the {many}-region atlas {cite(work)}."
    if any(s.get("step") == "regress out confounds" for s in steps):
        text += (
            f" Confounds were regressed out {cite('ciric2017')} in one step with the filter, which "
            f"was applied to them too {cite('lindquist2019')}."
        )
    moved = any("fd_mean_mm" in one.get("metrics", {}) for one in report.qc.values())
    if moved or "displacement" in named:
        text += f" Framewise displacement was computed from head motion {cite('power2012')}."
    if "deconvol" in named or "oasis" in named:
        text += f" Events were inferred by non-negative deconvolution {cite('friedrich2017')}."
    return text


def _models(report: ReportInput, cite: Any) -> str:
    sentences = []
    for name, entry in report.models.items():
        family = str(entry.get("family", ""))
        known = cite(*FAMILY_WORKS[family]) if family in FAMILY_WORKS else ""
        what = FAMILIES.get(family, f"a model of the family {family}")
        given = [f"preset {entry['preset']}"] if entry.get("preset") else []
        given += [f"{key} {_flat(value)}" for key, value in (entry.get("params") or {}).items()]
        on = f", fitted on the output of {entry['on']}" if entry.get("on") else ""
        detail = f" with {', '.join(given)}" if given else " with default settings"
        scored = (report.scores.get(name) or {}).get("scores")
        lost = "" if scored else "; it gave no result"
        sentences.append(f"{name} is {what}{' ' + known if known else ''}{on}{detail}{lost}.")
        describe = (
            getattr(models.family(family), "methods", None) if family in models.FAMILIES else None
        )
        if describe and (settings := _settings(report, name)):
            label = decoded_label(report, name)
            sentences += describe(settings, cite, frames=counts_frames(report), label=label)
    return f"Models: {' '.join(sentences)}" if sentences else ""


def _settings(report: ReportInput, model: str) -> Mapping[str, Any]:
    runs = report.runs.get(model) or [{}]
    return (runs[0].get("config") or {}).get("hyperparameters") or {}


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{k} {_flat(v)}" for k, v in value.items()) + ")"
    return value_text(value)


def _software(report: ReportInput, version: str, cite: Any) -> str:
    versions = {
        str(k).lower(): str(v) for k, v in (report.provenance.get("versions") or {}).items()
    }
    recordings = report.recordings
    loaded = software_used(
        modality=report.modality,
        reader=str((report.config.get("reader") or {}).get("format", "")),
        steps=[step for r in recordings for step in r.get("steps") or []],
        families={str(report.models.get(m, {}).get("family")) for m, r in report.runs.items() if r},
    )
    versions |= {str(k).lower(): str(v) for k, v in _run_versions(report).items()}
    used = [n for n in SOFTWARE if n in versions and n in loaded]
    named = ", ".join(f"{name} {versions[name]} {cite(SOFTWARE[name])}" for name in used)
    return f"The analysis was run with rheobase {version}{' on ' + named if named else ''}."


def _run_versions(report: ReportInput) -> dict[str, Any]:
    runs = [run for fits in report.runs.values() for run in fits]
    return {name: v for run in runs for name, v in (run.get("versions") or {}).items()}
