"""Bare series: nothing is changed, everything must be finite."""

from __future__ import annotations

import numpy as np

from rheobase.io.raw import Raw
from rheobase.preprocess import filters, preview, quality
from rheobase.preprocess.clean import Cleaned, Order


def clean(raw: Raw, order: Order) -> Cleaned:
    """Return the series as they are; raises ``ValueError`` naming those that are not finite."""
    signal = np.asarray(raw.signal)
    bad = np.asarray(~np.isfinite(signal).all(axis=0))
    if bad.any():
        names = [n for n, b in zip(raw.names, bad, strict=True) if b]
        raise ValueError(
            f"{order.name}: {quality.listed(names)} holds NaN or infinite samples, and bare series "
            "are not repaired; fill or leave out those samples"
        )
    signal = signal.astype(np.float32)
    runs = filters.run_numbers(raw.times.get("block"), len(signal))
    parts = filters.pieces(runs)
    before = signal - signal.mean(axis=0)
    columns = {"mean": signal.mean(axis=0), "sd": signal.std(axis=0)}
    qc = {
        "metrics": quality.numbers({"n_samples": len(signal), "n_units": signal.shape[1]}),
        "units": quality.unit_rows(raw.names, columns, {}),
        "flags": [],
        "preview": {
            "spectrum": preview.spectra(before, before, parts, rate=order.rate, samples=256),
            "carpet": preview.carpet(signal, signal, raw.names, rate=order.rate),
            "traces": preview.traces(signal, signal, raw.names, rate=order.rate),
        },
    }
    return Cleaned(
        signal=signal,
        valid=np.ones(len(signal), bool),
        names=raw.names,
        times=dict(raw.times),
        unit_labels=dict(raw.unit_labels),
        units=raw.units or order.units or "",
        steps=[],
        qc=qc,
    )
