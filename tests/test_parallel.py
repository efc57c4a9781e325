"""One fit on several processes: the curve of a training does not depend on how many there are."""

import json
import os
import subprocess
import sys

import pytest

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
