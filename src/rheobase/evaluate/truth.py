"""What was planted in a synthetic dataset beside what was recovered from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from rheobase.recording import Recording

INDICATOR_TAU_S = 1.5
Row = dict[str, str]


def compare_with_truth(source: Mapping[str, Any], paths: Sequence[Path], folder: Path) -> list[Row]:
    """Return rows ``{"what", "planted", "recovered", "how"}``; none for recordings of the world.

    ``paths`` are the cleaned recordings, ``folder`` holds ``<recording>.truth.npz`` of each.
    """
    if source["kind"] != "synthetic" or not paths:
        return []
    pairs = [(path, folder / f"{path.stem}.truth.npz") for path in paths]
    if source["generator"] == "fmri":
        return _fmri(pairs, source.get("params", {}))
    rows = {"calcium": _calcium, "emg": _emg}.get(source["generator"])
    return rows(pairs) if rows else []


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _correlations(recording: Recording) -> np.ndarray:
    return np.corrcoef(recording.signal[recording.valid].T)


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the chance that a positive item scores above a negative one (ties count half)."""
    ranks = scipy.stats.rankdata(score)
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def _fmri(pairs: Sequence[tuple[Path, Path]], params: Mapping[str, Any]) -> list[Row]:
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
    if mean[0] and mean[1]:
        apart = np.mean(mean[1], axis=0) - np.mean(mean[0], axis=0)
        rows.append(_classes_apart(apart, truth, params))
    return rows


def _classes_apart(
    apart: np.ndarray, truth: Mapping[str, np.ndarray], params: Mapping[str, Any]
) -> Row:
    """Return where the mean correlations of the classes differ, class 1 minus class 0."""
    communities = truth["communities"]
    blocks = {
        (int(a), int(b)): float(apart[np.ix_(communities == a, communities == b)].mean())
        for a in np.unique(communities)
        for b in np.unique(communities)
        if a < b
    }
    largest = max(blocks, key=lambda pair: abs(blocks[pair]))
    return {
        "what": "where the two classes differ",
        "planted": _planted_difference(truth, params),
        "recovered": f"most between communities {largest[0]} and {largest[1]} "
        f"({blocks[largest]:+.2f}); between 0 and 1 {blocks[0, 1]:+.2f}",
        "how": "difference of the mean correlations of the two classes, averaged over "
        "pairs of communities",
    }


def _planted_difference(truth: Mapping[str, np.ndarray], params: Mapping[str, Any]) -> str:
    match params.get("difference", "static"):
        case "static":
            # Loadings and measurement noise weaken what was planted between the communities.
            loadings, communities = truth["loadings"], truth["communities"]
            share = loadings[communities == 0].mean() * loadings[communities == 1].mean()
            share /= 1 + 1 / float(params.get("snr", 1.0)) ** 2
            step = np.diff(truth["covariances"][:, :, 0, 1].mean(axis=1))[0]
            return (
                f"communities 0 and 1 are more correlated in class 1: {step:+.2f} in their "
                f"activity, {share * step:+.2f} after the regions' loadings and the noise"
            )
        case "dwell":
            return "how long a state lasts; no difference of the mean correlations"
        case "order":
            return "the order of the states; no difference of the mean correlations"
        case _:
            return "no difference"


def _calcium(pairs: Sequence[tuple[Path, Path]]) -> list[Row]:
    fit, ranking = [], []
    members = np.zeros((0, 0), bool)
    for path, beside in pairs:
        recording, truth = Recording.load(path), _load(beside)
        there = [int(name.removeprefix("neuron")) for name in recording.unit_names]
        decay = np.exp(-1 / (INDICATOR_TAU_S * recording.rate))
        spikes = truth["spikes"][:, there]
        calcium = np.asarray(scipy.signal.lfilter([1.0], [1.0, -decay], spikes, axis=0))
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
    clean, drive, told, number = [], [], [], ""
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
            scipy.signal.fftconvolve(
                recording.signal**2, smooth[:, None], mode="same", axes=0
            ).clip(0)
        )
        total = scipy.signal.fftconvolve(truth["excitation"].sum(axis=1), smooth, mode="same")
        drive.append(float(np.corrcoef(rms.sum(axis=1), total)[0, 1]))
        gestures, patterns = _contractions(recording, truth["stimulus"])
        told.append(told_apart(patterns, gestures))
        number = f"{len(set(gestures.tolist()))} gestures, {len(gestures)} contractions a session"
    return [_gestures(number, told), *_muscles(np.concatenate(clean), drive)]


def _contractions(recording: Recording, stimulus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gesture of each contraction, and its log RMS a channel about their mean."""
    edges = np.flatnonzero(np.diff(stimulus)) + 1
    parts = [p for p in np.split(np.arange(len(stimulus)), edges) if stimulus[p[0]] > 0]
    power = np.array([(recording.signal[part] ** 2).mean(axis=0) for part in parts])
    logs = np.log(np.maximum(power, np.finfo(np.float32).tiny)) / 2
    return stimulus[[p[0] for p in parts]], logs - logs.mean(axis=1, keepdims=True)


def told_apart(patterns: np.ndarray, kinds: np.ndarray) -> float:
    """Return the share of patterns (item, feature) nearest to the mean of their own kind.

    Each is compared with means that leave it out; kinds with one item are left out.
    """
    names, counts = np.unique(kinds, return_counts=True)
    names = names[counts > 1]
    right = []
    for item in np.flatnonzero(np.isin(kinds, names)):
        others = np.arange(len(kinds)) != item
        means = np.array([patterns[others & (kinds == name)].mean(axis=0) for name in names])
        nearest = names[np.linalg.norm(means - patterns[item], axis=1).argmin()]
        right.append(nearest == kinds[item])
    return float(np.mean(right)) if right else float("nan")


def _gestures(number: str, told: Sequence[float]) -> Row:
    return {
        "what": "the gestures",
        "planted": number,
        "recovered": f"{100 * np.mean(told):.0f} % of the contractions told apart (sessions "
        f"{100 * min(told):.0f} to {100 * max(told):.0f} %)",
        "how": "pattern of amplitude over the cleaned channels while a gesture was asked for, "
        "nearest mean of the session's other contractions; no model is used",
    }


def _muscles(everything: np.ndarray, drive: Sequence[float]) -> list[Row]:
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
        return scipy.signal.sosfiltfilt(
            scipy.signal.butter(4, [low, high], "bandpass", fs=rate, output="sos"), clean, axis=0
        )
    if low:
        return scipy.signal.sosfiltfilt(
            scipy.signal.butter(4, low, "highpass", fs=rate, output="sos"), clean, axis=0
        )
    return clean
