"""What an EMG recording's quality control says, and its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rheobase.preprocess import preview, quality
from rheobase.preprocess.emg_channels import MOST_UV, Channels, artefacts, correlations

SOME_CLIPPED, MOST_SATURATED = 0.001, 0.01
LEAST_SNR_DB, LEAST_SMR_DB, SAME_R = 6, 6, 0.9999
SUMMARISED = ("median_frequency_hz", "smr_db", "kurtosis", "snr_db")


def report(
    found: Channels,
    columns: Mapping[str, np.ndarray],
    spoiled: Mapping[str, str],
    dropped: Mapping[str, str],
    flags: list[dict[str, str]],
) -> dict[str, Any]:
    """Return the quality control: ``spoiled`` channels are bad, ``dropped`` ones are left out."""
    good = np.array([name not in spoiled for name in found.names])
    level = "uv" if found.units == "uV" else "count"
    metrics = {
        "n_kept": len(found.names) - len(dropped),
        "n_total": len(found.names),
        "invalid_percent": 100 * (1 - found.valid.mean()),
        f"rms_median_{level}": np.median(columns["rms"][good]),
        **{_middle(key): np.median(columns[key][good]) for key in SUMMARISED if key in columns},
        "line_before_worst_db": columns["line_before_db"].max(),
        "line_after_worst_db": columns["line_after_db"][good].max(),
        "clipped_worst_percent": columns["clipped_percent"].max(),
        "missing_worst_percent": columns["missing_percent"].max(),
    }
    rows = quality.unit_rows(found.names, columns, dropped)
    for row in rows:
        row["bad"] = spoiled.get(row["name"])
    return {
        "metrics": quality.numbers(metrics),
        "units": rows,
        "flags": [*flags, *_flags(found, columns, spoiled, good)],
        "preview": _preview(found, dropped),
    }


def _middle(key: str) -> str:
    stem, _, unit = key.rpartition("_")
    return f"{stem}_median_{unit}" if unit in ("hz", "db") else f"{key}_median"


def _flags(
    found: Channels,
    columns: Mapping[str, np.ndarray],
    spoiled: Mapping[str, str],
    good: np.ndarray,
) -> list[dict[str, str]]:
    flags = []
    if spoiled:
        level = "bad" if len(spoiled) > len(found.names) / 2 else "warning"
        said = quality.listed([f"{name} ({why})" for name, why in spoiled.items()])
        text = f"{len(spoiled)} of {len(found.names)} channels are bad: {said}"
        flags.append(quality.flag(level, text))
    for key, limit, what in (
        ("snr_db", LEAST_SNR_DB, "activity over rest"),
        ("smr_db", LEAST_SMR_DB, "muscle over motion (power above and below 20 Hz)"),
    ):
        if key in columns and np.median(columns[key][good]) < limit:
            middle = np.median(columns[key][good])
            flags.append(quality.flag("warning", f"{what} is {middle:.1f} dB, below {limit} dB"))
    for share, limit, what in (
        (found.clipping, SOME_CLIPPED, "are clipped"),
        (found.saturated, MOST_SATURATED, "reach the ends of 8 bits (-128 or 127)"),
    ):
        if (share > limit).any():
            named = quality.listed(
                [n for n, s in zip(found.names, share, strict=True) if s > limit]
            )
            text = f"up to {100 * share.max():.2g} % of the samples of {named} {what}"
            flags.append(quality.flag("warning", f"{text}, above {100 * limit:g} %"))
    flags += _impossible(found, good)
    same = np.argwhere(np.triu(correlations(found)) > SAME_R)
    for a, b in same[:5]:
        text = f"{found.names[a]} and {found.names[b]} hold the same signal"
        flags.append(quality.flag("warning", f"{text} (correlation above {SAME_R})"))
    return flags


def _impossible(found: Channels, good: np.ndarray) -> list[dict[str, str]]:
    """Return flags about what raw EMG cannot be: huge, or never negative."""
    flags, many = [], np.where(good, artefacts(found), 0)
    if many.any():
        named = quality.listed([n for n, m in zip(found.names, many, strict=True) if m])
        top = np.abs(found.after[found.valid][:, many > 0]).max()
        text = (
            f"artefacts: {many.sum()} samples of {named} exceed {MOST_UV} uV (up to {top:.2g}) and "
            "drown the rest; cut them out or exclude the recording"
        )
        flags.append(quality.flag("bad", text))
    channels = zip(found.names, found.rectified & good, strict=True)
    if names := [name for name, rectified in channels if rectified]:
        text = "rectified before, so filters for raw EMG spoil it; give the raw signal"
        flags.append(quality.flag("bad", f"{quality.listed(names)}: {text}"))
    return flags


def _preview(found: Channels, dropped: Mapping[str, str]) -> dict[str, Any]:
    keep = np.array([name not in dropped for name in found.names])
    names = [name for name in found.names if name not in dropped]
    level = np.median(found.before[found.valid], axis=0)
    before = np.where(found.valid[:, None], found.before - level, np.float32(0))[:, keep]
    pair = (before, found.after[:, keep])
    window = preview.busiest(pair[1], found.parts)
    samples = round(found.rate)
    return {
        "spectrum": preview.spectra(*pair, found.parts, rate=found.rate, samples=samples),
        "carpet": preview.carpet(*pair, names, rate=found.rate, power=True),
        "traces": preview.traces(*pair, names, rate=found.rate, window=window),
    }
