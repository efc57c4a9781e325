"""What the quality section shows: flags, measures, excluded units, figures of a few recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from rheobase.preprocess.calcium import UNITS as CALCIUM_UNITS
from rheobase.report import calcium_cells, figures, fmri_figures, fmri_group
from rheobase.report.embed import Budget, Figure
from rheobase.report.inputs import ReportInput

MAX_SHOWN = 12
SEVERITY = {"bad": 0, "warning": 1}
GLOSSARY = {
    "fmri": (
        (
            "tSNR",
            "mean over standard deviation in time; higher is better, spatial smoothing raises it",
        ),
        ("SD", "standard deviation of a region over time, as stored or in percent of its mean"),
        (
            "ac1",
            "correlation of a region with itself one volume later; near 1 means smooth in time",
        ),
        (
            "DVARS",
            "change of all regions from one volume to the next; peaks are movement or artefacts",
        ),
        ("FD", "framewise displacement: head movement from one volume to the next, in mm"),
        (
            "standardised DVARS",
            "DVARS over that of smooth noise of the same size; 1 is quiet, above 1.5 a jump",
        ),
        (
            "GCOR",
            "mean correlation over all pairs of regions; large means that all share one signal",
        ),
        (
            "degrees of freedom",
            "independent samples left after censoring, confounds and filter; 30 are the least",
        ),
        (
            "QC-FC",
            "correlation over recordings of connectivity with head motion; 0 means none is left",
        ),
        (
            "power above 0.1 Hz",
            "share of power above the usual resting-state band; near 0 means filtered before",
        ),
    ),
    "calcium": (
        (
            "SNR",
            "size of the events over the noise of the trace; cells below the limit are excluded",
        ),
        ("noise", "standard deviation of what changes from frame to frame"),
        ("nu", "noise of dF/F for one frame a second: comparable between frame rates"),
        ("skewness", "asymmetry of the trace; positive where there are events"),
        ("decay", "time in which the trace forgets; outside 0.05 to 10 s it is no indicator's"),
        ("events", "rises above 3 noise SD that last 2 frames and 0.3 s, until below 1.5"),
        (
            "neighbour r",
            "largest correlation with a cell within 15 pixels: near 1 is one cell twice",
        ),
        ("drift", "slow change of the baseline, mostly bleaching or movement out of focus"),
        (
            "global variance",
            "share of variance that all cells have in common; high means light or movement",
        ),
    ),
    "emg": (
        (
            "line before, line after",
            "power at the mains frequency and its harmonics over its surroundings",
        ),
        ("smr", "signal over power below the band: low means movement of cables or skin"),
        ("clipped", "share of samples at the ends of the amplifier's range"),
        ("equal", "share of samples equal to the one before: a dead or frozen channel"),
        ("rms", "root mean square of the cleaned signal"),
    ),
    "series": (),
}


@dataclass(frozen=True)
class RecordingQuality:
    """One recording with everything said about it."""

    name: str
    flags: tuple[Mapping[str, str], ...]
    excluded_units: tuple[tuple[str, str], ...]
    n_units: int
    figures: tuple[Figure, ...] = ()

    @property
    def level(self) -> str:
        """Return ``bad``, ``warning`` or ``fine``."""
        levels = {flag["level"] for flag in self.flags}
        return "bad" if "bad" in levels else "warning" if levels else "fine"


@dataclass(frozen=True)
class Quality:
    """All recordings (worst first), the ones drawn, and words for what is left out."""

    recordings: tuple[RecordingQuality, ...]
    shown: tuple[RecordingQuality, ...]
    not_shown: int
    without_figures: int
    glossary: tuple[tuple[str, str], ...]
    group: tuple[Figure, ...] = ()
    """Figures of the data set as a whole."""
    group_words: tuple[str, ...] = ()

    @property
    def flagged(self) -> tuple[RecordingQuality, ...]:
        return tuple(r for r in self.recordings if r.flags)

    @property
    def with_excluded(self) -> tuple[RecordingQuality, ...]:
        return tuple(r for r in self.recordings if r.excluded_units)


def quality_section(report: ReportInput, budget: Budget) -> Quality:
    """Return the content of the quality section; figures beyond the page's budget are left out."""
    names = dict.fromkeys([*(str(r["name"]) for r in report.recordings), *report.qc])
    everyone = [_recording(name, report) for name in names]
    everyone.sort(key=lambda r: min((SEVERITY.get(f["level"], 1) for f in r.flags), default=2))
    shown, without = [], 0
    drawable = [r for r in everyone if report.qc.get(r.name, {}).get("preview")]
    for recording in drawable[:MAX_SHOWN]:
        drawn = _figures(recording.name, report)
        if drawn and budget.take(sum(len(f.body) + len(f.csv or "") for f in drawn)):
            shown.append(RecordingQuality(
                recording.name, recording.flags, recording.excluded_units, recording.n_units, drawn
            ))  # fmt: skip
        else:
            without += 1
    return Quality(
        tuple(everyone),
        tuple(shown),
        max(0, len(drawable) - MAX_SHOWN),
        without,
        GLOSSARY.get(report.modality, ()),
        fmri_group.group_figures(report.qc, report.motion) if report.modality == "fmri" else (),
        fmri_group.group_words(report.qc, report.motion) if report.modality == "fmri" else (),
    )


def _recording(name: str, report: ReportInput) -> RecordingQuality:
    qc = report.qc.get(name, {})
    units: Sequence[Mapping[str, Any]] = qc.get("units") or []
    excluded = tuple((str(u["name"]), str(u["excluded"])) for u in units if u.get("excluded"))
    flags = (*qc.get("flags", []), *report.group_flags.get(name, []))
    return RecordingQuality(name, flags, excluded, len(units))


def _figures(name: str, report: ReportInput) -> tuple[Figure, ...]:
    preview = report.qc[name]["preview"]
    frames = any(r.get("time_unit") == "frame" for r in report.recordings if r["name"] == name)
    time_unit = "frames" if frames else "s"
    recording = next((r for r in report.recordings if r["name"] == name), {})
    units = preview_units(recording, report)
    duration = recording.get("duration")
    limits = _limits(report.config.get("preprocess") or {})
    own: tuple[Figure | None, ...] = ()
    if report.modality == "fmri":
        pictures = report.pictures.get(name, xr.Dataset())
        own = fmri_figures.of_recording(name, preview, pictures, limits, time_unit)
    if report.modality == "calcium":
        own = (
            figures.carpet(name, preview, report.modality, time_unit),
            calcium_cells.table(name, report.qc[name].get("units") or []),
        )
    elif not own or own[0] is None:
        own = (
            figures.carpet(name, preview, report.modality, time_unit),
            figures.series(name, preview, limits, time_unit, duration),
            *own,
        )
    drawn = (
        *own,
        figures.spectrum(name, preview, report.modality, time_unit, units),
        figures.traces(name, preview, time_unit, units),
    )
    return tuple(figure for figure in drawn if figure is not None)


def _limits(options: Mapping[str, Any]) -> dict[str, float]:
    named = {"framewise_displacement_mm": "fd_mm", "std_dvars": "std_dvars"}
    return {key: float(options[name]) for key, name in named.items() if options.get(name)}


def preview_units(recording: Mapping[str, Any], report: ReportInput) -> str:
    """Return the units of a preview, which is drawn before any z-scoring of the recording."""
    units = str(recording.get("units") or "")
    if any(step.get("step") == "z-score" for step in recording.get("steps") or []):
        told = str(report.config.get("units") or "")
        units = "uV" if report.modality == "emg" and told != "count" else told
        if report.modality == "calcium":
            kind = (report.config.get("preprocess") or {}).get("input", "raw")
            units = CALCIUM_UNITS.get(kind, told)
    return {"uV": "µV", "": "a.u."}.get(units, units)
