"""The report as HTML: structure, escaping, size, and that the same input gives the same bytes."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from runpy import run_path
from urllib.parse import unquote

import pytest

from rheobase.report.embed import csv_address, script_json
from rheobase.report.index import render_index
from rheobase.report.inputs import IndexEntry, ReportInput, index_entry
from rheobase.report.methods import write_methods
from rheobase.report.page import SECTIONS, render
from rheobase.report.palette import DARK, LIGHT
from rheobase.report.plots import MAX_INTERACTIVE
from rheobase.report.references import SOFTWARE, WORKS

SAMPLE = run_path(str(Path(__file__).with_name("report_fixture.py")))
make_report, synthetic = SAMPLE["make_report"], SAMPLE["synthetic"]


class Page(HTMLParser):
    """Elements of a page with their attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.text += data

    def handle_endtag(self, tag):
        self.inside = ""

    def all(self, tag, attribute):
        return [
            attrs[attribute] or ""
            for name, attrs in self.elements
            if name == tag and attribute in attrs
        ]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> ReportInput:
    return make_report(tmp_path_factory.mktemp("figures"))


@pytest.fixture(scope="module")
def html(report) -> str:
    return render(report)


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_sections_stand_in_order(page):
    ids = [attrs["id"] for tag, attrs in page.elements if tag == "section"]
    assert ids == [key for key, _ in SECTIONS if key != "truth"]


def test_every_link_inside_the_page_lands(page):
    ids = {attrs["id"] for _, attrs in page.elements if attrs.get("id")}
    inner = [href[1:] for href in page.all("a", "href") if href.startswith("#")]
    assert len(inner) > 10
    assert set(inner) <= ids


def test_ids_are_unique(page):
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))


def test_every_picture_has_words(page):
    for tag, attrs in page.elements:
        if tag == "img":
            assert attrs["alt"]
        if attrs.get("role") == "img":
            assert attrs["aria-label"]


def test_nothing_is_loaded_from_anywhere(page):
    loaded = (
        page.all("img", "src")
        + page.all("script", "src")
        + page.all("image", "href")
        + page.all("link", "href")
    )
    assert loaded
    assert all(address.startswith("data:") for address in loaded)
    outside = [href for href in page.all("a", "href") if href.startswith("http")]
    assert outside
    assert set(outside) <= {work.link for work in WORKS.values()}


def test_the_page_forbids_the_browser_to_load(html):
    assert "default-src 'none'" in html


def test_hostile_names_are_inert(html, page):
    assert "<script>alert" not in html
    assert "sub-<script>alert(1)</script>" in page.text


def test_json_cannot_leave_its_script():
    text = str(script_json({"a": "</script><!--", "b": "\u2028&"}))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--", "b": "\u2028&"}


def test_the_same_input_gives_the_same_bytes(report, html):
    assert render(report) == html


def test_time_stamps_stand_only_in_the_provenance(html):
    before, _, after = html.partition('<section id="provenance"')
    assert not re.search(r"20\d\d-\d\d-\d\dT", before)
    assert "2026-11-23T23:00:00Z" in after


def test_the_verdict_is_the_first_paragraph_of_the_report(page):
    start = page.text.index("8 recordings were analysed.")
    assert start < page.text.index("Is my data good?")
    assert "echo is better than its best rival" in page.text[start : start + 600]


def test_a_failed_model_is_shown_with_its_error(page):
    section = page.text[page.text.index("family connectome") :]
    assert "motifs has no result" in section
    assert "ranks=[8] needs at least 8 windows; fold 0 has 5" in section


def test_errors_with_one_cause_are_told_once(report):
    many = [
        {"job": f"fit motifs, fold {k}", "message": "same cause", "log_tail": ""} for k in range(4)
    ]
    text = Page(render(dataclasses.replace(report, errors=many))).text
    assert text.count("; ".join(f"fit motifs, fold {k}" for k in range(4)) + ": same cause") == 1


def test_a_report_without_any_result_is_still_made():
    text = Page(render(ReportInput(dataset="empty", modality="emg"))).text
    assert "No recording could be analysed." in text
    assert "No model was run." in text


def test_a_synthetic_dataset_shows_what_was_planted(report):
    made = Page(render(synthetic(report)))
    assert "truth" in [attrs["id"] for tag, attrs in made.elements if tag == "section"]
    assert "number of states" in made.text


def test_flagged_recordings_come_first_and_the_rest_is_counted(tmp_path):
    text = Page(render(make_report(tmp_path, n_recordings=20))).text
    assert "8 more recordings are not drawn" in text
    drawn = text[text.index("Flagged recordings come first.") :]
    places = [
        drawn.index(name)
        for name in ("sub-<script>", "sub-102_task-rest", "sub-103_task-rest", "sub-101_task-rest")
    ]
    assert places == sorted(places)


def test_outliers_are_marked_in_words(page):
    assert "low tsnr_median" not in page.text
    assert "low tSNR median" in page.text


def test_a_hundred_recordings_stay_below_ten_megabytes(tmp_path):
    big = make_report(tmp_path, n_recordings=100)
    noise = bytes(i * i % 251 for i in range(500_000))
    (tmp_path / "big.webp").write_bytes(noise)
    heavy = {
        "name": "big",
        "title": "Big",
        "caption": "c",
        "alt": "a",
        "image_path": tmp_path / "big.webp",
        "csv_path": None,
    }
    html = render(dataclasses.replace(big, drawings={"echo": [heavy] * 20}))
    assert len(html.encode()) < 10_000_000
    assert "Too large to keep inside this page; it lies beside it as big.webp." in html


def test_above_a_number_plots_are_drawn_as_images(tmp_path):
    small = make_report(tmp_path, n_recordings=4)
    scores = small.scores["echo"]["scores"]
    many = [{**s, "name": f"{s['name']} {n}"} for n in range(10) for s in scores]
    html = render(
        dataclasses.replace(small, scores={"echo": {**small.scores["echo"], "scores": many}})
    )
    assert html.count('class="plot"') == MAX_INTERACTIVE
    assert f"only the first {MAX_INTERACTIVE} plots of a page are interactive" in html


def test_plotly_is_embedded_once_and_only_where_it_is_used(html):
    assert html.count("* plotly.js v") == 1
    assert "* plotly.js v" not in render(ReportInput(dataset="empty", modality="emg"))


def test_numbers_of_a_figure_can_be_downloaded(page):
    names = [
        attrs["download"] for tag, attrs in page.elements if tag == "a" and "download" in attrs
    ]
    assert "echo-forecast-r-at-1-step.csv" in names
    address = csv_address(["a", "b"], [[1, "x,y"]])
    assert address is not None
    assert unquote(address.partition(",")[2]) == 'a,b\n1,"x,y"\n'


def test_a_table_above_200_kb_is_not_embedded():
    assert csv_address(["a"], [["x" * 100]] * 3000) is None


def test_methods_name_what_was_run_and_cite_it(report, page):
    methods = write_methods(report, "0.1.0")
    text = " ".join(methods.paragraphs)
    assert "band-pass filter from 0.01 to 0.1 Hz" in text
    assert "4 folds on whole subjects" in text
    assert "numpy 2.4.6 (Harris et al. 2020)" in text
    keys = {work.key for work in methods.works}
    assert {"nadeau2003", "holm1979", "power2012", "abraham2014", "paszke2019"} <= keys
    assert "gramfort2013" not in keys
    (bib,) = [h for h in page.all("a", "href") if h.startswith("data:application/x-bibtex")]
    assert base64.b64decode(bib.partition(",")[2]).decode().count("@") == len(keys) + len(
        report.citation
    )


def test_every_cited_software_has_a_reference():
    assert set(SOFTWARE.values()) <= set(WORKS)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_are_legible(colours):
    for name in ("ink", "quiet", "link"):
        assert contrast(colours[name], colours["page"]) >= 4.5
        assert contrast(colours[name], colours["panel"]) >= 4.5
    for name in ("good", "caution", "bad", "unknown"):
        assert contrast(colours[name], colours[f"{name}-panel"]) >= 4.5
        assert contrast(colours["ink"], colours[f"{name}-panel"]) >= 4.5
    for name in ("accent", "rival", "before", "after", "limit"):
        assert contrast(colours[name], colours["page"]) >= 3


def test_the_index_links_every_dataset_and_compares_models(report):
    other = dataclasses.replace(report, dataset="second", models={}, scores={})
    page = Page(render_index([index_entry(report), index_entry(other)]))
    assert {"hcp_rest/report.html", "second/report.html"} <= set(page.all("a", "href"))
    assert "forecast R² at 1 step" in page.text
    assert "not run" in page.text


def test_the_index_without_datasets_says_so():
    assert "No report has been made yet." in render_index([])


def test_an_entry_of_the_index_knows_its_headlines(report):
    entry = index_entry(report)
    assert isinstance(entry, IndexEntry)
    assert entry.headlines["motifs"] is None
    assert entry.headlines["echo"] is not None
    assert entry.families["echo"] == "reservoir"
