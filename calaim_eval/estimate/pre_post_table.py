"""One table of rates or changes around exposure, every stratum with its windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cohort_month.time_pairs import Comparison
from calaim_eval.estimate.influence import require_cluster
from calaim_eval.estimate.pre_post_windows import (
    COMPARISON,
    EXPOSED,
    Window,
    cells_kept,
    windows_of,
)
from calaim_eval.estimate.stratum_terms import StratumTerms, terms_table
from calaim_eval.estimate.words import notes_by_group
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand, Method

TermsOf = Callable[[CellGrid, list[Window], list[np.ndarray], tuple[str, ...]], StratumTerms]
"""Terms of one stratum from its windows, the covariate cells kept in each, and its sides."""


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """What `pre_post` and `pre_post_rates` are both told."""

    outcome: str
    months_before: int
    months_after: int
    comparison: Comparison
    cluster: str
    per: float


def window_table(
    moments: CellMoments,
    options: WindowOptions,
    terms_of: TermsOf,
    *,
    call: str,
    estimand: Estimand,
    estimator: str,
    more_options: Mapping[str, object] = MappingProxyType({}),
    notes: Sequence[str] = (),
) -> EffectTable:
    """Terms of every stratum with a cohort whose windows are inside the panel, as one table."""
    _require_months(call, options.months_before, options.months_after)
    require_cluster(moments, options.cluster)
    strata: list[StratumTerms] = []
    losses: list[tuple[str, str, str]] = []
    for grid in stratum_grids(moments, options.outcome):
        windows = windows_of(grid, options.months_before, options.months_after, options.comparison)
        kept, has_comparison, lost = cells_kept(grid, windows)
        losses += [(what, grid.words(), much) for what, much in lost]
        sides = (EXPOSED, COMPARISON) if has_comparison else (EXPOSED,)
        if any(cells.any() for cells in kept):
            strata.append(terms_of(grid, windows, kept, sides).scaled(options.per))
    if not strata:
        raise _no_window(moments, options.months_before, options.months_after)
    told = {
        **asdict(options),
        "covariate_cells": list(moments.covariate_cells),
        **more_options,
    }
    return terms_table(
        moments,
        options.outcome,
        options.cluster,
        strata,
        estimand=estimand,
        method=Method(estimator, MappingProxyType(told)),
        notes=notes,
        losses=notes_by_group(losses),
    )


def window_terms(
    grid: CellGrid,
    keys: pd.DataFrame,
    rates: Sequence[tuple[float, np.ndarray]],
    supports: Sequence[np.ndarray],
) -> StratumTerms:
    """Rates or changes, each with its loads (C, X, 2T), as terms of one stratum."""
    size, loads = len(grid.axis), np.array([load for _, load in rates])
    return StratumTerms(
        grid=grid,
        keys=keys,
        estimate=np.array([rate for rate, _ in rates]),
        on_outcome=loads[..., :size],
        on_coverage=loads[..., size:],
        sides=supports,
    )


def _require_months(name: str, months_before: int, months_after: int) -> None:
    """Refuse a window without months."""
    if months_before < 1 or months_after < 1:
        raise EstimationError(
            f"{name}: months_before={months_before}, months_after={months_after}; "
            "each window needs at least one month."
        )


def _no_window(moments: CellMoments, months_before: int, months_after: int) -> DesignError:
    """The refusal where no cohort has both windows inside the panel."""
    return DesignError(
        f"no exposed cohort has {months_before} months before and {months_after} months from "
        f"exposure on inside {moments.months[0]} to {moments.months[-1]}. "
        "Shorten `months_before` or `months_after`."
    )
