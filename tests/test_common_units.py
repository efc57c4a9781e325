"""The units that all recordings share, and what is said where there are too few or others."""

from types import SimpleNamespace
from typing import Any

import pytest

from rheobase import layout
from rheobase.models import base
from rheobase.recording import Recording
from rheobase.stages.cut import common_units, load_parts
from rheobase.storage import write_json

pytestmark = pytest.mark.usefixtures("in_own_folder")


def units_of(modality="emg", **recordings):
    """Return the common units of recordings: names in order, those in capitals excluded."""
    for name, units in recordings.items():
        rows = [{"name": u.lower(), "excluded": "flat" if u.isupper() else None} for u in units]
        write_json({"units": rows}, layout.qc_path("arm", name))
    entries = [SimpleNamespace(name=name) for name in recordings]
    dataset = SimpleNamespace(name="arm", modality=modality, recordings=entries)
    return common_units(dataset)  # pyright: ignore[reportArgumentType]


def test_a_unit_that_one_recording_lost_is_used_in_none():
    assert units_of(a="xyz", b="xYz") == (["x", "z"], {"y": "b: flat"})


def test_too_few_name_the_recording_that_loses_most_and_the_remedy():
    with pytest.raises(ValueError, match="arm: 1 of 4 units can be used in every") as caught:
        units_of(a="Wxyz", b="WXyZ", c="wxyz")
    said = str(caught.value)
    assert "and 2 are needed; b alone loses 3 (w: flat); leave recordings out with exclude" in said
    assert "results/arm/qc/b.json lists them all" in said


def test_a_single_channel_is_too_few():
    with pytest.raises(ValueError, match="arm: 1 of 1 units .* record more, or choose more"):
        units_of(a="x", b="x")


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("xyw", r"arm: a and b .* \(3 and 3; the first difference is 'z' against 'w'\); give"),
        ("xyzw", r"\(3 and 4; b has 'w' and more besides\); give them to separate datasets"),
        ("xy", r"\(3 and 2; a has 'z' and more besides\)"),
    ],
)
def test_other_units_are_refused_with_the_first_that_differs(second, expected):
    with pytest.raises(ValueError, match=expected):
        units_of(a="xyz", b=second)


def test_cells_of_several_animals_share_none():
    assert units_of("calcium", a="xy", b="xyz") == (None, {})


def test_animals_keep_the_cells_of_their_own_where_a_model_masks_the_others(rng):
    for name, units in (("a", "xyz"), ("b", "xz")):
        Recording.build(
            rng.normal(size=(40, len(units))), name=name, modality="calcium", sampling_rate_hz=1,
            unit_names=list(units),
        ).save(layout.recording_path("arm", name))  # fmt: skip
    train = [{"recording": name, "start": 0, "stop": 20} for name in "ab"]
    test = [{"recording": "b", "start": 25, "stop": 40}]
    content = {"by": "time", "units": ["x", "z"],
               "folds": [{"fold": 0, "train": train, "test": test}]}  # fmt: skip
    dataset: Any = SimpleNamespace(
        name="arm", split=SimpleNamespace(by="time", group="time"), recordings=[]
    )
    shared, own = (
        [r.unit_names for r in load_parts(dataset, content, 0, "train", own_units=flag)]
        for flag in (False, True)
    )
    assert shared == [["x", "z"], ["x", "z"]]
    assert own == [["x", "y", "z"], ["x", "z"]]


def test_only_alignments_that_mask_cells_ask_for_those_of_each_animal():
    asked = {
        how: base.build("connectome", params={"alignment": how}).own_cells
        for how in ("auto", "concatenated", "absolute", "event_locked")
    }
    assert asked == {"auto": False, "concatenated": False, "absolute": True, "event_locked": True}
