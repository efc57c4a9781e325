"""What the report of BrainMAE draws where everything is known of regions and runs."""

import numpy as np
import pytest

from rheobase.models import base
from rheobase.models.brainmae import canvas
from rheobase.recording import Recording

SMALL = {"width": 8, "segment_width": 8, "heads": 2, "steps": 3, "check_every": 1,
         "crop_s": 120, "stability": True, "label": False}  # fmt: skip
ALWAYS = ["reconstruction", "gallery", "regions", "orders", "embeddings", "influence"]


MNI = {"space": np.full(12, "MNI152NLin6Asym")}


def people(rng, count=6, units=MNI, **more):
    """Return recordings of 12 regions in three networks, with places and motion."""
    mixing = np.repeat(np.eye(3), 4, axis=0)
    places = rng.uniform(-60, 60, size=(3, 12))
    return [
        Recording.build(
            rng.normal(size=(80, 3)) @ mixing.T + 0.5 * rng.normal(size=(80, 12)),
            name=f"sub-{i}", modality="fmri", sampling_rate_hz=0.2,
            entities={"subject": str(i)}, labels={"site": "ab"[i % 2]},
            unit_labels={"network": np.repeat(["x", "y", "z"], 4),
                         **dict(zip("xyz", places, strict=True)), **units},
            quality={"fd_mean_mm": 0.1 + 0.01 * i}, **more,
        )
        for i in range(count)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    blocks = {"task": np.repeat(["rest", "move"], 40)}
    made = people(rng, times=blocks, label={"name": "task", "kind": "class"})
    model = base.build("brainmae", params=SMALL)
    fitted = model.fit(made[:4], seed=0, device="cpu")
    return model.figures(fitted, made[4:])


def test_everything_that_is_known_is_drawn_in_order(drawn):
    assert list(drawn) == [*ALWAYS, "brain", "segments", "runs", "halves", "training"]
    for drawing in drawn.values():
        assert drawing.data is not None
        assert drawing.figure.get_size_inches()[0] < 5


def test_regions_are_told_by_network(drawn):
    table = drawn["regions"].data
    assert table["network"].tolist() == ["x"] * 4 + ["y"] * 4 + ["z"] * 4
    assert table["brainmae"].notna().all()
    brain = drawn["brain"].data
    assert list(brain) == ["region", "influence on others", "attention received", "R² while hidden"]
    assert brain["attention received"].sum() == pytest.approx(12, abs=0.01)
    assert "within hemispheres" in drawn["embeddings"].caption
    assert "glass brain" not in drawn["influence"].caption
    assert "silhouette" in drawn["embeddings"].caption


def test_motion_is_told_of_training_and_test_runs(drawn):
    table = drawn["runs"].data
    assert table["part"].tolist() == ["training"] * 4 + ["test"] * 2
    assert table["fd_mean_mm"].tolist() == pytest.approx([0.1 + 0.01 * i for i in range(6)])
    assert "over 6 runs: PC1 0." in drawn["runs"].caption


def test_segments_carry_the_label_over_time(drawn):
    table = drawn["segments"].data
    first = table[(table["recording"] == "sub-4") & (table["window_start"] == 0)]
    assert first["label"].tolist() == ["rest"] * len(first)
    assert set(table["label"]) == {"rest", "move"}
    assert "colours are labels" in drawn["segments"].caption


def test_colour_bars_beside_the_brains_can_be_read_whole(drawn):
    figure = drawn["brain"].figure
    figure.canvas.draw()
    bars = [axes for axes in figure.axes if axes.get_position().width < 0.03]
    assert len(bars) == 3
    for axes in bars:
        texts = [text for text in axes.get_yticklabels() if text.get_text()]
        assert len({text.get_text() for text in texts}) == 3
        assert all(text.get_window_extent().x1 < figure.bbox.x1 for text in texts)


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ({}, "the regions' coordinates are not said to lie in MNI space"),
        ({"space": np.full(12, "T1w")}, "the regions' coordinates lie in T1w"),
    ],
)
def test_outside_mni_space_there_is_no_glass_brain_and_no_side(rng, units, words):
    made = people(rng, 4, units)
    model = base.build("brainmae", params={**SMALL, "stability": False})
    found = model.figures(model.fit(made[:2], seed=0, device="cpu"), made[2:])
    assert "brain" not in found
    assert words in found["influence"].caption
    assert "within hemispheres" not in found["embeddings"].caption


def test_of_unknown_places_and_networks_nothing_is_made_up(rng):
    made = [Recording.build(rng.normal(size=(80, 6)), name=f"sub-{i}", modality="fmri",
                            sampling_rate_hz=0.2, entities={"subject": str(i)})
            for i in range(4)]  # fmt: skip
    model = base.build("brainmae", params={**SMALL, "stability": False})
    found = model.figures(model.fit(made[:2], seed=0, device="cpu"), made[2:])
    assert list(found) == [*ALWAYS, "segments", "runs", "training"]
    assert "hemispheres" not in found["embeddings"].caption
    assert "Motion was not measured" in found["runs"].caption


def test_no_two_words_share_a_colour_without_the_legend_saying_so():
    few, legend = canvas.by_class(["b", "a", "b", ""])
    assert legend == {"a": few[1], "b": few[0], "unknown": few[3]}
    assert len(set(few)) == 3
    many = [f"site{i:02d}" for i in range(12) for _ in range(12 - i)]
    colours, legend = canvas.by_class(many)
    named = len(canvas.CLASSES) - 1
    assert list(legend) == [f"site{i:02d}" for i in range(named)] + [f"{12 - named} others"]
    assert len(set(legend.values())) == len(legend)
    assert {c for c, word in zip(colours, many, strict=True) if word not in legend} == {
        canvas.OTHERS
    }
