"""Writing and reading a Recording beside plain NumPy archives of the same arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Case, Equal, Peer, Row, measure
from benchmarks.processes import Call
from rheobase.recording import Recording

SIZES = {
    "fMRI 1200 x 400": ("fmri", 1200, 400, 1 / 0.72),
    "calcium 36000 x 500": ("calcium", 36000, 500, 30.0),
    "EMG 200000 x 16": ("emg", 200000, 16, 2000.0),
}
PEERS = {"numpy.savez": "savez", "numpy.savez_compressed": "savez_compressed"}
NAME = "sub-a"
Arrays = dict[str, np.ndarray]
Later = Callable[[], Arrays]


def rows(folder: Path) -> Iterator[Row]:
    """Yield the costs of writing and of reading, for every size and peer."""
    for label, size in SIZES.items():
        told = dict(zip(("modality", "samples", "units", "rate"), size, strict=True))
        here = folder / size[0]
        here.mkdir()
        for peer, function in PEERS.items():
            args = {"folder": str(here), **told}
            theirs = {**args, "function": function}
            equal = Equal("samples, mask and times read back", 0.0)
            yield measure(
                Case(
                    f"write a recording, {label}",
                    Call("benchmarks.storing:write_ours", args),
                    Peer(peer, "numpy", Call("benchmarks.storing:write_theirs", theirs)),
                    equal,
                )
            )
            yield measure(
                Case(
                    f"read a recording, {label}",
                    Call("benchmarks.storing:read_ours", args),
                    Peer(
                        f"numpy.load of {function}",
                        "numpy",
                        Call("benchmarks.storing:read_theirs", theirs),
                    ),
                    equal,
                )
            )


def recording(*, modality: str, samples: int, units: int, rate: float) -> Recording:
    """Return a recording of noise, which packs worse than signals do."""
    signal = np.random.default_rng(0).standard_normal((samples, units), dtype=np.float32)
    valid = np.ones(samples, bool)
    valid[: samples // 100] = False
    return Recording.build(
        signal, name=NAME, modality=modality, sampling_rate_hz=rate, units="count", valid=valid
    )


def write_ours(*, folder: str, **size: Any) -> Callable[[], Later]:
    """Return a function that writes a recording as the package does."""
    made, path = recording(**size), Path(folder) / f"{NAME}.nc"

    def write() -> Later:
        made.save(path)
        return lambda: _loaded(path)

    return write


def write_theirs(*, folder: str, function: str, **size: Any) -> Callable[[], Later]:
    """Return a function that writes the same arrays with NumPy."""
    arrays, path = _arrays(recording(**size)), Path(folder) / f"{function}.npz"

    def write() -> Later:
        getattr(np, function)(path, **arrays)
        return lambda: _unpacked(path)

    return write


def read_ours(*, folder: str, **size: Any) -> Callable[[], Arrays]:
    """Return a function that reads the recording back, its checksum checked."""
    path = Path(folder) / f"{NAME}.nc"
    if not path.is_file():
        recording(**size).save(path)
    return lambda: _loaded(path)


def read_theirs(*, folder: str, function: str, **size: Any) -> Callable[[], Arrays]:
    """Return a function that reads NumPy's archive back."""
    path = Path(folder) / f"{function}.npz"
    if not path.is_file():
        getattr(np, function)(path, **_arrays(recording(**size)))
    return lambda: _unpacked(path)


def _arrays(made: Recording) -> Arrays:
    return {"signal": made.signal, "valid": made.valid, "time": made.time}


def _loaded(path: Path) -> Arrays:
    return {**_arrays(Recording.load(path)), "_file_mb": np.asarray(path.stat().st_size / 2**20)}


def _unpacked(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return {
            **{name: file[name] for name in file.files},
            "_file_mb": np.asarray(path.stat().st_size / 2**20),
        }
