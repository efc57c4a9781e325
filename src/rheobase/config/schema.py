"""Validation against the JSON schema, with messages made for people and defaults filled in."""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema import validators
from jsonschema.exceptions import best_match

from rheobase.config.read import ConfigError, locate, written

UNKNOWN = "?"


@functools.cache
def schema() -> dict[str, Any]:
    """Return the configuration's JSON schema."""
    from ruamel.yaml import YAML

    here = Path(__file__).resolve()
    places = [here.parents[1] / "_workflow", here.parents[3] / "workflow"]
    found = next(p for p in places if (p / "schemas" / "config.schema.yaml").is_file())
    return YAML(typ="safe").load(found / "schemas" / "config.schema.yaml")


def validate(config: dict[str, Any], files: Sequence[Path] = ()) -> None:
    """Fill defaults into ``config`` in place; raise ``ConfigError`` listing every violation."""
    if problems := [line(keys, text, files) for keys, text in violations(config, files)]:
        raise ConfigError(problems)


def violations(
    config: dict[str, Any], files: Sequence[Path] = ()
) -> list[tuple[list[str | int], str]]:
    """Fill defaults into ``config`` in place; return (key path, sentence) of every violation."""
    odd = list(_name_keys(config, ()))
    told = [tuple(map(str, keys)) for keys, _ in odd]
    errors = list(_filling_validator().iter_errors(config))
    found = dict.fromkeys(odd)
    for error in sorted(errors, key=lambda e: [str(part) for part in e.absolute_path]):
        for keys, text in _explain(error, files):
            if tuple(map(str, keys)) not in told:
                found[tuple(keys), text] = None
    for keys, value in _leaves(config.get("datasets"), ("datasets",)):
        if value == UNKNOWN and not any(at == keys for at, _ in found):
            found[keys, f"still unknown: fill in {_description(keys)}"] = None
    for keys, value in _leaves(config, ()):
        if isinstance(value, float) and not math.isfinite(value):
            found[keys, f"{value} is no finite number; write one, or null where it may be"] = None
    return [(list(keys), text) for keys, text in found]


def _name_keys(
    node: Any, keys: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Turn keys that are no text into text in place, and yield an error for each."""
    if isinstance(node, dict):
        for key in [key for key in node if not isinstance(key, str)]:
            node[str(key)] = node.pop(key)
            begin = " and begin with a letter" if keys in (("datasets",), ("models",)) else ""
            yield (*keys, key), f"the key {key!r} is no text; put it in quotes{begin}"
    if isinstance(node, dict | list):
        for key, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _name_keys(part, (*keys, key))


def _leaves(node: Any, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(node, dict | list):
        for key, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(part, (*keys, key))
    else:
        yield keys, node


def _description(keys: Sequence[str | int]) -> str:
    """Return what the schema says of a key of a dataset."""
    parts = schema()["$defs"]
    part = parts.get(keys[-2], parts["dataset"])["properties"].get(keys[-1], {})
    return part.get("description", "a value")


def without_broken(
    values: dict[str, Any], wrong: Sequence[tuple[Sequence[str | int], str]]
) -> dict[str, dict[str, Any]]:
    """Take out of ``values`` in place what breaks the schema, and return the mappings among it.

    Other top-level values take their defaults.
    """
    broken: dict[str, dict[str, Any]] = {"datasets": {}, "models": {}}
    for part in broken:
        if not isinstance(values.get(part), dict):
            values[part] = {}
    for keys, _ in wrong:
        top = keys[0] if keys else None
        if top in broken and len(keys) > 1 and str(keys[1]) in values[top]:
            entry = values[top].pop(str(keys[1]))
            broken[str(top)][str(keys[1])] = entry if isinstance(entry, dict) else {}
        elif top in values and top not in broken:
            values[top] = schema()["properties"].get(top, {}).get("default")
    return broken


def in_order(problems: Sequence[str]) -> list[str]:
    """Return lines that begin with ``file:line`` by their number, each once."""

    def number(problem: str) -> int:
        found = re.search(r":(\d+): ", problem)
        return int(found[1]) if found else 0

    return sorted(dict.fromkeys(problems), key=number)


def line(keys: Sequence[str | int], text: str, files: Sequence[Path]) -> str:
    """Return ``file:line: key.path: text``."""
    return f"{locate(keys, files)}: {'.'.join(map(str, keys)) or 'config'}: {text}"


@functools.cache
def _filling_validator() -> Any:
    base = jsonschema.Draft202012Validator
    check = base.VALIDATORS["properties"]

    def fill(
        validator: Any, properties: dict[str, Any], instance: Any, whole: Any
    ) -> Iterator[Any]:
        if isinstance(instance, dict):
            for key, part in properties.items():
                if isinstance(part, dict) and "default" in part:
                    value = part["default"]
                    instance.setdefault(key, value.copy() if hasattr(value, "copy") else value)
        yield from check(validator, properties, instance, whole)

    return validators.extend(base, {"properties": fill})(schema())


def _explain(error: Any, files: Sequence[Path]) -> Iterator[tuple[list[str | int], str]]:
    """Yield (key path, sentence) for one schema violation."""
    path, value = list(error.absolute_path), error.instance
    if value == UNKNOWN:
        yield path, f"still unknown: fill in {error.schema.get('description', 'a value')}"
        return
    match error.validator:
        case "additionalProperties":
            known = list(error.schema.get("properties", {}))
            for key in value:
                if key not in known:
                    yield (
                        [*path, key],
                        f"unknown key{suggest(key, known)}; known keys: {', '.join(known)}",
                    )
        case "required":
            missing = [key for key in error.validator_value if key not in value]
            for key in missing:
                yield path, f"the key {key!r} is missing{_described(error, key)}"
        case "enum":
            choices = [str(choice) for choice in error.validator_value]
            yield (
                path,
                f"{value!r} is not one of {', '.join(choices)}{suggest(str(value), choices)}",
            )
        case "type":
            yield path, _wrong_type(error, files)
        case "oneOf" | "anyOf":
            inner = best_match(error.context or [])
            if (
                isinstance(value, dict)
                and inner is not None
                and inner.absolute_path != error.absolute_path
            ):
                yield from _explain(inner, files)
            else:
                yield path, f"{value!r} is not allowed here ({_means(error.schema)})"
        case "pattern" if path and "sha256" in str(path[-1]):
            yield path, f"{value!r} is not a SHA-256: it needs 64 characters 0-9 and a-f"
        case "pattern" | "not" if (
            error.parent is None and "propertyNames" in error.absolute_schema_path
        ):
            yield (
                [*path, value],
                (
                    f"{value!r} cannot be a name: use letters, digits and _, begin with a letter, "
                    "and not `acceptance` or `benchmarks`"
                ),
            )
        case _:
            yield path, f"{error.message}"


def _described(error: Any, key: str) -> str:
    meaning = error.schema.get("properties", {}).get(key, {}).get("description")
    return f" ({meaning})" if meaning else ""


def _means(part: dict[str, Any]) -> str:
    if part.get("description"):
        return str(part["description"])
    options = [option for option in part.get("oneOf", part.get("anyOf", []))]
    return " or ".join(
        str(o.get("const", o.get("enum", o.get("type", "a mapping")))) for o in options
    )


def _wrong_type(error: Any, files: Sequence[Path]) -> str:
    wanted, value = error.validator_value, error.instance
    names = " or ".join(wanted) if isinstance(wanted, list) else wanted
    said = f"{value!r} is not of type {names}"
    if isinstance(value, str) and names in ("number", "integer", "number or null"):
        try:
            float(value)
        except ValueError:
            return said
        base, cut, power = value.lower().partition("e")
        if not cut:
            return f"{said}; write numbers without quotes"
        right = f"{base if '.' in base else base + '.0'}e{int(power):+d}"
        return f"{said}; write exponents with a dot and a sign ({right}) and without quotes"
    if names == "string" and isinstance(value, int | float):
        text = written(list(error.absolute_path), files) or value
        return f'{said}; put it in quotes: "{text}"'
    return said


def suggest(word: str, known: Sequence[str]) -> str:
    """Return `` (did you mean 'x'?)`` when a known word is close."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
