"""What was planted in a synthetic dataset beside what was recovered from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal as dsp
from scipy.stats import rankdata

from rheobase.recording import Recording

INDICATOR_TAU_S = 1.5
Row = dict[str, str]


def compare_with_truth(source: Mapping[str, Any], paths: Sequence[Path], folder: Path) -> list[Row]:
    """Return rows ``{"what", "planted", "recovered", "how"}``; none for recordings of the world.

    ``paths`` are the cleaned recordings, ``folder`` holds ``<recording>.truth.npz`` of each.
    """
    if source["kind"] != "synthetic" or not paths:
        return []
    compare = {"fmri": _fmri, "calcium": _calcium, "emg": _emg}[source["generator"]]
    return compare([(path, folder / f"{path.stem}.truth.npz") for path in paths])


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _correlations(recording: Recording) -> np.ndarray:
    return np.corrcoef(recording.signal[recording.valid].T)


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the chance that a positive item scores above a negative one (ties count half)."""
    ranks = rankdata(score)
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def _fmri(pairs: Sequence[tuple[Path, Path]]) -> list[Row]:
    mean: dict[int, list[np.ndarray]] = {0: [], 1: []}
    truth: dict[str, np.ndarray] = {}
    for path, beside in pairs:
        truth = _load(beside)
        mean[int(truth["class"])].append(_correlations(Recording.load(path)))
    everything = np.mean([one for both in mean.values() for one in both], axis=0)
    communities = truth["communities"]
    upper = np.triu_indices(len(communities), 1)
    same = (communities[:, None] == communities[None, :])[upper]
    rows = [
        {
            "what": "community structure of the regions",
            "planted": f"{len(set(communities.tolist()))} communities; a perfect ranking has "
            "area 1.00",
            "recovered": f"area {area_under_curve(everything[upper], same):.2f}; mean correlation "
            f"{everything[upper][same].mean():.2f} inside and "
            f"{everything[upper][~same].mean():.2f} between",
            "how": "pairs of regions ranked by their mean correlation over recordings",
        }
    ]
    if not mean[0] or not mean[1]:
        return rows
    apart = np.mean(mean[1], axis=0) - np.mean(mean[0], axis=0)
    blocks = {
        (int(a), int(b)): float(apart[np.ix_(communities == a, communities == b)].mean())
        for a in np.unique(communities)
        for b in np.unique(communities)
        if a < b
    }
    largest = max(blocks, key=lambda pair: abs(blocks[pair]))
    rows.append(
        {
            "what": "where the two classes differ",
            "planted": "between communities 0 and 1 (static difference), if the generator's "
            "kind is static",
            "recovered": f"most between communities {largest[0]} and {largest[1]} "
            f"({blocks[largest]:+.2f}); "
            f"between 0 and 1 {blocks[0, 1]:+.2f}",
            "how": "difference of the mean correlations of the two classes, averaged over "
            "pairs of communities",
        }
    )
    return rows


def _calcium(pairs: Sequence[tuple[Path, Path]]) -> list[Row]:
    fit, ranking = [], []
    members = np.zeros((0, 0), bool)
    for path, beside in pairs:
        recording, truth = Recording.load(path), _load(beside)
        there = [int(name.removeprefix("neuron")) for name in recording.unit_names]
        decay = np.exp(-1 / (INDICATOR_TAU_S * recording.rate))
        spikes = truth["spikes"][:, there]
        calcium = np.asarray(dsp.lfilter([1.0], [1.0, -decay], spikes, axis=0))
        active = calcium.std(axis=0) > 0
        both = [
            np.corrcoef(recording.signal[:, i], calcium[:, i])[0, 1] for i in np.flatnonzero(active)
        ]
        fit.append(float(np.median(both)))
        members = truth["members"][:, there]
        present = truth["loadings"] > 0
        together = (members[present].T.astype(int) @ members[present].astype(int)) > 0
        upper = np.triu_indices(len(there), 1)
        ranking.append(area_under_curve(_correlations(recording)[upper], together[upper]))
    return [
        {
            "what": "the calcium of each neuron",
            "planted": "spikes through the indicator's decay of 1.5 s",
            "recovered": f"median correlation {np.median(fit):.2f} (animals {min(fit):.2f} to "
            f"{max(fit):.2f})",
            "how": "cleaned signal against the planted calcium, median over neurons",
        },
        {
            "what": "which neurons belong together",
            "planted": f"{len(members)} motifs; a perfect ranking has area 1.00",
            "recovered": f"area {np.mean(ranking):.2f} (animals {min(ranking):.2f} to "
            f"{max(ranking):.2f})",
            "how": "pairs of neurons ranked by correlation; positive are pairs that share a motif",
        },
    ]


def _emg(pairs: Sequence[tuple[Path, Path]]) -> list[Row]:
    clean, drive = [], []
    for path, beside in pairs:
        recording, truth = Recording.load(path), _load(beside)
        there = [int(name.removeprefix("channel")) for name in recording.unit_names]
        band = next((s for s in recording.steps if s["step"] == "band-pass"), {})
        wanted = _same_band(truth["clean"][:, there], band, recording.rate)
        busy = truth["excitation"].max(axis=1) > 0.1
        clean.append(
            [
                np.corrcoef(recording.signal[busy, i], wanted[busy, i])[0, 1]
                for i in range(len(there))
            ]
        )
        width = max(1, round(0.25 * recording.rate))
        smooth = np.ones(width) / width
        rms = np.sqrt(
            dsp.fftconvolve(recording.signal**2, smooth[:, None], mode="same", axes=0).clip(0)
        )
        total = dsp.fftconvolve(truth["excitation"].sum(axis=1), smooth, mode="same")
        drive.append(float(np.corrcoef(rms.sum(axis=1), total)[0, 1]))
    everything = np.concatenate(clean)
    return [
        {
            "what": "the muscle's signal without mains, motion and noise",
            "planted": "the clean signal in the same band",
            "recovered": f"median correlation {np.median(everything):.2f} (worst channel "
            f"{everything.min():.2f})",
            "how": "cleaned channel against the clean one during contraction",
        },
        {
            "what": "the drive to the muscles",
            "planted": "summed excitation of all muscles",
            "recovered": f"correlation {np.mean(drive):.2f} (sessions {min(drive):.2f} to "
            f"{max(drive):.2f})",
            "how": "summed amplitude of the channels over 250 ms against the summed excitation",
        },
    ]


def _same_band(clean: np.ndarray, step: Mapping[str, Any], rate: float) -> np.ndarray:
    low, high = step.get("low_hz"), step.get("high_hz")
    if low and high:
        return dsp.sosfiltfilt(
            dsp.butter(4, [low, high], "bandpass", fs=rate, output="sos"), clean, axis=0
        )
    if low:
        return dsp.sosfiltfilt(dsp.butter(4, low, "highpass", fs=rate, output="sos"), clean, axis=0)
    return clean
