"""Files carried inside the page as data addresses, and what happens to those that are too large."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

CSV_LIMIT = 200_000
IMAGE_LIMIT = 600_000
KINDS = {".webp": "image/webp", ".png": "image/png", ".svg": "image/svg+xml", ".csv": "text/csv"}


@dataclass(frozen=True)
class Figure:
    """One figure as the template shows it."""

    title: str
    body: Markup
    """Inline SVG, an ``img`` or a container that a script fills."""
    caption: str
    """How to read it."""
    csv: str | None = None
    """Address of the plotted numbers."""
    csv_name: str = ""
    note: str = ""
    """Why something is not shown."""
    wide: bool = False
    """Whether it takes the whole width."""


@dataclass
class Budget:
    """Bytes of embedded files that the page may still take."""

    left: int

    def take(self, size: int) -> bool:
        """Return whether ``size`` bytes fit, and count them if so."""
        if size > self.left:
            return False
        self.left -= size
        return True


def address(content: bytes, kind: str) -> str:
    """Return a data address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def csv_address(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str | None:
    """Return a table as a CSV data address; None above 200 kB."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    text = buffer.getvalue()
    if len(text.encode()) > CSV_LIMIT:
        return None
    return f"data:text/csv;charset=utf-8,{quote(text, safe=',.')}"


def file_address(
    path: Path | None, folder: Path, *, limit: int, budget: Budget
) -> tuple[str | None, bool]:
    """Return the address of a file and whether it is embedded.

    A file above ``limit`` bytes, or beyond the page's budget, is linked relative to ``folder``;
    the address is None where there is no file.
    """
    if path is None or not Path(path).is_file():
        return None, False
    path = Path(path)
    size = path.stat().st_size
    if size <= limit and budget.take(size * 4 // 3):
        return address(path.read_bytes(), KINDS.get(path.suffix, "application/octet-stream")), True
    return Path(os.path.relpath(path, folder)).as_posix(), False


def script_json(content: Any) -> Markup:
    """Return JSON that is inert inside a script element."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, code)
    return Markup(text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
