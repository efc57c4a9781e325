"""What a starter config makes of names, of arrays along time, and of broken files."""

import gzip

import nibabel
import numpy as np
import pytest

from rheobase import config as settings
from rheobase.cli import main
from rheobase.config.entries import from_table
from rheobase.stages.check import check
from rheobase.stages.init import init


def mine(path):
    return settings.read(path)["datasets"]["mine"]


def problems(path):
    with pytest.raises(settings.ConfigError) as caught:
        check(path)
    return "\n".join(caught.value.problems)


def refused(folder, capsys):
    assert main(["init", str(folder), "--output", str(folder / "c.yaml")]) == 1
    return capsys.readouterr().err.splitlines()


def save_image(path, rng, *, times=9):
    nibabel.save(nibabel.Nifti1Image(rng.normal(size=(3, 3, 3, times)), np.eye(4)), path)


def test_runs_of_one_person_stay_one_subject_whatever_lies_beside_them(tmp_path, rng):
    for name in ("sub-01_run-1", "sub-01_run-2", "bold", "other", "third"):
        save_image(tmp_path / f"{name}.nii.gz", rng)
    said = init(tmp_path, tmp_path / "c.yaml")
    assert mine(tmp_path / "c.yaml")["entities"] == {"subject": ["01"], "run": ["1", "2"]}
    assert mine(tmp_path / "c.yaml")["split"]["by"] == "time"
    assert "left aside: bold.nii.gz, other.nii.gz, third.nii.gz" in said


def test_guessed_subject_leaves_the_split_unknown(tmp_path, rng):
    for name in ("10000-1", "10000-2", "12345-1"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(100, 4)))
    init(tmp_path, tmp_path / "c.yaml")
    assert mine(tmp_path / "c.yaml")["split"] == {"by": "?"}
    assert "datasets.mine.split.by: still unknown" in problems(tmp_path / "c.yaml")


def test_single_file_is_split_by_time(tmp_path, rng):
    np.save(tmp_path / "worm.npy", rng.normal(size=(100, 4)))
    init(tmp_path, tmp_path / "c.yaml")
    assert mine(tmp_path / "c.yaml")["split"] == {"by": "time", "folds": 5}


def test_atlas_is_asked_for(tmp_path, rng):
    save_image(tmp_path / "sub-01_bold.nii.gz", rng)
    said = init(tmp_path, tmp_path / "c.yaml")
    assert "fill in 1 unknown" in said
    assert "datasets.mine.preprocess.atlas: still unknown" in problems(tmp_path / "c.yaml")


def test_subjects_are_never_cut_inside_a_number_or_word(tmp_path, rng):
    for name in ("zf_20151104-f1_dff", "zf_20170215-f1_dff"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(100, 4)))
    init(tmp_path, tmp_path / "c.yaml")
    assert mine(tmp_path / "c.yaml")["source"]["path"] == f"{tmp_path}/zf_{{subject}}-f1_dff.npy"
    assert mine(tmp_path / "c.yaml")["entities"] == {"subject": ["20151104", "20170215"]}


@pytest.mark.parametrize(
    ("folder", "file"),
    [('quo"te', "<b>x.npy"), ("back\\slash", "a: b #c.npy"), ("{br}", "näh\x7f\u2028😀.npy")],
)
def test_any_name_gives_yaml_that_reads_back(tmp_path, rng, folder, file):
    (tmp_path / folder).mkdir()
    np.save(tmp_path / folder / file, rng.normal(size=(100, 4)))
    init(tmp_path / folder, tmp_path / "c.yaml")
    path = mine(tmp_path / "c.yaml")["source"]["path"]
    assert path.format() == str(tmp_path / folder / file)


def test_names_with_quotes_survive_the_table(tmp_path, rng):
    for name in ('"a"/x', "b/y\tz"):
        (tmp_path / name).parent.mkdir()
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(100, 4)))
    init(tmp_path, tmp_path / "c.yaml")
    table = from_table(tmp_path / "c.tsv")
    assert [entry.labels["file"] for entry in table] == ['"a"/x.npy', "b/y\tz.npy"]


def test_arrays_along_time_are_offered(tmp_path, rng):
    np.savez(
        tmp_path / "a.npz",
        emg=rng.normal(size=(4, 90)),
        gesture=np.zeros(90, int),
        block=np.zeros(90, int),
        time_s=np.arange(90) / 5,
        names=np.arange(4),
    )
    init(tmp_path, tmp_path / "c.yaml")
    offered = [s.strip() for s in (tmp_path / "c.yaml").read_text().splitlines() if "_key:" in s]
    assert offered == ['# label_key: "gesture"', '# block_key: "block"']


@pytest.mark.parametrize("block", [0, 512])
def test_matlab_matrices_are_told_as_matlab_shows_them(tmp_path, rng, block):
    import h5py

    with h5py.File(tmp_path / "a.mat", "w", userblock_size=block) as file:
        file["tc"] = rng.normal(size=(90, 4)).astype("f4")  # 4 x 90 in MATLAB
    init(tmp_path, tmp_path / "c.yaml")
    assert '"tc" is 4 x 90' in (tmp_path / "c.yaml").read_text()


def test_a_signal_that_was_not_found_is_asked_for(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(4))
    init(tmp_path, tmp_path / "c.yaml")
    assert "datasets.mine.reader.key: still unknown" in problems(tmp_path / "c.yaml")


@pytest.mark.parametrize("name", ["a.npz", "a.mat", "a.npy"])
def test_cut_file_is_one_sentence_with_its_name(tmp_path, rng, capsys, name):
    from scipy.io import savemat

    values = rng.normal(size=(50, 9))
    {"npz": np.savez, "npy": np.save}.get(name[2:], lambda path, x: savemat(path, {"x": x}))(
        tmp_path / name, values
    )
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: 100 if name == "a.npz" else 140])
    said = refused(tmp_path, capsys)
    assert len(said) == 1
    assert f"{name} is not a readable {name[2:]} file" in said[0]
    assert "export it again" in said[0]
    assert not (tmp_path / "c.yaml").exists()


def test_file_with_objects_is_named(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", x=np.array([{}, None], dtype=object))
    assert "a.npz is not a readable npz file" in refused(tmp_path, capsys)[0]


def test_table_that_is_no_utf8_is_named(tmp_path, capsys):
    (tmp_path / "a.csv").write_bytes("zeit,länge\n1,2\n".encode("latin-1"))
    assert "a.csv is not a readable UTF-8 text file" in refused(tmp_path, capsys)[0]


def test_damaged_images_are_named(tmp_path, rng, capsys):
    (tmp_path / "sub-02_bold.nii.gz").write_bytes(gzip.compress(b"nothing")[:-4])
    said = refused(tmp_path, capsys)
    assert any("sub-02_bold.nii.gz is not a readable NIfTI file" in line for line in said)
    save_image(tmp_path / "sub-01_bold.nii.gz", rng)
    assert "sub-02_bold.nii.gz is not a readable" in init(tmp_path, tmp_path / "c.yaml")
