"""The linear family: ridge VAR, static connectivity, label decoding. The rival of all others."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from rheobase.models.base import Drawing, Fitted, Score
from rheobase.models.decoding import decode, examples, labels, null
from rheobase.models.inputs import acausal_note, check, long_enough, scaler, smooth_note
from rheobase.models.linear import artefacts, connectivity, forecast
from rheobase.models.linear.methods import Cite, sentences
from rheobase.recording import Recording

NOT_DECODED = "The label is not decoded: "


@dataclass(frozen=True)
class Linear:
    """Forecasts by ridge VAR, shrunk static connectivity, and linear decoding of the label.

    Every default that datasets.md's sanity numbers do not fix is chosen here.
    """

    horizons: tuple[int, ...] = (1, 2, 5, 10)
    """Samples ahead."""
    order: int = 1
    """Past samples that a forecast sees."""
    penalties: tuple[float, ...] = tuple(float(p) for p in np.logspace(0, 5, 9))
    """Ridge penalties to choose from, on standardised signals; sums, not means, of squares."""
    inverse_penalties: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0)
    """C of the logistic regression to choose from."""
    window_s: float = 0.2
    """EMG windows."""
    hop_s: float = 0.1
    trim_s: float = 0.5
    """Left out after each switch of a label over time (EMG): the hand follows the cue late."""
    delay_s: float | None = None
    """How far the signal lags behind the label; None chooses among 0 to 8 s for fMRI, 0 else."""
    ignore_labels: tuple[str, ...] = ()
    """Classes left out of training and scoring, such as rest."""
    permutations: int = 1000
    """Draws of each null."""

    modalities: ClassVar[frozenset[str]] = frozenset({"fmri", "calcium", "emg", "series"})
    gpu: ClassVar[bool] = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {"demo": {"permutations": 100}}
    views: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        _positive("horizons", self.horizons)
        _positive("penalties", self.penalties)
        _positive("inverse_penalties", self.inverse_penalties)
        for name in ("order", "window_s", "hop_s", "permutations"):
            _positive(name, (getattr(self, name),))
        if len(set(self.horizons)) < len(self.horizons):
            raise ValueError(f"linear: horizons {self.horizons} must differ from each other")

    def fit(self, train: Sequence[Recording], *, seed: int, device: str = "cpu") -> Fitted:
        """Return forecasts, connectivity and the decoder of the training part, rivals included."""
        check(train, part="training")
        reach = max(self.horizons) + self.order + 1
        train, left_out = long_enough(train, part="training", reach=reach)
        mean, scale = scaler(train)
        forecasts = [
            forecast.fit(train, mean, scale, horizon=h, order=self.order, penalties=self.penalties)
            for h in self.horizons
        ]
        static = connectivity.fit(train)
        decoder, why = self._decoder(train)
        known = train[0].data.coords
        arrays = artefacts.pack(
            train[0].unit_names, known["network"].values if "network" in known else None, mean,
            scale, forecasts, static, connectivity.group(static, len(mean)), decoder, seed,
        )  # fmt: skip
        notices = (*left_out, *why, *_notices(train, forecasts, self.penalties, scale))
        return Fitted(arrays, metrics=_scalars(forecasts, static, decoder), notices=notices)

    def evaluate(self, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
        """Return decoding (first where there is a label), forecasts, connectivity,
        identification.
        """
        learnt, test, left_out = self._ready(fitted, test)
        scores, undecoded = [], _undecoded(fitted) if learnt.decoder is None else ""
        if learnt.decoder is not None:
            trained = {str(name) for name in fitted.arrays["recording"].values}
            try:
                scores.append(self._decoding_score(learnt, test, trained))
            except examples.NotDecodableError as reason:
                undecoded = f"the label is not decoded here: {reason}"
        scores += [self._forecast_score(learnt, test, h) for h in self.horizons]
        ours, alone = connectivity.loglik(test, learnt.correlation)
        note = "recordings standardised by their own mean and SD, so only correlations count"
        scores.append(
            Score("connectivity_loglik", ours, {"independent_units": alone}, unit="nats", note=note)
        )
        found = connectivity.identification(
            test, learnt.pearson, learnt.autocorrelation, draws=self.permutations, seed=learnt.seed
        )
        scores += [_identification_score(found)] if found else []
        note = "; ".join(filter(None, [scores[0].note, *left_out]))
        caution = "; ".join(filter(None, [undecoded, scores[0].caution]))
        return [replace(scores[0], note=note, caution=caution), *scores[1:]]

    def figures(self, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
        """Return drawings of forecasts beside rivals, connectivity, and decoding."""
        from rheobase.models.linear import figures

        learnt, test, _ = self._ready(fitted, test)
        scores = [self._forecast_score(learnt, test, h) for h in self.horizons]
        drawings = {
            "forecast": figures.forecast(scores, self.horizons),
            "connectivity": figures.connectivity(learnt, test[0].unit_dim),
        }
        found = None
        with contextlib.suppress(examples.NotDecodableError):
            found = self._examples(learnt, test) if learnt.decoder is not None else None
        if learnt.decoder is not None and found is not None:
            drawn = figures.trace if learnt.decoder.kind == "value" else figures.confusion
            label = test[0].label_name or "label"
            drawings["decoding"] = drawn(learnt.decoder, found, label)
        return drawings

    def transform(self, fitted: Fitted, recordings: Sequence[Recording]) -> list[Recording]:
        """Return what the one-step forecast misses (innovations), in the signal's own units.

        The first samples of each piece have no forecast; they are 0 and not valid.
        """
        if 1 not in self.horizons:
            raise ValueError(f"linear: transform needs horizon 1 among horizons {self.horizons}")
        learnt = artefacts.unpack(fitted.arrays)
        check(recordings, part="given", units=learnt.units)
        one = learnt.forecast(1)
        step = {"step": "one-step residual", "family": "linear", "order": one.order,
                "penalty": one.penalty}  # fmt: skip
        made = []
        for recording in recordings:
            missed, known = forecast.residual(one, recording, learnt.mean, learnt.scale)
            plain = recording.with_signal(missed, unit_names=recording.unit_names, step=step)
            made.append(Recording(plain.data.assign(valid=("time", known))))
        return made

    @staticmethod
    def methods(settings: Mapping[str, Any], cite: Cite, **told: Any) -> list[str]:
        """Return sentences for the methods text of a report; see ``linear.methods``."""
        return sentences(settings, cite, **told)

    def _ready(
        self, fitted: Fitted, test: Sequence[Recording]
    ) -> tuple[artefacts.Learnt, list[Recording], tuple[str, ...]]:
        learnt = artefacts.unpack(fitted.arrays)
        check(test, part="test", units=learnt.units)
        reach = max(self.horizons) + self.order
        return learnt, *long_enough(test, part="test", reach=reach)

    def _decoder(self, train: Sequence[Recording]) -> tuple[decode.Decoder | None, tuple[str, ...]]:
        """Return the decoder, or None and why there is none."""
        if train[0].label_name is None:
            return None, ()
        try:
            how = self._how(train[0])
            found = decode.fit(
                train, how, cs=self.inverse_penalties, penalties=self.penalties,
                delay_s=self.delay_s,
            )  # fmt: skip
        except examples.NotDecodableError as reason:
            return None, (f"{NOT_DECODED}{reason}",)
        gone = labels.lost(train, how, found.classes)
        return found, (f"Not all classes are decoded: {gone}",) if gone else ()

    def _how(self, recording: Recording) -> examples.How:
        return examples.choose(
            recording, window_s=self.window_s, hop_s=self.hop_s, trim_s=self.trim_s,
            ignore=self.ignore_labels,
        )  # fmt: skip

    def _decoding_score(
        self, learnt: artefacts.Learnt, test: Sequence[Recording], trained: Container[str]
    ) -> Score:
        assert learnt.decoder is not None
        rng = null.stream(learnt.seed, 2, test)
        found = self._examples(learnt, test)
        score = decode.evaluate(learnt.decoder, found, draws=self.permutations, rng=rng)
        shared = acausal_note([recording for recording in test if recording.name in trained])
        flattered = f"{shared} of recordings in both parts, so decoding may be flattered"
        gone = labels.lost(test, self._how(test[0]), found.y)
        said = [f"in the test part {gone}" if gone else "", flattered if shared else ""]
        return replace(score, caution="; ".join(filter(None, [*said, score.caution])))

    def _examples(self, learnt: artefacts.Learnt, test: Sequence[Recording]) -> examples.Examples:
        assert learnt.decoder is not None
        return examples.gather(test, self._how(test[0]), delay=learnt.decoder.delay)

    def _forecast_score(
        self, learnt: artefacts.Learnt, test: Sequence[Recording], horizon: int
    ) -> Score:
        error = forecast.evaluate(learnt.forecast(horizon), test, learnt.mean, learnt.scale)
        if error.about_training_mean == 0:
            raise ValueError(f"{test[0].name}: the test part never leaves the training mean")
        note, caution = "", smooth_note(test, learnt.autocorrelation)
        if error.about_own_mean < 0.9 * error.about_training_mean and error.about_own_mean > 0:
            against = {name: error.own_r2(value) for name, value in error.rivals.items()}
            note = _drift(error.own_r2(error.model), against)
        rivals = {name: error.r2(value) for name, value in error.rivals.items()}
        value = error.r2(error.model)
        return Score(f"forecast_r2_h{horizon}", value, rivals, note=note, caution=caution)


def _undecoded(fitted: Fitted) -> str:
    """Return why the label that was asked for is not decoded; empty without a label."""
    why = [n.removeprefix(NOT_DECODED) for n in fitted.notices if n.startswith(NOT_DECODED)]
    return f"the label is not decoded: {why[0]}" if why else ""


def _positive(name: str, values: Sequence[float]) -> None:
    if not values or min(values) <= 0:
        raise ValueError(f"linear: {name} is {values}; it must hold numbers above 0")


def _drift(value: float, rivals: dict[str, float]) -> str:
    return (
        "test recordings lie away from the training mean, which flatters R2: about their own means "
        f"it is {value:.2f} (persistence {rivals['persistence']:.2f}, "
        f"AR(1) {rivals['ar1']:.2f})"
    )


def _identification_score(how: connectivity.Identification) -> Score:
    found = how.found
    few = "; too few people for p < 0.05 in this fold alone" if found.people < 4 else ""
    return Score(
        "identification_accuracy", found.accuracy,
        {"lag1_autocorrelation": how.autocorrelation, "connectivity_uncentred": how.uncentred},
        chance=1 / found.people, p_value=found.p_value,
        note=(
            f"{found.people} people, between {how.between}: {found.there:.2f} forward, "
            f"{found.back:.2f} back{few}"
        ),
        null=found.null,
    )  # fmt: skip


def _scalars(forecasts, static, decoder) -> dict[str, float]:
    scalars = {f"penalty_h{f.horizon}": f.penalty for f in forecasts}
    scalars["shrinkage_mean"] = float(static.shrinkage.mean())
    if decoder is not None:
        scalars |= {"decode_penalty": decoder.penalty, "decode_delay_samples": decoder.delay}
    return scalars


def _notices(train, forecasts, penalties, scale) -> tuple[str, ...]:
    said = []
    edge = [str(f.horizon) for f in forecasts if f.penalty == max(penalties)]
    if edge:
        said.append(
            f"the largest penalty, {max(penalties):g}, was chosen at horizon {', '.join(edge)}: "
            "there is hardly anything linear to predict there"
        )
    still = [n for n, s in zip(train[0].unit_names, scale, strict=True) if s == 1.0]
    constant = [n for n in still if _constant(train, train[0].unit_names.index(n))]
    if constant:
        said.append(f"constant in the training part: {', '.join(constant[:5])}")
    return tuple(said)


def _constant(train: Sequence[Recording], unit: int) -> bool:
    values = np.concatenate([r.signal[r.valid, unit] for r in train])
    return bool(np.ptp(values) == 0)
