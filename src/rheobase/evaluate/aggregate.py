"""Folds and seeds of a dataset gathered: means, intervals, paired tests.

Seeds are averaged within a fold first; folds are the replicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rheobase.evaluate.alike import merged, shape
from rheobase.evaluate.corrections import corrected
from rheobase.evaluate.statistics import combine_p, corrected_t, pool_p
from rheobase.evaluate.summaries import Chance, Comparison, Place, ScoreSummary


def size_ratio(splits: Mapping[str, Any] | None, n_samples: Mapping[str, int]) -> float | None:
    """Return n_test / n_train in samples, averaged over folds; None where the splits do not say."""
    ratios = []
    for fold in (splits or {}).get("folds", []):
        test, train = (sum(_length(p, n_samples) for p in fold[part]) for part in ("test", "train"))
        if test and train:
            ratios.append(test / train)
    return float(np.mean(ratios)) if ratios else None


def _length(piece: Mapping[str, Any], n_samples: Mapping[str, int]) -> int:
    start, stop = piece.get("start"), piece.get("stop")
    stop = n_samples.get(piece["recording"], 0) if stop is None else stop
    return max(stop - (start or 0), 0)


def summarise(
    metrics: Mapping[str, Mapping[str, Any]], *, ratio: float | None = None
) -> dict[str, tuple[ScoreSummary, ...]]:
    """Return, per model of one dataset, a summary of each of its scores, Holm-corrected.

    ``metrics`` holds the gathered metrics of each model, ``ratio`` n_test / n_train of the splits.
    """
    summaries: dict[str, tuple[ScoreSummary, ...]] = {}
    for model, content in metrics.items():
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for score in content["scores"]:
            groups.setdefault(score["name"], []).append(score)
        made = [_summary(model, fits, ratio) for fits in groups.values() if _defined(fits)]
        made = _placed(made)
        if made and made[0].comparisons:
            best, *others = made[0].comparisons
            made[0] = replace(made[0], comparisons=(replace(best, headline=True), *others))
        summaries[model] = tuple(made)
    return corrected(summaries)


def _placed(scores: Sequence[ScoreSummary]) -> list[ScoreSummary]:
    """Return the scores of a model, each with its place among its questions."""
    asked: set[str] = set()
    placed = []
    for score in scores:
        place: Place = "first" if not asked else "further"
        if asked and score.question not in asked:
            place = "question"
        asked.add(score.question)
        placed.append(replace(score, place=place))
    return placed


def _defined(fits: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [fit for fit in fits if fit["value"] is not None and np.isfinite(fit["value"])]


def _summary(model: str, fits: list[Mapping[str, Any]], ratio: float | None) -> ScoreSummary:
    kept = _defined(fits)
    folds = sorted({fit["fold"] for fit in kept})
    by_fold = [[fit["value"] for fit in kept if fit["fold"] == fold] for fold in folds]
    values = [float(np.mean(v)) for v in by_fold]
    spreads = [float(np.std(v, ddof=1)) for v in by_fold if len(v) > 1]
    sign = 1.0 if fits[0]["higher_is_better"] else -1.0
    rivals = sorted({rival for fit in kept for rival in fit["rivals"]})
    compared = [c for r in rivals if (c := _compare(r, kept, folds, sign, ratio)) is not None]
    compared.sort(key=lambda c: (-sign * c.rival_mean, c.rival))
    return ScoreSummary(
        model=model,
        name=fits[0]["name"],
        unit=fits[0].get("unit") or "",
        higher_is_better=bool(fits[0]["higher_is_better"]),
        folds=tuple(folds),
        fold_values=tuple(values),
        mean=float(np.mean(values)),
        interval=corrected_t(values, ratio)[0],
        seeds=len({fit["seed"] for fit in kept}),
        seed_spread=float(np.mean(spreads)) if spreads else None,
        chance=_chance(kept, folds, sign, ratio),
        comparisons=tuple(compared),
        missing=len(fits) - len(kept),
        notes=(*_placed_notes(fits), *_cautions(fits)),
        cautions=_cautions(fits),
        title=fits[0].get("title") or "",
        question=fits[0].get("question") or str(fits[0]["name"]).partition("_")[0],
    )


def _cautions(fits: list[Mapping[str, Any]]) -> tuple[str, ...]:
    alike: dict[str, list[str]] = {}
    for fit in fits:
        if caution := fit.get("caution"):
            alike.setdefault(shape(caution), []).append(caution)
    return tuple(merged(said) for said in alike.values())


def _placed_notes(fits: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return every note once, after the folds (and seeds) that it is about if not about all.

    Notes that differ in their numbers alone are one, with the range of each number.
    """
    about: dict[str, list[tuple[str, str]]] = {}
    seeds = len({fit["seed"] for fit in fits}) > 1
    for fit in fits:
        where = f"fold {fit['fold']}" + (f", seed {fit['seed']}" if seeds else "")
        if note := fit.get("note"):
            about.setdefault(shape(note), []).append((where, note))
    return tuple(
        ("" if len(said) == len(fits) else f"{'; '.join(where for where, _ in said)}: ")
        + merged([note for _, note in said])
        for said in about.values()
    )


def _compare(
    rival: str, fits: list[Mapping[str, Any]], folds: list[int], sign: float, ratio: float | None
) -> Comparison | None:
    pairs = [(f["fold"], f["value"], f["rivals"].get(rival)) for f in fits]
    pairs = [p for p in pairs if p[2] is not None and np.isfinite(p[2])]
    if not pairs:
        return None
    means = {
        k: float(np.mean([r for f, _, r in pairs if f == k]))
        for k in folds
        if any(p[0] == k for p in pairs)
    }
    gaps = [float(np.mean([sign * (v - r) for f, v, r in pairs if f == k])) for k in means]
    interval, p_value = corrected_t(gaps, ratio)
    return Comparison(
        rival=rival,
        rival_mean=float(np.mean(list(means.values()))),
        rival_folds=tuple(means.get(k) for k in folds),
        difference=float(np.mean(gaps)),
        interval=interval,
        p_value=p_value,
        p_holm=None,
        headline=False,
        fold_differences=tuple(gaps),
    )


def _chance(
    fits: list[Mapping[str, Any]], folds: list[int], sign: float, ratio: float | None
) -> Chance | None:
    known = [fit for fit in fits if fit.get("chance") is not None]
    if not known:
        return None
    level = float(np.mean([fit["chance"] for fit in known]))
    tested = [fit["p_value"] for fit in known if fit.get("p_value") is not None]
    if tested and (pooled := _pool(known, folds, sign)) is not None:
        return Chance(level, pooled[0], None, "permutation", pooled[1])
    if tested:
        return Chance(level, combine_p(tested), None, "combined")
    by_fold = [[sign * (f["value"] - f["chance"]) for f in known if f["fold"] == k] for k in folds]
    gaps = [float(np.mean(gap)) for gap in by_fold if gap]
    p_value = corrected_t(gaps, ratio)[1]
    if p_value is None:
        return Chance(level, None, None, "none")
    one_sided = p_value / 2 if np.mean(gaps) > 0 else 1 - p_value / 2
    return Chance(level, float(one_sided), None, "t")


def _pool(
    fits: list[Mapping[str, Any]], folds: list[int], sign: float
) -> tuple[float, float] | None:
    """Return p and least p of the mean over the folds that have draws; None where any lacks them.

    Folds where nothing could be exchanged are left out. Seeds are averaged and share draws.
    """
    values, nulls = [], []
    for fold in folds:
        tested = [f for f in fits if f["fold"] == fold and f.get("p_value") is not None]
        if not tested:
            continue
        values.append(sign * float(np.mean([f["value"] for f in tested])))
        nulls.append(next((f["null"] for f in tested if f.get("null")), ()))
    if len({len(null) for null in nulls}) != 1 or not len(nulls[0]):
        return None
    return pool_p(values, sign * np.array(nulls, float))
