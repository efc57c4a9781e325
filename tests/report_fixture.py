"""A made-up but realistic dataset to render: flags, a shift, a failed model, hostile names."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.report.inputs import ReportInput

HOSTILE = "sub-<script>alert(1)</script>"
RIVALS = ("persistence", "VAR (ridge)", "mean of training")


def make_report(
    folder: Path, *, n_recordings: int = 8, folds: int = 4, seeds: int = 2
) -> ReportInput:
    """Return a report of ``n_recordings`` fMRI recordings and three models, one of which failed."""
    rng = np.random.default_rng(7)
    names = [HOSTILE, *(f"sub-{100 + n}_task-rest" for n in range(1, n_recordings))]
    return ReportInput(
        dataset="hcp_rest",
        modality="fmri",
        config={"source": {"kind": "package"}, "preprocess": {"fd_mm": 0.5}},
        models={
            "echo": {
                "family": "reservoir",
                "preset": "demo",
                "params": {"n_units": 300, "adapt": {"rate": 0.01}},
            },
            "mae_wide": {"family": "brainmae", "preset": "demo", "params": {}},
            "motifs": {"family": "connectome", "preset": None, "params": {}, "on": "echo"},
        },
        recordings=[_recording(name, n) for n, name in enumerate(names)],
        qc={name: _qc(name, n, rng) for n, name in enumerate(names)},
        group_flags={
            names[2]: [
                {
                    "level": "warning",
                    "text": "tSNR 21 is far below the other recordings (median 68).",
                }
            ]
        },
        splits=_splits(names, folds),
        scores={
            "echo": _scores("echo", folds, seeds, 0.08, rng),
            "mae_wide": _scores("mae_wide", folds, 1, -0.002, rng),
        },
        runs={"echo": _runs("echo", folds, seeds), "mae_wide": _runs("mae_wide", folds, 1)},
        drawings={"echo": _drawings(folder)},
        provenance=_provenance(names),
        errors=[
            {
                "job": "fit/hcp_rest/motifs/0",
                "message": "ranks=[8] needs at least 8 windows; fold 0 has 5 </script>",
                "log_tail": "Traceback (most recent call last):\n  ...\nValueError: ranks=[8]",
            }
        ],
        excluded={"sub-999_task-rest": "the file ends after 12 of 1200 samples"},
        licence="package MIT; HCP open-access terms apply to the signals",
        citation=["Van Essen et al. 2013, The WU-Minn Human Connectome Project"],
        folder=folder,
    )


def synthetic(report: ReportInput) -> ReportInput:
    """Return the same report as of a generated dataset."""
    truth = [
        {"what": "number of states", "planted": 4, "recovered": 4, "how": "equal"},
        {
            "what": "graph edges",
            "planted": [[0, 1], [2, 3]],
            "recovered": "3 of 3",
            "how": "precision 1.0",
        },
    ]
    return dataclasses.replace(report, config={"source": {"kind": "synthetic"}}, truth=truth)


def _recording(name: str, n: int) -> dict[str, Any]:
    return {
        "name": name,
        "entities": {"subject": name.split("_")[0], "task": "rest"},
        "labels": {"age": 22 + n},
        "n_samples": 1200,
        "n_units": 80 - (n == 1),
        "duration": 864.0,
        "time_unit": "s",
        "rate": 1.388889,
        "units": "z-score",
        "valid_fraction": 1.0 - 0.03 * (n % 3),
        "steps": [
            {"step": "detrend", "order": 1, "acausal": True},
            {"step": "band-pass", "low_hz": 0.01, "high_hz": 0.1, "acausal": True},
            {"step": "framewise displacement", "limit_mm": 0.5},
            {"step": "z-score", "acausal": True},
        ],
    }


def _qc(name: str, n: int, rng: np.random.Generator) -> dict[str, Any]:
    flags = []
    if n == 0:
        flags = [
            {"level": "bad", "text": "Framewise displacement 0.71 mm is above the limit of 0.5 mm."}
        ]
    if n == 3:
        flags = [{"level": "warning", "text": "9 of 80 regions are constant; the limit is 5 %."}]
    units = [{"name": f"roi{i:03d}", "tsnr": 60.0 + i, "excluded": None} for i in range(79)]
    units.append(
        {"name": "roi079", "tsnr": None, "excluded": "constant signal" if n == 1 else None}
    )
    return {
        "metrics": {
            "tsnr_median": float(68 + rng.normal() - 40 * (n == 2)),
            "mean_framewise_displacement_mm": 0.1 + 0.6 * (n == 0),
            "dvars_median": 1.0 + 0.01 * n,
            "drift_percent": None if n == 4 else float(rng.uniform(1, 3)),
        },
        "units": units,
        "flags": flags,
        "preview": _preview(rng),
    }


def _preview(rng: np.random.Generator) -> dict[str, Any]:
    f = np.linspace(0, 0.69, 100)
    time = np.linspace(0, 864, 600)
    carpet = np.clip(rng.normal(0, 10, (60, 200)), -30, 30).astype(int)
    spike = carpet.copy()
    spike[:, 90:95] = 28
    before = np.cumsum(rng.normal(size=(3, 600)), axis=1) + 900
    after = rng.normal(size=(3, 600))
    return {
        "spectrum": {
            "frequency_hz": f.round(4).tolist(),
            "before": (1 / (f + 0.01)).round(4).tolist(),
            "after": (1 / (f + 0.01) * np.where((f > 0.01) & (f < 0.1), 1, 1e-3)).round(6).tolist(),
        },
        "carpet": {
            "time": np.linspace(0, 864, 200).round(1).tolist(),
            "before": spike.tolist(),
            "after": carpet.tolist(),
            "names": [f"roi{i:03d}" for i in range(60)],
        },
        "traces": {
            "time": time.round(1).tolist(),
            "names": ["roi001", "roi<002>", "roi003"],
            "before": before.round(2).tolist(),
            "after": after.round(3).tolist(),
        },
        "series": {
            "framewise_displacement_mm": rng.gamma(2, 0.08, 600).round(3).tolist(),
            "dvars": rng.gamma(9, 0.1, 600).round(3).tolist(),
        },
    }


def _splits(names: list[str], folds: int) -> dict[str, Any]:
    def part(keep: bool, k: int) -> list[dict[str, Any]]:
        return [
            {"recording": r, "start": None, "stop": None}
            for n, r in enumerate(names)
            if (n % folds == k) == keep
        ]

    shift = {
        "value": 3.4,
        "limit": 3.0,
        "flag": True,
        "text": "The test part's variance is 3.4 times that of training (limit 3).",
    }
    calm = {
        "value": 1.1,
        "limit": 3.0,
        "flag": False,
        "text": "The test part's variance is 1.1 times that of training.",
    }
    return {
        "by": "subject",
        "gap_s": 0,
        "folds": [
            {
                "fold": k,
                "train": part(False, k),
                "test": part(True, k),
                "shift": shift if k == 2 else calm,
            }
            for k in range(folds)
        ],
    }


def _scores(
    model: str, folds: int, seeds: int, gain: float, rng: np.random.Generator
) -> dict[str, Any]:
    made = []
    for name, base, higher, chance in (
        ("forecast R² at 1 step", 0.55, True, None),
        ("reconstruction error", 0.30, False, None),
        ("subject identification", 0.40, True, 0.125),
    ):
        for k in range(folds):
            level = base + 0.02 * rng.normal()
            rivals = {RIVALS[0]: level - 0.2, RIVALS[1]: level, RIVALS[2]: level - 0.3}
            rivals = rivals if higher else {r: 2 * base - v for r, v in rivals.items()}
            for seed in range(seeds):
                value = level + (gain if higher else -gain) + 0.004 * rng.normal()
                made.append(
                    {
                        "name": name,
                        "unit": "",
                        "higher_is_better": higher,
                        "fold": k,
                        "seed": seed,
                        "value": float(value),
                        "rivals": rivals,
                        "chance": chance,
                        "p_value": None if chance is None else 0.004,
                        "note": "Labels of two subjects are missing." if chance else "",
                    }
                )
    return {"dataset": "hcp_rest", "model": model, "family": "reservoir", "scores": made}


def _runs(model: str, folds: int, seeds: int) -> list[dict[str, Any]]:
    return [
        {
            "dataset": "hcp_rest",
            "model": model,
            "family": "reservoir",
            "fold": k,
            "seed": s,
            "device": "cpu",
            "versions": {"torch": "2.13.0"},
            "seconds": 41.5,
            "cpu_seconds": 40.1,
            "peak_memory_mb": 612.0,
            "metrics": {},
            "notices": ["The ridge penalty is at the end of its grid."] if model == "echo" else [],
        }
        for k in range(folds)
        for s in range(seeds)
    ]


def _drawings(folder: Path) -> list[dict[str, Any]]:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, 255, 640 * 360).reshape(360, 640).astype(np.uint8)
    Image.fromarray(ramp).save(folder / "ramp.webp")
    (folder / "ramp.csv").write_text("a,b\n1,2\n")
    return [
        {
            "name": "ramp",
            "title": "Readout <weights>",
            "caption": "Rows are units; light is strong.",
            "alt": 'A grey ramp "rising" to the right',
            "image_path": folder / "ramp.webp",
            "csv_path": folder / "ramp.csv",
        },
        {
            "name": "lost",
            "title": "A lost figure",
            "caption": "Nothing.",
            "alt": "Nothing",
            "image_path": folder / "absent.webp",
            "csv_path": None,
        },
    ]


def _provenance(names: list[str]) -> dict[str, Any]:
    return {
        "versions": {
            "numpy": "2.4.6",
            "scipy": "1.17.1",
            "xarray": "2026.1",
            "snakemake": "9.27",
            "nilearn": "0.13",
            "torch": "2.13.0",
        },
        "git_commit": "0123abcd" * 5,
        "git_dirty": True,
        "command": "rheobase run config/config.yaml",
        "host": {"system": "Linux 6.1 x86_64", "cores": 2, "memory_gb": 7.8},
        "device": "cpu",
        "seeds": {"echo": [0, 1], "mae_wide": [0]},
        "inputs": {name: {"file": f"{name}.mat", "sha256": "ab" * 32} for name in names},
        "cost": [
            {"job": "preprocess", "seconds": 21.0, "cpu_seconds": 20.0, "max_rss_mb": 300.0},
            {"job": "fit/echo/0", "seconds": 401.5, "cpu_seconds": 380.0, "max_rss_mb": 612.3},
        ],
        "config_text": "datasets:\n  hcp_rest: {}  # </pre><script>alert(2)</script>\n",
        "finished": "2026-11-23T23:00:00Z",
    }
