"""How often do equal rivals look better or worse? Simulated folds, whatever the family."""

import numpy as np
import pytest

from rheobase.evaluate.aggregate import summarise
from rheobase.evaluate.statements import outcome

pytestmark = pytest.mark.slow
FAMILY = "linear"
DATASETS, FOLDS, RIVALS = 3000, 4, 6


def against_the_best(rng):
    """Return the comparison with the best of rivals that are all equal to the model."""
    scores = [
        {"name": "r2", "unit": "", "higher_is_better": True, "fold": fold, "seed": 0,
         "value": own, "rivals": {f"r{n}": x for n, x in enumerate(others)}, "chance": None,
         "p_value": None, "note": "", "null": ()}
        for fold, (own, *others) in enumerate(rng.normal(size=(FOLDS, 1 + RIVALS)))
    ]  # fmt: skip
    content = {"dataset": "d", "model": "m", "family": "linear", "scores": scores}
    # Independent folds: without the correction for overlap the t test is exact.
    return summarise({"m": content}, ratio=0.0)["m"][0].comparisons[0]


def test_words_about_equal_rivals_are_seldom_wrong(criterion):
    rng = np.random.default_rng(0)
    found = [against_the_best(rng) for _ in range(DATASETS)]
    share = {
        "better": np.mean([outcome(c) == "better" for c in found]),
        "worse": np.mean([outcome(c) == "worse" for c in found]),
        "worse, uncorrected": np.mean(
            [(c.p_value or 0) < 0.05 and c.difference < 0 for c in found]
        ),
        "ahead in every fold": np.mean([c.ahead == FOLDS for c in found]),
        "behind in every fold": np.mean([c.behind == FOLDS for c in found]),
    }
    criterion("verdict_equal_rivals", f"share of {DATASETS} datasets, best of {RIVALS} rivals",
              "better and worse at most 0.05", {k: round(float(v), 3) for k, v in share.items()},
              max(share["better"], share["worse"]) <= 0.05)  # fmt: skip
