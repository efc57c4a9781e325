"""Names of files on disk: the only place that spells them."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path("results")
PICTURED = {"fmri", "calcium"}
FIT_FILES = ("arrays.nc", "weights.safetensors", "run.json", "metrics.json", "figures")


def dataset_dir(dataset: str) -> Path:
    return RESULTS / dataset


def source_dir(dataset: str) -> Path:
    """Files taken out of a dataset's archive or download."""
    return dataset_dir(dataset) / "source"


def recording_path(dataset: str, recording: str) -> Path:
    return dataset_dir(dataset) / "recordings" / f"{recording}.nc"


def qc_path(dataset: str, recording: str) -> Path:
    return dataset_dir(dataset) / "qc" / f"{recording}.json"


def pictures_path(dataset: str, recording: str) -> Path:
    """What is kept or drawn of a recording besides, where its modality keeps that apart."""
    return dataset_dir(dataset) / "qc" / f"{recording}.nc"


def quality_paths(dataset: str, modality: str, recording: str) -> list[Path]:
    """Every file with the quality of a recording."""
    pictures = [pictures_path(dataset, recording)] if modality in PICTURED else []
    return [qc_path(dataset, recording), *pictures]


def splits_path(dataset: str) -> Path:
    return dataset_dir(dataset) / "splits.json"


def model_dir(dataset: str, model: str) -> Path:
    return dataset_dir(dataset) / "models" / model


def fit_dir(dataset: str, model: str, fold: int | str, seed: int | str) -> Path:
    return model_dir(dataset, model) / f"fold-{fold}_seed-{seed}"


def across_dir(dataset: str, model: str) -> Path:
    """Drawings of all fits of a model together."""
    return model_dir(dataset, model) / "figures"


def log_path(dataset: str, job: str) -> Path:
    return Path("logs") / dataset / f"{job}.log"


def benchmark_path(dataset: str, job: str) -> Path:
    return Path("logs") / "cost" / dataset / f"{job}.tsv"
