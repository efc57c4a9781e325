"""What the family did, in the words of a methods text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rheobase.models.spiking.settings import EMG_WINDOW_S, FMRI_WINDOW_S, OTHER_WINDOW

CODES = {
    "delta": "events, one for each {delta} standard deviations that a channel moved",
    "direct": "mean sizes", "current": "mean values",
    "both": "events, one for each {delta} standard deviations that a channel moved, and mean sizes",
    "crossing": "events where a channel rose through quantiles of the training part",
    "rate": "events drawn at rates proportional to the size",
    "latency": "one event a channel, the earlier the larger",
}  # fmt: skip


def sentences(
    settings: Mapping[str, Any], cite: Callable[..., str], *, frames: bool,
    label: Mapping[str, Any] | None,
) -> list[str]:  # fmt: skip
    """Return sentences on windows, events, network, early answers and rivals."""
    emg = bool(label) and label["modality"] == "emg"
    code = settings["encoder"]
    code = ("delta" if emg else "current") if code == "auto" else code
    step = "a number of" if settings["delta"] is None else f"{settings['delta']:g}"
    training, stopping = settings["training"], settings["stopping"]
    layers = " and ".join(str(n) for n in settings["hidden"])
    usual = {"emg": EMG_WINDOW_S, "fmri": FMRI_WINDOW_S}.get(label["modality"] if label else "")
    window = settings["window_s"] or usual
    unit = "frames" if frames else "s"
    long = f" of {window:g} {unit}" if window else f" of {OTHER_WINDOW} samples"
    return [
        f"Windows{long} that lie in one trial were standardised by the training part and given as "
        f"{CODES[code].format(delta=step)}. Networks of {layers} leaky integrate-and-fire units "
        f"with a linear readout were trained with surrogate gradients {cite('neftci2019')} for at "
        f"most {training['epochs']} epochs, with a penalty on spikes. A fifth of the training part "
        "(people, recordings or trials, kept whole) chose the epoch.",
        "The same fifth scaled the evidence, so that probabilities mean what they say, and set the "
        "log-odds above which a window is answered before it is over "
        f"{cite('li2023')}: the lowest at which it lost at most "
        f"{100 * stopping['loss']:g} points of accuracy"
        + (", by the upper bound over trials." if stopping["bounded"] else "."),
        "Rivals, trained on the same windows with the same validation, were linear discriminant "
        "analysis and a perceptron on features"
        + (f" {cite('hudgins1993')}" if emg else " (mean, deviation and slope)")
        + ", a convolutional network on the signals and a gated recurrent network on the events.",
        "Operations are synaptic additions after spikes, and multiply-adds of networks without; "
        f"energy is an estimate from a 45 nm process {cite('horowitz2014')}.",
    ]
