"""The only place that turns the configuration into file names."""

import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from rheobase import config as settings
from rheobase import device, layout
from rheobase.stages import inputs, plan

CONFIG_FILES = [Path(name) for name in workflow.configfiles if Path(name).is_file()]
os.environ.setdefault("RHEOBASE_COMMAND", shlex.join(["snakemake", *sys.argv[1:]]))
ENVIRONMENT = "../envs/rheobase.yaml"

try:
    CONFIG = settings.parse(config, CONFIG_FILES)
    plan.check_families(CONFIG, CONFIG_FILES)
except settings.ConfigError as error:
    raise WorkflowError(f"the configuration is wrong:\n{error}")


FETCHED = inputs.fetched(CONFIG)
BROUGHT = {path for files in FETCHED.values() for path in files}


def dataset_of(wildcards):
    return CONFIG.datasets[wildcards.dataset]


def spec_of(wildcards):
    return plan.dataset_spec(CONFIG, dataset_of(wildcards))


def split_spec_of(wildcards):
    return plan.stage_spec(CONFIG, dataset_of(wildcards), "split")


def fit_spec_of(wildcards):
    return plan.stage_spec(CONFIG, dataset_of(wildcards), "fit", wildcards.model)


def family_of(wildcards):
    return CONFIG.models[wildcards.model].family


def model_of(wildcards):
    return plan.model_spec(CONFIG, wildcards.model, int(wildcards.seed))


def family_code(stage):
    """Return a function of wildcards: the hash of a stage, its model's family and those it runs on."""

    def code(wildcards):
        entries = [CONFIG.models[wildcards.model]]
        entries += [entry for entry, _ in plan.upstream(CONFIG, wildcards.model, 0)]
        return plan.code_hash(
            stage, *(plan.family_module(entry.family) for entry in entries)
        )

    return code


def gpus_of(wildcards):
    """Return how many a fit asks for: none on one machine without any, so that fits run side by side."""
    wanted = plan.FAMILIES[family_of(wildcards)].gpu and CONFIG.device != "cpu"
    absent = CONFIG.device == "auto" and workflow.local_exec and not device.seen()
    return processes_of(wildcards) if wanted and not absent else 0


def processes_of(wildcards):
    able = plan.FAMILIES[family_of(wildcards)].parallel
    return CONFIG.processes if able else 1


def recordings_of(wildcards):
    dataset = dataset_of(wildcards)
    return [
        layout.recording_path(dataset.name, entry.name) for entry in dataset.recordings
    ]


def quality_of(wildcards):
    dataset = dataset_of(wildcards)
    return [layout.qc_path(dataset.name, entry.name) for entry in dataset.recordings]


def upstream_of(wildcards):
    chain = plan.upstream(CONFIG, wildcards.model, int(wildcards.seed))
    folders = [
        layout.fit_dir(wildcards.dataset, entry.name, wildcards.fold, seed)
        for entry, seed in chain
    ]
    if start := plan.initial(CONFIG, wildcards.model):
        folders.append(layout.fit_dir(**start))
    names = ("arrays.nc", "weights.safetensors", "run.json")
    return [folder / name for folder in folders for name in names]


def fits_of(wildcards):
    return list(plan.fits(CONFIG, dataset_of(wildcards), wildcards.model))


def fit_metrics_of(wildcards):
    return [
        layout.fit_dir(wildcards.dataset, wildcards.model, fold, seed) / "metrics.json"
        for fold, seed in fits_of(wildcards)
    ]


def model_metrics_of(wildcards):
    dataset = dataset_of(wildcards)
    return [
        layout.model_dir(dataset.name, model) / "metrics.json"
        for model in dataset.models
    ]


def models_of(wildcards):
    return plan.report_spec(CONFIG, dataset_of(wildcards))
