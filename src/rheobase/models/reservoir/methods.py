"""What the family did, in the words of a methods text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rheobase.models.reservoir.search import SPACE


def sentences(
    settings: Mapping[str, Any], cite: Callable[..., str], *, frames: bool,
    label: Mapping[str, Any] | None,
) -> list[str]:  # fmt: skip
    """Return sentences on networks, search, readouts, rivals and decoding."""
    search, members = settings["search"], settings["members"]
    adapts = settings["adapt"]["enabled"]
    network = (
        f"Reservoirs of {settings['n_units']} units, {settings['frac_exc']:g} of them excitatory, "
        f"had {'on average ' * (settings['topology'] == 'er')}{settings['degree']} inputs a unit "
        f"unless searched, and sigmoid units of gain {settings['gain']:g} unless searched"
    )
    adapted = (
        "; inhibition was adapted locally to the training input until each unit fired at its "
        f"target rate {cite('srinivasan2025')}" if adapts else f" {cite('srinivasan2025')}"
    )  # fmt: skip
    said = [
        f"{network}{adapted}. Scores are means over {members} "
        f"reservoir{'s' * (members != 1)} drawn at random.",
        _search(search, cite, adapts=adapts),
        "Readouts were ridge regressions, their penalties chosen in the same inner folds "
        f"{_grid(settings['readout']['alphas'])} times the mean variance of a feature; every "
        "stretch of a recording was run from rest and its washout left out.",
    ]
    if "forecast" in settings["tasks"]:
        said.append(
            f"Signals were forecast {_listed(settings['horizons'])} samples ahead, one readout a "
            "horizon; linear rivals saw up to "
            f"{max(settings['lags'])} past samples, their number chosen in inner folds."
        )
    if "memory" in settings["tasks"]:
        said.append(
            "Memory capacity was the squared correlation of the input with its readout, summed "
            f"over {settings['delays']} delays {cite('jaeger2002')}."
        )
    return said + ([_label(settings, label, frames)] if label else [])


def _search(search: Mapping[str, Any], cite: Callable[..., str], *, adapts: bool) -> str:
    rivals = (
        f"conventional echo-state networks {cite('jaeger2001')} and the same units without coupling"
    )
    if adapts:
        rivals = f"reservoirs with a globally tuned balance, {rivals}"
    many = search["n_trials"]
    if many == 1:
        return f"Settings were not searched. Rivals were {rivals}."
    names = _listed([name.replace("_", " ") for name in search["space"] or SPACE])
    more = search["seeds_per_trial"] > 1
    halving = f"by successive halving {cite('jamieson2016')} " if more else ""
    return (
        f"Of each kind of network {many} settings ({names}, and targets or balance) were tried "
        f"{halving}in {search['inner_folds']} inner folds of the training part. Rivals were "
        f"{rivals}, searched with the same effort."
    )


def _label(settings: Mapping[str, Any], label: Mapping[str, Any], frames: bool) -> str:
    late = settings["delay_s"]
    if label["modality"] == "emg" and (label["over_time"] or label["kind"] == "class"):
        what = (
            f"windows of {settings['window_s']:g} s every {settings['hop_s']:g} s (mean rates and "
            "rates at the end)"
        )
    elif label["over_time"]:
        what = "the rates of single samples"
        if late:
            what += f" {late:g} {'frames' if frames else 's'} later"
    else:
        what = "mean and deviation of the rates over the longest stretch of a recording"
    how = "regression" if label["kind"] == "value" else "regression on class codes"
    return f"The label {label['name']} was decoded from {what} by ridge {how}."


def _grid(values: Sequence[float]) -> str:
    return f"from {len(values)} values from {min(values):g} to {max(values):g}"


def _listed(values: Sequence[Any]) -> str:
    words = [str(value) for value in values]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
