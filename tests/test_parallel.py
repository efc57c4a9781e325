"""One fit on several processes: the curve of a training does not depend on how many there are."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from rheobase import layout
from rheobase.config import ModelEntry
from rheobase.models import base, parallel
from rheobase.recording import Recording
from rheobase.stages import cut, learn, prepare

TRAIN = """
import json, os, sys
import numpy as np, torch
from rheobase.models import parallel
from rheobase.models.brainmae import pretrain, segments
from rheobase.models.brainmae.network import BrainMAENetwork, Sizes

torch.set_num_threads(1)
rng = np.random.default_rng(0)
runs = [segments.Run(f"r{i}", f"s{i}", rng.normal(size=(60, 9)).astype(np.float32),
                     rng.random(60) > 0.1, 0.0) for i in range(5)]
plan = pretrain.Plan(6, 5, 4, 1e-2, 0.1, 0.05, "roi_segment", (0.2, 0.6), 0.75, False, 1, 20)
torch.manual_seed(0)
network = BrainMAENetwork(Sizes(9, 5, 16, 16, 4, 3, 1, 1, "sg", "flatten", "learned", False))
deck = segments.Deck(runs, samples=5, period_s=3.0, device="cpu")
world = parallel.world("cpu")
if os.environ.get("DIE") == str(world.rank):
    sys.exit(3)
curves = pretrain.train(network, deck, None, plan, seed=1, world=world)
if world.writes:
    total = float(sum(value.abs().sum() for value in network.state_dict().values()))
    json.dump({"loss": curves.loss, "norm": curves.gradient_norm, "weights": total},
              open(sys.argv[1], "w"))
"""


def train(folder, processes, **more):
    (folder / "train.py").write_text(TRAIN)
    found = folder / f"{processes}.json"
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run(
        [*start, str(folder / "train.py"), str(found)], env={**os.environ, **more}, timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, json.loads(found.read_text()) if found.is_file() else None


def test_curves_of_one_and_two_processes_agree(tmp_path):
    (_, one), (done, two) = train(tmp_path, 1), train(tmp_path, 2)
    assert one is not None
    assert two is not None, done.stderr
    assert len(one["loss"]) == 6
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
    assert two["norm"] == pytest.approx(one["norm"], rel=1e-4)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5)


def test_a_process_that_dies_ends_the_others(tmp_path):
    done, found = train(tmp_path, 2, DIE="1")
    assert done.returncode != 0
    assert found is None


def made(folder, rng):
    """Return the words of a fit of a small network, its recordings and folds being made."""
    (folder / "in").mkdir()
    for subject in "012":
        np.save(folder / "in" / f"{subject}.npy", rng.normal(size=(120, 6)).cumsum(axis=0) + 100)
    dataset = {
        "modality": "fmri",
        "source": {"kind": "path", "path": "in/{subject}.npy"},
        "entities": {"subject": ["0", "1", "2"]},
        "reader": {"format": "npy", "orientation": "time_first"},
        "repetition_time_s": 3.0,
        "time_unit": "s",
        "preprocess": {"detrend": "linear", "band_hz": None, "fd_mm": 0.5},
        "split": {"by": "subject", "folds": 3},
        "models": ["mae"],
    }
    about = {"name": "rest", "dataset": dataset, "data_dir": "data", "download_dir": "downloads"}
    prepare.preprocess(json.dumps(about), ["sub-0", "sub-1", "sub-2"])
    cut.split(json.dumps(about))
    params = {"width": 8, "segment_width": 8, "heads": 2, "steps": 6, "check_every": 1,
              "label": False, "held_share": 0.0}  # fmt: skip
    entry = ModelEntry("mae", "brainmae", params=params)
    model = {"model": asdict(entry), "upstream": [], "initial": None}
    return ["fit", "--spec", json.dumps(about), "--model", json.dumps(model), "--fold", "0",
            "--seed", "0", "--device", "cpu", "--log", "fit.log"]  # fmt: skip


def command(words, **more):
    return subprocess.run(
        [sys.executable, "-m", "rheobase", *words], env={**os.environ, **more}, timeout=240,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_fit_in_two_processes_is_that_of_one(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    words = made(tmp_path, rng)
    curves = []
    for processes in ("1", "2"):
        done = command([*words, "--processes", processes])
        assert done.returncode == 0, done.stderr
        folder = layout.fit_dir("rest", "mae", 0, 0)
        assert json.loads((folder / "run.json").read_text())["processes"] == int(processes)
        assert not list(folder.glob("checkpoint*"))
        curves.append(learn.load_fitted(folder).history["loss"])
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)


def test_a_fit_that_fails_in_several_processes_says_so_and_leaves_nothing(
    tmp_path, monkeypatch, rng
):
    monkeypatch.chdir(tmp_path)
    words = made(tmp_path, rng)
    broken = words[4].replace('"heads": 2', '"heads": 3')
    done = command([*words[:4], broken, *words[5:], "--processes", "2"])
    assert done.returncode == 1
    assert "one of 2 processes that train together ended with an error" in done.stderr
    assert "must be even and a multiple of heads 3" in (tmp_path / "fit.log").read_text()
    assert not (layout.fit_dir("rest", "mae", 0, 0) / "run.json").exists()


def test_each_process_takes_its_own_gpu_before_it_joins_the_others(monkeypatch):
    done = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(parallel.torch.cuda, "set_device", lambda at: done.append(f"gpu {at}"))
    monkeypatch.setattr(parallel.dist, "init_process_group", done.append)
    monkeypatch.setattr(parallel.dist, "get_rank", lambda: 1)
    assert parallel.world("cuda") == parallel.World(1, 2)
    assert done == ["gpu 1", "nccl"]


def test_a_fit_joins_the_others_before_it_puts_anything_on_a_gpu(monkeypatch, rng):
    class JoinedError(Exception):
        pass

    def joined(device):
        raise JoinedError

    monkeypatch.setattr(parallel, "world", joined)
    model = base.build("brainmae", params={"steps": 1, "label": False})
    one = Recording.build(rng.normal(size=(100, 4)), name="a", modality="fmri",
                          sampling_rate_hz=0.5, entities={"subject": "a"})  # fmt: skip
    with pytest.raises(JoinedError):
        model.fit([one], seed=0, device="cuda")
