"""The versions that results depend on."""

from __future__ import annotations

import importlib.metadata
import sys

VERSIONS = (
    *("rheobase", "numpy", "scipy", "xarray", "scikit-learn", "torch"),
    *("nilearn", "mne", "snakemake"),
)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": sys.version.split()[0]}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
