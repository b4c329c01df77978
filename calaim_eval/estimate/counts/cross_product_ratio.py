"""Rate ratio when every covariate cell grows in its own way, without bias in small cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from calaim_eval.errors import DesignError, require_choice
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cohort_month.time_pairs import (
    SIDE,
    Comparison,
    TimePairs,
    require_comparison,
    require_pair_options,
    time_pairs,
)
from calaim_eval.estimate.counts.count_effects import require_no_negative
from calaim_eval.estimate.exposure_terms import AverageBy, averages
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.stratum_terms import (
    StratumTerms,
    identified_strata,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.support import side_support
from calaim_eval.estimate.words import count_words
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import index_frequency
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined

BaseMonths = Literal["last", "all"]
REFERENCE = (
    "Greenland S, Robins JM (1985). Estimation of a common effect parameter from sparse follow-up "
    "data. Biometrics 41(1):55-68. doi:10.2307/2530643"
)
NO_RATIO = "Terms left out because no product with the events expected is above 0"


def cross_product_ratio(
    moments: CellMoments,
    *,
    outcome: str,
    by: AverageBy = "overall",
    comparison: Comparison = "not_yet_exposed",
    base_months: BaseMonths = "last",
    anticipation_months: int = 0,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    cluster: str = MEMBER,
) -> EffectTable:
    r"""Rate ratio from cross-products of both sides' rates, summed over cells (Mantel-Haenszel).

    Use in place of `count_effects` where use of each covariate cell grows in its own way (cells of
    the month of eligibility) and cells are small: nothing is divided cell by cell, so that small
    cells leave no bias. Above 1: the exposed have more of the outcome than they would have had.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`.
    outcome : str
        One of ``moments.outcomes``; not negative.
    by : {"overall", "event_time", "cohort", "month", "cohort_month"}
        What is put together.
    comparison : {"not_yet_exposed", "never_exposed"}
    base_months : {"last", "all"}
        Levels before exposure are those of the last month before it, as in `group_time_att`; or of
        all months before it, with less error, where both sides grew alike in all of them.
    anticipation_months : int
        Months before exposure that may already be affected.
    min_event_time, max_event_time : int, optional
        Only effects at these months since exposure, from 0 on, both included.
    cluster : str
        ``"member"`` or the cluster column of the moments.

    Returns
    -------
    EffectTable
        Rate ratios. Keys: stratum columns (if any) and `by`. Strata jointly in the covariance.

    Raises
    ------
    DesignError
        Nothing is identified, or no event is expected.
    EstimationError
        An unknown option or outcome, negative counts, an outcome that does not vary.

    Notes
    -----
    In cohort g, cell x and month t, with base months s and rates of the exposed :math:`e`, of the
    comparison :math:`c`: if without exposure both sides of a cell grow by the same factor, the
    products :math:`e_{t} c_{s}` and :math:`\rho\, e_{s} c_{t}` have the same expectation, as the
    sides share no member. So :math:`\hat\rho = \sum_{gxt} R_{gxt} e_{gxt} \bar c_{gx} /
    \sum_{gxt} R_{gxt} \bar e_{gx} c_{gxt}`, with :math:`\bar c, \bar e` averages over base months
    weighted by :math:`R_{gs} R_{cs} / (R_{gs} + R_{cs})`, estimates one ratio without bias however
    small the cells [1]_. Where ratios differ it is their average, weighted by the events expected
    times the comparison's rate before. The error is that of the linear terms, exact from the
    moments and clustered, with the weights of base months as given; evaluated at the estimated
    rates it holds the products of both sides' chance too, and is rather too large in cells of a
    few events.

    References
    ----------
    .. [1] Greenland S, Robins JM (1985). Biometrics 41(1):55-68. doi:10.2307/2530643

    Examples
    --------
    >>> import pandas as pd
    >>> from calaim_eval.moments import reduce_panel
    >>> frame = pd.DataFrame({
    ...     "id": np.repeat([1, 2, 3, 4], 2), "year": [2020, 2021] * 4,
    ...     "first_exposed": [2021.0] * 4 + [np.nan] * 4, "visits": [1, 3, 2, 6, 1, 2, 1, 1],
    ... })
    >>> moments = reduce_panel(frame, outcomes=["visits"], member_id="id", month="year",
    ...                        cohort="first_exposed")
    >>> cross_product_ratio(moments, outcome="visits").estimate.round(3)
    array([2.])
    """
    require_pair_options(comparison, "varying", anticipation_months)
    for name, given, allowed in (
        ("base_months", base_months, ("last", "all")),
        ("by", by, ("overall", "event_time", "cohort", "month", "cohort_month")),
    ):
        require_choice(name, given, allowed)
    require_cluster(moments, cluster)
    grids = stratum_grids(moments, outcome)
    require_comparison([grid.cohorts for grid in grids], moments.months, comparison)
    require_variation(moments, outcome)
    require_no_negative(moments, outcome)
    asked = _Asked(by, comparison, base_months, anticipation_months, min_event_time, max_event_time)
    frequency = index_frequency(moments.months)
    strata, losses = identified_strata(grids, lambda grid: _terms(grid, asked, frequency))
    table = terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=Estimand(
            name="Rate ratio",
            contrast="rate of exposed members, divided by the rate they would have had by the "
            f"relative change of {SIDE[comparison]} of their covariate cell",
            unit=f"{outcome}: rate with exposure to rate without",
            scale="ratio",
        ),
        method=Method(
            "Cross-products of rates (Mantel-Haenszel), from cell moments",
            MappingProxyType(
                {
                    "outcome": outcome,
                    "cluster": cluster,
                    "covariate_cells": list(moments.covariate_cells),
                    **{name: getattr(asked, name) for name in _Asked.__dataclass_fields__},
                }
            ),
            REFERENCE,
        ),
        losses=losses,
    )
    nothing = np.array([side[0, 1] == 0 for found in strata for side in found.sides])
    covariance, influence = with_undefined(table.covariance, table.cluster_influence, nothing)
    return replace(table, covariance=covariance, cluster_influence=influence)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Options of one call."""

    by: AverageBy
    comparison: Comparison
    base_months: BaseMonths
    anticipation_months: int
    min_event_time: int | None
    max_event_time: int | None

    def pairs(self, grid: CellGrid) -> TimePairs:
        """Cohort-months from exposure on, inside the event times asked for."""
        pairs = time_pairs(
            grid.cohorts,
            grid.axis,
            comparison=self.comparison,
            base_period="varying",
            anticipation_months=self.anticipation_months,
        )
        since = grid.axis[pairs.month] - grid.cohorts[pairs.cohort]
        inside = since >= max(self.min_event_time or 0, 0)
        if self.max_event_time is not None:
            inside &= since <= self.max_event_time
        return pairs.take(np.flatnonzero(inside))

    def bases(self, base: int) -> np.ndarray:
        """Positions of the base months of a pair whose last is `base`."""
        return np.arange(base + 1) if self.base_months == "all" else np.array([base])


def _terms(
    grid: CellGrid, asked: _Asked, frequency: str
) -> tuple[StratumTerms, list[tuple[str, str]]]:
    """Ratios of one stratum, and what was lost."""
    pairs = asked.pairs(grid)
    if not len(pairs.cohort):
        raise DesignError(
            "no cohort-month from exposure on has a comparison within the event times asked for. "
            "Widen `min_event_time` and `max_event_time`, or add members exposed later or never."
        )
    keys, held = averages(
        asked.by,
        event_time=grid.axis[pairs.month] - grid.cohorts[pairs.cohort],
        cohort=grid.cohorts[pairs.cohort],
        month=grid.axis[pairs.month],
        frequency=frequency,
    )
    each = [_Products.of(grid, pairs, k, asked) for k in range(len(pairs.cohort))]
    above = np.array([one.above for one in each]) @ held
    below = np.array([one.below for one in each]) @ held
    kept = np.flatnonzero(below > 0)
    if not kept.size:
        raise DesignError(
            "no event is expected: cells have no event before exposure, or none of the comparison "
            "after it. Pool strata or covariate cells, or use base_months='all'."
        )
    lost = []
    if kept.size < len(keys):
        lost.append((NO_RATIO, count_words(float(len(keys) - kept.size), "terms")))
    ratio = above[kept] / below[kept]
    on_outcome = np.zeros((len(kept), *grid.at_risk.shape))
    on_coverage = np.zeros_like(on_outcome)
    sides = []
    for place, term in enumerate(kept):
        used = np.zeros((2, *grid.at_risk.shape), dtype=bool)
        for k in np.flatnonzero(held[:, term]):
            each[k].add_loads(on_outcome[place], on_coverage[place], ratio[place], below[term])
            each[k].mark(used)
        sides.append(np.stack([side_support(grid, side) for side in used]))
    # Loads act on the centred outcome.
    on_coverage += on_outcome * grid.shift
    return (
        StratumTerms(
            grid=grid,
            keys=keys.iloc[kept].reset_index(drop=True),
            estimate=ratio,
            on_outcome=on_outcome,
            on_coverage=on_coverage,
            sides=sides,
        ),
        lost,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Products:
    """Cross-products of one cohort-month; arrays over the X covariate cells, and S base months.

    `risk`, `rate` are of the exposed in the month; `other`, `other_rate` of the comparison in it;
    `base_rate`, `other_base_rate` (S, X) in the base months, `base_risk`, `other_base_risk` the
    same; `weight` (S, X) that of each base month, 0 in cells that have no pair.
    """

    cohort: int
    others: np.ndarray
    month: int
    bases: np.ndarray
    risk: np.ndarray
    rate: np.ndarray
    other: np.ndarray
    other_rate: np.ndarray
    base_risk: np.ndarray
    base_rate: np.ndarray
    other_base_risk: np.ndarray
    other_base_rate: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, grid: CellGrid, pairs: TimePairs, k: int, asked: _Asked) -> _Products:
        """Products of pair `k`."""
        cohort, month = int(pairs.cohort[k]), int(pairs.month[k])
        others = np.flatnonzero(pairs.comparison[k])
        bases = asked.bases(int(pairs.base[k]))
        level = grid.level
        risk, other = grid.at_risk[cohort, :, month], grid.at_risk[others, :, month].sum(axis=0)
        base_risk = grid.at_risk[cohort][:, bases].T
        other_base_risk = grid.at_risk[others][:, :, bases].sum(axis=0).T
        both = base_risk + other_base_risk
        weight = np.divide(
            base_risk * other_base_risk, both, out=np.zeros_like(both), where=both > 0
        )
        weight = weight * ((risk > 0) & (other > 0))
        whole = weight.sum(axis=0)
        return cls(
            cohort=cohort,
            others=others,
            month=month,
            bases=bases,
            risk=risk,
            rate=_quotient(level[cohort, :, month], risk),
            other=other,
            other_rate=_quotient(level[others, :, month].sum(axis=0), other),
            base_risk=base_risk,
            base_rate=_quotient(level[cohort][:, bases].T, base_risk),
            other_base_risk=other_base_risk,
            other_base_rate=_quotient(level[others][:, :, bases].sum(axis=0).T, other_base_risk),
            weight=_quotient(weight, np.broadcast_to(whole, weight.shape)),
        )

    @property
    def above(self) -> float:
        """Events of the exposed times the comparison's rate before."""
        return float((self.risk * self.rate * self._other_before).sum())

    @property
    def below(self) -> float:
        """Events at the exposed's rate before times the comparison's rate after."""
        return float((self.risk * self._before * self.other_rate).sum())

    @property
    def _other_before(self) -> np.ndarray:
        return np.asarray((self.weight * self.other_base_rate).sum(axis=0))

    @property
    def _before(self) -> np.ndarray:
        return np.asarray((self.weight * self.base_rate).sum(axis=0))

    def add_loads(
        self, on_outcome: np.ndarray, on_coverage: np.ndarray, ratio: float, below: float
    ) -> None:
        """Add the influence on the ratio, linear in the totals and member-months; (C, X, T)."""
        share = self.weight / below
        own = self._other_before / below
        on_outcome[self.cohort, :, self.month] += own
        on_coverage[self.cohort, :, self.month] -= ratio * self._before * self.other_rate / below
        after = -ratio * self.risk * self._before / below
        after = _quotient(after, self.other)
        on_outcome[self.others, :, self.month] += after
        on_coverage[self.others, :, self.month] -= after * self.other_rate
        for s, base in enumerate(self.bases):
            before = -ratio * self.risk * self.other_rate * share[s]
            before = _quotient(before, self.base_risk[s])
            on_outcome[self.cohort, :, base] += before
            on_coverage[self.cohort, :, base] -= before * self.base_rate[s]
            other = _quotient(self.risk * self.rate * share[s], self.other_base_risk[s])
            on_outcome[self.others, :, base] += other
            on_coverage[self.others, :, base] -= other * self.other_base_rate[s]

    def mark(self, used: np.ndarray) -> None:
        """Cells and months that enter, exposed and comparison; (2, C, X, T)."""
        has_pair = self.weight.any(axis=0)
        used[0, self.cohort, has_pair, self.month] = True
        for other in self.others:
            used[1, other, has_pair, self.month] = True
        for base in self.bases:
            used[0, self.cohort, has_pair, base] = True
            for other in self.others:
                used[1, other, has_pair, base] = True


def _quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quotient, 0 where nothing is divided by."""
    return np.asarray(
        np.divide(above, below, out=np.zeros(np.shape(above)), where=np.asarray(below) > 0)
    )
