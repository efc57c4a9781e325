"""Every stage on tiny files: one sentence for what is wrong, nothing half-written."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from rheobase import config as settings
from rheobase import layout
from rheobase.recording import Recording
from rheobase.stages import cut, plan, prepare, provenance


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def spec(**changes):
    dataset = {
        "modality": "fmri",
        "source": {"kind": "path", "path": "in/{subject}.npy"},
        "entities": {"subject": ["0", "1", "2"]},
        "reader": {"format": "npy", "orientation": "time_first"},
        "repetition_time_s": 2.0,
        "time_unit": "s",
        "preprocess": {"detrend": "linear", "band_hz": None, "fd_mm": 0.5},
        "split": {"by": "subject", "folds": 3},
        "models": ["baseline"],
        **changes,
    }
    return json.dumps(
        {"name": "rest", "dataset": dataset, "data_dir": "data", "download_dir": "downloads"}
    )


def write(tmp_path, rng, **odd):
    (tmp_path / "in").mkdir(exist_ok=True)
    for subject in "012":
        signal = rng.normal(size=(200, 5)).cumsum(axis=0) + 100
        np.save(
            tmp_path / "in" / f"{subject}.npy",
            odd[f"s{subject}"](signal) if f"s{subject}" in odd else signal,
        )


def nan(signal):
    signal[5, 2] = np.nan
    return signal


def constant(signal):
    signal[:, 3] = 7.0
    return signal


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (nan, r"sub-1: .*NaN"),
        (constant, r"sub-1: .*constant"),
        (lambda s: s.T, r"1\.npy.*(transposed|orientation)"),
        (lambda s: s[:10], r"sub-1.* 10 "),
        (lambda s: s[:, :, None], r"1\.npy.*\(200, 5, 1\)"),
        (lambda s: s.astype("U8"), r"1\.npy"),
        (lambda s: s[:0], r"1\.npy"),
    ],
)
def test_bad_recording_is_named_and_leaves_nothing(tmp_path, rng, spoil, sentence):
    write(tmp_path, rng, s1=spoil)
    with pytest.raises(ValueError, match=sentence) as caught:
        prepare.preprocess(spec(), ["sub-0", "sub-1", "sub-2"])
    assert len(str(caught.value).splitlines()) == 1
    assert layout.recording_path("rest", "sub-2").is_file()
    assert not layout.recording_path("rest", "sub-1").exists()
    assert not layout.qc_path("rest", "sub-1").exists()
    assert not [p for p in tmp_path.rglob(".*")]


def test_all_bad_recordings_are_named_at_once(tmp_path, rng):
    write(tmp_path, rng, s0=nan, s2=constant)
    with pytest.raises(ValueError, match=r"sub-0: .*NaN[\s\S]*\n.*sub-2: .*constant"):
        prepare.preprocess(spec(), ["sub-0", "sub-1", "sub-2"])


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_truncated_or_foreign_file_is_named(tmp_path, rng, content):
    write(tmp_path, rng)
    (tmp_path / "in" / "1.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"in/1\.npy"):
        prepare.preprocess(spec(), ["sub-1"])


def test_missing_file_is_named_with_its_remedy(tmp_path, rng):
    write(tmp_path, rng)
    (tmp_path / "in" / "1.npy").unlink()
    with pytest.raises(ValueError, match=r"in/1\.npy does not exist; correct source\.path"):
        prepare.preprocess(spec(), ["sub-1"])


def test_rate_of_the_file_and_of_the_config_must_agree(tmp_path, rng):
    (tmp_path / "in").mkdir()
    rows = "\n".join(f"{t * 0.5},{','.join(map(str, rng.normal(size=3)))}" for t in range(300))
    (tmp_path / "in" / "0.csv").write_text(f"time,a,b,c\n{rows}\n")
    changes = {
        "source": {"kind": "path", "path": "in/{subject}.csv"},
        "entities": {"subject": ["0"]},
        "reader": {"format": "csv", "time_column": "time"},
        "split": {"by": "time", "folds": 2},
    }
    prepare.preprocess(spec(**changes, repetition_time_s=0.5), ["sub-0"])
    with pytest.raises(ValueError, match=r"says 0\.5 s a volume and the config says 0\.4 s"):
        prepare.preprocess(spec(**changes, repetition_time_s=0.4), ["sub-0"])


def test_recordings_of_different_regions_are_refused(tmp_path, rng):
    write(tmp_path, rng, s2=lambda s: s[:, :4])
    prepare.preprocess(spec(), ["sub-0", "sub-1", "sub-2"])
    with pytest.raises(
        ValueError,
        match=r"sub-0 and sub-2 were measured with different units \(5 and 4; sub-0 has ",
    ):
        cut.split(spec())
    assert not layout.splits_path("rest").exists()


def test_same_input_gives_the_same_bytes(tmp_path, rng):
    write(tmp_path, rng)
    made = []
    for _ in range(2):
        prepare.preprocess(spec(), ["sub-0"])
        made.append(layout.recording_path("rest", "sub-0").read_bytes())
        layout.recording_path("rest", "sub-0").unlink()
    assert made[0] == made[1]


def test_splits_hold_the_checksum_of_every_recording(tmp_path, rng):
    write(tmp_path, rng)
    prepare.preprocess(spec(), ["sub-0", "sub-1", "sub-2"])
    cut.split(spec())
    content = json.loads(layout.splits_path("rest").read_text())
    stored = Recording.load(layout.recording_path("rest", "sub-1")).data.attrs["content_sha256"]
    assert content["recordings"]["sub-1"] == stored


def test_blocks_of_time_are_cut_from_the_recording(tmp_path, rng):
    write(tmp_path, rng)
    told = spec(split={"by": "time", "folds": 2, "gap_s": 10})
    prepare.preprocess(told, ["sub-0", "sub-1", "sub-2"])
    cut.split(told)
    dataset, _ = prepare.load_spec(told)
    content = json.loads(layout.splits_path("rest").read_text())
    train, test = (cut.load_parts(dataset, content, 0, side) for side in ("train", "test"))
    assert test[0].time[-1] + 10 < train[0].time[0]
    assert len(test[0].valid) == 100


def test_label_that_is_nowhere_is_named(tmp_path, rng):
    write(tmp_path, rng)
    with pytest.raises(ValueError, match=r"sub-0: there is no label 'mood'"):
        prepare.preprocess(spec(label={"name": "mood", "kind": "class"}), ["sub-0"])


def test_value_label_must_be_a_number(tmp_path, rng):
    write(tmp_path, rng)
    (tmp_path / "t.tsv").write_text("subject\tage\n0\tyoung\n1\t30\n2\t40\n")
    changes = {"table": "t.tsv", "label": {"name": "age", "kind": "value"}}
    told = json.loads(spec(**changes))
    del told["dataset"]["entities"]
    with pytest.raises(ValueError, match=r"sub-0: label age is 'young', which is no number"):
        prepare.preprocess(json.dumps(told), ["sub-0"])
    prepare.preprocess(json.dumps(told), ["sub-1"])
    assert Recording.load(layout.recording_path("rest", "sub-1")).label == 30.0


def config(**changes):
    """Return a whole configuration with one made-up dataset and a chain of two models."""
    dataset = {
        "modality": "fmri",
        "source": {"kind": "synthetic", "generator": "fmri", "seed": 1},
        "entities": {"subject": ["a", "b", "c"]},
        "exclude": {"sub-c": "moved"},
        "split": {"by": "subject"},
        "models": ["first", "second"],
        **changes,
    }
    models = {"first": {"family": "linear"}, "second": {"family": "linear", "on": "first"}}
    return settings.parse({"datasets": {"rest": dataset}, "models": models})


def specs(**changes):
    made = config(**changes)
    dataset = made.datasets["rest"]
    told = {s: plan.stage_spec(made, dataset, s) for s in ("fetch", "preprocess", "split")}
    return {**told, "fit": plan.stage_spec(made, dataset, "fit", "first")}


@pytest.mark.parametrize(
    ("edit", "stages"),
    [
        ({"licence": "CC0", "citation": ["A 2020"]}, set()),
        ({"exclude": {"sub-c": "said better"}}, set()),
        ({"models": ["first"]}, set()),
        ({"split": {"by": "subject", "folds": 2}}, {"split", "fit"}),
        ({"split": {"by": "time"}}, {"preprocess", "split", "fit"}),
        ({"preprocess": {"detrend": "none"}}, {"preprocess", "fit"}),
        ({"exclude": {"sub-b": "moved"}}, {"fetch", "preprocess", "split", "fit"}),
    ],
)
def test_edit_reaches_only_the_stages_that_need_it(edit, stages):
    before, after = specs(), specs(**edit)
    assert {stage for stage in before if before[stage] != after[stage]} == stages


@pytest.mark.parametrize("stage", ["fetch", "preprocess", "split", "fit"])
def test_spec_of_a_stage_says_what_the_config_says(stage):
    made = config()
    whole = made.datasets["rest"]
    told, _ = prepare.load_spec(plan.stage_spec(made, whole, stage, "second"))
    assert told.recordings == whole.recordings
    assert told.models == ("first", "second")
    if stage in ("preprocess", "fit"):
        assert told.preprocess == whole.preprocess
        assert told.preprocess["standardise"] == "zscore"
    if stage in ("split", "fit"):
        assert (told.split, told.n_folds) == (whole.split, whole.n_folds)


def test_rule_graph_puts_a_model_after_the_one_it_runs_on():
    dataset = config().datasets["rest"]
    told = {"models": {"b": {"on": "a", "seeds": [0]}, "a": {"on": None, "seeds": [0, 1]}}}
    graph = provenance.rule_graph(dataset, told)
    assert graph["before"] == ["fetch", "preprocess", "split"]
    assert graph["models"] == [
        {"name": "a", "on": None, "fits": 4},
        {"name": "b", "on": "a", "fits": 2},
    ]


def test_cost_of_a_rule_is_the_sum_of_its_jobs():
    row = {"seconds": 2.0, "cpu_seconds": None, "max_rss_mb": 10.0}
    jobs = ("m/evaluate-0-0", "m/fit-0-0", "m/fit-1-0", "preprocess-0")
    found = provenance.by_rule([{"job": job, **row} for job in jobs])
    assert [one["rule"] for one in found] == ["preprocess", "fit", "evaluate"]
    both = {"rule": "fit", "jobs": 2, "seconds": 4.0, "cpu_seconds": None, "max_rss_mb": 10.0}
    assert found[1] == both


def test_rule_graph_is_drawn_with_its_description():
    from rheobase.report.page import environment

    one = {"name": "a<b", "on": None, "fits": 4}
    models = [one, {"name": "c", "on": "a<b", "fits": 1}]
    graph = {"before": ["split"], "models": models, "each": ["fit"], "after": ["report"]}
    template = environment().from_string(
        '{% import "macros.html" as m %}{% include "sections/provenance.html" %}'
    )
    report = {"provenance": {"rule_graph": graph}}
    drawn = template.render(report=report, facts={})
    svg = drawn[drawn.index("<svg") : drawn.index("</svg>") + 6]
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert "c has 1 fit and runs on the fits of a<b." in "".join(root.itertext())
    assert len(root.findall("path")) == 2 + 2 + 1
    assert len(root.findall("rect")) == 1 + 2 + 1


def test_a_model_on_a_random_one_is_fitted_with_every_seed(monkeypatch):
    dataset = json.loads(spec())["dataset"]
    models = {"first": {"family": "linear"}, "second": {"family": "linear", "on": "first"}}
    dataset["models"] = list(models)
    config = settings.parse({"seeds": [0, 1], "datasets": {"rest": dataset}, "models": models})
    assert plan.seeds(config, "second") == (0,)
    random = plan.FAMILIES["linear"]._replace(random=True)
    monkeypatch.setitem(plan.FAMILIES, "other", random)
    models["first"]["family"] = "other"
    config = settings.parse({"seeds": [0, 1], "datasets": {"rest": dataset}, "models": models})
    assert plan.seeds(config, "second") == (0, 1)
    assert plan.upstream(config, "second", 1)[0][1] == 1
