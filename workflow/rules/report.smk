rule provenance:
    """Write down what was run, with which versions, on which files, at what cost."""
    input:
        splits="results/{dataset}/splits.json",
        metrics=model_metrics_of,
    output:
        "results/{dataset}/provenance.json",
    log:
        "logs/{dataset}/provenance.log",
    benchmark:
        "logs/cost/{dataset}/provenance.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    params:
        spec=spec_of,
        models=models_of,
        code=plan.code_hash("rheobase.stages.provenance"),
    shell:
        "rheobase provenance --spec {params.spec:q} --models {params.models:q} --log {log:q}"


rule report:
    """Write the one page of a dataset."""
    input:
        splits="results/{dataset}/splits.json",
        metrics=model_metrics_of,
        provenance="results/{dataset}/provenance.json",
    output:
        page="results/{dataset}/report.html",
        quality="results/{dataset}/qc.tsv",
        config="results/{dataset}/config.effective.yaml",
    log:
        "logs/{dataset}/report.log",
    benchmark:
        "logs/cost/{dataset}/report.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spec=spec_of,
        models=models_of,
        code=plan.code_hash("rheobase.stages.publish"),
    shell:
        "rheobase report --spec {params.spec:q} --models {params.models:q} --log {log:q}"


rule index:
    """Write the page that links all reports."""
    input:
        [str(layout.dataset_dir(name) / "report.html") for name in CONFIG.datasets],
    output:
        "results/index.html",
    log:
        "logs/index.log",
    benchmark:
        "logs/cost/index.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    params:
        specs=lambda wildcards: plan.index_spec(CONFIG),
        code=plan.code_hash("rheobase.stages.publish"),
    shell:
        "rheobase index --specs {params.specs:q} --log {log:q}"


onerror:
    # Snakemake starts no report whose input failed; a page that names the failure is owed all the same.
    for _dataset in plan.incomplete(CONFIG):
        shell(
            "rheobase report --spec {spec:q} --models {models:q} --log logs/{name}/report.log || true",
            spec=plan.dataset_spec(CONFIG, _dataset),
            models=plan.report_spec(CONFIG, _dataset),
            name=_dataset.name,
        )
    shell(
        "rheobase index --specs {specs:q} --log logs/index.log || true",
        specs=plan.index_spec(CONFIG),
    )
