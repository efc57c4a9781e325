"""BrainMAE as a family: labels beside their rivals, starting from other fits, wrong settings."""

import json

import numpy as np
import pytest

from rheobase import config
from rheobase.config import ConfigError
from rheobase.models import base
from rheobase.models.brainmae import BrainMAE, learn, pretrain, segments
from rheobase.recording import Recording
from rheobase.stages import plan


def recording(rng, number, samples=80, regions=6, rate=0.2, **more):
    return Recording.build(
        rng.normal(size=(samples, regions)), name=f"sub-{number}", modality="fmri",
        sampling_rate_hz=rate, entities={"subject": str(number)}, **more,
    )  # fmt: skip


def test_label_is_decoded_three_ways_beside_its_rivals(rng):
    labels = [{"group": "ab"[i % 2]} for i in range(16)]
    made = [recording(rng, i, labels=one, label={"name": "group", "kind": "class"})
            for i, one in enumerate(labels)]  # fmt: skip
    params = {"width": 8, "heads": 2, "steps": 4, "batch": 8, "check_every": 2,
              "label_training": {"epochs": 2, "permutations": 20}}  # fmt: skip
    model = base.build("brainmae", params=params)
    fitted = model.fit(made[:12], seed=0, device="cpu")
    found = {score.name: score for score in model.evaluate(fitted, made[12:])}
    names = [f"decode{mode}_balanced_accuracy" for mode in ("", "_probe", "_scratch")]
    assert list(found)[:3] == names
    for name in names:
        assert set(found[name].rivals) == {
            "fc_lr",
            "tangent_lr",
            "meanmlp",
            "principal_states",
            "majority_class",
        }
        assert len(found[name].null) == 20
    assert found["decode_auroc"].chance == 0.5
    hits = [found[f"decode_{what}"] for what in ("sensitivity", "specificity")]
    assert found["decode_accuracy"].value == pytest.approx(np.mean([one.value for one in hits]))
    assert found["decode_accuracy"].value == pytest.approx(found[names[0]].value)
    assert sorted(one.rivals["majority_class"] for one in hits) == [0, 1]
    assert "sensitivity for b" in hits[0].title


@pytest.mark.gpu
def test_a_gpu_learns_what_a_processor_learns(rng):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU; torch finds none")
    made = [recording(rng, i) for i in range(6)]
    params = {"width": 8, "heads": 2, "steps": 4, "check_every": 1, "label": False,
              "pretrain": "plain_autoencoder"}  # fmt: skip
    model = base.build("brainmae", params=params)  # nothing hidden: what is drawn differs there
    there, here = (model.fit(made, seed=0, device=d).history["loss"] for d in ("cuda", "cpu"))
    assert there == pytest.approx(here, abs=0.02)  # a GPU multiplies in bfloat16


def test_embeddings_can_start_from_the_covariance_and_the_report_says_so(rng):
    mixing = rng.normal(size=(6, 6))
    made = [
        Recording.build(
            rng.normal(size=(80, 6)) @ mixing, name=f"sub-{i}", modality="fmri",
            sampling_rate_hz=0.2, entities={"subject": str(i)},
        )
        for i in range(4)
    ]  # fmt: skip
    params = {"width": 8, "heads": 2, "steps": 1, "learning_rate": 1e-9, "label": False}
    model = base.build("brainmae", params={**params, "embedding_start": "covariance"})
    fitted = model.fit(made, seed=0)
    covariance = fitted.arrays["rival/covariance_3"].values[6:12, 6:12]
    embedded = fitted.weights["pretrain/embedding"]
    alike = np.corrcoef((embedded @ embedded.T).ravel(), covariance.ravel())[0, 1]
    assert alike > 0.999
    assert any("no finding" in notice for notice in fitted.notices)
    plain = base.build("brainmae", params=params).fit(made, seed=0)
    assert not any("no finding" in notice for notice in plain.notices)


def test_another_fit_is_taken_over_and_others_are_refused(rng):
    made = [recording(rng, i) for i in range(4)]
    params = {"width": 8, "heads": 2, "steps": 2, "label": False}
    first = base.build("brainmae", params=params).fit(made, seed=0)
    model = base.build("brainmae", params={**params, "init_from": "other/mae"})
    again = model.fit(made, seed=1, initial=first)
    assert all(np.array_equal(first.weights[k], again.weights[k]) for k in first.weights)
    assert "correlates" in again.notices[0]
    little = "of the fit that this one starts from: pretraining has learnt little"
    assert any(notice.startswith(little) for notice in again.notices)
    with pytest.raises(ValueError, match="6 regions and sub-9 has 5"):
        model.fit([recording(rng, 9, regions=5)], seed=0, initial=first)
    wider = base.build("brainmae", params={**params, "width": 16, "init_from": "other/mae"})
    with pytest.raises(ValueError, match=r"shape \(6, 8\) in the fit and \(6, 16\) in this model"):
        wider.fit(made, seed=0, initial=first)
    slower = [recording(rng, 8, rate=0.1)]
    twice = base.build("brainmae", params={**params, "segment_s": 30, "init_from": "other/mae"})
    with pytest.raises(ValueError, match=r"3 volumes of 5 s and sub-8 of 3 of 10 s"):
        twice.fit(slower, seed=0, initial=first)


def test_a_start_that_knows_the_test_part_is_refused(rng):
    made = [recording(rng, i, source_sha256=f"{i:064x}") for i in range(6)]
    params = {"width": 8, "heads": 2, "steps": 2, "label": False}
    first = base.build("brainmae", params=params).fit(made[:4], seed=0)
    model = base.build("brainmae", params={**params, "init_from": "other/mae"})
    fitted = model.fit(made[4:5], seed=0, initial=first)
    with pytest.raises(ValueError, match="sub-3 is in the test part, and the fit that this one"):
        model.evaluate(fitted, made[3:4])
    assert "called like" not in model.evaluate(fitted, made[5:])[0].caution
    namesake = recording(rng, 3, source_sha256=f"{9:064x}")
    assert "called like some that the start was trained on (3)" in (
        model.evaluate(fitted, [namesake])[0].caution
    )


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"variant": "dg"}, "variant is 'dg'; there are sg, ag, vanilla"),
        ({"width": 30}, "width 30 must be even and a multiple of heads 4"),
        ({"mask_ratio": (0.5, 1.0)}, "must rise within 0 and 1"),
        ({"steps": 0}, "steps is 0; it must be above 0"),
        ({"decoder_layers": -1}, "decoder_layers is -1; it must be above 0"),
        ({"weight_decay": -1}, "weight_decay is -1; it must be 0 or more"),
        ({"held_share": 1}, "held_share is 1, so nobody is learnt from"),
    ],
)
def test_wrong_parameters_are_named(params, sentence):
    with pytest.raises(ValueError, match=sentence):
        BrainMAE(**params)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"epochs": -5}, "label_training has epochs -5"),
        ({"layer_decay": 7}, "layer_decay is 7; it must be at most 1"),
        ({"encoder_rate": 0}, "label_training.encoder_rate is 0; it must be above 0"),
        ({"inverse_penalties": []}, r"inverse_penalties is \[\]; give one or more"),
    ],
)
def test_wrong_settings_of_labels_are_named(params, sentence):
    with pytest.raises(ValueError, match=sentence):
        base.build("brainmae", params={"label_training": params})


STARTING = """
seeds: [0]
datasets:
  one: &data
    modality: fmri
    source: {kind: synthetic, generator: fmri, seed: 1, params: {regions: 12, communities: 3}}
    entities: {subject: [a, b, c, d]}
    repetition_time_s: 1
    split: {by: subject, folds: 2}
    models: [mae]
  two: {<<: *data, models: [late, mae]}
models:
  mae: {family: brainmae, preset: demo, seeds: [3, 4]}
  late: {family: brainmae, preset: demo, params: {init_from: one/mae}}
"""


def config_of(path, text):
    path.write_text(text)
    made = config.parse(config.read(path), [path])
    plan.check_families(made, [path])
    return made


def test_the_fit_to_start_from_is_fold_0_and_its_first_seed(tmp_path):
    made = config_of(tmp_path / "c.yaml", STARTING)
    wanted = {"dataset": "one", "model": "mae", "fold": 0, "seed": 3}
    assert plan.initial(made, "late") == wanted
    assert json.loads(plan.model_spec(made, "late", 0))["initial"] == wanted
    assert plan.initial(made, "mae") is None


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("one/may", r"no fit is called 'one/may' \(did you mean 'one/mae'\?\)"),
        ("two/late", "'late' does not pretrain, so nothing can start from it"),
        ("two/mae", "'late' is scored on people of 'two'; name a fit of another"),
    ],
)
def test_a_fit_that_is_not_there_is_named(tmp_path, named, sentence):
    with pytest.raises(ConfigError, match=sentence):
        config_of(
            tmp_path / "c.yaml", STARTING.replace("init_from: one/mae", f"init_from: {named}")
        )


@pytest.mark.parametrize(
    ("params", "curves", "said"),
    [
        ({}, {"loss_masked": [0.5, 0.91]}, "the recordings that it learns from it misses 91 %"),
        ({}, {"loss_masked": [0.95, 0.9]}, ""),
        ({}, {"loss_masked": [0.5], "held_r2_50": [0.0, 0.08, 0.02]}, "held out it misses 92 %"),
        ({}, {"loss_masked": [0.95], "held_r2_50": [0.0, 0.11, 0.02]}, ""),
        ({"mask": "segment"}, {"loss_masked": [1.0]}, ""),
        ({"pretrain": "plain_autoencoder"}, {"loss_masked": [1.0]}, ""),
    ],
)
def test_a_network_that_has_learnt_little_says_so(params, curves, said):
    model = base.build("brainmae", params={"learning_rate": 0.006, **params})
    found = learn.little_learnt(model, pretrain.Curves(**curves))
    assert len(found) == bool(said)
    assert all(said in one and "lower learning_rate than 0.006" in one for one in found)


def test_a_fit_to_noise_says_that_it_learnt_little(rng):
    model = base.build("brainmae", params={"width": 8, "heads": 2, "steps": 3, "label": False})
    made = [recording(rng, i) for i in range(4)]
    fitted = model.fit(made, seed=0, device="cpu")
    assert any(one.startswith("pretraining has learnt little") for one in fitted.notices)
    assert model.evaluate(fitted, made)[0].caution == "pretraining has learnt little"


def test_somebody_is_always_learnt_from(rng):
    model = base.build("brainmae", params={"held_share": 0.95})
    stretches, _ = segments.runs([recording(rng, i) for i in range(6)], 5)
    learnt, held = learn.hold_out(stretches, model.held_share, 0)
    assert len({run.subject for run in learnt}) == 1
    assert len({run.subject for run in held}) == 5


def test_a_single_region_and_a_training_that_diverges_are_refused(rng):
    model = base.build("brainmae", params={"width": 8, "heads": 2, "steps": 8, "label": False,
                                           "check_every": 1, "learning_rate": 1e8})  # fmt: skip
    everyone = [recording(rng, i) for i in range(4)]
    with pytest.raises(ValueError, match=r"no longer a number after \d steps at a learning_rate"):
        model.fit(everyone, seed=0)
    one = everyone[0]
    alone = Recording.build(one.signal[:, :1], name=one.name, modality="fmri",
                            sampling_rate_hz=one.rate, entities=one.entities)  # fmt: skip
    with pytest.raises(ValueError, match=r"has 1 region; .* give 2 or more"):
        model.fit([alone], seed=0)
