"""Connectivity and motion over recordings: planted relations are found, few runs say nothing."""

from __future__ import annotations

import numpy as np
import xarray as xr

from rheobase.preprocess import fmri_connectivity
from rheobase.preprocess.fmri_group import MotionGathering, MotionRelation
from rheobase.report.fmri_figures import confounds, connectivity, histogram
from rheobase.report.fmri_group import group_figures, group_words
from rheobase.report.inputs import ReportInput
from rheobase.report.methods import write_methods
from rheobase.report.page import render
from rheobase.stages.publish import group_quality

REGIONS = 16


def recordings(rng, count, *, spoilt=True):
    """Return the quality control of runs in which motion links near regions before cleaning, and
    their pictures.
    """
    places = np.column_stack([np.arange(REGIONS) * 5.0, np.zeros(REGIONS), np.zeros(REGIONS)])
    names = [f"r{i:02d}" for i in range(REGIONS)]
    networks = np.array(["a", "b"]).repeat(REGIONS // 2)
    kernel = np.exp(-np.abs(np.subtract.outer(places[:, 0], places[:, 0])) / 20)
    keep, qc, pictures = np.ones(REGIONS, bool), {}, {}
    for number in range(count):
        moved = 0.05 + 0.02 * number
        after = rng.normal(size=(400, REGIONS))
        before = after + 6 * moved * spoilt * rng.normal(size=(400, REGIONS)) @ kernel / 3
        pair = {"before": before, "after": after}
        qc[f"sub-{number:02d}"] = {
            "metrics": {"fd_mean_mm": moved},
            "units": [{"name": name} for name in names],
            "flags": [],
            "preview": fmri_connectivity.distributions(pair, networks),
        }
        pictures[f"sub-{number:02d}"] = xr.Dataset(fmri_connectivity.pairs(pair, keep, places))
    return qc, pictures


def gathered(qc, pictures) -> MotionRelation | None:
    gathering = MotionGathering(qc)
    for name, one in pictures.items():
        gathering.add(name, one)
    return gathering.relation()


def test_motion_that_shapes_connectivity_is_seen_before_and_not_after(rng):
    relation = gathered(*recordings(rng, 24))
    assert relation is not None
    told = {name: value or 0.0 for name, value in relation.metrics.items()}
    assert relation.recordings == 24
    assert told["qcfc_pairs"] == relation.of == REGIONS * (REGIONS - 1) // 2
    assert told["qcfc_median_abs_before"] > 0.4
    assert told["qcfc_median_abs_after"] < 0.25
    assert told["qcfc_significant_percent_after"] < 15
    assert told["qcfc_distance_r_before"] < -0.5
    assert abs(told["qcfc_distance_r_after"]) < 0.3


def test_one_recording_at_a_time_gives_the_correlation_over_recordings(rng):
    qc, pictures = recordings(rng, 24)
    relation = gathered(qc, pictures)
    assert relation is not None
    z = np.arctanh([one["pairs_before"].values / 1000 for one in pictures.values()])
    moved = [one["metrics"]["fd_mean_mm"] for one in qc.values()]
    expected = [np.corrcoef(z[:, pair], moved)[0, 1] for pair in range(z.shape[1])]
    np.testing.assert_allclose(relation.before, expected, atol=1e-9)


def test_a_pair_that_one_recording_lacks_is_not_told(rng):
    qc, pictures = recordings(rng, 20)
    pictures["sub-03"]["pairs_after"][5] = fmri_connectivity.UNKNOWN
    relation = gathered(qc, pictures)
    assert relation is not None
    assert np.flatnonzero(np.isnan(relation.after)).tolist() == [5]


def test_recordings_of_another_atlas_do_not_count(rng):
    qc, pictures = recordings(rng, 21)
    qc["sub-00"]["units"] = [{"name": "a"}]
    relation = gathered(qc, pictures)
    assert relation is not None
    assert relation.recordings == 20


def test_fewer_than_twenty_runs_say_nothing(rng):
    qc, pictures = recordings(rng, 19)
    assert gathered(qc, pictures) is None
    assert group_words(qc, None) == (
        "Whether motion shapes connectivity over recordings (QC-FC) is told from 20 recordings "
        "with motion on; there are 19.",
    )


def test_nothing_is_said_without_motion(rng):
    qc, pictures = recordings(rng, 3)
    for one in qc.values():
        one["metrics"] = {}
    assert gathered(qc, pictures) is None
    assert group_words(qc, None) == ()


def test_pairs_are_the_correlations_of_all_regions(rng):
    signal = rng.normal(size=(200, 5))
    keep = np.array([True, True, False, True, True, True])
    places = rng.normal(size=(5, 3))
    made = fmri_connectivity.pairs({"after": signal}, keep, places)
    full = np.full((6, 6), np.nan)
    full[np.ix_(keep, keep)] = np.corrcoef(signal, rowvar=False)
    expected = full[np.triu_indices(6, 1)]
    stored = made["pairs_after"][1]
    found = np.where(stored == fmri_connectivity.UNKNOWN, np.nan, stored / 1000)
    np.testing.assert_allclose(found, expected, atol=6e-4)
    assert made["place"][1][keep].tolist() == places.astype(np.float32).tolist()
    assert np.isnan(made["place"][1][2]).all()
    first, second = fmri_connectivity.pair_of(6)
    assert [*zip(first, second, strict=True)] == [*zip(*np.triu_indices(6, 1), strict=True)]


def test_too_many_pairs_are_an_even_sample_and_the_words_say_so(rng, monkeypatch):
    monkeypatch.setattr(fmri_connectivity, "MOST_PAIRS", 50)
    qc, pictures = recordings(rng, 20)
    relation = gathered(qc, pictures)
    assert relation is not None
    assert len(relation.after) == 50
    assert "over 50 of 120 pairs, evenly taken" in group_words(qc, relation)[0]


def test_networks_are_averaged_without_self_pairs(rng):
    signal = rng.normal(size=(500, 4)) + rng.normal(size=(500, 1))
    networks = np.array(["x", "x", "y", "y"])
    made = fmri_connectivity.distributions({"after": signal}, networks)["fc_networks"]
    r = np.corrcoef(signal, rowvar=False)
    assert made["networks"] == ["x", "y"]
    assert made["after"][0][0] == round(100 * r[0, 1])
    assert made["after"][0][1] == round(100 * r[:2, 2:].mean())


def test_the_group_is_drawn_with_words_and_numbers(rng):
    qc, pictures = recordings(rng, 22)
    relation = gathered(qc, pictures)
    titles = [figure.title for figure in group_figures(qc, relation)]
    assert titles == [
        "Distribution of connectivity",
        "Connectivity by network",
        "Motion and connectivity",
        "Motion by distance",
    ]
    assert all(figure.csv for figure in group_figures(qc, relation))
    (words,) = group_words(qc, relation)
    assert words.startswith("Over 22 recordings")
    assert "over all 120 pairs" in words
    content = ReportInput("rest", "fmri", qc=qc, motion=relation)
    assert "All recordings together" in render(content)
    assert group_quality(content).startswith("measure\tvalue\nqcfc_recordings\t22\n")
    assert group_quality(ReportInput("rest", "emg", qc=qc)) == ""


def test_what_is_not_there_is_not_drawn():
    assert connectivity("a", xr.Dataset()) is None
    assert histogram("a", {}) is None
    assert confounds("a", {}) is None


def test_the_methods_tell_where_images_confounds_and_regions_come_from():
    steps = [
        {"step": "parcellate", "atlas": "dosenbach160", "regions": 160},
        {"step": "choose confounds", "strategy": "36p", "confounds": ["a"], "cosines_dropped": 3},
        {"step": "bridge flagged frames", "frames": 4, "fd_mm": 0.5, "scrub": 5, "acausal": True},
        {"step": "regress out confounds", "confounds": 36, "strategy": "36p", "acausal": True},
        {"step": "resample", "from_s": 2.0, "to_s": 1.0, "acausal": True},
    ]
    content = ReportInput(
        "rest",
        "fmri",
        config={"reader": {"format": "fmriprep"}},
        recordings=[{"name": "a", "steps": steps, "n_units": 160, "rate": 0.5}],
    )
    made = write_methods(content, "0")
    text = " ".join(made.paragraphs)
    assert "preprocessed with fMRIPrep (Esteban et al. 2019)" in text
    assert "160-region atlas (Dosenbach et al. 2010)" in text
    assert "regression of 36 confounds (strategy 36p)" in text
    assert "3 cosines left to the filter's lower edge" in text
    assert "4 frames not used (displacement above 0.5 mm" in text
    assert "resampling from 2 to 1.0 s a volume" in text
    assert "(Lindquist et al. 2019)" in text
