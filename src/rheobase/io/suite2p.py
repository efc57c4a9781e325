"""Calcium traces from the folders that suite2p writes.

The numbers of the traces are plain arrays. Frame rate, bad frames, neuropil coefficient and the
places of the cells are in pickles (``ops.npy``; since suite2p 1.0 ``settings.npy`` and
``reg_outputs.npy``; ``stat.npy``), which can run code and are read only with ``trust_pickle``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.io.values import floats, reading

TRACES = ("F", "spks")
SETTINGS = ("db.npy", "settings.npy", "reg_outputs.npy", "ops.npy")
"""Pickled settings in the order in which a later one wins."""
PARTS = {"rate_hz": ("fs",), "decay_s": ("tau",),
         "neuropil_share": ("neucoeff", "neuropil_coefficient")}  # fmt: skip


def read_suite2p(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the traces of a suite2p folder, (time, cell), all planes side by side.

    ``key`` is ``F`` (fluorescence, the default) or ``spks``. ``extras`` holds the neuropil,
    ``is_cell`` and ``cell_probability``; with ``trust_pickle`` also ``bad_frames``,
    ``neuropil_share``, ``decay_s`` and ``position_px``, and the rate, as far as they are known.
    """
    key = reader.get("key") or "F"
    if key not in TRACES:
        raise ValueError(f"{path}: reader.key {key!r} is not one of {', '.join(TRACES)}")
    planes = _planes(path)
    parts = {name: _plane(folder, key) for name, folder in planes.items()}
    lengths = {name: len(part["signal"]) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise ValueError(
            f"{path}: planes have different numbers of frames ({told}); cut them to the same"
        )
    kinds = {frozenset(part) for part in parts.values()}
    if len(kinds) > 1:
        raise ValueError(
            f"{path}: some planes lack Fneu.npy or iscell.npy that others have; complete them"
        )
    joined = {
        name: np.concatenate([part[name] for part in parts.values()], axis=-1)
        for name in next(iter(kinds))
    }
    counts = [part["signal"].shape[1] for part in parts.values()]
    prefixes = [f"{name}_" if len(parts) > 1 else "" for name in parts]
    names = [f"{p}roi{i}" for p, n in zip(prefixes, counts, strict=True) for i in range(n)]
    plane = np.repeat([int(name[5:] or 0) for name in parts], counts)
    signal = joined.pop("signal")
    rate = None
    if reader.get("trust_pickle"):
        pickled = _pickled(path, planes.values(), counts, len(signal))
        rate = float(pickled.pop("rate_hz")) if "rate_hz" in pickled else None
        joined |= pickled
    return Raw(
        signal,
        tuple(names),
        rate_hz=rate,
        extras=joined,
        unit_labels={"plane": plane} if len(parts) > 1 else {},
    )


def _planes(path: Path) -> dict[str, Path]:
    """Return the plane folders by name, in the order of their numbers."""
    if (path / "F.npy").is_file():
        planes = {"": path}
    else:
        found = [p for p in path.glob("plane*") if re.fullmatch(r"plane\d+", p.name)]
        planes = {p.name: p for p in sorted(found, key=lambda p: int(p.name[5:]))}
    if not planes:
        raise ValueError(
            f"{path} holds neither F.npy nor plane folders; give the suite2p output folder"
        )
    return planes


def _plane(folder: Path, key: str) -> dict[str, np.ndarray]:
    """Return signal and neuropil (time, unit), is_cell and cell_probability (unit,)."""
    main = folder / f"{key}.npy"
    if not main.is_file():
        raise FileNotFoundError(f"{main} does not exist; every plane folder needs it")
    signal = _load(main)
    part = {"signal": signal.T}
    if key == "F" and (folder / "Fneu.npy").is_file():
        neuropil = _load(folder / "Fneu.npy")
        if neuropil.shape != signal.shape:
            raise ValueError(
                f"{folder / 'Fneu.npy'} has shape {neuropil.shape}, F.npy {signal.shape}; "
                "they come from different runs of suite2p"
            )
        part["neuropil"] = neuropil.T
    if (folder / "iscell.npy").is_file():
        cells = _load(folder / "iscell.npy")
        if len(cells) != len(signal) or cells.shape[1] not in (1, 2):
            raise ValueError(
                f"{folder / 'iscell.npy'} has shape {cells.shape}, but {main.name} has "
                f"{len(signal)} rows; it needs flag and probability of each"
            )
        part["is_cell"] = cells[:, 0] > 0
        part["cell_probability"] = cells[:, -1]
    return part


def _load(path: Path) -> np.ndarray:
    with reading(path, "npy"):
        values = np.load(path, allow_pickle=False)
    return floats(values, path, "the array")


def _pickled(
    path: Path, folders: Iterable[Path], counts: list[int], frames: int
) -> dict[str, np.ndarray]:
    """Return what the pickles of all planes say; whatever they lack is left out."""
    told = [_settings(path, folder) for folder in folders]
    made: dict[str, np.ndarray] = {}
    for name, keys in PARTS.items():
        values = [next((s[k] for k in keys if k in s), None) for s in told]
        known = [_number(path, keys[0], v) for v in values if v is not None]
        if len(set(known)) > 1 and name == "rate_hz":
            raise ValueError(
                f"{path}: planes say different frame rates, {known[0]:g} and {known[1]:g} Hz; "
                "read them as separate recordings"
            )
        if len(known) == len(told):
            made[name] = (
                np.repeat(known, counts) if name == "neuropil_share" else np.array(known[0])
            )
    flags = [np.asarray(s["badframes"], bool) for s in told if s.get("badframes") is not None]
    if wrong := [f.shape for f in flags if f.shape != (frames,)]:
        raise ValueError(
            f"{path}: badframes has shape {wrong[0]} and the traces have {frames} frames; they "
            "come from different runs of suite2p"
        )
    if flags:
        made["bad_frames"] = np.any(flags, axis=0)
    places = [_places(folder, n) for folder, n in zip(folders, counts, strict=True)]
    if all(place is not None for place in places) and len(places) == 1:
        made["position_px"] = np.asarray(places[0])
    return made


def _settings(top: Path, folder: Path) -> dict[str, Any]:
    """Return the settings of a plane as one flat mapping, older and newer names side by side."""
    made: dict[str, Any] = {}
    for name in SETTINGS:
        for place in dict.fromkeys((top / name, folder / name)):
            if place.is_file():
                held = _unpickle(place)
                inner = [v for v in held.values() if isinstance(v, Mapping)]
                for part in (*inner, held):
                    made |= {str(k): v for k, v in part.items() if not isinstance(v, Mapping)}
    return made


def _unpickle(path: Path) -> Mapping[str, Any]:
    with reading(path, "npy"):
        held = np.load(path, allow_pickle=True)
    held = held.item() if held.shape == () else held
    if not isinstance(held, Mapping):
        raise ValueError(f"{path} holds no mapping of settings; fetch or export it again")
    return held


def _number(path: Path, key: str, value: Any) -> float:
    try:
        number = float(np.asarray(value).reshape(()))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: the settings say {key} {value!r}, which is no number") from error
    if not np.isfinite(number) or number < 0 or (key == "fs" and number == 0):
        limit = "above 0" if key == "fs" else "0 or more"
        raise ValueError(f"{path}: the settings say {key} {number:g}; it must be {limit}")
    return number


def _places(folder: Path, count: int) -> np.ndarray | None:
    """Return the middle of each cell in pixels, (cell, 2) as y and x; None where not told."""
    if not (folder / "stat.npy").is_file():
        return None
    with reading(folder / "stat.npy", "npy"):
        held = list(np.load(folder / "stat.npy", allow_pickle=True))
    if len(held) != count:
        raise ValueError(
            f"{folder / 'stat.npy'} describes {len(held)} cells and the traces are of {count}; "
            "they come from different runs of suite2p"
        )
    if not all(isinstance(one, Mapping) and "med" in one for one in held):
        return None
    return np.asarray([np.asarray(one["med"], float)[-2:] for one in held])
