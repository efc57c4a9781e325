"""Head motion files."""

from __future__ import annotations

import numpy as np
import pytest

from rheobase.io.motion import read_motion

MOTION = np.asarray([[1.0, 2.0, 3.0, 0.01, 0.02, 0.03]] * 30) + 1e-7 * np.arange(30)[:, None]


def write_motion(path, form):
    content = {
        "fsl": MOTION[:, [3, 4, 5, 0, 1, 2]],
        "spm": MOTION,
        "afni": np.column_stack([np.rad2deg(MOTION[:, [5, 3, 4]]), MOTION[:, [2, 0, 1]]]),
        "hcp": np.hstack([MOTION[:, :3], np.rad2deg(MOTION[:, 3:]), np.gradient(MOTION, axis=0)]),
        "fmriprep": MOTION,
    }[form]
    header = "\t".join(f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz")
    np.savetxt(
        path, content, delimiter="\t", header=header if form == "fmriprep" else "", comments=""
    )
    return path


@pytest.mark.parametrize("form", ["fsl", "spm", "afni", "hcp", "fmriprep"])
def test_motion_is_translations_then_rotations(tmp_path, form):
    motion = read_motion(write_motion(tmp_path / "motion.txt", form), form, volumes=30)
    np.testing.assert_allclose(motion, MOTION)


def test_afni_file_of_nine_columns_is_read(tmp_path):
    six = np.loadtxt(write_motion(tmp_path / "six.1D", "afni"))
    np.savetxt(tmp_path / "m.dfile", np.column_stack([np.arange(30), six, np.ones((30, 2))]))
    np.testing.assert_allclose(read_motion(tmp_path / "m.dfile", "afni", volumes=30), MOTION)


def test_motion_in_the_wrong_order_is_refused(tmp_path):
    path = write_motion(tmp_path / "motion.par", "spm")
    with pytest.raises(ValueError, match=r"read as fsl.*rotations up to 3 rad, above 50 mm or 0.5"):
        read_motion(path, "fsl", volumes=30)


def test_motion_in_degree_is_refused(tmp_path):
    np.savetxt(tmp_path / "m.txt", np.column_stack([MOTION[:, :3], np.rad2deg(MOTION[:, 3:])]))
    with pytest.raises(ValueError, match="rotations up to 1.72 rad, above"):
        read_motion(tmp_path / "m.txt", "spm", volumes=30)


def test_motion_of_another_length_is_refused(tmp_path):
    np.savetxt(tmp_path / "m.par", MOTION[:29])
    with pytest.raises(
        ValueError, match="m.par has 29 rows but the recording has 30 volumes; give"
    ):
        read_motion(tmp_path / "m.par", "spm", volumes=30)


def test_motion_with_gaps_is_refused(tmp_path):
    content = MOTION.copy()
    content[4, 2] = np.nan
    np.savetxt(tmp_path / "m.txt", content)
    with pytest.raises(ValueError, match="m.txt: row 5 holds a value that is no number"):
        read_motion(tmp_path / "m.txt", "spm", volumes=30)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("spm", "m.txt has 5 columns; spm motion has 6"),
        ("fmriprep", "m.txt has no column trans_x"),
        ("other", "format 'other' is not one of fsl, spm, afni, hcp, fmriprep"),
    ],
)
def test_motion_with_other_columns_is_refused(tmp_path, form, words):
    np.savetxt(tmp_path / "m.txt", MOTION[:, :5], delimiter="\t")
    with pytest.raises(ValueError, match=words):
        read_motion(tmp_path / "m.txt", form, volumes=30)


def test_motion_that_is_text_is_refused(tmp_path):
    (tmp_path / "m.par").write_text("one two three four five six\n")
    with pytest.raises(ValueError, match="m.par is not a readable fsl motion file"):
        read_motion(tmp_path / "m.par", "fsl", volumes=1)


def test_real_motion_of_another_length_is_refused(shared_data):
    with pytest.raises(
        ValueError, match="bold_mc.par has 19 rows but the recording has 1452 volumes"
    ):
        read_motion(shared_data / "haxby_slice" / "bold_mc.par", "fsl", volumes=1452)
