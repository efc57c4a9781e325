"""Runs of an fMRIPrep derivatives tree: what is read, regressed out and flagged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from nilearn.interfaces.fmriprep import load_confounds
from nilearn.signal import butterworth
from scipy.stats import spearmanr

from bold_tree import atlas, plant, write_table
from rheobase.io.readers import read
from rheobase.io.sides import read_table
from rheobase.preprocess.clean import Cleaned, clean

REGIONS = 24
BAND = [0.01, 0.1]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("derivatives")
    return plant(folder), atlas(folder, REGIONS)


def load(run, parcels, **options):
    return read(
        run.image,
        reader={"format": "fmriprep"},
        files={},
        preprocess={"atlas": parcels, **options},
    )


def made(run, parcels, **options) -> Cleaned:
    options = {"denoise": "simple", "std_dvars": 1.5, **options}
    raw = load(run, parcels, **options)
    return clean(
        raw,
        modality="fmri",
        rate=raw.rate_hz or 0,
        time_unit="s",
        units=None,
        options=options,
        name="sub-01",
    )


def connectivity(signal):
    return np.corrcoef(signal, rowvar=False)[np.triu_indices(signal.shape[1], 1)]


def agreement(left, right) -> float:
    ranks: Any = spearmanr(left, right)
    return float(ranks[0])


def steps(cleaned, name) -> dict[str, Any]:
    return next(step for step in cleaned.steps if step["step"] == name)


def test_regions_are_named_and_the_rate_is_the_sidecars(tree):
    raw = load(*tree)
    assert raw.names[:2] == ("r00", "r01")
    assert raw.rate_hz == pytest.approx(0.5)
    assert raw.unit_labels["network"][0] == "net0"
    assert raw.signal.shape == (240, REGIONS)
    assert raw.extras["coverage"].tolist() == [1.0] * REGIONS


def test_denoising_recovers_the_connectivity_without_motion(tmp_path):
    run, parcels = plant(tmp_path, samples=600), atlas(tmp_path, REGIONS)
    truth = connectivity(butterworth(run.series, sampling_rate=0.5, low_pass=0.1, high_pass=0.01))
    dirty = made(run, parcels, denoise="none", fd_mm=None, std_dvars=None, band_hz=BAND)
    cleaned = made(run, parcels, band_hz=BAND)
    before = agreement(connectivity(dirty.signal), truth)
    after = agreement(connectivity(cleaned.signal[cleaned.valid]), truth)
    assert after >= 0.9
    assert after > before + 0.05


def test_planted_jumps_are_exactly_the_flagged_frames(tree):
    run, parcels = tree
    cleaned = made(run, parcels, std_dvars=None)
    assert np.flatnonzero(~cleaned.valid).tolist() == list(run.jumps)
    told = steps(cleaned, "bridge flagged frames")
    assert (told["above_fd_mm"], told["fd_mm"], told["scrub"]) == (2, 0.5, 5)


def test_the_default_is_simple_and_its_confounds_are_told(tree):
    run, parcels = tree
    raw = load(run, parcels)
    assert raw.steps[-1]["strategy"] == "simple"
    names = raw.extras["confound_names"].tolist()
    assert {"csf", "white_matter", "rot_z_derivative1_power2", "cosine00"} < set(names)
    assert len(names) == 24 + 2 + 3


@pytest.mark.parametrize(
    ("denoise", "count"),
    [
        ("6p", 6 + 3),
        ("24p", 24 + 3),
        ("36p", 24 + 8 + 4 + 3),
        ("compcor", 24 + 5 + 3),
        ("scrubbing", 24 + 8 + 3),
    ],
)
def test_each_strategy_takes_its_confounds(tree, denoise, count):
    run, parcels = tree
    assert load(run, parcels, denoise=denoise).extras["confounds"].shape == (240, count)


def test_simple_is_the_strategy_of_nilearn(tree):
    run, parcels = tree
    theirs: Any = load_confounds(
        str(run.image), strategy=("motion", "high_pass", "wm_csf"), motion="full", wm_csf="basic"
    )[0]
    raw = load(run, parcels, denoise="simple")
    np.testing.assert_allclose(raw.extras["confounds"], theirs)
    assert raw.extras["confound_names"].tolist() == list(theirs.columns)


def test_the_global_signal_is_added_by_name(tree):
    run, parcels = tree
    raw = load(run, parcels, denoise="24p", global_signal="full")
    assert sum("global_signal" in n for n in raw.extras["confound_names"]) == 4


def test_cosines_are_dropped_when_the_band_has_a_lower_edge(tree):
    run, parcels = tree
    for band, dropped in ((BAND, 3), ([None, 0.1], 0), (None, 0)):
        raw = load(run, parcels, denoise="24p", band_hz=band)
        assert raw.extras["confounds"].shape[1] == 24 + 3 - dropped
        assert raw.steps[-1].get("cosines_dropped", 0) == dropped


def test_a_planted_confound_is_gone(tree):
    run, parcels = tree
    dirty = made(run, parcels, denoise="none", fd_mm=None, std_dvars=None).signal
    cleaned = made(run, parcels, fd_mm=None, std_dvars=None).signal
    r = [np.corrcoef(x[:, i], run.nuisance)[0, 1] for x in (dirty, cleaned) for i in range(REGIONS)]
    assert np.abs(r[:REGIONS]).min() > 0.3
    assert np.abs(r[REGIONS:]).max() < 0.02


def test_censoring_travels_as_validity_on_the_full_length(tree):
    run, parcels = tree
    cleaned = made(run, parcels, band_hz=BAND, denoise="24p")
    assert cleaned.signal.shape == (240, REGIONS)
    assert len(cleaned.valid) == 240
    assert np.isfinite(cleaned.signal).all()


def test_cleaning_equals_nilearns_when_nothing_is_flagged(tree):
    from nilearn.signal import clean as peer

    run, parcels = tree
    options = {"denoise": "24p", "band_hz": BAND, "fd_mm": None, "std_dvars": None}
    raw = load(run, parcels, **options)
    with pytest.warns(DeprecationWarning, match="confounds will be"):
        theirs = peer(
            raw.signal, confounds=raw.extras["confounds"], detrend=True, t_r=2.0,
            standardize="zscore_sample", filter="butterworth", low_pass=0.1, high_pass=0.01,
        )  # fmt: skip
    ours = made(run, parcels, **options, standardise="zscore").signal
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_degrees_of_freedom_are_counted_and_told(tree):
    run, parcels = tree
    cleaned = made(run, parcels, denoise="24p", band_hz=BAND, std_dvars=None)
    expected = int(238 * (0.1 - 0.01) / 0.25) - 24
    assert cleaned.qc["metrics"]["degrees_of_freedom"] == expected
    assert steps(cleaned, "band-pass")["degrees_of_freedom"] == expected


def test_below_thirty_degrees_of_freedom_is_refused(tree):
    run, parcels = tree
    with pytest.raises(ValueError, match=r"24 regressors leave it 23 degrees of freedom of 238"):
        made(run, parcels, denoise="24p", band_hz=[0.01, 0.06], std_dvars=None)


def test_old_names_of_confounds_are_read(tmp_path):
    run = plant(tmp_path, table="regressors", samples=80, jumps=())
    assert load(run, atlas(tmp_path, REGIONS)).extras["motion"].shape == (80, 6)


def test_non_steady_volumes_are_invalid_or_dropped(tmp_path):
    run, parcels = plant(tmp_path, non_steady=3, jumps=()), atlas(tmp_path, REGIONS)
    kept = made(run, parcels, std_dvars=None)
    assert np.flatnonzero(~kept.valid).tolist() == [0, 1, 2]
    dropped = made(run, parcels, std_dvars=None, n_dummy="auto")
    assert dropped.signal.shape[0] == 237
    assert dropped.valid.all()
    assert dropped.steps[0] == {"step": "drop dummy volumes", "volumes": 3}


def test_aroma_reads_the_image_that_aroma_cleaned(tmp_path):
    from rheobase.io.derivatives import image_path

    path = image_path(tmp_path, {"subject": "01", "task": "rest", "session": "2"},
                      {"space": "MNI152NLin6Asym"}, "aroma")  # fmt: skip
    assert path.relative_to(tmp_path).as_posix() == (
        "sub-01/ses-2/func/sub-01_ses-2_task-rest_space-MNI152NLin6Asym_"
        "desc-smoothAROMAnonaggr_bold.nii.gz"
    )


def without(run, *beginnings):
    """Take columns with these beginnings out of the confounds."""
    found = read_table(run.confounds).items()
    columns = {
        name: np.where(texts == "n/a", "nan", texts).astype(float)
        for name, texts in found
        if not name.startswith(beginnings)
    }
    write_table(run.confounds, columns)
    return columns


def test_a_table_without_cosines_is_a_caution_unless_the_band_has_a_lower_edge(tmp_path):
    run, parcels = plant(tmp_path), atlas(tmp_path, REGIONS)
    assert load(run, parcels, denoise="simple").notes == ()
    without(run, "cosine")
    (note,) = load(run, parcels, denoise="simple").notes
    assert "no cosines" in note
    assert "slow drifts stay" in note
    assert load(run, parcels, denoise="simple", band_hz=BAND).notes == ()


def test_a_constant_confound_is_a_caution_that_names_it(tmp_path):
    run, parcels = plant(tmp_path), atlas(tmp_path, REGIONS)
    columns = without(run, "csf")
    write_table(run.confounds, columns | {"csf": np.full(240, 7.0)})
    (note,) = load(run, parcels, denoise="simple").notes
    assert note.endswith("constant confounds take nothing out: csf")


def test_components_that_aroma_took_out_before_cost_degrees_of_freedom(tmp_path):
    run, parcels = plant(tmp_path, space="MNI152NLin6Asym"), atlas(tmp_path, REGIONS)
    cleaned_before = run.image.with_name(run.image.name.replace("preproc", "smoothAROMAnonaggr"))
    for path in (run.image, run.sidecar):
        path.rename(path.with_name(path.name.replace("preproc", "smoothAROMAnonaggr")))
    run = replace(run, image=cleaned_before)
    left = {}
    for count in (0, 12):
        noise = {f"aroma_motion_{i:02d}": np.sin(np.arange(240.0) * i) for i in range(1, count + 1)}
        write_table(run.confounds, without(run, "aroma") | noise)
        done = made(run, parcels, denoise="aroma", band_hz=BAND)
        left[count] = steps(done, "band-pass")["degrees_of_freedom"]
    assert left[0] - left[12] == 12


def test_res_and_further_entities_are_in_the_name(tmp_path):
    from rheobase.io.derivatives import beside, image_path

    entities = {"subject": "01", "task": "rest", "run": "2", "direction": "AP"}
    path = image_path(tmp_path, entities, {"res": "2"}, "simple")
    assert path.name == (
        "sub-01_task-rest_dir-AP_run-2_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"
    )
    assert beside(path)["mask"].name.endswith("_res-2_desc-brain_mask.nii.gz")
    assert beside(path)["confounds"].name == (
        "sub-01_task-rest_dir-AP_run-2_desc-confounds_timeseries.tsv"
    )
    with pytest.raises(ValueError, match="the entity 'dog' is in no file name"):
        image_path(tmp_path, {"subject": "1", "dog": "x"}, {}, None)


def test_displacement_of_the_table_is_that_of_its_motion(tree):
    run, parcels = tree
    columns = read_table(run.confounds)
    bare = {k: np.where(v == "n/a", "nan", v).astype(float) for k, v in columns.items()}
    with_column = made(run, parcels, std_dvars=None)
    del bare["framewise_displacement"]
    text = run.confounds.read_text()
    try:
        write_table(run.confounds, bare)
        without = made(run, parcels, std_dvars=None)
    finally:
        run.confounds.write_text(text)
    for name in ("fd_mean_mm", "fd_max_mm"):
        assert without.qc["metrics"][name] == pytest.approx(
            with_column.qc["metrics"][name], rel=1e-3
        )
