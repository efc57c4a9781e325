"""All drawings of one fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rheobase.models.base import Drawing, Fitted
from rheobase.models.connectome import arrange, component_figures, pair_figure, rank_figures
from rheobase.models.connectome.artefacts import Learnt
from rheobase.models.connectome.check import check
from rheobase.models.connectome.courses import placed
from rheobase.models.inputs import in_order

if TYPE_CHECKING:
    from rheobase.models.connectome import Connectome
    from rheobase.recording import Recording

MOST = 8
"""Components that are drawn, the heaviest"""


def draw(model: Connectome, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
    """Return all drawings of a fit; the example pair comes from the test part."""
    learnt = Learnt(fitted.arrays)
    check(test, part="test", same_cells=model.same_cells, units=learnt.units)
    test = in_order(test)
    there = placed(model, arrange.frames_for(model, test), learnt.units)
    unit, time = test[0].unit_dim, test[0].time_unit
    made = {
        "pair": pair_figure.pair(learnt, there, test, model.affinity),
        "ranks": rank_figures.ranks(learnt),
        "null": rank_figures.null(learnt),
        "film": rank_figures.film(learnt, time),
        "shares": rank_figures.shares(learnt),
    }
    for number in range(min(learnt.rank, MOST)):
        made[f"component_{number + 1}"] = component_figures.component(
            learnt, number, unit_dim=unit, time_unit=time
        )
    return {name: drawing for name, drawing in made.items() if drawing is not None}
