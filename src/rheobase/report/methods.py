"""The methods text of a report, written from what was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rheobase.evaluate.words import number
from rheobase.report.figures import UNITS
from rheobase.report.inputs import ReportInput, ratio_of
from rheobase.report.references import FAMILY_WORKS, SOFTWARE, WORKS, Work, bibliography

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
    "hmm_rnn": "a hidden Markov model and a recurrent network that emulates it",
    "spiking": "a spiking network trained with surrogate gradients",
}
UNITS_OUT = {
    "subject": "whole subjects",
    "session": "whole sessions",
    "run": "whole runs",
    "trial": "whole trials",
    "time": "contiguous blocks of time",
}


@dataclass(frozen=True)
class Methods:
    """Paragraphs, the works they cite, and those works as BibTeX."""

    paragraphs: tuple[str, ...]
    works: tuple[Work, ...]

    @property
    def bibtex(self) -> str:
        return "\n".join(work.bibtex for work in self.works)


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
        _testing(report, cite),
    ]
    paragraphs.append(_software(report, version, cite))
    return Methods(tuple(p for p in paragraphs if p), bibliography(cited))


def _data(report: ReportInput) -> str:
    recordings = report.recordings
    if not recordings:
        return f"No recording of the dataset {report.dataset} could be analysed."
    subjects = {str((r.get("entities") or {}).get("subject", r["name"])) for r in recordings}
    rates = sorted({float(r["rate"]) for r in recordings if r.get("rate")})
    frames = recordings[0].get("time_unit") == "frame"
    rate = (
        "the sampling rate is unknown and time counts frames"
        if frames
        else f"sampled at {_span(rates)} Hz"
    )
    units = _span(sorted({float(r["n_units"]) for r in recordings}))
    many = len(report.excluded)
    left = f" {many} further recording{'s were' if many > 1 else ' was'} excluded." if many else ""
    kind = SIGNALS.get(report.modality, report.modality)
    people = f"{len(subjects)} subject{'s' * (len(subjects) != 1)}"
    return (
        f"We analysed {kind} of {people} from the dataset {report.dataset} ({len(recordings)} "
        f"recordings of {units} signals; {rate}).{left}"
    )


def _span(values: list[float]) -> str:
    if not values:
        return "unknown"
    low, high = f"{values[0]:.6g}", f"{values[-1]:.6g}"
    return low if low == high else f"{low} to {high}"


def describe_step(step: Mapping[str, Any]) -> str:
    """Return a processing step in words, like "band-pass (low 0.01 Hz, high 0.1 Hz)"."""
    details = [_detail(key, v) for key, v in step.items() if key not in ("step", "acausal")]
    return f"{step.get('step', 'step')}{' (' + ', '.join(details) + ')' if details else ''}"


def _detail(key: str, value: Any) -> str:
    stem, _, unit = key.rpartition("_")
    known = stem and unit in UNITS and isinstance(value, int | float | list | tuple)
    return (
        f"{stem.replace('_', ' ')} {_value(value)} {UNITS[unit]}"
        if known
        else f"{key.replace('_', ' ')} {_value(value)}"
    )


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"{len(value)} entries" if len(value) > 6 else ", ".join(map(_value, value))
    return str(value)


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
    named = " ".join(describe_step(s) for s in steps).lower()
    if "seitzman" in named:
        text += f" Regions are those of the 300-region atlas {cite('seitzman2020')}."
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
        settings = [f"preset {entry['preset']}"] if entry.get("preset") else []
        settings += [f"{key} {_flat(value)}" for key, value in (entry.get("params") or {}).items()]
        on = f", fitted on the output of {entry['on']}" if entry.get("on") else ""
        detail = f" with {', '.join(settings)}" if settings else " with default settings"
        sentences.append(f"{name} is {what}{' ' + known if known else ''}{on}{detail}.")
    return f"Models: {' '.join(sentences)}" if sentences else ""


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{k} {_flat(v)}" for k, v in value.items()) + ")"
    return _value(value)


def _testing(report: ReportInput, cite: Any) -> str:
    folds = report.splits.get("folds", [])
    if not folds:
        return ""
    by = str(report.splits.get("by", ""))
    seeds = sorted({run["seed"] for runs in report.runs.values() for run in runs})
    gap = report.splits.get("gap_s")
    unit = (
        "frames" if report.recordings and report.recordings[0].get("time_unit") == "frame" else "s"
    )
    apart = f", {gap:g} {unit} apart from the training part" if gap and by == "time" else ""
    many = f"{len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    ratio = number(ratio_of(report))
    return (
        f"Models were tested in {len(folds)} folds on {UNITS_OUT.get(by, by)} that were left out "
        f"of training{apart}, with {many} per fold; every choice of a setting was made within the "
        "training part. Rivals were trained and tested on the same folds. Scores were averaged "
        "over seeds, then over folds; 95 % intervals and paired two-sided tests over folds use a t "
        "distribution with a variance corrected for overlapping training parts "
        f"{cite('nadeau2003')} (test to training size {ratio}). Permutation p-values against "
        f"chance were combined over fits as twice their median {cite('meinshausen2009')}. "
        f"p-values were corrected {cite('holm1979')} within three families: each model's first "
        "score against its best rival, all other comparisons with rivals, and all tests against "
        "chance."
    )


def _software(report: ReportInput, version: str, cite: Any) -> str:
    versions = {
        str(k).lower(): str(v) for k, v in (report.provenance.get("versions") or {}).items()
    }
    loaded = {
        name.lower()
        for runs in report.runs.values()
        for run in runs
        for name in run.get("versions") or {}
    }
    modality = {"fmri": {"nilearn"}, "emg": {"mne"}}.get(report.modality, set())
    always = {"numpy", "scipy", "xarray", "snakemake"}
    used = [n for n in SOFTWARE if n in versions and (n in always | modality | loaded)]
    named = ", ".join(f"{name} {versions[name]} {cite(SOFTWARE[name])}" for name in used)
    return f"The analysis was run with rheobase {version}{' on ' + named if named else ''}."
