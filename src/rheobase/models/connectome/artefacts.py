"""Between what was learnt and the named arrays that are stored, float32 unless small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

from rheobase.models.connectome.arrange import Arrangement
from rheobase.models.connectome.factors import Factors
from rheobase.models.connectome.groups import Groups
from rheobase.models.connectome.labels import names_of
from rheobase.models.connectome.locking import Locking
from rheobase.models.connectome.ranks import Choice, RankRow
from rheobase.models.connectome.reconstruct import Patterns
from rheobase.models.connectome.restarts import Fit
from rheobase.models.connectome.rivals import flattened, membership
from rheobase.models.decoding import pack
from rheobase.models.decoding.decode import Decoder

DECODER = "label"


def of_fit(
    made: Arrangement, recordings: Sequence[str], fits: Mapping[int, Fit],
    rows: Sequence[RankRow], choice: Choice, *, seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Return variables and coordinates of the tensor, the chosen factors and all ranks."""
    factors = fits[choice.rank].best.factors
    runs = [(rank, run) for rank, one in fits.items() for run in one.runs]
    first, second = np.triu_indices(len(made.units), 1)
    variables: dict[str, Any] = {
        "drive": (("unit", "animal", "bin"), made.signed),
        "presence": (("unit", "animal"), made.presence),
        "observed": (("animal", "bin"), made.observed),
        "bin_frame": ("bin", made.plan.clock.astype(np.int64)),
        "bin_owner": ("bin", made.plan.owner.astype(np.int64)),
        "bin_event": ("bin", made.plan.events.astype(str)),
        "block_start": ("block", np.array([b.start for b in made.plan.blocks])),
        "alignment": ((), np.array(made.plan.alignment)),
        "bin_s": ((), np.float64(made.bin_s)),
        "samples_a_bin": ((), np.int64(made.plan.frames.shape[2])),
        "weight": ("component", factors.weights),
        "pattern": (("component", "pair"), factors.patterns),
        "time_course": (("component", "bin"), factors.times),
        "animal_loading": (("component", "animal"), factors.animals),
        "rank_error": ("rank", np.array([r.error for r in rows])),
        "rank_spread": ("rank", np.array([r.spread for r in rows])),
        "rank_stability": ("rank", np.array([r.stability for r in rows])),
        "rank_holdout": (("rank", "hidden"), np.array([r.holdout for r in rows])),
        "rank_core_consistency": ("rank", np.array([r.core_consistency for r in rows])),
        "chosen_rank": ((), np.int64(choice.rank)),
        "stable": ((), np.bool_(choice.stable)),
        "run_rank": ("run", np.array([rank for rank, _ in runs])),
        "run_error": ("run", np.array([run.error for _, run in runs])),
        "run_iterations": ("run", np.array([len(run.errors) for _, run in runs])),
        "run_stop": ("run", np.array([run.stop for _, run in runs])),
        "run_course": (("run", "iteration"), _side_by_side([run.errors for _, run in runs])),
        "seed": ((), np.int64(seed)),
    }
    coordinates = {
        "unit": np.array(made.units, str),
        "animal": np.array(made.plan.animals, str),
        "recording": np.array(recordings, str),
        "component": np.arange(1, factors.rank + 1),
        "rank": np.array([r.rank for r in rows]),
        "pair_first": ("pair", first.astype(np.int32)),
        "pair_second": ("pair", second.astype(np.int32)),
    }
    return variables, coordinates


def _side_by_side(courses: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the errors of runs after each iteration, NaN beyond their end, (run, iteration)."""
    made = np.full((len(courses), max(map(len, courses))), np.nan)
    for row, course in zip(made, courses, strict=True):
        row[: len(course)] = course
    return made


def of_tests(
    weights: np.ndarray, p: np.ndarray, null: np.ndarray, names: Sequence[str],
    locking: Locking | None,
) -> dict[str, Any]:  # fmt: skip
    """Return the variables of both tests."""
    made: dict[str, Any] = {
        "tested_weight": ("component", weights),
        "component_p": ("component", p if len(null) else np.full(len(weights), np.nan)),
        "null_weight": ("draw", null),
    }
    if locking is not None:
        for name in ("difference", "p", "q", "auc"):
            made[f"locking_{name}"] = ("component", "event"), getattr(locking, name)
    return made


def of_groups(groups: Groups) -> dict[str, Any]:
    """Return the variables of the communities."""
    unit = ("component", "unit")
    return {
        "community": (unit, groups.labels),
        "community_confidence": (unit, groups.confidence),
        "community_consensus": (unit, groups.consensus),
        "community_weight": (unit, groups.inside),
        "community_level": (("component", "level", "unit"), groups.levels),
        "community_level_score": (("component", "level"), groups.level_scores),
        "community_single_score": ("component", groups.single),
        "community_degree_corrected": ("component", groups.corrected),
    }


def of_decoders(decoders: Mapping[str, Decoder]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return variables and coordinates of decoders by name."""
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {}
    for name, decoder in decoders.items():
        prefix = f"{DECODER}/{name}"
        variables |= pack.to_arrays(decoder, prefix)
        coordinates[pack.output_name(prefix)] = decoder.classes.astype(str)
    return variables, coordinates


def dataset(variables: Mapping[str, Any], coordinates: Mapping[str, Any]) -> xr.Dataset:
    """Return the arrays of a fit; large ones as float32."""
    made = xr.Dataset(dict(variables), coords=dict(coordinates))
    for name, values in made.data_vars.items():
        if values.dtype == np.float64 and "pair" in values.dims:
            made[name] = values.astype(np.float32)
    return made


@dataclass(frozen=True)
class Learnt:
    """What scores and drawings need of a fit."""

    arrays: xr.Dataset

    @property
    def units(self) -> list[str]:
        return [str(n) for n in self.arrays["unit"].values]

    @property
    def rank(self) -> int:
        return self.arrays.sizes["component"]

    @property
    def seed(self) -> int:
        return int(self.arrays["seed"])

    @property
    def bin_s(self) -> float:
        return float(self.arrays["bin_s"])

    @property
    def recordings(self) -> set[str]:
        return {str(n) for n in self.arrays["recording"].values}

    @property
    def names(self) -> list[str]:
        return names_of(self.rank)

    def matrix(self, name: str) -> torch.Tensor:
        """Return stored patterns, (component, pair) float64."""
        return torch.from_numpy(np.atleast_2d(self.arrays[name].values).astype(np.float64))

    def factors(self) -> Factors:
        """Return the chosen factors."""
        names = ("weight", "pattern", "time_course", "animal_loading")
        return Factors(*(self.arrays[n].values for n in names))

    def methods(self) -> dict[str, Patterns]:
        """Return our patterns and those of the rivals, by name, ours (``connectome``) first."""
        made = {"connectome": Patterns(self.matrix("pattern"))}
        for name in ("one_component", "mean_pattern", "static_connectivity"):
            made[name] = Patterns(self.matrix(f"rival/{name}"))
        made["pca_of_edges"] = Patterns(
            self.matrix("rival/edge_components"), self.matrix("rival/mean_pattern")[0]
        )
        return made

    def communities(self) -> dict[str, Patterns]:
        """Return our patterns flattened to their blocks, and those of the rivals' blocks."""
        labels, patterns = self.arrays["community"].values, self.arrays["pattern"].values
        flat = [flattened(a, z) for a, z in zip(patterns, labels, strict=True)]
        made = {"connectome": Patterns(torch.from_numpy(np.stack(flat)))}
        for name in ("kmeans", "leiden"):
            if f"rival/{name}" in self.arrays:
                made[name] = Patterns(membership(self.arrays[f"rival/{name}"].values))
        return made

    def decoders(self) -> dict[str, Decoder]:
        """Return the decoders of the label by name, ours first; none where it is not decoded."""
        ends = [str(n) for n in self.arrays.data_vars if str(n).endswith("_kind")]
        names = [n.removeprefix(f"{DECODER}/").removesuffix("_kind") for n in ends
                 if n.startswith(f"{DECODER}/")]  # fmt: skip
        found = {n: pack.from_arrays(self.arrays, f"{DECODER}/{n}")
                 for n in sorted(names, key=lambda n: n != "components")}  # fmt: skip
        return {n: d for n, d in found.items() if d is not None}
