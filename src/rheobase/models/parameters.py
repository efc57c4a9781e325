"""Whether a value of the configuration fits the annotation of a family's hyperparameter."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

MOST = {"permutations": 100_000}
"""Limits that hold for every family: a p-value needs no more digits, and a run would never end."""
NAMES = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    str: ("text", "texts"),
    types.NoneType: ("null", "null"),
}


def fits(value: Any, kind: Any) -> bool:
    """Return whether ``value`` is of the annotated ``kind``; whole numbers are numbers too."""
    parts = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Union | types.UnionType:
            return any(fits(value, part) for part in parts)
        case typing.Literal:
            return value in parts
        case origin if origin is tuple:
            if not isinstance(value, list | tuple):
                return False
            wanted = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
            return len(value) == len(wanted) and all(map(fits, value, wanted))
        case None:
            allowed = (int, float) if kind is float else kind
            number = isinstance(value, bool) and kind in (int, float)
            return kind is Any or (isinstance(value, allowed) and not number)
        case origin:
            return isinstance(value, origin)


def said(kind: Any) -> str:
    """Return what a value of the annotated ``kind`` is called."""
    parts = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Union | types.UnionType:
            return " or ".join(map(said, parts))
        case typing.Literal:
            return f"one of {', '.join(map(str, parts))}"
        case origin if origin is tuple:
            count = "" if parts[-1] is Ellipsis else f"{len(parts)} "
            return f"a list of {count}{NAMES.get(parts[0], ('', 'values'))[1]}"
        case origin:
            mapping = dataclasses.is_dataclass(kind) or (origin and issubclass(origin, Mapping))
            return "a mapping" if mapping else NAMES.get(kind, (str(kind), ""))[0]


def remedy(value: Any, kind: Any) -> str:
    """Return how a number that YAML reads as text is written, where numbers are wanted."""
    wanted = {kind, *typing.get_args(kind)} & {int, float}
    texts = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
    if not wanted or not any(map(_number, texts)):
        return ""
    return ", written without quotes, and with a dot and a sign in an exponent (1.0e-3)"


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
