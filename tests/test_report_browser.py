"""Reports in a real browser: nothing is loaded, nothing fails, nothing is out of reach."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from runpy import run_path

import pytest

from rheobase.report.index import render_index
from rheobase.report.inputs import index_entry
from rheobase.report.page import render

HERE = Path(__file__).with_name("report_browser")
SAMPLE = run_path(str(Path(__file__).with_name("report_fixture.py")))

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """Return what the browser saw, by page, width and colour scheme."""
    node, browser = (
        shutil.which("node"),
        shutil.which("chromium") or shutil.which("chromium-browser"),
    )
    if node is None or browser is None:
        pytest.skip("node or chromium is not installed")
    if not (HERE / "node_modules" / "axe-core").is_dir():
        pytest.skip("axe-core is not installed: run `npm install` in tests/report_browser")
    folder = tmp_path_factory.mktemp("pages")
    report = SAMPLE["make_report"](folder / "figures", n_recordings=4)
    (folder / "report.html").write_text(render(report), encoding="utf-8")
    (folder / "index.html").write_text(render_index([index_entry(report)]), encoding="utf-8")
    done = subprocess.run(
        [node, "check.mjs", browser, folder / "report.html", folder / "index.html"],
        cwd=HERE, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_page_was_seen_at_both_widths_and_in_both_schemes(visits):
    assert len(visits) == 8


@pytest.mark.parametrize("finding", ["errors", "requests", "violations", "lost"])
def test_nothing_is_found(visits, finding):
    found = {
        f"{Path(v['file']).name} {v['width']} {v['scheme']}": v[finding]
        for v in visits
        if v[finding]
    }
    assert not found


def test_no_page_is_wider_than_the_screen(visits):
    assert [v["overflow"] for v in visits] == [0] * len(visits)


def test_interactive_plots_are_drawn(visits):
    assert all(v["plots"] >= 6 for v in visits if v["file"].endswith("report.html"))


def test_tables_sort_by_keyboard(visits):
    for visit in visits:
        if visit["file"].endswith("report.html"):
            assert visit["sorted"] == "descending"
            assert visit["first"] == "sub-103_task-rest"
