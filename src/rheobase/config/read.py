"""Configuration files as they were written: values, and the line of every key."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any


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
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


@functools.cache
def marked(path: Path) -> Any:
    """Return a YAML file's content with the line of every key (``ruamel.yaml`` types)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MantissaNoDotYAML1_1Warning, MarkedYAMLError

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
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([f"{path}:{line}: not valid YAML: {error.problem}"]) from error
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
