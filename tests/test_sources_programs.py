"""Files that other programs bring: openneuro-py, dandi and nilearn, each against a stand-in."""

import json
import stat
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from source_files import bring, entries, forbid_programs

pytestmark = pytest.mark.usefixtures("in_own_folder")


def fake_program(tmp_path, monkeypatch, name, body):
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / name
    script.write_text(f"#!{sys.executable}\n{textwrap.dedent(body)}")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


OPENNEURO = """
    import json, sys
    from pathlib import Path
    command, *options = sys.argv[1:]
    assert command == "download"
    given = [option.removeprefix("--").split("=", 1) for option in options]
    target = Path(dict(given)["target-dir"])
    asked = [value for key, value in given if key == "include"]
    for name in ["dataset_description.json", *asked]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(name)
    (target.parent / "seen.json").write_text(json.dumps([dict(given), asked]))
"""


def openneuro():
    return {
        "kind": "openneuro", "dataset": "ds000001", "version": "1.0.0",
        "path": "sub-{subject}/func/sub-{subject}_bold.nii.gz",
    }  # fmt: skip


def test_openneuro_files_come_through_its_program(tmp_path, monkeypatch):
    fake_program(tmp_path, monkeypatch, "openneuro-py", OPENNEURO)
    paths = bring(openneuro(), entries())
    assert paths[1].read_text() == "sub-02/func/sub-02_bold.nii.gz"
    options, asked = json.loads(Path("downloads/openneuro/seen.json").read_text())
    assert (options["dataset"], options["tag"]) == ("ds000001", "1.0.0")
    assert asked == [f"sub-0{n}/func/sub-0{n}_bold.nii.gz" for n in (1, 2)]


def test_openneuro_files_are_not_asked_for_twice(tmp_path, monkeypatch):
    fake_program(tmp_path, monkeypatch, "openneuro-py", OPENNEURO)
    bring(openneuro(), entries())
    forbid_programs(monkeypatch)
    assert len(bring(openneuro(), entries())) == 2


def test_a_program_that_fails_is_quoted_and_leaves_no_recording(tmp_path, monkeypatch):
    body = """
        import sys
        from pathlib import Path
        given = dict(o[2:].split("=", 1) for o in sys.argv[2:])
        path = Path(given["target-dir"], given["include"])
        path.parent.mkdir(parents=True)
        path.write_text("half")
        sys.exit("snapshot 1.0.0 does not exist")
    """
    fake_program(tmp_path, monkeypatch, "openneuro-py", body)
    with pytest.raises(ValueError, match=r"ds000001 version 1\.0\.0 \(snapshot 1\.0\.0 does not"):
        bring(openneuro(), entries(1))
    assert not Path("results").exists()
    assert not list(Path("downloads/openneuro/ds000001-1.0.0").iterdir())


DANDI = """
    import sys
    from pathlib import Path
    command, option, folder, address = sys.argv[1:]
    assert (command, option) == ("download", "--output-dir")
    Path(folder, address.rsplit("/", 1)[1]).write_text(address)
"""


def test_dandi_assets_come_one_by_one_with_the_pinned_version(tmp_path, monkeypatch):
    fake_program(tmp_path, monkeypatch, "dandi", DANDI)
    source = {
        "kind": "dandi", "dataset": "000541", "version": "0.230101.1",
        "path": "sub-{subject}/sub-{subject}.nwb",
    }  # fmt: skip
    paths = bring(source, entries())
    assert paths[0].read_text() == "dandi://dandi/000541@0.230101.1/sub-01/sub-01.nwb"
    assert paths[1] == Path("results/set/source/sub-02/sub-02.nwb")


@pytest.mark.parametrize(
    ("kind", "hint"), [("openneuro", "openneuro-py"), ("dandi", r"'rheobase\[download\]'")]
)
def test_a_missing_program_is_answered_with_what_to_install(kind, hint, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ValueError, match=f"is missing; pip install {hint}"):
        bring({**openneuro(), "kind": kind}, entries(1))


@pytest.fixture
def nilearn(tmp_path, monkeypatch):
    """Return a function that says what nilearn's fetcher gives."""
    from nilearn import datasets
    from sklearn.utils import Bunch

    def give(name, **lists):
        def fetcher(data_dir, **arguments):
            assert Path(data_dir) == Path("downloads/nilearn")
            return Bunch(**lists, arguments=arguments, description="text")

        monkeypatch.setattr(datasets, f"fetch_{name}", fetcher)

    return give


def files(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text(name)
    return [str(tmp_path / name) for name in names]


def test_nilearn_images_come_in_order_with_their_confounds(tmp_path, nilearn):
    images = files(tmp_path, ["b.nii.gz", "a.nii.gz"])
    nilearn("development_fmri", func=images, confounds=files(tmp_path, ["b.tsv", "a.tsv"]))
    source = {"kind": "nilearn", "dataset": "development_fmri", "arguments": {"n_subjects": 2}}
    paths = bring(source, entries())
    assert [path.read_text() for path in paths] == ["b.nii.gz", "a.nii.gz"]
    assert paths[1].with_name("sub-02_confounds.tsv").read_text() == "a.tsv"


def test_nilearn_region_series_are_saved_as_arrays(nilearn):
    series = [np.arange(6.0).reshape(3, 2) + n for n in range(2)]
    nilearn("abide_pcp", rois_cc200=series)
    source = {"kind": "nilearn", "dataset": "abide_pcp", "field": "rois_cc200"}
    paths = bring(source, entries())
    np.testing.assert_array_equal(np.load(paths[1], allow_pickle=False), series[1])


def test_nilearn_must_give_as_many_files_as_recordings(tmp_path, nilearn):
    nilearn("adhd", func=files(tmp_path, ["a.nii.gz"]))
    with pytest.raises(ValueError, match="gave 1 of 'func' for 2 recordings"):
        bring({"kind": "nilearn", "dataset": "adhd"}, entries())


def test_an_unknown_nilearn_field_is_answered_with_the_known_ones(tmp_path, nilearn):
    nilearn("adhd", func=files(tmp_path, ["a.nii.gz"]))
    with pytest.raises(ValueError, match="no list 'images'; set source.field to one of func"):
        bring({"kind": "nilearn", "dataset": "adhd", "field": "images"}, entries(1))
