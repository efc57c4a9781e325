rule split:
    """Make the folds of a dataset, shared by all its models."""
    input:
        recordings=recordings_of,
        quality=quality_of,
    output:
        "results/{dataset}/splits.json",
    log:
        "logs/{dataset}/split.log",
    benchmark:
        "logs/cost/{dataset}/split.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spec=split_spec_of,
        code=plan.code_hash("rheobase.stages.cut"),
    shell:
        "rheobase split --spec {params.spec:q} --threads {threads} --log {log:q}"


rule fit:
    """Fit one model on the training part of one fold with one seed.

    splits.json holds the checksum of every recording, so it stands for all of them here: a thousand
    inputs for each of a thousand fits would make planning slow.
    """
    input:
        splits="results/{dataset}/splits.json",
        upstream=upstream_of,
    output:
        arrays="results/{dataset}/models/{model}/fold-{fold}_seed-{seed}/arrays.nc",
        weights="results/{dataset}/models/{model}/fold-{fold}_seed-{seed}/weights.safetensors",
        run="results/{dataset}/models/{model}/fold-{fold}_seed-{seed}/run.json",
    log:
        "logs/{dataset}/{model}/fit-{fold}-{seed}.log",
    benchmark:
        "logs/cost/{dataset}/{model}/fit-{fold}-{seed}.tsv"
    # Fits are the longest jobs: begun first, none is left to run alone at the end.
    priority: 1
    conda:
        ENVIRONMENT
    threads: processes_of
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
        gpu=gpus_of,
    params:
        spec=fit_spec_of,
        model=model_of,
        device=CONFIG.device,
        code=family_code("rheobase.stages.learn"),
    shell:
        "rheobase fit --spec {params.spec:q} --model {params.model:q} --fold {wildcards.fold}"
        " --seed {wildcards.seed} --device {params.device} --threads 1 --processes {threads} --log {log:q}"


rule evaluate:
    """Score one fit on its test part beside its rivals, and draw it."""
    input:
        splits="results/{dataset}/splits.json",
        upstream=upstream_of,
        fitted=rules.fit.output,
    output:
        metrics="results/{dataset}/models/{model}/fold-{fold}_seed-{seed}/metrics.json",
        figures=directory(
            "results/{dataset}/models/{model}/fold-{fold}_seed-{seed}/figures"
        ),
    log:
        "logs/{dataset}/{model}/evaluate-{fold}-{seed}.log",
    benchmark:
        "logs/cost/{dataset}/{model}/evaluate-{fold}-{seed}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=60,
    params:
        spec=fit_spec_of,
        model=model_of,
        code=family_code("rheobase.stages.learn"),
    shell:
        "rheobase evaluate --spec {params.spec:q} --model {params.model:q} --fold {wildcards.fold}"
        " --seed {wildcards.seed} --threads {threads} --log {log:q}"


rule aggregate:
    """Gather the scores of all folds and seeds of a model; draw what its fits have in common."""
    input:
        fit_metrics_of,
    output:
        metrics="results/{dataset}/models/{model}/metrics.json",
        figures=directory("results/{dataset}/models/{model}/figures"),
    log:
        "logs/{dataset}/{model}/aggregate.log",
    benchmark:
        "logs/cost/{dataset}/{model}/aggregate.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    params:
        fits=lambda wildcards: [f"{fold}-{seed}" for fold, seed in fits_of(wildcards)],
        code=family_code("rheobase.stages.gathered"),
    shell:
        "rheobase aggregate --dataset {wildcards.dataset} --model {wildcards.model}"
        " --fits {params.fits} --log {log:q}"
