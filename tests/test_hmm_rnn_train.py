"""Training of emulators: members, checkpoints, divergence, and that it learns."""

import pytest
import torch

from rheobase.models.hmm_rnn import targets, train
from rheobase.models.hmm_rnn.train import Schedule, TrainingDiverged

SMALL = Schedule(units=8, noise=3, length=10, batch=16, moment_steps=30, steps=25)


def test_members_train_as_they_would_alone():
    chain, brief = targets.linear(2), Schedule(8, 3, 10, 16, moment_steps=10, steps=10)
    both = train.train(chain, brief, seeds=[1, 5]).network
    alone = train.train(chain, brief, seeds=[5]).network
    torch.testing.assert_close(both.Wh[1], alone.Wh[0], atol=1e-5, rtol=1e-5)


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    chain, path = targets.linear(2), tmp_path / "checkpoint.safetensors"
    whole = train.train(chain, SMALL, seeds=[0])
    course = train._Course(chain, SMALL, [0], "cpu", path)
    for _ in range(33):
        course.advance()
    assert path.exists()
    again = train.train(chain, SMALL, seeds=[0], resume=path)
    for name, weights in whole.network.state_dict().items():
        assert torch.equal(weights, again.network.state_dict()[name])
    assert whole.history == again.history


def test_a_training_that_leaves_all_bounds_is_slowed_and_then_given_up(monkeypatch):
    monkeypatch.setattr(train, "LARGEST_STATE", 0.0)
    with pytest.raises(TrainingDiverged, match="diverged 3 times"):
        train.train(targets.linear(2), SMALL, seeds=[0])


def test_moments_come_nearer():
    schedule = Schedule(units=24, noise=8, length=20, batch=64, moment_steps=150, steps=1)
    history = train.train(targets.linear(2), schedule, seeds=[0]).history
    assert history["moments"][-2] < 0.7 * history["moments"][0]
    assert history["step"][0] == train.EVERY
