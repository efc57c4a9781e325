"""Configuration files as they were written: values, and the line of every key."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DEEPEST = 40


class ConfigError(ValueError):
    """Everything wrong with a configuration, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def read(path: Path) -> dict[str, Any]:
    """Return a YAML file's values, as Snakemake reads them.

    Raises ``ConfigError`` with file and line where the YAML itself is wrong or a key occurs twice.
    """
    import yaml

    marked(Path(path))
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        _check_depth(content)
        return content
    except RecursionError as error:
        raise _too_deep(path) from error
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # a date like 2026-13-45
        raise ConfigError([f"{path}: not plain YAML ({error}); put it in quotes"]) from error


def _check_depth(node: Any, depth: int = 0) -> None:
    """Raise ``RecursionError`` for an alias that lies inside its own anchor, and deep nesting."""
    if depth > DEEPEST:
        raise RecursionError
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _check_depth(part, depth + 1)


def _too_deep(path: Path) -> ConfigError:
    return ConfigError(
        [
            f"{path}: nested deeper than {DEEPEST} levels, or an alias (*) lies inside its own "
            "anchor (&); write it out"
        ]
    )


def _not_yaml(path: Path, error: Exception) -> ConfigError:
    """Return what a YAML library complains about, with its line."""
    mark, why = getattr(error, "problem_mark", None), getattr(error, "problem", error)
    why = " ".join(str(why).split())
    if tag := re.search(r"constructor for the tag '([^']*)'", why):
        why = f"the tag {tag[1]} is not known; remove it"
    return ConfigError([f"{path}:{mark.line + 1 if mark else 1}: not valid YAML: {why}"])


@functools.cache
def marked(path: Path) -> Any:
    """Return a YAML file's content with the line of every key (``ruamel.yaml`` types)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MantissaNoDotYAML1_1Warning, YAMLError

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text; save it as UTF-8"]) from error
    loader = YAML(typ="rt")
    loader.version = (1, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MantissaNoDotYAML1_1Warning)
            content = loader.load(text)
    except RecursionError as error:
        raise _too_deep(path) from error
    except YAMLError as error:
        raise _not_yaml(path, error) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # a date like 2026-13-45
        raise ConfigError([f"{path}: not plain YAML ({error}); put it in quotes"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path}: must hold keys and values, like `datasets:` and `models:`"])
    return content


def locate(keys: Sequence[str | int], files: Sequence[Path]) -> str:
    """Return ``file:line`` of the deepest known part of a key path in the last file with it."""
    for path in reversed(files):
        node: Any = marked(Path(path))
        line = 0
        for key in keys:
            if key == "on" and isinstance(node, dict) and True in node:
                key = True
            try:
                marks: Any = vars(node)["_yaml_line_col"]
                mark = marks.key(key) if isinstance(node, dict) else marks.item(key)
                line, node = mark[0] + 1, node[key]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        if line or not keys:
            return f"{path}:{max(line, 1)}"
    return str(files[-1]) if files else "config"


def written(keys: Sequence[str | int], files: Sequence[Path]) -> str | None:
    """Return a number as it is written in the last file that has the key path, like ``010``."""
    for path in reversed(files):
        node: Any = marked(Path(path))
        try:
            for key in keys[:-1]:
                node = node[key]
            marks: Any = vars(node)["_yaml_line_col"]
            row, column = (marks.value if isinstance(node, dict) else marks.item)(keys[-1])
        except (KeyError, IndexError, TypeError, AttributeError):
            continue
        text = Path(path).read_text(encoding="utf-8").splitlines()[row][column:]
        return re.split(r"[\s,\]}#]", text, maxsplit=1)[0]
    return None
