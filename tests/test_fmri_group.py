"""Connectivity and motion over recordings: planted relations are found, few runs say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from rheobase.preprocess import fmri_connectivity
from rheobase.preprocess.fmri_group import motion_relation
from rheobase.report.fmri_figures import confounds, connectivity, histogram, stack
from rheobase.report.fmri_group import group_figures, group_words
from rheobase.report.inputs import ReportInput
from rheobase.report.methods import write_methods
from rheobase.report.page import render
from rheobase.stages.publish import group_quality

REGIONS = 16


def recordings(rng, count, *, spoilt=True):
    """Return the quality control of runs in which motion links near regions before cleaning."""
    places = np.column_stack([np.arange(REGIONS) * 5.0, np.zeros(REGIONS), np.zeros(REGIONS)])
    names = [f"r{i:02d}" for i in range(REGIONS)]
    networks = np.array(["a", "b"]).repeat(REGIONS // 2)
    kernel = np.exp(-np.abs(np.subtract.outer(places[:, 0], places[:, 0])) / 20)
    keep, qc = np.ones(REGIONS, bool), {}
    for number in range(count):
        moved = 0.05 + 0.02 * number
        after = rng.normal(size=(400, REGIONS))
        before = after + 6 * moved * spoilt * rng.normal(size=(400, REGIONS)) @ kernel / 3
        pair = {"before": before, "after": after}
        qc[f"sub-{number:02d}"] = {
            "metrics": {"fd_mean_mm": moved},
            "units": [],
            "flags": [],
            "edges": fmri_connectivity.edges(pair, names, keep, places),
            "preview": fmri_connectivity.pictures(pair, names, networks),
        }
    return qc


def test_motion_that_shapes_connectivity_is_seen_before_and_not_after(rng):
    relation = motion_relation(recordings(rng, 24))
    assert relation is not None
    told = {name: value or 0.0 for name, value in relation.metrics.items()}
    assert relation.recordings == 24
    assert told["qcfc_median_abs_before"] > 0.4
    assert told["qcfc_median_abs_after"] < 0.25
    assert told["qcfc_significant_percent_after"] < 15
    assert told["qcfc_distance_r_before"] < -0.5
    assert abs(told["qcfc_distance_r_after"]) < 0.3


def test_fewer_than_twenty_runs_say_nothing(rng):
    qc = recordings(rng, 19)
    assert motion_relation(qc) is None
    assert group_words(qc) == (
        "Whether motion shapes connectivity over recordings (QC-FC) is told from 20 recordings "
        "with motion on; there are 19.",
    )


def test_nothing_is_said_without_motion(rng):
    qc = recordings(rng, 3)
    for one in qc.values():
        one["metrics"] = {}
    assert group_words(qc) == ()


def test_edges_are_the_correlations_of_the_same_pairs(rng):
    signal = rng.normal(size=(200, 5))
    names = list("abcdef")
    keep = np.array([True, True, False, True, True, True])
    places = rng.normal(size=(5, 3))
    made = fmri_connectivity.edges({"after": signal}, names, keep, places)
    assert made["regions"] == 6
    assert len(made["after"]) == 15
    full = np.full((6, 6), np.nan)
    full[np.ix_(keep, keep)] = np.corrcoef(signal, rowvar=False)
    expected = full[np.triu_indices(6, 1)]
    found = np.array(made["after"], float) / 1000
    np.testing.assert_allclose(found, expected, atol=6e-4)
    assert made["distance_mm"][0] == pytest.approx(np.linalg.norm(places[0] - places[1]), abs=0.06)


def test_many_regions_give_two_thousand_pairs_that_do_not_depend_on_the_signal(rng):
    names = [str(i) for i in range(300)]
    first, second = (
        fmri_connectivity.edges(
            {"after": rng.normal(size=(50, 300))}, names, np.ones(300, bool), None
        )
        for _ in range(2)
    )
    assert len(first["after"]) == len(second["after"]) == 2000


def test_networks_are_averaged_without_self_pairs(rng):
    signal = rng.normal(size=(500, 4)) + rng.normal(size=(500, 1))
    networks = np.array(["x", "x", "y", "y"])
    made = fmri_connectivity.pictures({"after": signal}, list("abcd"), networks)["fc_networks"]
    r = np.corrcoef(signal, rowvar=False)
    assert made["networks"] == ["x", "y"]
    assert made["after"][0][0] == round(100 * r[0, 1])
    assert made["after"][0][1] == round(100 * r[:2, 2:].mean())


def test_the_group_is_drawn_with_words_and_numbers(rng):
    qc = recordings(rng, 22)
    titles = [figure.title for figure in group_figures(qc)]
    assert titles == [
        "Distribution of connectivity",
        "Connectivity by network",
        "Motion and connectivity",
        "Motion by distance",
    ]
    assert all(figure.csv for figure in group_figures(qc))
    (words,) = group_words(qc)
    assert words.startswith("Over 22 recordings")
    content = ReportInput("rest", "fmri", qc=qc)
    assert "All recordings together" in render(content)
    assert group_quality(content).startswith("measure\tvalue\nqcfc_recordings\t22\n")
    assert group_quality(ReportInput("rest", "emg", qc=qc)) == ""


def test_censored_frames_are_shaded_over_all_panels(rng):
    carpet = rng.integers(-30, 30, (5, 50)).tolist()
    preview = {
        "series": {"framewise_displacement_mm": [0.1] * 50, "global_signal": [1.0, 2.0] * 25},
        "carpet": {"before": carpet, "after": carpet, "of": 5},
        "censored": [[10, 14], [60, 62]],
        "duration": 100.0,
    }
    figure = stack("sub-01", preview, {"framewise_displacement_mm": 0.5}, "s")
    assert figure is not None
    assert figure.body.count('class="shade"') == 2
    assert figure.body.count("<image") == 2
    assert "2 stretches of frames are not used (shaded)" in figure.caption
    assert "framewise displacement (mm)" in figure.body


def test_what_is_not_there_is_not_drawn():
    assert stack("a", {}, {}, "s") is None
    assert connectivity("a", {}) is None
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
