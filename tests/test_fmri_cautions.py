"""Inputs that are refused, or read with a caution, in one sentence: file, value, limit, remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bold_tree import atlas, plant, save_run
from rheobase.io.motion import read_motion
from rheobase.io.raw import Raw
from rheobase.io.readers import read
from rheobase.preprocess.fmri_orientation import orientation_notes
from rheobase.stages.prepare import agreed_rate, preprocess
from rheobase.storage import read_json

REGIONS = 24


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def bold(rng, volumes=200, regions=6):
    """Return smooth courses, (time, region), about 1000."""
    return 1000 + rng.normal(size=(volumes, regions)).cumsum(axis=0)


def prepare(signal, **changes):
    """Preprocess one recording of region series from ``in/a.npy``."""
    Path("in").mkdir(exist_ok=True)
    np.save("in/a.npy", signal)
    dataset = {
        "modality": "fmri",
        "source": {"kind": "path", "path": "in/{subject}.npy"},
        "entities": {"subject": ["a"]},
        "reader": {"format": "npy", "orientation": "time_first"},
        "repetition_time_s": 2.0,
        "time_unit": "s",
        "preprocess": {},
        "split": {"by": "time", "folds": 2},
        "models": ["baseline"],
        **changes,
    }
    preprocess(json.dumps({"name": "rest", "dataset": dataset, "data_dir": "data"}), ["sub-a"])
    return [flag["text"] for flag in read_json(Path("results/rest/qc/sub-a.json"))["flags"]]


def test_motion_that_never_changes_is_refused_with_a_remedy(tmp_path):
    np.savetxt(tmp_path / "m.par", np.zeros((200, 6)))
    with pytest.raises(ValueError, match=r"m\.par: all six columns of motion are constant.*give"):
        read_motion(tmp_path / "m.par", "fsl", volumes=200)


@pytest.mark.parametrize(
    ("rows", "words"), [(196, r" \(they differ by n_dummy, 4\)"), (150, "")], ids=str
)
def test_motion_of_another_length_names_n_dummy_where_it_is_that(rng, rows, words):
    np.savetxt("m.par", rng.normal(scale=0.01, size=(rows, 6)))
    motion = {"path": "m.par", "format": "fsl"}
    wanted = (
        rf"m\.par has {rows} rows but the recording has 200 volumes{words}; give .* dummy volumes"
    )
    with pytest.raises(ValueError, match=wanted):
        prepare(
            bold(rng),
            reader={"format": "npy", "orientation": "time_first", "motion": motion},
            preprocess={"n_dummy": 4},
        )


def test_refusals_name_the_file_the_region_and_the_volume_of_the_file(rng):
    signal = bold(rng)
    signal[[10, 12], 2] = np.nan
    signal[30, 4] = np.inf
    wanted = r"^sub-a: region 2 .* in volume 11 and 1 more \(2 of 6 regions; so are 4\);.*a\.npy\)$"
    with pytest.raises(ValueError, match=wanted):
        prepare(signal, preprocess={"n_dummy": 5})
    signal = bold(rng)
    signal[:, 3] = 7
    wanted = r"^sub-a: region 3 is constant, 7 in 200 volumes .* \(read from in/a\.npy\)$"
    with pytest.raises(ValueError, match=wanted):
        prepare(signal)


def test_short_and_censored_recordings_are_refused_with_their_file(rng):
    with pytest.raises(ValueError, match=r"^sub-a: a run has 20 volumes.* in/a\.npy\)$"):
        prepare(bold(rng, volumes=20))
    motion = rng.normal(scale=2, size=(200, 6)) * [1, 1, 1, 0, 0, 0]
    np.savetxt("m.txt", motion)
    reader = {"format": "npy", "orientation": "time_first"}
    with pytest.raises(ValueError, match=r"^sub-a: \d+ of 200 volumes are left.*in/a\.npy"):
        prepare(bold(rng), reader={**reader, "motion": {"path": "m.txt", "format": "spm"}})


def test_a_repetition_time_is_answered_in_seconds_and_under_its_own_key():
    wanted = (
        "f.nii says 2 s a volume and the config says 2.5 s a volume; correct or remove repetition"
    )
    with pytest.raises(ValueError, match=wanted):
        agreed_rate(0.5, 0.4, Path("f.nii"), key="repetition_time_s")
    with pytest.raises(ValueError, match=r"no sampling rate; give repetition_time_s"):
        agreed_rate(None, None, Path("f.nii"), key="repetition_time_s")
    with pytest.raises(ValueError, match=r"says 2 Hz .* correct or remove sampling_rate_hz"):
        agreed_rate(2.0, 2.5, Path("f.edf"))


def test_a_missing_atlas_names_its_key_and_what_to_do():
    run = plant(Path("deriv"), samples=40, jumps=())
    parcels = atlas(Path(), REGIONS)
    for key in ("image", "labels"):
        wrong = {**parcels, key: "no.tsv"}
        with pytest.raises(FileNotFoundError, match=rf"correct preprocess\.atlas\.{key} or put"):
            read(run.image, reader={"format": "nifti"}, files={}, preprocess={"atlas": wrong})


def image(tr_s, series, *, hole=None):
    """Write an image of the painted regions; one voxel is the ``hole`` in one volume."""
    run = plant(Path("deriv"), samples=240, jumps=(), series=series)
    import nibabel

    stored: Any = nibabel.load(run.image)
    values = np.asarray(stored.dataobj)
    if hole is not None:
        values[10, 12, 10, 100] = hole
    Path("in").mkdir(exist_ok=True)
    save_run(Path("in/a.nii.gz"), values, tr_s)


@pytest.mark.parametrize(
    ("tr_s", "rate", "cautioned"), [(1.0, None, True), (1.0, 1.0, False), (2.0, None, False)]
)
def test_a_header_of_exactly_one_second_is_a_caution_unless_confirmed(tr_s, rate, cautioned):
    image(tr_s, None)
    flags = prepare(
        np.zeros(1),
        source={"kind": "path", "path": "in/{subject}.nii.gz"},
        reader={"format": "nifti"},
        preprocess={"atlas": atlas(Path(), REGIONS), "least_valid_s": 60},
        repetition_time_s=None,
        sampling_rate_hz=rate,
    )
    assert any("exactly 1 s a volume" in text for text in flags) == cautioned


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_voxel_without_a_number_inside_the_atlas_is_counted(hole):
    image(2.0, None, hole=hole)
    parcels = atlas(Path(), REGIONS)
    found = read(
        Path("in/a.nii.gz"), reader={"format": "nifti"}, files={}, preprocess={"atlas": parcels}
    )
    assert found.notes[0].startswith("1 voxels of 1 regions hold NaN or infinity in some volume")
    assert np.isfinite(found.signal).all()
    image(2.0, None)
    found = read(
        Path("in/a.nii.gz"), reader={"format": "nifti"}, files={}, preprocess={"atlas": parcels}
    )
    assert found.notes == ()


def test_interchanged_axes_are_a_caution_that_names_the_key(rng):
    signal = bold(rng, volumes=234, regions=200)
    flags = prepare(signal.T, reader={"format": "npy", "orientation": "time_last"})
    assert not any("orientation" in text for text in flags)
    long = bold(rng, volumes=90, regions=234)
    flags = prepare(long.T, preprocess={"detrend": "none"})
    assert any("90 volumes as regions; check reader.orientation" in text for text in flags)


def test_names_or_labels_confirm_the_axes(rng):
    signal = bold(rng, volumes=90, regions=234).T
    plain = tuple(map(str, range(90)))
    assert orientation_notes(Raw(signal, plain))
    assert not orientation_notes(Raw(signal, tuple(f"r{i}" for i in range(90))))
    assert not orientation_notes(Raw(signal, plain, unit_labels={"network": np.zeros(90)}))


def test_real_regions_are_told_from_real_volumes(shared_data):
    path = next(iter(sorted((shared_data / "stages_rest").glob("*.npy"))), None)
    if path is None:
        pytest.skip("stages_rest is not there")
    stored = np.load(path)  # (region, volume)
    assert not orientation_notes(Raw(stored.T, tuple(map(str, range(stored.shape[0])))))
    assert orientation_notes(Raw(stored, tuple(map(str, range(stored.shape[1])))))
