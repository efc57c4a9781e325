"""Turning what a file holds into plain arrays, or saying in one sentence why that cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

LISTED = 12


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a foreign reader raises on a damaged file into one ``ValueError``."""
    try:
        yield
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        if "pickle" in why.lower():  # NumPy advises to allow them, which would run code of the file
            why = "it holds no array that can be read without running code"
        raise ValueError(
            f"{path} is not a readable {what} file ({why[:160]}); fetch or export it again"
        ) from error


def listing(names: Iterable[Any]) -> str:
    """Return names as text, at most twelve of them."""
    names = [str(name) for name in names]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return (", ".join(names[:LISTED]) or "none") + more


def floats(values: Any, path: Path, what: str) -> np.ndarray:
    """Return a matrix as floats, NaN in place; a vector becomes one column.

    Small integers become float32, everything wider float64. Raises ``ValueError`` for text,
    objects, complex numbers, three or more axes and empty arrays.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise ValueError(
            f"{path}: {what} holds {values.dtype} values; a signal must be real numbers"
        )
    if values.ndim not in (1, 2):
        raise ValueError(
            f"{path}: {what} has shape {values.shape}; a signal is a matrix of time and units"
        )
    if values.size == 0:
        raise ValueError(f"{path}: {what} is empty, its shape is {values.shape}")
    target = np.float64 if values.dtype.itemsize > 8 else np.result_type(values.dtype, np.float32)
    values = values.astype(target, copy=False)
    check_range(values, path, what)
    return values[:, None] if values.ndim == 1 else values


def check_range(values: np.ndarray, path: Path, what: str) -> None:
    """Raise ``ValueError`` for finite numbers that float32, in which signals are kept, lacks."""
    if values.dtype.itemsize <= 4:
        return
    ends = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    largest = max(abs(float(end)) for end in ends)
    limit = float(np.finfo(np.float32).max)
    if limit < largest < float("inf"):
        raise ValueError(
            f"{path}: {what} reaches {largest:.3g}, too large for float32 "
            f"({limit:.3g}); scale it or mend the file"
        )


def time_first(matrix: np.ndarray, orientation: str) -> np.ndarray:
    """Return (time, unit) from a matrix of the given orientation; one column is one unit."""
    if orientation == "time_first" or matrix.shape[1] == 1:
        return matrix
    return np.ascontiguousarray(matrix.T)


def one_each(values: Any, count: int, path: Path, what: str, axis: str) -> np.ndarray:
    """Return a vector with one value for each of ``count`` samples or units (``axis``).

    Text and cells become strings, whole numbers stored as floats become integers.
    """
    values = np.asarray(values)
    values = values if values.ndim == 1 else values.squeeze()
    values = values.reshape(1) if values.ndim == 0 else values
    if values.ndim != 1 or len(values) != count:
        raise ValueError(
            f"{path}: {what} has shape {values.shape} but the signal has {count} {axis}; "
            "it needs one value each (check reader.orientation)"
        )
    if values.dtype.kind in "OSU":
        return np.asarray([_text(value, path, what) for value in values])
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{path}: {what} holds {values.dtype} values; use numbers or text")
    return whole(values)


def whole(values: np.ndarray) -> np.ndarray:
    """Return whole-valued numbers as int64, all others unchanged."""
    if values.dtype.kind in "iub":
        return values.astype(np.int64)
    fits = np.isfinite(values).all() and (np.abs(values) < 2**53).all()
    return values.astype(np.int64) if fits and (values == np.rint(values)).all() else values


def _text(value: Any, path: Path, what: str) -> str:
    while isinstance(value, np.ndarray):
        if value.size != 1:
            raise ValueError(
                f"{path}: {what} holds a cell of shape {value.shape}; use one text a cell"
            )
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").strip()
    if isinstance(value, str | int | float | np.generic):
        return str(value).strip()
    raise ValueError(f"{path}: {what} holds {type(value).__name__} values; use numbers or text")


def parsed(texts: list[str]) -> np.ndarray:
    """Return texts as int64 where all are whole numbers, else float64, else text; "" is NaN."""
    try:
        return np.asarray([int(text) for text in texts], dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return whole(np.asarray([float(text or "nan") for text in texts]))
    except ValueError:
        return np.asarray(texts)


def blocks(values: np.ndarray, path: Path, what: str) -> np.ndarray:
    """Return the integers whose changes cut a recording; text is numbered by first appearance."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError(f"{path}: {what} holds NaN at sample {int(np.isnan(values).argmax())}")
    if values.dtype.kind == "i":
        return values
    _, first, codes = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes].astype(np.int64)
