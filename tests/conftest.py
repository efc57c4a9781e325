"""What many tests share."""

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared_data():
    """Return the folder of real recordings; skips where RHEOBASE_DATA does not name one."""
    folder = os.environ.get("RHEOBASE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("RHEOBASE_DATA names no folder of real recordings")
    return Path(folder)
