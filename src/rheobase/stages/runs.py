"""What fMRI recordings of one dataset must be to each other before folds are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from rheobase.preprocess.quality import listed

LEAST_SHARE = 0.95
"""Regions covered in at least this share of the recordings are kept."""


def check_twins(dataset: str, sources: Mapping[str, str]) -> None:
    """Raise ``ValueError`` for two recordings read from the same bytes: one person under two names.

    ``sources`` maps recordings to the SHA-256 of their file.
    """
    first: dict[str, str] = {}
    for name, checksum in sources.items():
        if checksum and checksum in first:
            raise ValueError(
                f"{dataset}: {first[checksum]} and {name} were read from the same bytes (SHA-256 "
                f"{checksum[:12]}...), so a test could hold what was trained on; correct "
                "source.path or exclude one"
            )
        first[checksum] = name


def check_coverage(dataset: str, lacking: Mapping[str, Collection[str]], count: int) -> None:
    """Raise ``ValueError`` for a recording that lacks regions which 95 % of the others have.

    ``lacking`` maps recordings to their uncovered regions, ``count`` is how many recordings there
    are. Regions that more recordings lack are dropped everywhere instead.
    """
    times = Counter(region for regions in lacking.values() for region in regions)
    kept = {region for region, lost in times.items() if lost <= (1 - LEAST_SHARE) * count + 1e-9}
    for name, regions in lacking.items():
        if missing := sorted(kept & set(regions)):
            raise ValueError(
                f"{dataset}: {name} lacks {len(missing)} regions that at least "
                f"{100 * LEAST_SHARE:.0f} % of the recordings have ({listed(missing)}); name it "
                "with the reason under exclude"
            )
