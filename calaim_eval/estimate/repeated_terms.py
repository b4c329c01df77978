"""One estimate made several times over in the same members, with the joint covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cohort_month.cohort_averages import (
    average_terms,
    cohort_weights,
    share_loads,
)
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects, stratum_effects
from calaim_eval.estimate.cohort_month.time_pairs import Comparison, time_pairs
from calaim_eval.estimate.stratum_terms import StratumTerms
from calaim_eval.results import SUPPORT_COLUMNS


def effects_from_exposure(
    grid: CellGrid, comparison: Comparison, *, anticipation_months: int, per: float
) -> StratumEffects:
    """Effects by cohort and month from exposure on, base month fixed."""
    pairs = time_pairs(
        grid.cohorts,
        grid.axis,
        comparison=comparison,
        base_period="universal",
        anticipation_months=anticipation_months,
    )
    effects = stratum_effects(grid, pairs, per=per)
    return effects.take(np.flatnonzero(effects.event_time >= 0))


def overall_term(effects: StratumEffects, label: Mapping[str, object]) -> StratumTerms:
    """Average over cohort-months from exposure on, cohorts weighted by their members."""
    _, weights = cohort_weights(effects, "overall")
    average = weights @ effects.estimate
    return average_terms(
        effects,
        pd.DataFrame([dict(label)]),
        average,
        weights,
        share_loads(effects, weights, effects.estimate, average),
    )


def under_one_another(parts: Sequence[StratumTerms]) -> StratumTerms:
    """Terms of one stratum as one set; cells of all must be the same, in the same order."""
    return StratumTerms(
        grid=parts[0].grid,
        keys=pd.concat([part.keys for part in parts], ignore_index=True),
        estimate=np.concatenate([part.estimate for part in parts]),
        on_outcome=np.concatenate([part.on_outcome for part in parts]),
        on_coverage=np.concatenate([part.on_coverage for part in parts]),
        on_member=np.concatenate([_on_member(part) for part in parts]),
        sides=[side for part in parts for side in part.sides],
    )


def less_the_first(terms: StratumTerms) -> StratumTerms:
    """Every term but the first, minus the first; support is the smaller of the two."""
    return StratumTerms(
        grid=terms.grid,
        keys=terms.keys.iloc[1:].reset_index(drop=True),
        estimate=terms.estimate[1:] - terms.estimate[0],
        on_outcome=terms.on_outcome[1:] - terms.on_outcome[0],
        on_coverage=terms.on_coverage[1:] - terms.on_coverage[0],
        on_member=_on_member(terms)[1:] - _on_member(terms)[0],
        sides=[_smaller(side, terms.sides[0]) for side in terms.sides[1:]],
    )


def _on_member(terms: StratumTerms) -> np.ndarray:
    """Loads on the constant, 0 where there are none; shape (m, C, X)."""
    if terms.on_member is None:
        return np.zeros(terms.on_outcome.shape[:3])
    return terms.on_member


def _smaller(side: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The smaller support of two terms; of events the smaller that has any; shape (2, 3)."""
    smaller: np.ndarray = np.minimum(side, other)
    events = SUPPORT_COLUMNS.index("n_events")
    larger = np.maximum(side, other)[:, events]
    smaller[:, events] = np.where(smaller[:, events] > 0, smaller[:, events], larger)
    return smaller
