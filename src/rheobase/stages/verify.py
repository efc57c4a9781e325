"""``rheobase verify`` and ``rheobase reproduce``: are results what they were, and can they be
made again?
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.recording import Recording
from rheobase.storage import CorruptFile, file_sha256, read_dataset, read_json, write_text

TRAINED_TOLERANCE = 1e-3
OWN = {"results", "logs", ".snakemake", "profiles"}
CONFIG = ".reproduced.yaml"


def verify(results: Path) -> int:
    """Print one line for every damaged file; returns 1 where there is one, 0 where all is well."""
    if not results.is_dir():
        raise FileNotFoundError(f"{results} is no folder; name the folder of results")
    problems = list(damage(results))
    for problem in problems:
        print(problem, file=sys.stderr)
    count = sum(1 for path in results.rglob("*") if path.suffix in (".nc", ".json"))
    print(f"{count} files checked, {len(problems)} problems")
    return 1 if problems else 0


def damage(results: Path) -> Iterator[str]:
    """Yield a sentence for every file that is corrupt, missing, or not what the provenance says."""
    for path in sorted(results.rglob("*.nc")):
        try:
            Recording.load(path) if path.parent.name == "recordings" else read_dataset(path)
        except (CorruptFile, ValueError, KeyError) as error:
            yield str(error)
    for path in sorted(results.rglob("*.json")):
        try:
            content = read_json(path)
        except CorruptFile as error:
            yield str(error)
            continue
        if path.name == "provenance.json":
            yield from _against(content, path.parents[1])


def _against(content: dict[str, Any], results: Path) -> Iterator[str]:
    for name, expected in content["outputs"].items():
        path = results / Path(name).relative_to("results")
        if not path.is_file():
            yield f"{path} is missing; run the workflow again"
        elif file_sha256(path) != expected:
            yield f"{path} is not the file that the provenance names; delete it and run again"


def reproduce(provenance: Path, *, cores: int) -> int:
    """Run a dataset again in a fresh folder and compare; returns 0 where everything agrees."""
    import yaml

    from rheobase.stages.run import snakefile

    if not provenance.is_file():
        raise FileNotFoundError(f"{provenance} does not exist; name a provenance.json of results")
    content = read_json(provenance)
    config = dict(content["config"])
    for key in ("data_dir", "download_dir"):
        config[key] = str(Path(config[key]).resolve())
    with tempfile.TemporaryDirectory(prefix="rheobase-") as folder:
        for item in Path.cwd().iterdir():
            if item.name not in OWN:
                (Path(folder) / item.name).symlink_to(item.resolve())
        write_text(yaml.safe_dump(config), Path(folder) / CONFIG)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile().resolve())]
        command += ["--directory", folder, "--configfile", str(Path(folder) / CONFIG)]
        command += ["--cores", str(cores), "--quiet", "all"]
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        if subprocess.run(command, env=environment, check=False).returncode:
            raise ValueError(f"running {provenance} again failed; the sentences above say why")
        differences = list(_differences(provenance.parent, Path(folder) / "results", content))
    for text in differences:
        print(text, file=sys.stderr)
    print(f"{len(content['outputs'])} files compared, {len(differences)} differ")
    return 1 if differences else 0


def _differences(old: Path, new: Path, content: dict[str, Any]) -> Iterator[str]:
    for name, expected in content["outputs"].items():
        relative = Path(name).relative_to("results")
        if relative.name == "run.json":
            continue
        again = new / relative
        if not again.is_file():
            yield f"{relative} was not made again"
        elif relative.name == "metrics.json":
            mine = read_json(old.parent / relative)
            yield from _score_differences(mine, read_json(again), str(relative))
        elif "models" not in relative.parts and file_sha256(again) != expected:
            yield f"{relative} differs"


def _score_differences(old: Any, new: Any, where: str) -> Iterator[str]:
    for a, b in zip(old["scores"], new["scores"], strict=True):
        if not np.isclose(a["value"], b["value"], rtol=TRAINED_TOLERANCE, atol=TRAINED_TOLERANCE):
            yield f"{where}: {a['name']} fold {a['fold']} was {a['value']:.6g} and is "
            f"{b['value']:.6g}"
