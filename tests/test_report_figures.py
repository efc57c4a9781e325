"""Figures of a report: what is shown is said, with units, bounds and whole names."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from rheobase.evaluate.statistics import Interval
from rheobase.evaluate.words import interval_text
from rheobase.preprocess import preview
from rheobase.report import figures
from rheobase.report.inputs import ReportInput, summaries_of
from rheobase.report.page import render
from rheobase.report.plots import Counter, dot_plot, lines_of, static
from rheobase.report.quality import preview_units

SAMPLE = run_path(str(Path(__file__).with_name("report_fixture.py")))


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> ReportInput:
    return SAMPLE["make_report"](tmp_path_factory.mktemp("figures"))


def test_a_thinned_carpet_says_how_many_of_how_many_it_shows():
    signal = np.random.default_rng(3).normal(size=(400, 94))
    names = [f"r{i}" for i in range(94)]
    for kept, words in ((94, "60 of 94 regions"), (40, "regions")):
        part = signal[:, :kept]
        made = preview.carpet(part, part, names[:kept], rate=1.0)
        figure = figures.carpet("one", {"carpet": made}, "fmri", "s")
        assert figure is not None
        assert f">{words}, after<" in figure.body
        assert ("60 of 94 regions" in figure.caption) == (kept == 94)


def test_axes_of_traces_and_spectra_carry_units(report):
    content = next(iter(report.qc.values()))["preview"]
    drawn = figures.traces("one", content, "s", "µV")
    power = figures.spectrum("one", content, "emg", "s", "µV")
    relative = figures.spectrum("one", content, "calcium", "frames", "dF/F")
    assert drawn is not None
    assert power is not None
    assert relative is not None
    assert "roi001, before (µV)" in drawn.body
    assert "power (µV²/Hz)" in power.body
    assert "power ((dF/F)²/(cycles per frame))" in relative.body


def test_a_preview_is_in_the_units_before_z_scoring(report):
    z = [{"step": "z-score"}]
    emg = dataclasses.replace(report, modality="emg")
    cells = dataclasses.replace(report, modality="calcium")
    assert preview_units({"units": "uV", "steps": []}, emg) == "µV"
    assert preview_units({"units": "SD", "steps": z}, emg) == "µV"
    assert preview_units({"units": "SD", "steps": z}, cells) == "dF/F"
    assert preview_units({"units": "SD", "steps": z}, report) == "a.u."


def test_measures_over_samples_are_drawn_over_time():
    content = {"series": {"dvars": [1.0, 2.0, 1.0, 3.0]}}
    timed = figures.series("one", content, {}, "s", 400.0)
    counted = figures.series("one", content, {})
    assert timed is not None
    assert counted is not None
    assert ">time (s)<" in timed.body
    assert ">300<" in timed.body
    assert ">sample<" in counted.body


def test_names_of_rivals_are_wrapped_and_never_cut(report):
    (score, *_) = summaries_of(report)["echo"]
    rival = dataclasses.replace(score.comparisons[0], rival="lag1_autocorrelation_of_units")
    made = dataclasses.replace(score, comparisons=(rival, *score.comparisons[1:]))
    assert lines_of("lag1 autocorrelation") == ["lag1", "autocorrelation"]
    assert "…" not in dot_plot(made, Counter()).body
    written = "".join(re.findall(r">([^<]+)</text>", static(made, "words")))
    assert "lag1autocorrelationofunits" in written.replace(" ", "")


def test_a_long_title_beside_a_plot_is_wrapped(report):
    (score, *_) = summaries_of(report)["echo"]
    long = dataclasses.replace(score, title="likelihood of <held-out> connectivity & more")
    body = str(dot_plot(long, Counter()).body)
    (written,) = re.findall(r"data-plot[^>]*>(.*?)</script>", body)
    spec = json.loads(written)
    title = spec["layout"]["yaxis"]["title"]["text"]
    assert title == "likelihood of &lt;held-out&gt;<br>connectivity &amp; more"


def test_an_interval_is_cut_at_the_bounds_of_its_score(report):
    wide = Interval(0.972, 1.01)
    assert interval_text(wide, "decode_balanced_accuracy") == "0.972 to 1.00"
    assert interval_text(Interval(0.837, 1.12), "decode_probe_auroc") == "0.837 to 1.00"
    assert interval_text(Interval(-1.3, 0.4), "forecast_r2_h1") == "\N{MINUS SIGN}1.30 to 0.400"
    assert interval_text(wide, "forecast_r2_h1") == "0.972 to 1.00"
    assert interval_text(Interval(-1.3, 0.4), "hidden_r") == "\N{MINUS SIGN}1.00 to 0.400"
    assert interval_text(wide, "connectivity_loglik") == "0.972 to 1.01"
    assert "shown cut at the bound" in render(report)


def test_drawings_are_told_with_their_fold_and_how_typical_it_is(report, tmp_path):
    image = tmp_path / "fold-1_seed-0" / "figures" / "ramp.webp"
    one = {**report.drawings["echo"][0], "image_path": image}
    html = render(dataclasses.replace(report, drawings={"echo": [one]}))
    summary = summaries_of(report)["echo"][0]
    (value,) = [
        s["value"]
        for s in report.scores["echo"]["scores"]
        if (s["name"], s["fold"], s["seed"]) == (summary.name, 1, 0)
    ]
    assert "One fit is drawn: fold 1, seed 0." in html
    assert f"is {value:#.3g}; the mean over 4 folds is {summary.mean:#.3g}." in html
