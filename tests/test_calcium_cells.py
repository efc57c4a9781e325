"""Events of cells, what is noticed of each cell, and the table in which nothing is lost."""

import csv
import io

import numpy as np
import pytest
from scipy.signal import lfilter

from rheobase.io.raw import Raw
from rheobase.preprocess.calcium_events import active, event_measures, least_frames
from rheobase.preprocess.calcium_quality import neighbours
from rheobase.preprocess.clean import clean
from rheobase.report.calcium_cells import MOST_ROWS, cells_tsv, table
from rheobase.report.embed import Budget
from rheobase.report.inputs import ReportInput
from rheobase.report.quality import quality_section

RATE = 10.0


def made(signal, *, extras=None, names=None, time_unit="s", rate=RATE, **options):
    names = names or tuple(f"cell{i}" for i in range(signal.shape[1]))
    return clean(
        Raw(signal, names, extras=extras or {}), modality="calcium", rate=rate,
        time_unit=time_unit, units=None, options=options, name="sub-fish",
    )  # fmt: skip


def fluorescence(rng, n_time=3000, n_cells=6, sigma=0.02, tau=1.0):
    spikes = (rng.random((n_time, n_cells)) < 0.005).astype(float)
    calcium = np.asarray(lfilter([1], [1, -np.exp(-1 / RATE / tau)], spikes, axis=0))
    return 200 * (1 + calcium + sigma * rng.normal(size=calcium.shape))


def rows(cleaned):
    return {row["name"]: row for row in cleaned.qc["units"]}


def squares(starts, *, width=10, height=2.0, n_time=1000):
    signal = np.zeros((n_time, 1))
    for start in starts:
        signal[start : start + width] = height
    return signal


def measured(signal, parts=None, time_unit="s"):
    parts = parts or [slice(0, len(signal))]
    middle, sigma = np.zeros(1), np.full(1, 0.1)
    found = active(signal, parts, middle, sigma, least_frames(RATE, time_unit))
    return event_measures(signal, found, middle, parts=parts, rate=RATE, time_unit=time_unit)


def test_events_are_counted_and_measured():
    found = measured(squares([100, 200, 300, 500]))
    assert found["event_rate_per_min"].tolist() == [4 / 100 * 60]
    assert found["event_amplitude"].tolist() == [2]
    assert found["event_width_s"].tolist() == [1]
    apart = np.array([100, 100, 200])
    assert found["event_interval_cv"][0] == pytest.approx(apart.std(ddof=1) / apart.mean())


def test_regular_events_do_not_vary():
    assert measured(squares([100, 200, 300, 400]))["event_interval_cv"][0] == pytest.approx(0)


def test_a_quiet_cell_has_no_events_and_no_size():
    found = measured(np.zeros((1000, 1)))
    assert found["event_rate_per_min"][0] == 0
    assert all(np.isnan(found[f"event_{key}"][0]) for key in ("amplitude", "width_s"))


def test_intervals_across_a_cut_do_not_count():
    parts = [slice(0, 450), slice(450, 1000)]
    signal = squares([100, 200, 300, 600, 700, 800])
    assert measured(signal, parts)["event_interval_cv"][0] == pytest.approx(0)
    assert measured(signal)["event_interval_cv"][0] > 0.3


def test_events_count_frames_where_the_rate_is_unknown():
    signal = squares([100, 200])
    found = event_measures(
        signal, signal > 1, np.zeros(1), parts=[slice(0, 1000)], rate=1, time_unit="frame"
    )
    assert found["event_rate_per_frame"].tolist() == [2 / 1000]
    assert found["event_width_frames"].tolist() == [10]


def test_planted_events_and_decay_are_in_the_table(rng):
    row = rows(made(fluorescence(rng, 20_000), baseline_percentile=30))["cell0"]
    assert row["event_rate_per_min"] == pytest.approx(3, abs=0.7)
    assert row["event_amplitude"] == pytest.approx(1, abs=0.2)
    assert row["decay_s"] == pytest.approx(1, rel=0.25)
    assert row["peak_snr"] > row["snr"] > 2
    assert row["excluded"] is None
    assert row["flags"] == ""


def test_a_cell_that_is_seldom_active_is_not_noise(rng):
    signal = fluorescence(rng)
    signal[:, 3:] = 100 + rng.normal(size=(3000, 3))
    decay = 40 * np.exp(-np.arange(60) / 10)
    for start in (800, 1600, 2600):
        signal[start : start + 60, 3] += decay
    signal[1000, 4] += 40
    found = rows(made(signal))
    assert found["cell3"]["excluded"] is None
    assert found["cell3"]["snr"] < 2
    assert all("signal-to-noise ratio" in found[f"cell{i}"]["excluded"] for i in (4, 5))


def test_one_cell_found_twice_is_named(rng):
    signal = fluorescence(rng)
    signal[:, 3] = 0.5 * signal[:, 1] + rng.normal(size=3000)
    signal[:, 5] = signal[:, 1] + rng.normal(size=3000)
    places = np.array([[0, 0], [100, 100], [200, 0], [105, 110], [0, 200], [100, 130]])
    cleaned = made(signal, extras={"position_px": places})
    found = rows(cleaned)
    assert "with the neighbour cell3, above 0.9" in found["cell1"]["flags"]
    assert "with the neighbour cell1, above 0.9" in found["cell3"]["flags"]
    assert found["cell5"]["flags"] == ""
    assert found["cell5"]["neighbour_r"] is None
    assert any("2 of 6 cells have a neighbour within 15" in f["text"] for f in cleaned.qc["flags"])
    kept = [int(name[4:]) for name in cleaned.names]
    np.testing.assert_array_equal(cleaned.unit_labels["x"], places[kept, 1])
    np.testing.assert_array_equal(cleaned.unit_labels["y"], places[kept, 0])


def test_only_the_nearest_cells_are_compared(rng):
    signal = rng.normal(size=(500, 4))
    signal[:, 1] = -signal[:, 0]
    best, who = neighbours(signal, np.array([[0, 0], [0, 14], [0, 28], [0, 60]]), list("abcd"))
    assert best[0] == best[1] == pytest.approx(1)
    assert who[:2] == ["b", "a"]
    assert best[2] == pytest.approx(abs(np.corrcoef(signal[:, 1], signal[:, 2])[0, 1]))
    assert who[2] == "b"
    assert np.isnan(best[3])
    assert who[3] == ""


def test_an_impossible_decay_is_noticed(rng):
    slow = np.cumsum(rng.normal(size=(3000, 4)), axis=0)
    slow = slow / slow.std(axis=0) + 0.01 * rng.normal(size=(3000, 4))
    signal = 200 * (1 + np.column_stack([fluorescence(rng, n_cells=3) / 200 - 1, slow[:, :1]]))
    cleaned = made(signal - signal.min() + 100, baseline_window_s=300, snr=0)
    assert "outside 0.05 to 10 s" in rows(cleaned)["cell3"]["flags"]
    assert "outside 0.05" not in rows(cleaned)["cell0"]["flags"]


def test_saturated_and_missing_samples_are_in_the_table(rng):
    signal = fluorescence(rng)
    signal[:, 2] = np.minimum(signal[:, 2], 210)
    signal[5:35, 4] = np.nan
    found = rows(made(signal, snr=0))
    assert "% of the samples at the maximum, above 1 %" in found["cell2"]["flags"]
    assert found["cell4"]["missing_percent"] == 1
    assert found["cell0"]["missing_percent"] == 0


def test_no_cell_is_lost_from_the_table(rng):
    signal = fluorescence(rng, n_cells=8)
    signal[:, 0] = 5
    signal[:, 1] = 200 * (1 + 0.02 * rng.normal(size=3000))
    extras = {"is_cell": np.arange(8) != 2}
    cleaned = made(signal, extras=extras, cells={"exclude": ["cell3"]})
    reasons = {name: row["excluded"] for name, row in rows(cleaned).items()}
    assert list(reasons) == [f"cell{i}" for i in range(8)]
    assert reasons["cell0"] == "constant"
    assert "signal-to-noise ratio" in reasons["cell1"]
    assert reasons["cell2"] == "not a cell"
    assert reasons["cell3"] == "left out by preprocess.cells"
    assert set(cleaned.names) == {name for name, reason in reasons.items() if reason is None}
    written = list(csv.DictReader(io.StringIO(cells_tsv({"sub-a": cleaned.qc})), delimiter="\t"))
    assert [row["name"] for row in written] == list(reasons)
    assert written[0]["excluded"] == "constant"
    assert written[0]["snr"] == "n/a"
    assert float(written[5]["snr"]) == cleaned.qc["units"][5]["snr"]


def test_the_report_shows_every_cell_with_its_reason(rng):
    signal = fluorescence(rng, n_cells=5)
    signal[:, 1] = 5
    cleaned = made(signal)
    report = ReportInput("set", "calcium", recordings=[{"name": "sub-a"}], qc={"sub-a": cleaned.qc})
    [shown] = quality_section(report, Budget(2_000_000)).shown
    figure = next(figure for figure in shown.figures if figure.title == "Cells")
    assert figure.body.count("<tr>") == 6
    assert figure.body.index("cell1</th>") < figure.body.index("cell0</th>")
    assert '<th scope="row">cell1</th><td>constant</td>' in figure.body
    assert figure.csv is not None


def test_names_of_cells_cannot_write_into_the_page():
    figure = table("<i>", [{"name": "<script>", "excluded": "a & b", "flags": '"x"', "snr": 1.0}])
    assert figure is not None
    assert "<script>" not in figure.body
    assert "<i>" not in figure.body
    assert "&lt;script&gt;" in figure.body
    assert "a &amp; b" in figure.body


def test_a_long_table_says_how_many_cells_are_elsewhere():
    units = [{"name": str(i), "excluded": None, "flags": "", "snr": 1.0} for i in range(250)]
    figure = table("sub-a", units)
    assert figure is not None
    assert figure.body.count("<tr>") == MOST_ROWS + 1
    assert figure.note.startswith("50 more cells are in qc_cells.tsv")


def test_z_scores_are_not_judged_by_their_shape(rng):
    cleaned = made(-np.abs(rng.normal(size=(400, 4))) * 1.6, input="zscore")
    assert all("skewness" not in row["flags"] for row in cleaned.qc["units"])


def test_a_real_plane_keeps_all_its_regions_in_the_table(shared_data):
    from rheobase.io.readers import read

    raw = read(
        shared_data / "suite2p_plane" / "plane0", reader={"format": "suite2p"}, files={},
        preprocess={},
    )  # fmt: skip
    for options in ({}, {"baseline": "maximin", "neuropil": "auto"}, {"deconvolve": "oasis"}):
        cleaned = clean(
            raw, modality="calcium", rate=30, time_unit="s", units=None, options=options, name="a"
        )
        reasons = [row["excluded"] for row in cleaned.qc["units"]]
        assert len(reasons) == 219
        assert reasons.count("constant") == 47
        assert reasons.count(None) == len(cleaned.names) >= 10
        assert np.isfinite(cleaned.signal).all()
