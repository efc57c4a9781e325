"""What may be said of an emulator's inside: sentences that follow from its numbers alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rheobase.models.hmm_rnn.fixed_points import DECAYED
from rheobase.models.hmm_rnn.kick import FALLS, RISES
from rheobase.models.hmm_rnn.orbits import AGREED, BEYOND
from rheobase.models.hmm_rnn.residency import ZONES
from rheobase.models.hmm_rnn.switches import FEWEST

if TYPE_CHECKING:
    from rheobase.models.hmm_rnn.reverse import Anatomy


def flags(found: Anatomy) -> tuple[dict[str, bool], ...]:
    """Return what holds of each member; resonance only where it was looked for."""
    told = []
    for m in range(len(found.states)):
        one = {
            "single_fixed_point": bool(found.decay.single[m]),
            "noise_sustained_orbit": bool(found.orbit[m]),
            "kick_confirmed": bool(found.kick.confirmed[m].any()),
        }
        if found.shaken is not None:
            one["resonance"] = bool(found.shaken.resonant[m])
        told.append(one)
    return tuple(told)


def by_part(found: Anatomy) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the sentences of each member on each part of the analysis."""
    parts = {"rest": _rest, "orbit": _orbit, "pairs": _pairs, "zones": _zones, "kick": _kicks,
             "blocks": _blocks, "gains": _gains, "noise": _noise, "resonance": _resonance,
             "training": _training}  # fmt: skip
    members = range(len(found.states))
    return {name: tuple(tuple(part(found, m)) for m in members) for name, part in parts.items()}


def told(found: Anatomy) -> tuple[tuple[str, ...], ...]:
    """Return the sentences of each member."""
    rows = zip(*by_part(found).values(), strict=True)
    return tuple(tuple(sentence for part in row for sentence in part) for row in rows)


def _rest(found: Anatomy, m: int) -> list[str]:
    left, steps = float(found.decay.largest[m, -1]), found.decay.times[-1]
    radius = float(found.decay.radius[m])
    if bool(found.decay.single[m]):
        said = (f"Without noise every visited state decays to 0: after {steps} steps at most "
                f"{left:.1g} of its size is left.")  # fmt: skip
    else:
        said = (f"Not every visited state decays without noise: after {steps} steps up to "
                f"{left:.2g} of its size is left (limit {DECAYED:g}), so a single fixed point "
                "is not shown.")  # fmt: skip
    return [f"{said} The spectral radius of the recurrent weights, {radius:.2f}, does not tell."]


def _orbit(found: Anatomy, m: int) -> list[str]:
    turns = found.rotation
    agreed, z = float(turns.agreed[m]), float(turns.z[m])
    numbers = (f"{agreed:.0%} of trajectories turn one way in the plane of components 1 and 2, "
               f"{abs(z):.1f} deviations from surrogates")  # fmt: skip
    steps = found.activity.states.shape[2]
    if bool(turns.turning[m]):
        took = float(turns.period[m])
        period = f"; a turn takes {took:.0f} steps on average."
        if took > steps:
            return [f"No orbit was found: {numbers}, but a turn would take {took:.0f} steps, more "
                    f"than the {steps} that were simulated."]  # fmt: skip
        if bool(found.orbit[m]):
            return [f"Noise sustains an orbit: {numbers}{period}"]
        return [f"Activity turns: {numbers}{period} It is not told as an orbit sustained by noise, "
                "since a single fixed point is not shown."]  # fmt: skip
    return [f"No orbit was found: {numbers} (limits {AGREED:.0%} and {BEYOND:g})."]


def _pairs(found: Anatomy, m: int) -> list[str]:
    if found.symbols < 3:
        return []
    said = []
    for pair in found.pairs[m]:
        if pair.first_second is None or pair.first_third is None:
            continue
        planes = (("1 and 2", pair.first_second), ("1 and 3", pair.first_third))
        turning = [name for name, turns in planes if turns.turning]
        one, other = (found.names[k] for k in pair.pair)
        where = f"Within {one} and {other} ({pair.pieces} stretches)"
        if turning:
            said.append(f"{where} activity turns in the plane of components {', '.join(turning)}.")
        else:
            said.append(f"{where} no turning was found.")
    return said


def _zones(found: Anatomy, m: int) -> list[str]:
    zones = found.residency.zones()[m]
    counts = [(name, int((zones == z).sum())) for z, name in enumerate(ZONES)]
    listed = ", ".join(f"{count} in the {name} zone" for name, count in counts)
    median = float(found.residency.steps[m].median())
    return [f"Of {len(zones)} visited states {listed}; the median stay is {median:.0f} steps."]


def _kicks(found: Anatomy, m: int) -> list[str]:
    kicks, names, said = found.kick, found.names, []
    for a in range(found.symbols):
        for b in range(found.symbols):
            if not bool(kicks.tested[m, a, b]):
                continue
            units = ", ".join(str(u) for u in kicks.sets[m, a, b].tolist())
            low, high = float(kicks.silenced[m, a, b]), float(kicks.driven[m, a, b])
            numbers = (f"silencing units {units} {_times(low)}, driving them {_times(high)}, "
                       f"p = {float(kicks.p_corrected[m, a, b]):.2g}")  # fmt: skip
            if bool(kicks.confirmed[m, a, b]):
                said.append(f"Kick neurons from {names[a]} to {names[b]}: {numbers}.")
            else:
                said.append(f"No kick neurons are confirmed from {names[a]} to {names[b]}: "
                            f"{numbers} (limits {FALLS:g}, {RISES:g} and 0.05).")  # fmt: skip
    other = found.untrained
    if said and other.tested:
        low, high = float(other.silenced.min()), float(other.silenced.max())
        said.append(f"In untrained networks of the same size the rule confirms {other.confirmed} "
                    f"of {other.tested} directions; there silencing leaves {low:.2f} to {high:.2f} "
                    "of the rate.")  # fmt: skip
    if not said:
        said.append("Kick neurons were not looked for: no direction has both "
                    f"{FEWEST} switches and enough units that lower its rate.")  # fmt: skip
    return said


def _times(ratio: float) -> str:
    if math.isnan(ratio):
        return "keeps activity out of the class that is left"
    return f"makes switches {ratio:.2f} times as frequent"


def _blocks(found: Anatomy, m: int) -> list[str]:
    said = []
    for (a, b), part in found.blocks[m].items():
        between = float((part.means[0, 0, 1] + part.means[0, 1, 0]) / 2)
        sign = "inhibit" if between < 0 else "excite"
        p = float(part.p[0])
        said.append(
            f"The sets of {found.names[a]} to {found.names[b]} and back {sign} each other (mean "
            f"weight {between:.3f}); "
            f"weights within a set less those between are {float(part.contrast_z[0]):.1f} "
            f"deviations from permuted matrices (p = {p:.2g})."
        )
    return said


def _gains(found: Anatomy, m: int) -> list[str]:
    said = []
    for (a, b), curve in found.curves[m].items():
        names = ("recurrent input of the set", "noise of units that project to it", "other noise")
        parts = [f"{name} {float(value):.2f}" for name, value in
                 zip(names, curve.trend, strict=True) if not math.isnan(value)]  # fmt: skip
        if parts:
            said.append(f"Rank correlation of the rate from {found.names[a]} to {found.names[b]} "
                        f"with the gain of {', '.join(parts)}.")  # fmt: skip
    return said


def _noise(found: Anatomy, m: int) -> list[str]:
    if found.sweep is None:
        return []
    best = found.sweep.best[m]
    return [
        "The size of the input noise scales all states and leaves classes by arg-max as they are; "
        f"by likelihood drawn symbols are nearest to the chain's at {best:g} times the noise of "
        "training, of the sizes tried."
    ]


def _resonance(found: Anatomy, m: int) -> list[str]:
    if found.shaken is None:
        return []
    best = found.shaken.best[m]
    if math.isnan(best):
        return ["Too few switches to look for a resonance."]
    if bool(found.shaken.resonant[m]):
        return [f"A shake of {best:g} times the size of the states makes switching most regular."]
    return [
        "No resonance was found: no shake of fixed size makes switching clearly more regular than "
        "both none and the largest."
    ]


def _training(found: Anatomy, m: int) -> list[str]:
    if found.evolution is None:
        return []
    onset = found.evolution.onset[m]
    if onset is None:
        return ["The share of steps with a critical pair of eigenvalues did not move in training."]
    return [f"The share of steps with a critical pair of eigenvalues moved first at step {onset}."]
