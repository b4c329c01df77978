"""Averages of effects by cohort and month with cohort sizes as weights, as terms of a table."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects
from calaim_eval.estimate.stratum_terms import StratumTerms
from calaim_eval.estimate.support import effect_supports

By = Literal["overall", "event_time"]


def cohort_weights(effects: StratumEffects, by: By) -> tuple[pd.DataFrame, np.ndarray]:
    """Keys of the averages and their weights (m, k) on the effects: sizes of the cohorts.

    Overall: cohort-months from exposure on.
    """
    event_time = effects.event_time
    if by == "overall":
        keys, held = pd.DataFrame(index=[0]), (event_time >= 0)[:, None]
    else:
        labels = np.unique(event_time)
        keys = pd.DataFrame({"event_time": labels})
        held = event_time[:, None] == labels[None, :]
    sized = held * effects.cohort_sizes()[effects.pairs.cohort][:, None]
    return keys, (sized / sized.sum(axis=0)).T


def share_loads(
    effects: StratumEffects, weights: np.ndarray, values: np.ndarray, average: np.ndarray
) -> np.ndarray:
    """Loads of estimated cohort shares on every member of a cell; shape (m, C, X).

    `values` (k,) are what is averaged, `average` (m,) the averages.
    """
    cohort = effects.pairs.cohort
    size = effects.cohort_sizes()[cohort]
    share = np.zeros((len(weights), len(effects.grid.cohorts)))
    for term, row in enumerate(weights):
        own = row > 0
        np.add.at(share[term], cohort[own], (values[own] - average[term]) / size[own].sum())
    return np.asarray(share[:, :, None] * effects.entering_cells()[None])


def average_terms(
    effects: StratumEffects,
    keys: pd.DataFrame,
    estimate: np.ndarray,
    weights: np.ndarray,
    constant: np.ndarray,
    *,
    factor: float = 1.0,
) -> StratumTerms:
    """Averages of effects of a stratum as terms.

    `weights` (m, k) are on the effects, `constant` (m, C, X) are loads on every member of a cell.
    """
    size = len(effects.grid.axis)
    loads = np.zeros((len(keys), *effects.grid.cell.shape, 2 * size))
    for cohort, part in enumerate(effects.cell_loads(weights)):
        covered = np.flatnonzero(effects.grid.cell[cohort] >= 0)
        loads[:, cohort, covered] = part.loads[:, :, :-1].swapaxes(0, 1)
    return StratumTerms(
        grid=effects.grid,
        keys=keys,
        estimate=estimate,
        on_outcome=loads[..., :size],
        on_coverage=loads[..., size:],
        on_member=constant,
        sides=list(effect_supports(effects, weights)),
        factor=factor,
    )
