"""Raw movies, which are turned away: cells must be found in them first, by other programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from rheobase.config.calcium_checks import movie_remedy


def read_movie(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> NoReturn:
    """Raise ``ValueError`` that says what to run on a movie, and which format reads its result."""
    raise ValueError(movie_remedy(str(path)))
