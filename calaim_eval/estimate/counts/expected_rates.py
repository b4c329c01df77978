"""What the exposed would have had by the model of the unexposed, and effects against it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cell_rows import CellRows, cell_rows
from calaim_eval.estimate.counts.count_terms import (
    NO_EVENTS,
    NO_EXPOSED_EVENTS,
    NO_RATIO,
    NOTHING_EXPECTED,
    SMALL_CELLS,
    UNEXPECTED,
    ZERO_EXPECTED,
    CountTerms,
)
from calaim_eval.estimate.counts.multiplicative_fit import (
    LevelModel,
    fit_levels,
    is_separated,
)
from calaim_eval.estimate.counts.small_cells import excess_expected, small_cell_words
from calaim_eval.estimate.exposure_terms import averages
from calaim_eval.estimate.stratum_terms import StratumTerms, clusters_of
from calaim_eval.estimate.two_way.two_way_fit import crv1_factor
from calaim_eval.estimate.words import count_words, share_words
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import index_frequency


@dataclass(frozen=True, slots=True, eq=False)
class _Expected:
    """The fitted model and its rows; `fitted` and `target` hold positions in `rows`.

    `month` (n,) codes the month effects: of each covariate cell, or common to all.

    Where `is_zero`, shape (n,), the expected rate is 0: no event before exposure, or none of the
    comparison in the month. Such rows count like any other. To leave them out would keep those who
    had events by chance, and make every effect look like a fall.
    """

    rows: CellRows
    month: np.ndarray
    total: np.ndarray
    fitted: np.ndarray
    target: np.ndarray
    is_zero: np.ndarray
    model: LevelModel

    def rate(self, chosen: np.ndarray) -> np.ndarray:
        """Expected outcome per member-month of some rows."""
        rate = np.zeros(len(chosen))
        positive = ~self.is_zero[chosen]
        rows = chosen[positive]
        rate[positive] = self.model.rate(self.rows.unit[rows], self.month[rows])
        return rate

    def excess(self) -> float:
        """Share by which too many events are expected of the targets, by chance in small cells."""
        rows = self.target[~self.is_zero[self.target]]
        expected = self.rows.at_risk[rows] * self.rate(rows)
        if not expected.sum():
            return 0.0
        return excess_expected(self.model.effects, self.rows.unit[rows], self.month[rows], expected)

    def loads_of_expected(self, held: np.ndarray) -> np.ndarray:
        """Load of each fitted row's residual on the expected events of each term; (n, m)."""
        positive = ~self.is_zero[self.target]
        rows = self.target[positive]
        return self.model.loads(
            self.rows.unit[rows],
            self.month[rows],
            self.rows.at_risk[rows][:, None] * held[positive],
        )


def count_terms_of_stratum(
    moments: CellMoments, grid: CellGrid, terms: CountTerms, cluster: str, per: float
) -> tuple[StratumTerms, list[tuple[str, str]]]:
    """Terms of one stratum, and what was lost."""
    rows = cell_rows(grid)
    is_fitted, is_target, since, is_exposed = terms.fitted_and_targets(rows)
    if not is_target.any():
        raise DesignError(
            "no exposed member-month lies within the event times asked for. Widen "
            "`min_event_time` and `max_event_time`."
        )
    expected, lost = _expected(rows, is_fitted, is_target, terms)
    target = expected.target
    keys, held = averages(
        terms.by,
        event_time=since[target],
        cohort=grid.cohorts[rows.cohort[target]],
        month=grid.axis[rows.month[target]],
        frequency=index_frequency(moments.months),
    )
    if terms.is_ratio and terms.link == "log":
        has_ratio = (rows.at_risk[target] * expected.rate(target)) @ held > 0
        if not has_ratio.all():
            lost.append((NO_RATIO, count_words(float((~has_ratio).sum()), "terms")))
        if not has_ratio.any():
            raise DesignError(NOTHING_EXPECTED)
        keys, held = keys[has_ratio].reset_index(drop=True), held[:, has_ratio]
    too_many = small_cell_words(expected.excess()) if terms.link == "log" else ""
    if too_many:
        lost.append((SMALL_CELLS, too_many))
    estimate, on_outcome, centre = _effects(expected, held, terms, per)
    columns = np.zeros((len(rows), len(keys)), dtype=bool)
    columns[target] = held
    sides = rows.sides(columns, is_exposed)
    if any(side[0, 1] == 0 for side in sides):
        lost.append((NO_EXPOSED_EVENTS, ""))
    found = StratumTerms(
        grid=grid,
        keys=keys,
        estimate=estimate,
        on_outcome=rows.on_grid(on_outcome),
        on_coverage=rows.on_grid(-on_outcome * (centre - grid.shift)),
        sides=sides,
        factor=_factor(moments, expected, terms, cluster),
    )
    return found, lost


def _expected(
    rows: CellRows, is_fitted: np.ndarray, is_target: np.ndarray, terms: CountTerms
) -> tuple[_Expected, list[tuple[str, str]]]:
    """The model of the unexposed, the targets it reaches, and what it does not."""
    grid = rows.grid
    total = grid.level[rows.cohort, rows.covariate, rows.month]
    fitted = np.flatnonzero(is_fitted)
    n_cohorts, n_covariates, n_months = grid.at_risk.shape
    by_cell = terms.month_effects == "by_cell"
    month = rows.cell_month if by_cell else rows.month
    n_month_effects = n_covariates * n_months if by_cell else n_months
    sizes = {"n_units": n_cohorts * n_covariates, "n_months": n_month_effects}
    lost = []
    has_rows = np.isin(rows.unit, rows.unit[fitted])
    has_rows &= np.isin(month, month[fitted])
    is_zero = np.zeros(len(rows), dtype=bool)
    if terms.link == "log":
        is_zero = _without_events(rows.unit, fitted, total)
        is_zero |= _without_events(month, fitted, total)
        is_zero &= has_rows
        separated = is_separated(rows.unit[fitted], month[fitted], total[fitted], **sizes)
        fitted = fitted[~separated]
        if not fitted.size:
            raise DesignError(NOTHING_EXPECTED)
    model = fit_levels(
        rows.unit[fitted],
        month[fitted],
        rows.at_risk[fitted],
        total[fitted],
        link=terms.link,
        **sizes,
    )
    reached = is_zero | model.effects.identifies(rows.unit, month)
    whole = float(rows.at_risk[is_target].sum())
    for words, missed in (
        (UNEXPECTED, is_target & ~has_rows),
        (NO_EVENTS if terms.link == "log" else UNEXPECTED, is_target & has_rows & ~reached),
        (ZERO_EXPECTED, is_target & is_zero),
    ):
        if missed.any():
            lost.append((words, share_words(float(rows.at_risk[missed].sum()), whole)))
    target = np.flatnonzero(is_target & reached)
    if not target.size:
        raise DesignError(
            "no exposed member-month has an expected rate: exposed members have no month (with "
            "events) before exposure, or nobody (with events) is unexposed in the months after "
            "it. Begin the panel earlier, add members exposed later or never, or pool strata."
        )
    return _Expected(rows, month, total, fitted, target, is_zero, model), lost


def _without_events(code: np.ndarray, fitted: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Rows whose unit, or month, is fitted and has no event; shape of `code`, bool."""
    events = np.bincount(code[fitted], weights=total[fitted], minlength=int(code.max()) + 1)
    return np.asarray(events[code] == 0)


def _effects(
    expected: _Expected, held: np.ndarray, terms: CountTerms, per: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates (m,), loads on the outcome (n, m), and what each row is centred at (n, m)."""
    rows, target, fitted = expected.rows, expected.target, expected.fitted
    at_risk = rows.at_risk[target]
    rate = expected.rate(target)
    observed_events = expected.total[target] @ held
    expected_events = (at_risk * rate) @ held
    from_fit = expected.loads_of_expected(held)
    n_terms = held.shape[1]
    loads, centre = np.zeros((len(rows), n_terms)), np.zeros((len(rows), n_terms))
    centre[fitted] = expected.rate(fitted)[:, None]
    centre[target] = (expected.total[target] / at_risk)[:, None]
    if terms.is_ratio:
        _require_positive(expected_events)
        estimate = observed_events / expected_events
        loads[target] = held / expected_events
        loads[fitted] = -(estimate / expected_events) * from_fit
        untouched = estimate * rate[:, None]
    else:
        member_months = at_risk @ held
        difference = (observed_events - expected_events) / member_months
        estimate = per * difference
        loads[target] = per * held / member_months
        loads[fitted] = -per * from_fit / member_months
        untouched = rate[:, None] + difference
    if terms.weights == "estimated":
        centre[target] = untouched
    return estimate, loads, centre


def _require_positive(expected_events: np.ndarray) -> None:
    """Refuse ratios to expected rates of 0 or less (additive trends may cross 0)."""
    n_below = int((expected_events <= 0).sum())
    if n_below:
        raise EstimationError(
            f"scale='ratio': in {n_below} of {len(expected_events)} terms the rate without "
            "exposure is expected to be 0 or less, so no ratio to it can be taken. Use "
            "scale='difference' or link='log'."
        )


def _factor(moments: CellMoments, expected: _Expected, terms: CountTerms, cluster: str) -> float:
    """Small-sample factor of the covariance; every exposed cell-month has a term of its own."""
    if terms.small_sample == "none":
        return 1.0
    used = np.concatenate([expected.fitted, expected.target])
    n_coefficients = expected.model.effects.n_effects + len(expected.target)
    return crv1_factor(
        clusters_of(moments, expected.rows.grid, cluster),
        float(expected.rows.at_risk[used].sum()),
        n_coefficients,
    )
