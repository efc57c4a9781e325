"""Recording: the one container of signals, from preprocessing to every model.

A thin, validated face of an ``xarray.Dataset``. Signals are (time, unit) float32; the unit
dimension is called ``roi`` (fMRI), ``neuron`` (calcium) or ``channel`` (EMG, bare series).
``time`` is in seconds, or counts frames where the rate is unknown (``time_unit: frame``, rate 1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rheobase import __version__
from rheobase.storage import CorruptFile, read_dataset, write_dataset

UNIT_DIM = {"fmri": "roi", "calcium": "neuron", "emg": "channel", "series": "channel"}


@dataclass(frozen=True)
class Recording:
    """One continuous measurement of one subject; build it with ``Recording.build``."""

    data: xr.Dataset

    def __post_init__(self) -> None:
        _validate(self.data)

    @classmethod
    def build(
        cls,
        signal: np.ndarray,
        *,
        name: str,
        modality: str,
        sampling_rate_hz: float,
        units: str = "",
        unit_names: Sequence[str] | None = None,
        valid: np.ndarray | None = None,
        times: Mapping[str, np.ndarray] | None = None,
        unit_labels: Mapping[str, np.ndarray] | None = None,
        entities: Mapping[str, str] | None = None,
        labels: Mapping[str, str | float] | None = None,
        label: Mapping[str, str] | None = None,
        quality: Mapping[str, float] | None = None,
        time_unit: str = "s",
        source: str = "",
        source_sha256: str = "",
        steps: Sequence[Mapping[str, Any]] = (),
    ) -> Recording:
        """Return a validated recording.

        ``signal`` is (time, unit). ``times`` are per-sample arrays (labels, ``block``),
        ``unit_labels`` per-unit arrays (``network``, ``x``, ...), ``labels`` values of the whole
        recording, ``label`` the one to be decoded: ``{"name": ..., "kind": "class" | "value"}``.
        ``quality`` are measures like ``fd_mean_mm``; ``steps`` are ``{"step": ..., details}``.
        """
        signal = np.asarray(signal)
        if signal.ndim != 2:
            raise ValueError(f"{name}: a signal is (time, unit); this one has shape {signal.shape}")
        if modality not in UNIT_DIM:
            raise ValueError(f"{name}: modality {modality!r} is not one of {', '.join(UNIT_DIM)}")
        dim = UNIT_DIM[modality]
        names = (
            [f"{dim}{i:03d}" for i in range(signal.shape[1])] if unit_names is None else unit_names
        )
        data = xr.Dataset(
            {
                "signal": (("time", dim), signal.astype(np.float32)),
                "valid": ("time", np.ones(len(signal), bool) if valid is None else valid),
                **{key: ("time", np.asarray(value)) for key, value in (times or {}).items()},
            },
            coords={
                "time": np.arange(len(signal)) / sampling_rate_hz,
                dim: np.asarray([str(n) for n in names]),
                **{key: (dim, np.asarray(v)) for key, v in (unit_labels or {}).items()},
            },
            attrs={
                "name": name,
                "modality": modality,
                "sampling_rate_hz": float(sampling_rate_hz),
                "time_unit": time_unit,
                "units": units,
                "entities": json.dumps(dict(entities or {}), sort_keys=True),
                "labels": json.dumps(dict(labels or {}), sort_keys=True),
                "label": json.dumps(dict(label or {}), sort_keys=True),
                "quality": json.dumps(dict(quality or {}), sort_keys=True),
                "source": source,
                "source_sha256": source_sha256,
                "steps": json.dumps(list(steps), sort_keys=True),
                "rheobase_version": __version__,
            },
        )
        return cls(data)

    @property
    def name(self) -> str:
        return self.data.attrs["name"]

    @property
    def modality(self) -> str:
        return self.data.attrs["modality"]

    @property
    def unit_dim(self) -> str:
        return UNIT_DIM[self.modality]

    @property
    def signal(self) -> np.ndarray:
        """Float32 samples, (time, unit)."""
        return self.data["signal"].values

    @property
    def valid(self) -> np.ndarray:
        """Which samples may be used, (time,) bool."""
        return self.data["valid"].values

    @property
    def time(self) -> np.ndarray:
        """Seconds (or frames) from the start of the file, (time,) float64."""
        return self.data["time"].values

    @property
    def unit_names(self) -> list[str]:
        return [str(n) for n in self.data[self.unit_dim].values]

    @property
    def rate(self) -> float:
        """Samples per second (or per frame: 1)."""
        return float(self.data.attrs["sampling_rate_hz"])

    @property
    def time_unit(self) -> str:
        return self.data.attrs["time_unit"]

    @property
    def units(self) -> str:
        return self.data.attrs["units"]

    @property
    def entities(self) -> dict[str, str]:
        return json.loads(self.data.attrs["entities"])

    @property
    def subject(self) -> str:
        """The ``subject`` entity, or the recording's name where there is none."""
        return self.entities.get("subject", self.name)

    @property
    def labels(self) -> dict[str, str | float]:
        """Values that hold for the whole recording (entities are in ``entities``)."""
        return json.loads(self.data.attrs["labels"])

    @property
    def quality(self) -> dict[str, float]:
        """What results are checked against, where known: ``fd_mean_mm``, mean displacement."""
        return json.loads(self.data.attrs.get("quality", "{}"))

    @property
    def steps(self) -> list[dict[str, Any]]:
        """What was done to the signal, in order."""
        return json.loads(self.data.attrs["steps"])

    @property
    def label_name(self) -> str | None:
        return json.loads(self.data.attrs["label"]).get("name")

    @property
    def label_kind(self) -> str | None:
        """``class``, ``value`` or None where nothing is to be decoded."""
        return json.loads(self.data.attrs["label"]).get("kind")

    @property
    def label(self) -> str | float | np.ndarray | None:
        """The target to decode: a scalar for the whole recording, or an array over time."""
        name = self.label_name
        if name is None:
            return None
        if name in self.data.data_vars:
            return self.data[name].values
        return {**self.entities, **self.labels}[name]

    @property
    def acausal(self) -> bool:
        """Whether some step let later samples change earlier ones (zero-phase filter, detrend)."""
        return any(step.get("acausal", False) for step in self.steps)

    def pieces(self) -> list[slice]:
        """Contiguous stretches of valid samples that cross no change of ``block``."""
        cut = np.flatnonzero(np.diff(self.valid.astype(np.int8)) != 0) + 1
        if "block" in self.data:
            cut = np.union1d(cut, np.flatnonzero(np.diff(self.data["block"].values) != 0) + 1)
        edges = [0, *cut.tolist(), len(self.valid)]
        return [
            slice(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a and self.valid[a]
        ]

    def segment(self, start: int | None, stop: int | None) -> Recording:
        """Return samples ``start`` to ``stop``, end excluded; None for the recording's ends."""
        return Recording(self.data.isel(time=slice(start, stop)))

    def select(self, unit_names: Sequence[str]) -> Recording:
        """Return the recording with only these units, in this order."""
        return Recording(self.data.sel({self.unit_dim: list(unit_names)}))

    def with_signal(
        self,
        signal: np.ndarray,
        *,
        unit_names: Sequence[str],
        step: Mapping[str, Any],
        rate: float | None = None,
        units: str | None = None,
    ) -> Recording:
        """Return a recording of the same subject with another signal, as ``transform`` makes.

        ``signal`` is (time, unit) on this recording's samples, or on its own clock when ``rate`` is
        given; samples' labels are then the nearest earlier ones. Units that stay keep theirs.
        """
        rate = self.rate if rate is None else rate
        at = np.minimum(
            (np.arange(len(signal)) * self.rate / rate).astype(int), len(self.valid) - 1
        )
        times = {
            str(k): v.values[at]
            for k, v in self.data.data_vars.items()
            if v.dims == ("time",) and k != "valid"
        }
        same = list(unit_names) == self.unit_names
        kept = {str(k): c.values for k, c in self.data.coords.items() if c.dims == (self.unit_dim,)}
        kept.pop(self.unit_dim, None)
        attrs = self.data.attrs
        made = Recording.build(
            signal,
            name=self.name,
            modality=self.modality,
            sampling_rate_hz=rate,
            units=self.units if units is None else units,
            unit_names=unit_names,
            valid=self.valid[at],
            times=times,
            unit_labels=kept if same else None,
            entities=self.entities,
            labels=self.labels,
            label=json.loads(attrs["label"]),
            quality=self.quality,
            time_unit=self.time_unit,
            source=attrs["source"],
            source_sha256=attrs["source_sha256"],
            steps=[*self.steps, dict(step)],
        )
        start = float(self.time[0])
        return Recording(made.data.assign_coords(time=made.data["time"] + start))

    def save(self, path: Path) -> None:
        """Write to NetCDF4, atomically; the same recording gives the same bytes."""
        write_dataset(self.data, path)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read a recording back; its name must be the file's and its checksum must hold."""
        data = read_dataset(path)
        if data.attrs.get("name") != Path(path).stem:
            raise CorruptFile(path, f"it holds the recording {data.attrs.get('name')!r}")
        return cls(data)


def _validate(data: xr.Dataset) -> None:
    name, dim = data.attrs["name"], UNIT_DIM[data.attrs["modality"]]
    signal = data["signal"]
    if signal.dims != ("time", dim) or signal.dtype != np.float32:
        raise ValueError(
            f"{name}: signal must be float32 (time, {dim}), not {signal.dtype} {signal.dims}"
        )
    if data["valid"].dtype != bool:
        raise ValueError(f"{name}: valid must be bool, not {data['valid'].dtype}")
    if not data.attrs["sampling_rate_hz"] > 0:
        raise ValueError(
            f"{name}: sampling_rate_hz is {data.attrs['sampling_rate_hz']}; it must be above 0"
        )
    if data.attrs["time_unit"] not in ("s", "frame"):
        raise ValueError(f"{name}: time_unit is {data.attrs['time_unit']!r}; it must be s or frame")
    if signal.size == 0:
        raise ValueError(f"{name}: the signal is empty, shape {signal.shape}")
    names = data[dim].values
    if len(set(names.tolist())) != len(names):
        twice = sorted({n for n in names.tolist() if (names == n).sum() > 1})
        raise ValueError(f"{name}: {dim} names must be unique; {', '.join(twice[:5])} occur twice")
    bad = ~np.isfinite(signal.values).all(axis=0)
    if bad.any():
        raise ValueError(
            f"{name}: {dim} {', '.join(names[bad][:5].tolist())} holds NaN or infinite samples "
            f"({int(bad.sum())} of {len(names)} {dim}s); mend the file, or name "
            f"{name} with the reason under exclude"
        )
