"""Validation against the JSON schema, with messages made for people and defaults filled in."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema import validators
from jsonschema.exceptions import best_match

from rheobase.config.read import ConfigError, locate

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
    errors = list(_filling_validator().iter_errors(config))
    problems = []
    for error in sorted(errors, key=lambda e: [str(part) for part in e.absolute_path]):
        for keys, text in _explain(error):
            problems.append(line(keys, text, files))
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


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


def _explain(error: Any) -> Iterator[tuple[list[str | int], str]]:
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
            yield path, _wrong_type(error)
        case "oneOf" | "anyOf":
            inner = best_match(error.context or [])
            if (
                isinstance(value, dict)
                and inner is not None
                and inner.absolute_path != error.absolute_path
            ):
                yield from _explain(inner)
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


def _wrong_type(error: Any) -> str:
    wanted, value = error.validator_value, error.instance
    names = " or ".join(wanted) if isinstance(wanted, list) else wanted
    said = f"{value!r} is not of type {names}"
    if isinstance(value, str) and names in ("number", "integer", "number or null"):
        try:
            float(value)
        except ValueError:
            return said
        return f"{said}; write exponents with a dot (1.0e-3) and numbers without quotes"
    if names == "string" and isinstance(value, int | float):
        return f'{said}; put it in quotes: "{value}"'
    return said


def suggest(word: str, known: Sequence[str]) -> str:
    """Return `` (did you mean 'x'?)`` when a known word is close."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
