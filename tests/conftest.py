"""What many tests share."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from good_config import GOOD
from workflow_runs import run, tiny


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def in_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def good():
    """Return a small right config, as read."""
    return yaml.safe_load(GOOD)


@pytest.fixture(scope="session")
def shared_data():
    """Return the folder of real recordings; skips where RHEOBASE_DATA does not name one."""
    folder = os.environ.get("RHEOBASE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("RHEOBASE_DATA names no folder of real recordings")
    return Path(folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Return a folder in which the tiny workflow ran once, for reading only."""
    folder = tmp_path_factory.mktemp("finished")
    done = run(folder, tiny(folder).name, "--cores", "2")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """Return a copy of the finished run, with its time stamps, that a test may spoil."""
    shutil.copytree(finished, tmp_path / "run", symlinks=True)
    return tmp_path / "run"
