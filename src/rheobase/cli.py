"""The command line: parses, calls one stage, turns errors into one line and an exit code.

Exit 0 fine, 1 failed, 2 wrong usage or configuration. Nothing heavy is imported before a stage
runs.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from rheobase import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = parse(list(sys.argv[1:] if argv is None else argv))
    if "threads" in arguments:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, str(arguments.threads))
    _log_to(getattr(arguments, "log", None))
    try:
        return arguments.call(arguments) or 0
    except KeyboardInterrupt:
        print("rheobase: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        return _fail(error, getattr(arguments, "log", None))


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command; what stands behind ``--`` is for Snakemake (``rest``)."""
    cut = words.index("--") if "--" in words else len(words)
    arguments = _parser().parse_args(words[:cut])
    if cut < len(words) and arguments.command != "run":
        _parser().error("options after -- are for `rheobase run` only")
    arguments.rest, arguments.words = list(words[cut + 1 :]), list(words)
    return arguments


def _fail(error: Exception, log: Path | None) -> int:
    from rheobase.config import ConfigError

    said = (
        str(error)
        if isinstance(error, ValueError | OSError) and str(error)
        else f"{type(error).__name__}: {error}"
    )
    logging.getLogger(__name__).error("%s", traceback.format_exc())
    if log is not None:
        with Path(log).open("a", encoding="utf-8") as file:
            file.writelines(f"error: {text}\n" for text in said.splitlines())
    for text in said.splitlines():
        print(f"rheobase: {text}", file=sys.stderr)
    if not isinstance(error, ValueError | OSError) and log is None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        print(
            "rheobase: this is a defect of ours; please report it with the command and this "
            f"place: {last.filename}:{last.lineno}",
            file=sys.stderr,
        )
    return 2 if isinstance(error, ConfigError) else 1


def _log_to(path: Path | None) -> None:
    if path is None:
        logging.basicConfig(handlers=[logging.NullHandler()])
    else:
        from rheobase.stages import together

        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not together.started():
            Path(path).write_text("", encoding="utf-8")
        logging.basicConfig(
            filename=path, filemode="a", level=logging.INFO, format="%(levelname)s %(message)s"
        )
    logging.captureWarnings(True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rheobase", description="Real recordings in, one report a dataset out."
    )
    parser.add_argument("--version", action="version", version=f"rheobase {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _for_people(commands)
    _for_rules(commands)
    return parser


def _for_people(commands: argparse._SubParsersAction) -> None:
    run = commands.add_parser(
        "run",
        help="check the config, then run the whole workflow",
        epilog="Options after -- go to Snakemake, like: rheobase run mine.yaml -- --keep-going",
    )
    run.add_argument(
        "config", nargs="?", type=Path, help="your YAML file (default: config/config.yaml)"
    )
    run.add_argument("--cores", type=int, help="jobs at a time (default: all cores)")
    run.add_argument("-n", "--dry-run", action="store_true", help="say what would run")
    run.set_defaults(call=_run)
    check = commands.add_parser("check", help="find everything wrong with a config, at once")
    check.add_argument("config", type=Path)
    check.set_defaults(call=_check)
    init = commands.add_parser("init", help="write a starter config from a folder of recordings")
    init.add_argument("folder", type=Path)
    init.add_argument("--output", type=Path, default=Path("config.yaml"))
    init.set_defaults(call=_init)
    table = commands.add_parser(
        "table", help="write the table of recordings of data sets that nilearn downloads"
    )
    table.add_argument("config", type=Path)
    table.set_defaults(call=_table)
    models = commands.add_parser("models", help="the table of model families")
    models.set_defaults(call=_models)
    export = commands.add_parser(
        "export", help="write a connectome's networks as GraphML, CSV and NWB"
    )
    export.add_argument("folder", type=Path, help="a fit, like results/d/models/m/fold-0_seed-0")
    export.add_argument("--output", type=Path, required=True, help="folder to write to")
    export.add_argument("--bin", type=int, help="write the network of this bin too")
    export.add_argument("--animal", help="of whom, where the fit tells animals apart")
    export.set_defaults(call=_export)
    verify = commands.add_parser("verify", help="check every result against its checksum")
    verify.add_argument("results", nargs="?", type=Path, default=Path("results"))
    verify.set_defaults(call=_verify)
    again = commands.add_parser(
        "reproduce", help="run a dataset again from its provenance.json and compare"
    )
    again.add_argument("provenance", type=Path)
    again.add_argument("--cores", type=int, default=1)
    again.set_defaults(call=_reproduce)


def _for_rules(commands: argparse._SubParsersAction) -> None:
    stages = {
        "fetch": (_fetch, "bring the files of a dataset to their place"),
        "preprocess": (_preprocess, "clean recordings and check their quality"),
        "split": (_split, "make the folds of a dataset"),
        "fit": (_fit, "fit one model on one fold with one seed"),
        "evaluate": (_evaluate, "score and draw one fit"),
        "aggregate": (_aggregate, "gather all folds and seeds of a model"),
        "provenance": (_provenance, "write down what was run, with what, on what"),
        "report": (_report, "write the report of a dataset"),
        "index": (_index, "write the page that links all reports"),
    }
    for name, (call, text) in stages.items():
        stage = commands.add_parser(name, help=text)
        stage.add_argument("--spec", help="the dataset, as JSON")
        stage.add_argument("--log", type=Path, help="where the log goes")
        stage.add_argument("--threads", type=int, default=1)
        stage.set_defaults(call=call)
        if name == "preprocess":
            stage.add_argument("--recordings", nargs="+", required=True)
        if name in ("fit", "evaluate"):
            stage.add_argument("--model", required=True, help="the model, as JSON")
            stage.add_argument("--fold", type=int, required=True)
            stage.add_argument("--seed", type=int, required=True)
        if name == "fit":
            stage.add_argument("--device", default="auto")
            stage.add_argument("--processes", type=int, default=1, help="that train together")
        if name == "aggregate":
            stage.add_argument("--dataset", required=True)
            stage.add_argument("--model", required=True)
            stage.add_argument("--fits", nargs="+", required=True, help="fold-seed pairs, like 0-1")
        if name in ("provenance", "report"):
            stage.add_argument("--models", required=True, help="models and seeds, as JSON")
        if name == "index":
            stage.add_argument("--specs", required=True, help="datasets and models, as JSON")


def _fetch(arguments: argparse.Namespace) -> None:
    from rheobase.stages.prepare import fetch

    fetch(arguments.spec)


def _preprocess(arguments: argparse.Namespace) -> None:
    from rheobase.stages.prepare import preprocess

    preprocess(arguments.spec, arguments.recordings)


def _split(arguments: argparse.Namespace) -> None:
    from rheobase.stages.cut import split

    split(arguments.spec)


def _fit(arguments: argparse.Namespace) -> None:
    from rheobase.stages import together

    if arguments.processes > 1 and not together.started():
        together.start(arguments.words, arguments.processes)
        return
    from rheobase.stages.learn import Job, fit

    fit(
        Job.read(arguments.spec, arguments.model, arguments.fold, arguments.seed),
        device=arguments.device,
    )


def _evaluate(arguments: argparse.Namespace) -> None:
    from rheobase.stages.learn import Job, evaluate

    evaluate(Job.read(arguments.spec, arguments.model, arguments.fold, arguments.seed))


def _aggregate(arguments: argparse.Namespace) -> None:
    from rheobase.stages.gathered import aggregate

    pairs = [(int(fold), int(seed)) for fold, seed in (p.split("-") for p in arguments.fits)]
    aggregate(arguments.dataset, arguments.model, pairs)


def _provenance(arguments: argparse.Namespace) -> None:
    from rheobase.stages.provenance import write

    write(arguments.spec, arguments.models)


def _report(arguments: argparse.Namespace) -> None:
    from rheobase.stages.publish import report

    report(arguments.spec, arguments.models)


def _index(arguments: argparse.Namespace) -> None:
    from rheobase.stages.publish import index

    index(arguments.specs)


def _run(arguments: argparse.Namespace) -> int:
    from rheobase.stages.run import run

    return run(
        arguments.config, cores=arguments.cores, dry_run=arguments.dry_run, rest=arguments.rest
    )


def _check(arguments: argparse.Namespace) -> None:
    from rheobase.stages.check import check

    print(check(arguments.config))


def _init(arguments: argparse.Namespace) -> None:
    from rheobase.stages.init import init

    print(init(arguments.folder, arguments.output))


def _table(arguments: argparse.Namespace) -> None:
    from rheobase.stages.tables import write_tables

    print(write_tables(arguments.config))


def _models(arguments: argparse.Namespace) -> None:
    from rheobase.stages.check import table

    print(table())


def _export(arguments: argparse.Namespace) -> None:
    from rheobase.stages.export import export

    print(export(arguments.folder, arguments.output, bin=arguments.bin, animal=arguments.animal))


def _verify(arguments: argparse.Namespace) -> int:
    from rheobase.stages.verify import verify

    return verify(arguments.results)


def _reproduce(arguments: argparse.Namespace) -> int:
    from rheobase.stages.verify import reproduce

    return reproduce(arguments.provenance, cores=arguments.cores)


if __name__ == "__main__":
    sys.exit(main())
