def fetch_rule(dataset):
    """Declare the one job that brings a dataset's files, for sources that are not the user's own."""

    rule:
        name:
            f"fetch_{dataset.name}"
        output:
            [str(path) for path in FETCHED[dataset.name]],
        log:
            str(layout.log_path(dataset.name, "fetch")),
        benchmark:
            str(layout.benchmark_path(dataset.name, "fetch"))
        localrule: True
        conda:
            ENVIRONMENT
        params:
            spec=lambda wildcards: plan.stage_spec(CONFIG, dataset, "fetch"),
            code=plan.code_hash("rheobase.io.sources"),
        shell:
            "rheobase fetch --spec {params.spec:q} --log {log:q}"


for _dataset in CONFIG.datasets.values():
    if _dataset.source["kind"] != "path":
        fetch_rule(_dataset)
