"""``rheobase verify`` and ``rheobase reproduce``: are results what they were, and can they be
made again?
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from rheobase.recording import Recording
from rheobase.stages.checksums import changed
from rheobase.storage import CorruptFile, file_sha256, read_dataset, read_json, write_text

TRAINED_TOLERANCE = 1e-3
OWN = {"results", "logs", ".snakemake", "profiles"}
CONFIG = ".reproduced.yaml"
PROVENANCE = "provenance.json"
DATASET_PARTS = ("recordings", "qc", "models", "splits.json", PROVENANCE)
UNREADABLE = (CorruptFile, OSError, ValueError, KeyError, TypeError)


def verify(results: Path) -> int:
    """Print one line for every damaged file; returns 1 where there is one or nothing to check.

    ``results`` is the folder of all results or that of one dataset.
    """
    if not results.is_dir():
        raise FileNotFoundError(f"{results} is no folder; name the folder of results")
    checked: set[Path] = set()
    problems = list(damage(results, checked))
    if not checked and not problems:
        problems = [f"{results} holds no results to check; name the folder of results"]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(checked)} files checked, {len(problems)} problems")
    return 1 if problems else 0


def damage(results: Path, checked: set[Path]) -> Iterator[str]:
    """Yield a sentence for every file that is corrupt, missing, or not what the provenance says.

    Recordings and the files beside them are checked where they are there. Every file that was
    looked at is added to ``checked``.
    """
    for path in sorted(p for p in results.rglob("*") if p.suffix in (".nc", ".json")):
        checked.add(path)
        try:
            if path.suffix == ".json":
                read_json(path)
            elif path.parent.name == "recordings":
                Recording.load(path)
            else:
                read_dataset(path)
        except CorruptFile as error:
            yield str(error)
        except UNREADABLE as error:
            yield f"{path} cannot be read ({error}); delete it and run again"
    for folder in dataset_folders(results):
        yield from _against_provenance(folder, checked)


def dataset_folders(results: Path) -> list[Path]:
    """Return the folders of datasets: the folder itself where it is one, else those inside."""
    inside = sorted(p for p in results.iterdir() if p.is_dir() and not p.name.startswith("."))
    one = any((results / name).exists() for name in DATASET_PARTS)
    folders = [results] if one else inside
    return [f for f in folders if any((f / name).exists() for name in DATASET_PARTS)]


def _against_provenance(folder: Path, checked: set[Path]) -> Iterator[str]:
    source = folder / PROVENANCE
    if not source.is_file():
        yield f"{folder} has no {PROVENANCE} to check its files against; run the workflow again"
        return
    try:
        content = read_provenance(source)
        outputs = told_outputs(content, folder)
    except CorruptFile:
        return  # said already
    except ValueError as error:
        yield str(error)
        return
    for path, expected in outputs.items():
        checked.add(path)
        if not path.is_file():
            yield f"{path} is missing; run the workflow again"
        elif file_sha256(path) != expected:
            yield f"{path} is not the file that the provenance names; delete it and run again"
    yield from changed(content, folder.absolute().parent.parent, checked)


def read_provenance(path: Path) -> dict[str, Any]:
    """Return a ``provenance.json``; raises ``ValueError`` with one sentence where it is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; name a {PROVENANCE} of results")
    content = read_json(path)
    wrong = _what_is_wrong(content)
    if wrong:
        raise ValueError(f"{path} is no provenance of a dataset ({wrong}); run the workflow again")
    return content


def _what_is_wrong(content: Any) -> str | None:
    if not isinstance(content, dict):
        return "it is no table of keys"
    for key, kind in {"dataset": str, "config": dict, "outputs": dict}.items():
        if not isinstance(content.get(key), kind):
            return f"{key!r} is missing or not what it should be"
    folder = Path("results", content["dataset"])
    for name, expected in content["outputs"].items():
        if not Path(name).is_relative_to(folder) or ".." in Path(name).parts:
            return f"the output {name!r} is not in {folder}"
        if not isinstance(expected, str):
            return f"the output {name!r} has no checksum"
    return None if content["outputs"] else "it names no output"


def told_outputs(content: Mapping[str, Any], folder: Path) -> dict[Path, str]:
    """Return the checksum of every output, by where it lies when the dataset is in ``folder``."""
    begin = Path("results", content["dataset"])
    return {folder / Path(n).relative_to(begin): sha for n, sha in content["outputs"].items()}


def reproduce(provenance: Path, *, cores: int) -> int:
    """Run a dataset again in a fresh folder and compare; returns 0 where everything agrees."""
    content = read_provenance(provenance)
    for key in ("data_dir", "download_dir"):
        if not isinstance(content["config"].get(key), str):
            raise ValueError(f"{provenance} has no {key} in its config; run the workflow again")
    other = list(changed(content, Path.cwd(), set()))
    with tempfile.TemporaryDirectory(prefix="rheobase-") as folder:
        if _run_again(content["config"], Path(folder), cores=cores):
            raise ValueError(f"running {provenance} again failed; the sentences above say why")
        again = Path(folder, "results", content["dataset"])
        found = list(compare(provenance.parent, again, content))
    for text in [*other, *(text for _, text in found if text)]:
        print(text, file=sys.stderr)
    count = Counter(kind for kind, _ in found)
    print(
        f"{len(found)} files: {count['exact']} agree exactly, {count['close']} within "
        f"{TRAINED_TOLERANCE:g}, {count['differs']} differ, {count['skipped']} not compared "
        "(figures, and run.json, which holds times)"
    )
    return 1 if count["differs"] or other else 0


def _run_again(config: Mapping[str, Any], folder: Path, *, cores: int) -> int:
    import yaml

    from rheobase.stages.run import snakefile

    absolute = {key: str(Path(config[key]).resolve()) for key in ("data_dir", "download_dir")}
    for item in Path.cwd().iterdir():
        if item.name not in OWN:
            (folder / item.name).symlink_to(item.resolve())
    write_text(yaml.safe_dump({**config, **absolute}), folder / CONFIG)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile().resolve())]
    command += ["--directory", str(folder), "--configfile", str(folder / CONFIG)]
    command += ["--cores", str(cores), "--quiet", "all"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run(command, env={**os.environ, "PATH": path}, check=False).returncode


def compare(old: Path, new: Path, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (``exact``, ``close``, ``differs`` or ``skipped``, sentence) for every output.

    ``old`` and ``new`` are a dataset's folders. The sentence is empty where nothing differs.
    """
    mine = told_outputs(content, old)
    for path, again in zip(mine, told_outputs(content, new), strict=True):
        name = path.relative_to(old)
        if name.name == "run.json" or "figures" in name.parts:
            yield "skipped", ""
        elif not again.is_file():
            yield "differs", f"{name} was not made again"
        elif file_sha256(again) == mine[path]:
            yield "exact", ""
        else:
            text = _difference(path, again, mine[path])
            yield ("differs", f"{name}{text}") if text else ("close", "")


def _difference(old: Path, new: Path, expected: str) -> str | None:
    """Return how two files differ by more than the tolerance, to follow the name of the file."""
    if "models" not in old.parts or old.name not in READERS:
        return " differs"
    if not old.is_file() or file_sha256(old) != expected:
        return " cannot be compared: the old one is not the file that the provenance names"
    read = READERS[old.name]
    try:
        return next(_differences(read(old), read(new)), None)
    except UNREADABLE as error:
        return f" cannot be compared ({error})"


def _differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield where two nests of tables, lists, arrays and plain values disagree."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() ^ new.keys()):
            yield f"{where}: {key} is in one of the two only"
        for key in sorted(old.keys() & new.keys()):
            yield from _differences(old[key], new[key], f"{where}: {key}" if where else f": {key}")
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{where}: there were {len(old)} and are {len(new)}"
        for number, (a, b) in enumerate(zip(old, new, strict=False)):
            yield from _differences(a, b, f"{where} {_called(a, number)}")
    elif isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        yield from _array_differences(old, new, where)
    elif _is_number(old) and _is_number(new):
        if not np.isclose(float(old), float(new), rtol=TRAINED_TOLERANCE, atol=TRAINED_TOLERANCE):
            yield f"{where} was {old:.6g} and is {new:.6g}"
    elif old != new:
        yield f"{where} was {old!r} and is {new!r}"


def _called(item: Any, number: int) -> str:
    if isinstance(item, dict) and {"name", "fold", "seed"} <= item.keys():
        return f"{item['name']}, fold {item['fold']}, seed {item['seed']}"
    return str(number)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _array_differences(old: np.ndarray, new: np.ndarray, where: str) -> Iterator[str]:
    """Yield whether arrays lie further apart than the tolerance times the largest old value."""
    if old.shape != new.shape:
        yield f"{where} had the shape {old.shape} and has {new.shape}"
    elif old.dtype.kind not in "fiuc" or new.dtype.kind not in "fiuc":
        if not np.array_equal(old, new):
            yield f"{where} differs"
    elif old.size:
        finite = np.abs(old[np.isfinite(old)])
        largest = float(finite.max()) if finite.size else 0.0
        if not np.allclose(new, old, rtol=0, atol=TRAINED_TOLERANCE * largest, equal_nan=True):
            apart = float(np.nanmax(np.abs(new.astype(float) - old.astype(float))))
            yield f"{where} differs by up to {apart:.3g}; its largest value is {largest:.3g}"


def _arrays(path: Path) -> dict[str, np.ndarray]:
    stored = read_dataset(path)
    return {str(name): np.asarray(stored.variables[name].values) for name in stored.variables}


def _weights(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(path)


READERS = {"arrays.nc": _arrays, "weights.safetensors": _weights, "metrics.json": read_json}
"""How the files of models, which may differ within the tolerance, are read to compare them."""
