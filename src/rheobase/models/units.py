"""What recordings say of their units: network, hemisphere, place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rheobase.recording import Recording

OF_UNITS = ("network", "x", "y", "z", "space")


def of_units(recordings: Sequence[Recording], units: Sequence[str]) -> dict[str, Any]:
    """Return what the recordings say of their units (network, place), where all units have it."""
    found: dict[str, dict[str, Any]] = {name: {} for name in OF_UNITS}
    places: dict[str, set] = {}
    for one in recordings:
        for name in OF_UNITS:
            if name in one.data.coords:
                values = one.data[name].values
                found[name] |= dict(zip(one.unit_names, values.tolist(), strict=True))
                places.setdefault(name, set()).add(one.subject)
    made = {}
    for name, values in found.items():
        differ = name in "xyz" and one_animal_only(recordings)
        if all(u in values for u in units) and not differ:
            row = [values[u] for u in units]
            made[name] = "unit", np.array(row, float) if name in "xyz" else np.array(row, str)
    return made


def one_animal_only(recordings: Sequence[Recording]) -> bool:
    """Return whether places cannot be shared: cells lie elsewhere in every animal."""
    return recordings[0].modality == "calcium" and len({r.subject for r in recordings}) > 1
