def preprocess_rule(dataset, number, entries):
    """Declare the job that cleans one lot of a dataset's recordings."""
    names = [entry.name for entry in entries]

    rule:
        name:
            f"preprocess_{dataset.name}_{number}"
        input:
            inputs.read(CONFIG, dataset, entries, BROUGHT),
        output:
            recordings=[
                str(layout.recording_path(dataset.name, name)) for name in names
            ],
            quality=[
                str(path)
                for name in names
                for path in layout.quality_paths(dataset.name, dataset.modality, name)
            ],
        log:
            str(layout.log_path(dataset.name, f"preprocess-{number}")),
        benchmark:
            str(layout.benchmark_path(dataset.name, f"preprocess-{number}"))
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=60,
        params:
            spec=lambda wildcards: plan.stage_spec(CONFIG, dataset, "preprocess"),
            names=names,
            told=inputs.told(entries),
            code=plan.code_hash(
                "rheobase.stages.prepare", *plan.reading_modules(dataset)
            ),
        shell:
            "rheobase preprocess --spec {params.spec:q} --recordings {params.names:q}"
            " --threads {threads} --log {log:q}"


for _dataset in CONFIG.datasets.values():
    _lots = plan.batches(_dataset, CONFIG.recordings_per_job)
    for _number, _entries in enumerate(_lots):
        preprocess_rule(_dataset, _number, _entries)
