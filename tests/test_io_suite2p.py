"""What suite2p keeps in pickles is read only where it is trusted, from older and newer versions."""

import os

import numpy as np
import pytest

from rheobase.io.readers import read

CELLS, FRAMES = 4, 30


def load(path, **reader):
    return read(path, reader={"format": "suite2p", **reader}, files={}, preprocess={})


def save(folder, rng, **pickles):
    """Write a plane; keywords are pickled mappings or arrays by file name."""
    folder.mkdir(parents=True)
    np.save(folder / "F.npy", rng.random((CELLS, FRAMES)).astype(np.float32))
    np.save(folder / "Fneu.npy", rng.random((CELLS, FRAMES)).astype(np.float32))
    np.save(folder / "spks.npy", rng.random((CELLS, FRAMES)).astype(np.float32))
    for name, content in pickles.items():
        np.save(folder / f"{name}.npy", np.asarray(content, dtype=object), allow_pickle=True)
    return folder


OLD = {"fs": 7.5, "neucoeff": 0.6, "tau": 0.9, "badframes": np.arange(FRAMES) == 3}
STAT = [{"med": (10 * i, 5 * i), "npix": 20} for i in range(CELLS)]


def test_settings_of_older_versions_are_read(tmp_path, rng):
    raw = load(save(tmp_path / "p", rng, ops=OLD, stat=STAT), trust_pickle=True)
    assert raw.rate_hz == 7.5
    assert raw.extras["decay_s"] == 0.9
    np.testing.assert_array_equal(raw.extras["neuropil_share"], [0.6] * 4)
    assert np.flatnonzero(raw.extras["bad_frames"]).tolist() == [3]
    np.testing.assert_array_equal(raw.extras["position_px"], [[0, 0], [10, 5], [20, 10], [30, 15]])


def test_settings_of_newer_versions_are_read(tmp_path, rng):
    settings = {"fs": 12.0, "tau": 1.5, "extraction": {"neuropil_coefficient": 0.5}}
    found = {"badframes": np.arange(FRAMES) == 7}
    folder = save(tmp_path / "p", rng, settings=settings, reg_outputs=found, db={"nplanes": 1})
    raw = load(folder, trust_pickle=True)
    assert raw.rate_hz == 12
    assert raw.extras["decay_s"] == 1.5
    np.testing.assert_array_equal(raw.extras["neuropil_share"], [0.5] * 4)
    assert np.flatnonzero(raw.extras["bad_frames"]).tolist() == [7]


def test_settings_may_lack_what_is_looked_for(tmp_path, rng):
    raw = load(save(tmp_path / "p", rng, ops={"nplanes": 1}), trust_pickle=True)
    assert raw.rate_hz is None
    assert set(raw.extras) == {"neuropil"}
    assert load(save(tmp_path / "q", rng), trust_pickle=True).rate_hz is None


def test_bad_frames_of_planes_are_joined(tmp_path, rng):
    save(tmp_path / "plane0", rng, ops=OLD)
    save(tmp_path / "plane1", rng, ops={**OLD, "badframes": np.arange(FRAMES) == 9})
    raw = load(tmp_path, trust_pickle=True)
    assert np.flatnonzero(raw.extras["bad_frames"]).tolist() == [3, 9]
    assert raw.extras["neuropil_share"].shape == (8,)
    assert raw.rate_hz == 7.5


class Harmful:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_runs_nothing_unless_it_is_trusted(tmp_path, rng):
    proof = tmp_path / "ran"
    folder = save(tmp_path / "p", rng, ops=Harmful(proof), stat=[Harmful(proof)] * CELLS)
    assert load(folder).signal.shape == (FRAMES, CELLS)
    assert load(folder, trust_pickle=False).rate_hz is None
    assert not proof.exists()


@pytest.mark.parametrize(
    ("pickles", "words"),
    [
        ({"ops": {"fs": 0}}, "the settings say fs 0; it must be above 0"),
        ({"ops": {"fs": "quick"}}, "the settings say fs 'quick', which is no number"),
        ({"ops": {"neucoeff": -1}}, "the settings say neucoeff -1; it must be 0 or more"),
        ({"ops": {"badframes": np.zeros(7, bool)}}, r"badframes has shape \(7,\) and the traces"),
        ({"ops": [1, 2, 3]}, r"ops\.npy holds no mapping of settings"),
        ({"stat": STAT[:2]}, r"stat\.npy describes 2 cells and the traces are of 4"),
    ],
)
def test_settings_that_cannot_be_right_are_named(tmp_path, rng, pickles, words):
    with pytest.raises(ValueError, match=words):
        load(save(tmp_path / "p", rng, **pickles), trust_pickle=True)


def test_planes_of_different_rates_are_refused(tmp_path, rng):
    save(tmp_path / "plane0", rng, ops=OLD)
    save(tmp_path / "plane1", rng, ops={**OLD, "fs": 8.0})
    with pytest.raises(ValueError, match="different frame rates, 7.5 and 8 Hz"):
        load(tmp_path, trust_pickle=True)


def test_spikes_can_be_read_instead(tmp_path, rng):
    folder = save(tmp_path / "p", rng)
    raw = load(folder, key="spks")
    np.testing.assert_array_equal(raw.signal, np.load(folder / "spks.npy").T)
    assert "neuropil" not in raw.extras
    with pytest.raises(ValueError, match="reader.key 'stat' is not one of F, spks"):
        load(folder, key="stat")


def test_trust_is_for_suite2p_alone(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 2)))
    with pytest.raises(ValueError, match="reader.trust_pickle has no meaning for format npy"):
        read(
            tmp_path / "a.npy",
            reader={"format": "npy", "orientation": "time_first", "trust_pickle": True},
            files={},
            preprocess={},
        )
