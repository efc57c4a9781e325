"""The documentation says what is there: its links, commands, configs and its example hold."""

import importlib
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from PIL import Image

import rheobase
from rheobase import config as settings
from rheobase import models
from rheobase.cli import _parser, parse
from rheobase.io.synthetic import generate
from rheobase.models import base
from rheobase.recording import Recording
from rheobase.stages.check import checked
from rheobase.storage import read_dataset, write_dataset

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md")])
README = ROOT / "README.md"
EXAMPLE = ROOT / "docs" / "add-a-model.md"
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    (.*)$", re.MULTILINE)
USUAL = {
    "source": {"kind": "path", "path": "{subject}.npy"},
    "entities": {"subject": ["a", "b", "c"]},
    "reader": {"format": "npy", "orientation": "time_first"},
    "split": {"by": "subject"},
    "models": ["baseline"],
}
OWN = {
    "fmri": {"repetition_time_s": 2.0},
    "calcium": {"sampling_rate_hz": 30},
    "emg": {"sampling_rate_hz": 1000, "units": "uV"},
}
CARRIES_RATE = {"nifti", "edf", "nwb"}


def blocks(page, language):
    return [
        (kind, text) for kind, text in FENCE.findall(page.read_text()) if kind.startswith(language)
    ]


def prose(page):
    return FENCE.sub("", page.read_text())


def commands(page):
    """Return what a page tells its reader to type: indented lines and words in backticks."""
    text = prose(page)
    return [line.strip() for line in [*INDENTED.findall(text), *re.findall(r"`([^`\n]+)`", text)]]


def anchors(page):
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", t)) for t in titles]
    return {title.strip().lower().replace(" ", "-") for title in plain}


def fragments():
    for page in PAGES:
        for number, (_, text) in enumerate(blocks(page, "yaml")):
            first = text.partition("\n")[0].split()
            if first[:2] == ["#", "config"]:
                yield pytest.param(page, first[2:], text, id=f"{page.stem}-{number}")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(path), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page):
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [
        m[1] for line in commands(page) if (m := re.match(r"(?:[A-Z]+=\S+ )?make ([a-z]+)", line))
    ]
    assert set(named) <= known


def test_readme_names_the_two_commands():
    assert {"make demo", "make test"} <= set(commands(README))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_that_is_named_is_understood(page):
    for line in commands(page):
        words = line.partition(" #")[0].split()
        if words[:1] != ["rheobase"] or len(words) < 2 or not re.match(r"[a-z-]", words[1]):
            continue
        if len(words) == 2:
            assert words[1] in _parser().format_help().split(), line
        else:
            parse(words[1:])


@pytest.mark.parametrize(("page", "modality", "text"), list(fragments()))
def test_every_config_fragment_is_right(page, modality, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RHEOBASE_DATA", raising=False)
    for kind, table in blocks(page, "tsv"):
        Path(kind.split()[1]).write_text(table)
    content = yaml.safe_load(text)
    if modality:
        content = whole(modality[0], content)
    if page == EXAMPLE:
        install_example(monkeypatch, tmp_path)
        Path("c.yaml").write_text(text)
        checked(Path("c.yaml"))
    parsed = settings.parse(content)
    for dataset in parsed.datasets.values():
        assert dataset.recordings
        if dataset.source["kind"] == "synthetic":
            entries = dataset.recordings
            made, _ = generate(dataset.source, index=0, entry=entries[0], total=len(entries))
            assert np.isfinite(made["signal"]).all()


def whole(modality, fragment):
    """Return a config around the keys of one dataset."""
    dataset = {"modality": modality, **USUAL, **OWN[modality], **fragment}
    if "table" in fragment:
        del dataset["entities"]
    if fragment.get("reader", {}).get("format") in CARRIES_RATE:
        for key in ("sampling_rate_hz", "repetition_time_s"):
            dataset.pop(key, None)
    return {"datasets": {"mine": dataset}, "models": {"baseline": {"family": "linear"}}}


def test_there_are_fragments_to_check():
    assert len(list(fragments())) >= 12


def install_example(monkeypatch, folder):
    """Put the example's code where its page says, and its line into the family table."""
    code, line, case = (text for _, text in blocks(EXAMPLE, "python"))
    (folder / "damped.py").write_text(code)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "rheobase.models.damped", raising=False)
    importlib.invalidate_caches()
    matched = re.fullmatch(r'"(\w+)": Family\("([\w.:]+)", gpu=(\w+), random=(\w+)\),\n', line)
    assert matched
    name, target, gpu, random = matched.groups()
    assert case.startswith(f'"{name}": Case(')
    monkeypatch.setitem(base.FAMILIES, name, base.Family(target, gpu == "True", random == "True"))
    return name


def series(rng, number, units=4):
    signal = np.zeros((200, units))
    for t in range(1, 200):
        signal[t] = 0.6 * signal[t - 1] + rng.normal(size=units)
    return Recording.build(signal + 5, name=f"sub-{number}", modality="fmri", sampling_rate_hz=0.5)


def test_example_of_a_model_keeps_the_contract(rng, tmp_path, monkeypatch):
    name = install_example(monkeypatch, tmp_path)
    model = base.build(name, preset="demo", params={"horizon": 1})
    recordings = [series(rng, number) for number in range(4)]
    fitted = model.fit(recordings[:3], seed=0, device="cpu")
    assert fitted.metrics["pace"] == pytest.approx(0.6, abs=0.1)
    scores = model.evaluate(fitted, recordings[3:])
    assert scores[0].value > max(scores[0].rivals.values())
    write_dataset(fitted.arrays, tmp_path / "arrays.nc")
    again = base.Fitted(read_dataset(tmp_path / "arrays.nc"))
    assert model.evaluate(again, recordings[3:]) == scores
    for drawing in model.figures(fitted, recordings[3:]).values():
        assert all(len(words) > 10 for words in (drawing.title, drawing.caption, drawing.alt))
        drawing.figure.canvas.draw()
    with pytest.raises(ValueError, match="sub-9 has other units"):
        model.fit([*recordings, series(rng, 9, units=3)], seed=0, device="cpu")
    with pytest.raises(ValueError, match="unknown parameter 'horizons'"):
        base.build(name, params={"horizons": 2})


def test_readme_lists_the_families_that_there_are():
    rows = re.findall(
        r"^\| \[`(\w+)`\]\(docs/(\w+)\.md\) \| (.+) \| (.+) \| (.+) \|$", README.read_text(), re.M
    )
    assert [row[0] for row in rows] == list(base.FAMILIES)
    for name, page, _, able, _ in rows:
        assert page == name
        assert {word.lower() for word in able.split(", ")} == base.family(name).modalities


def test_every_family_has_its_page():
    assert all((ROOT / "docs" / f"{name}.md").is_file() for name in base.FAMILIES)


def test_picture_of_the_readme_is_small():
    assert (ROOT / "docs" / "report.png").stat().st_size <= 300_000
    with Image.open(ROOT / "docs" / "report.png") as picture:
        assert picture.width >= 1000


def test_citation_and_changes_name_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == rheobase.__version__
    assert f"## {rheobase.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_key_of_the_config_is_documented():
    text = (ROOT / "config" / "README.md").read_text()
    documented = {
        row.rpartition(".")[2] for row in re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE)
    }
    missing = [key for key in keys_of(settings.schema()) if key not in documented]
    assert missing == []


def keys_of(part):
    """Yield every name of a key in the schema, nested ones too."""
    if isinstance(part, dict):
        for name, inner in part.get("properties", {}).items():
            if name != "kind" or inner:
                yield name
        for inner in part.values():
            yield from keys_of(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from keys_of(inner)
