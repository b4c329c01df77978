"""What a two-way fixed effects coefficient is made of: every 2x2 comparison with its weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cell_rows import require_balanced
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.stratum_terms import (
    StratumTerms,
    identified_strata,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.support import side_support
from calaim_eval.estimate.two_way.two_way_terms import REFERENCE
from calaim_eval.estimate.words import default_unit
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import MISSING, index_frequency, period_labels
from calaim_eval.results import EffectTable, Estimand, Method

if TYPE_CHECKING:
    from plotnine import ggplot

NEVER, ALWAYS = "exposed_vs_never", "exposed_vs_always"
EARLIER, LATER = "earlier_vs_later", "later_vs_earlier"
FORBIDDEN = (
    "Comparisons with members who are exposed already (later_vs_earlier, exposed_vs_always) are "
    "biased where effects grow or fade: group_time_att does not make them."
)


@dataclass(frozen=True, slots=True, eq=False)
class BaconDecomposition:
    """A two-way fixed effects coefficient as a weighted mean of 2x2 comparisons.

    Attributes
    ----------
    comparisons : EffectTable
        One row per comparison. Keys: stratum columns (if any), ``comparison``
        (``"exposed_vs_never"``, ``"exposed_vs_always"``, ``"earlier_vs_later"``,
        ``"later_vs_earlier"``), ``exposed_cohort``, ``comparison_cohort`` (missing = never).
    weight : np.ndarray
        Of each comparison; sum to 1 in every stratum; shape (k,).
    stratum : tuple[str, ...]
        Which keys are the strata.
    """

    comparisons: EffectTable
    weight: np.ndarray
    stratum: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Keys, weight, estimate, std_error and support of every comparison."""
        frame = self.comparisons.to_frame()
        frame.insert(len(self.comparisons.keys.columns), "weight", self.weight)
        return frame

    def by_comparison(self) -> pd.DataFrame:
        """Total weight and weighted mean estimate of each kind; one row per stratum and kind."""
        names = [*self.stratum, "comparison"]
        frame = self.comparisons.keys[names].assign(
            weight=self.weight, part=self.weight * self.comparisons.estimate
        )
        sums = frame.groupby(names, sort=False, dropna=False).sum().reset_index()
        return sums.assign(estimate=sums["part"] / sums["weight"]).drop(columns="part")

    def two_way(self) -> pd.DataFrame:
        """The coefficient the comparisons add up to: ``estimate``, one row per stratum."""
        parts = self.comparisons.keys[list(self.stratum)].assign(
            estimate=self.weight * self.comparisons.estimate
        )
        if not self.stratum:
            return pd.DataFrame({"estimate": [parts["estimate"].sum()]})
        return parts.groupby(list(self.stratum), sort=False, dropna=False).sum().reset_index()

    def plot(self) -> ggplot:
        """Estimates against weights; style the returned plotnine object with ``+``."""
        from calaim_eval.estimate.two_way.bacon_plot import plot_bacon

        return plot_bacon(self)

    def alt_text(self) -> str:
        """The figure's numbers in words."""
        from calaim_eval.estimate.two_way.bacon_plot import bacon_alt_text

        return bacon_alt_text(self)

    def __repr__(self) -> str:
        return (
            f"<BaconDecomposition: {len(self.weight):,} comparisons; "
            f"{self.comparisons.estimand.unit}>"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Comparison:
    """One 2x2: who, with whom, in which months before and after (T,), and its weight."""

    kind: str
    exposed: int
    other: int
    before: np.ndarray
    after: np.ndarray
    weight: float


def bacon_decomposition(
    moments: CellMoments,
    *,
    outcome: str,
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> BaconDecomposition:
    r"""Every 2x2 comparison in a two-way fixed effects coefficient (Goodman-Bacon).

    Use to show why the naive regression says what it says: how much of it compares with members
    who are exposed already.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`, every member covered in every month, without covariate cells.
    outcome : str
        One of ``moments.outcomes``.
    cluster : str
        ``"member"`` or the cluster column of the moments; for the errors of single comparisons.
    per : float
        1,000 gives estimates per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    BaconDecomposition
        Its weighted sum is `two_way_fixed_effects` of the same moments.

    Raises
    ------
    EstimationError
        Members with gaps (the message says how much would be lost), covariate cells, or an outcome
        that does not vary.
    DesignError
        No two cohorts differ in when they are exposed.

    Notes
    -----
    With n the cohort sizes and :math:`\bar D` the share of months exposed, weights are
    proportional to :math:`n_k n_U \bar D_k (1 - \bar D_k)` (with never or always exposed),
    :math:`n_k n_l (\bar D_k - \bar D_l)(1 - \bar D_k)` (earlier k against later l, before l is
    exposed) and :math:`n_k n_l (\bar D_k - \bar D_l) \bar D_l` (later l against earlier k, after k
    is exposed) [1]_. The weights follow from the sizes of the cohorts: release them as such.

    References
    ----------
    .. [1] Goodman-Bacon A (2021). J Econometrics 225(2):254-277. doi:10.1016/j.jeconom.2021.03.014
    """
    require_cluster(moments, cluster)
    if moments.covariate_cells:
        names = ", ".join(repr(c) for c in moments.covariate_cells)
        raise EstimationError(
            f"bacon_decomposition: these moments have covariate cells ({names}); the decomposition "
            f"is of a regression without covariates. Use moments.pooled({names})."
        )
    grids = stratum_grids(moments, outcome)
    require_balanced(
        grids,
        what="bacon_decomposition",
        otherwise="Keep the members covered throughout, or shorten the window; "
        "two_way_fixed_effects_from_members gives the coefficient itself with gaps.",
    )
    frequency = index_frequency(moments.months)
    strata, losses = identified_strata(grids, lambda grid: (_terms(grid, frequency), ()), per=per)
    require_variation(moments, outcome)
    table = terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=Estimand(
            name="2x2 comparison",
            contrast="change of the exposed cohort from before to after its exposure, minus that "
            "of the comparison cohort",
            unit=unit or default_unit(moments, outcome, per),
            is_causal=False,
        ),
        method=Method(
            "Goodman-Bacon decomposition, from cell moments",
            MappingProxyType({"outcome": outcome, "cluster": cluster, "per": per}),
            REFERENCE,
        ),
        notes=[FORBIDDEN],
        losses=losses,
    )
    weights = np.concatenate([_weights(terms.grid) for terms in strata])
    return BaconDecomposition(table, weights, moments.stratum)


def _comparisons(grid: CellGrid) -> Iterator[_Comparison]:
    """Every 2x2 with a weight above 0, exposed cohorts in order.

    Cohorts exposed after the last month are never exposed; -1 stands for all of them together.
    """
    is_never = grid.is_never | (grid.cohorts > grid.axis[-1])
    after = grid.axis[None, :] >= np.where(is_never, grid.axis[-1] + 1, grid.cohorts)[:, None]
    share, size = after.mean(axis=1), grid.n_members.sum(axis=1)
    n_never = float(size[is_never].sum())
    timed = np.flatnonzero(~is_never)
    for k in timed[share[timed] < 1]:
        if n_never:
            weight = size[k] * n_never * share[k] * (1 - share[k])
            yield _Comparison(NEVER, int(k), -1, ~after[k], after[k], float(weight))
    for k in timed:
        for later in timed[share[timed] < share[k]]:
            both = size[k] * size[later] * (share[k] - share[later])
            if share[k] < 1:
                yield _Comparison(
                    EARLIER,
                    int(k),
                    int(later),
                    ~after[k],
                    after[k] & ~after[later],
                    float(both * (1 - share[k])),
                )
            yield _Comparison(
                LATER if share[k] < 1 else ALWAYS,
                int(later),
                int(k),
                after[k] & ~after[later],
                after[later],
                float(both * share[later]),
            )


def _weights(grid: CellGrid) -> np.ndarray:
    """Weights of the comparisons of one stratum, in order; they sum to 1."""
    weight = np.array([each.weight for each in _comparisons(grid)])
    return np.asarray(weight / weight.sum())


def _terms(grid: CellGrid, frequency: str) -> StratumTerms:
    """Estimates, loads and support of the comparisons of one stratum."""
    found = list(_comparisons(grid))
    if not found:
        raise DesignError(
            "no two cohorts differ in when they are exposed within the panel, so there is no 2x2 "
            "comparison. Check `cohort` (missing = never exposed), or lengthen the panel."
        )
    is_never = grid.is_never | (grid.cohorts > grid.axis[-1])
    size, total = grid.n_members[:, 0], grid.total[:, 0]
    shape = (len(found), *grid.at_risk.shape)
    loads, coverage = np.zeros(shape), np.zeros(shape)
    estimate, sides = np.zeros(len(found)), []
    for term, each in enumerate(found):
        months = each.after / each.after.sum() - each.before / each.before.sum()
        used = np.zeros((2, *grid.at_risk.shape), dtype=bool)
        others = is_never if each.other < 0 else np.arange(len(size)) == each.other
        chosen = (np.arange(len(size)) == each.exposed, others)
        for side, (cohorts, sign) in enumerate(zip(chosen, (1.0, -1.0), strict=True)):
            n = size[cohorts].sum()
            mean = total[cohorts].sum(axis=0) / n
            estimate[term] += sign * (months @ mean)
            loads[term, cohorts, 0] = sign * months / n
            coverage[term, cohorts, 0] = -sign * months * mean / n
            used[side, cohorts, 0] = each.before | each.after
        sides.append(np.stack([side_support(grid, both) for both in used]))
    return StratumTerms(
        grid=grid,
        keys=_keys(grid, found, frequency),
        estimate=estimate,
        on_outcome=loads,
        on_coverage=coverage,
        sides=sides,
    )


def _keys(grid: CellGrid, found: list[_Comparison], frequency: str) -> pd.DataFrame:
    """Kind and cohorts of each comparison."""
    other = [MISSING if each.other < 0 else grid.cohorts[each.other] for each in found]
    return pd.DataFrame(
        {
            "comparison": [each.kind for each in found],
            "exposed_cohort": period_labels(
                grid.cohorts[[each.exposed for each in found]], frequency
            ),
            "comparison_cohort": period_labels(np.array(other, dtype=np.int64), frequency),
        }
    )
