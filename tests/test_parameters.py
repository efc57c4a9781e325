"""A hyperparameter of the wrong type is told in one sentence: key, value, what it must be."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest

from rheobase.models import base


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1


@dataclass(frozen=True)
class Outer:
    steps: int = 1
    share: float | None = 0.5
    names: tuple[str, ...] = ()
    window: tuple[float, float] = (0.0, 1.0)
    on: bool = False
    kind: Literal["a", "b"] = "a"
    weights: dict[str, float] = field(default_factory=dict)
    inner: Inner = Inner()
    presets: ClassVar[dict[str, Any]] = {}


@pytest.fixture(autouse=True)
def _family(monkeypatch):
    monkeypatch.setattr(base, "family", lambda name: Outer)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"steps": "3"}, "steps is '3'; it must be a whole number, written without quotes"),
        ({"steps": 2.5}, "steps is 2.5; it must be a whole number"),
        ({"steps": True}, "steps is True; it must be a whole number"),
        ({"share": "1e-3"}, "share is '1e-3'; it must be a number or null, written without q"),
        ({"names": 3}, "names is 3; it must be a list of texts"),
        ({"names": "rest"}, "names is 'rest'; it must be a list of texts"),
        ({"names": ["a", 1]}, "names is ['a', 1]; it must be a list of texts"),
        ({"window": [1]}, "window is [1]; it must be a list of 2 numbers"),
        (
            {"window": ["1e-3", 1]},
            "window is ['1e-3', 1]; it must be a list of 2 numbers, written without quotes, and "
            "with a dot and a sign in an exponent (1.0e-3)",
        ),
        ({"on": "yes"}, "on is 'yes'; it must be true or false"),
        ({"kind": "c"}, "kind is 'c'; it must be one of a, b"),
        ({"weights": 1}, "weights is 1; it must be a mapping"),
        ({"inner": 1}, "inner is 1; it must be a mapping"),
    ],
)
def test_a_value_of_another_type_is_named_with_what_it_must_be(params, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        base.build("outer", params=params)
    assert str(caught.value).startswith(f"outer: {said}")


def test_an_inner_parameter_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"outer\.inner: rate is 'fast'; it must be a number"):
        base.build("outer", params={"inner": {"rate": "fast"}})


def test_values_that_fit_are_taken():
    made = base.build(
        "outer",
        params={
            "share": None, "names": ["x"], "window": [0, 2], "on": True, "kind": "b",
            "weights": {"x": 1.0}, "inner": {"rate": 1},
        },
    )  # fmt: skip
    assert made == Outer(1, None, ("x",), (0, 2), True, "b", {"x": 1.0}, Inner(1))
