"""A composite index with declared weights, and how far its ranks can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, quoted, require_choice
from calaim_eval.integration.composite.index_components import IndexComponents
from calaim_eval.integration.composite.missing_components import ranks_whatever_is_missing
from calaim_eval.integration.composite.principal_components import (
    PrincipalComponents,
    principal_components,
)
from calaim_eval.results import BoundsTable, Estimand, Method

Normalization: TypeAlias = Literal["min_max", "z", "rank"]
MissingComponents: TypeAlias = Literal["leave_out", "reweight"]
_OECD = (
    "OECD, JRC (2008). Handbook on constructing composite indicators. doi:10.1787/9789264043466-en"
)
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class IndexRule:
    r"""How components become one index; declared before anybody is ranked.

    Attributes
    ----------
    weights : Mapping[str, float]
        Weight of each component; above 0, together 1.
    lower_is_better : tuple[str, ...]
        Components of which little is good; they are turned.
    normalization : {"min_max", "z", "rank"}
        To 0 for the lowest and 1 for the highest unit; to standard deviations from the mean; or to
        the share of units below (ties halved), free of outliers and of units.
    missing : {"leave_out", "reweight"}
        A unit without a component is not ranked; or its other weights are scaled up, where they
        are at least `min_weight_known`. Nothing is imputed.
    min_weight_known : float
        With ``"reweight"``.
    min_support : int
        A unit with a component from fewer members or events is not ranked.
    concentration : float
        Of the Dirichlet weights around the declared ones: 50 lets a weight of .25 vary by .06 (one
        standard deviation), :math:`\sqrt{w(1-w)/(c+1)}`.
    """

    weights: Mapping[str, float]
    lower_is_better: tuple[str, ...] = ()
    normalization: Normalization = "min_max"
    missing: MissingComponents = "leave_out"
    min_weight_known: float = 0.75
    min_support: int = 11
    concentration: float = 50.0

    def __post_init__(self) -> None:
        values = list(self.weights.values())
        if len(values) < 2 or not all(w > 0 for w in values) or abs(sum(values) - 1) > 1e-9:
            raise EstimationError(
                f"`weights`: {len(values)} weights with the sum {sum(values):.6g}; two or more "
                "above 0 that add up to 1 are needed.\n  Divide them by their sum."
            )
        unknown = [name for name in self.lower_is_better if name not in self.weights]
        if unknown:
            raise EstimationError(
                f"`lower_is_better`: {unknown} have no weight.\n  Name components with a weight."
            )
        require_choice("`normalization`", self.normalization, ("min_max", "z", "rank"))
        require_choice("`missing`", self.missing, ("leave_out", "reweight"))
        if not (self.concentration > 0 and 0 < self.min_weight_known <= 1):
            raise EstimationError(
                "`concentration` must be above 0, `min_weight_known` above 0 and at most 1."
            )


@dataclass(frozen=True, slots=True, eq=False)
class CompositeIndex:
    """An index, its ranks, and ranges of ranks. Values stay restricted; `to_bounds` may leave.

    Attributes
    ----------
    units : tuple[str, ...]
        Ranked units, best first.
    unit_name : str
        Column name of the unit, e.g. ``"county"``.
    index : np.ndarray
        Shape (n,); high is good.
    rank : np.ndarray
        1 is best; equal values share the better rank; shape (n,).
    rank_low, rank_high : dict[str, np.ndarray]
        Middle 95 % of the ranks under each source of doubt: ``"weights"`` (Dirichlet),
        ``"sampling"`` (components as uncertain as they are), ``"both"``; with reweighted units also
        ``"missing"``: all ranks a unit could have, had what is missing been measured; (n,) each.
    normalized : np.ndarray
        Components on the common scale, NaN where missing; shape (n, k).
    support : np.ndarray
        Smallest number of members or events behind a unit; shape (n,).
    not_ranked : Mapping[str, str]
        Unit to the reason it has no rank.
    reweighted : tuple[str, ...]
        Ranked units that lack a component.
    without : pd.DataFrame
        Rank of each unit without one of the components, NaN where it has no other; index unit,
        one column a component.
    components : PrincipalComponents | None
        Of the normalized components: the sensitivity look, never the weights of the index.
    pca_rank : np.ndarray
        Ranks under squared loadings of the first component; NaN where it cannot be made; (n,).
    rule : IndexRule
    """

    units: tuple[str, ...]
    unit_name: str
    index: np.ndarray
    rank: np.ndarray
    rank_low: Mapping[str, np.ndarray]
    rank_high: Mapping[str, np.ndarray]
    normalized: np.ndarray
    support: np.ndarray
    not_ranked: Mapping[str, str]
    reweighted: tuple[str, ...]
    without: pd.DataFrame
    components: PrincipalComponents | None
    pca_rank: np.ndarray
    rule: IndexRule = field(repr=False)

    def __len__(self) -> int:
        return len(self.units)

    def __repr__(self) -> str:
        return (
            f"<CompositeIndex {len(self)} ranked, {len(self.not_ranked)} not, by {self.unit_name}>"
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a ranked unit, best first: index, rank, ranges, rank under PCA weights."""
        ranges = {
            f"rank_{end}_{source}": values[source]
            for source in self.rank_low
            for end, values in (("low", self.rank_low), ("high", self.rank_high))
        }
        return pd.DataFrame(
            {
                self.unit_name: self.units,
                "index": self.index,
                "rank": self.rank,
                **ranges,
                "pca_rank": self.pca_rank,
                "support": self.support,
                "is_reweighted": [unit in self.reweighted for unit in self.units],
            }
        )

    def to_bounds(self) -> BoundsTable:
        """Ranges of ranks, without index values: what may be released.

        An index value is a weighted sum of its components: with the other components it would
        give away one that is hidden. A range of ranks does not. Rows are in the order of names: in
        the order of ranks, a row would tell the rank of a unit whose range is hidden.
        """
        n = len(self)
        at = np.argsort(np.array(self.units, dtype=object), kind="stable")
        keys = pd.DataFrame(
            {
                self.unit_name: np.array(self.units, dtype=object)[at],
                "restriction": "dirichlet_weights",
                "bound": self.rule.concentration,
            }
        )
        low, high = (
            {source: ends[at] for source, ends in of.items()}
            for of in (self.rank_low, self.rank_high)
        )
        support = self.support[at]
        outer = [source for source in low if source != "sampling"]
        return BoundsTable(
            keys=keys,
            set_low=low["weights"].astype(float),
            set_high=high["weights"].astype(float),
            conf_low=np.min([low[source] for source in outer], axis=0).astype(float),
            conf_high=np.max([high[source] for source in outer], axis=0).astype(float),
            conf_level=0.95,
            support=pd.DataFrame(
                {"n_members": support, "n_events": support, "member_months": [np.nan] * n}
            ),
            estimand=Estimand(
                name="Rank on the composite index",
                contrast=f"1 is best of {n} ranked",
                unit="rank",
                is_causal=False,
            ),
            method=Method("Weighted mean of normalized components", self._options(), _OECD),
            bound_words="concentration of Dirichlet weights around the declared ones",
            notes=self._notes(),
            rests_on=(),
        )

    def _options(self) -> dict[str, object]:
        """The rule as a report prints it."""
        rule = self.rule
        weights = "; ".join(f"{name} {w:g}" for name, w in rule.weights.items())
        return {
            "weights": weights,
            "lower_is_better": "; ".join(rule.lower_is_better),
            "normalization": rule.normalization,
            "missing": rule.missing,
            "min_support": rule.min_support,
        }

    def _notes(self) -> tuple[str, ...]:
        """What a reader of the ranks must know."""
        notes = [
            "The inner range lets the weights vary around the declared ones, the outer range the "
            "components too, as far as chance may have moved them.",
        ]
        if self.not_ranked:
            reasons = pd.Series(list(self.not_ranked.values())).value_counts(sort=False)
            words = "; ".join(f"{reason}: {n}" for reason, n in reasons.items())
            notes.append(f"Not ranked: {words}.")
        if self.reweighted:
            notes.append(
                f"{len(self.reweighted)} ranked without one of the components, their other weights "
                "scaled up; the outer range holds every rank they, and the others beside them, "
                "could have had with it."
            )
        if self.components is not None:
            notes.append(
                f"The first principal component explains {self.components.explained[0]:.0%} of "
                "the components; sampling adequacy (KMO) "
                f"{self.components.sampling_adequacy:.2f}."
            )
        return tuple(notes)


def composite_index(
    components: IndexComponents,
    *,
    rule: IndexRule,
    rng: np.random.Generator,
    n_draws: int = 2000,
) -> CompositeIndex:
    r"""Rank units on several components at once, with ranges of ranks.

    Use to see who is clearly ahead or behind; read ranges, not ranks. Weights are a judgement and
    are declared (`IndexRule`); principal components are shown beside as a sensitivity.

    Parameters
    ----------
    components : IndexComponents
        Values of each component with their standard errors and support; see
        `components_from_rates`.
    rule : IndexRule
        Weights, normalization, missing components, smallest support.
    rng : np.random.Generator
    n_draws : int
        Draws of weights and of components.

    Returns
    -------
    CompositeIndex
        Units that lack support or a component are in `not_ranked`, with the reason; they get no
        rank.

    Raises
    ------
    EstimationError
        A component has no weight or the reverse, fewer than three units can be ranked, or a
        component has no value in any of them. A
        component that is equal in all ranks nobody, and is no error.

    Notes
    -----
    :math:`I_u = \sum_k w_k z_{uk} / \sum_k w_k` over the components unit :math:`u` has. Ranges are
    the 2.5th and 97.5th percentile of ranks over draws of :math:`w \sim
    \mathrm{Dirichlet}(c\,w)`, of components from the normal distribution with their standard
    errors (or from `IndexComponents.draws`, e.g. of a bootstrap over members), and of both; each
    draw is normalized anew [1]_.

    References
    ----------
    .. [1] OECD, JRC (2008). Handbook on constructing composite indicators: methodology and user
       guide. doi:10.1787/9789264043466-en
    .. [2] Saisana M, Saltelli A, Tarantola S (2005). J R Stat Soc A 168(2):307-323.
       doi:10.1111/j.1467-985X.2005.00350.x
    """
    _check_names(components, rule)
    chosen = components.select(list(rule.weights))
    not_ranked = _not_ranked(chosen, rule)
    kept = np.array([unit not in not_ranked for unit in chosen.units])
    if kept.sum() < 3:
        raise EstimationError(
            f"{int(kept.sum())} of {len(kept)} units can be ranked: fewer than three have the "
            "components and the support the rule asks.\n  Rank larger units, or drop the component "
            "that is missing most."
        )
    ranked = chosen.keep(kept)
    _require_measured(ranked)
    weights = np.array([rule.weights[name] for name in ranked.names])
    turned = np.array([-1.0 if name in rule.lower_is_better else 1.0 for name in ranked.names])
    oriented = ranked.values * turned
    normalized = normalize(oriented, rule.normalization)
    index = weighted_mean(normalized, weights)
    ranks = _draws_of_ranks(ranked, turned, weights, rule=rule, rng=rng, n_draws=n_draws)
    order = np.lexsort((np.arange(len(index)), -np.round(index, 12)))
    parts, pca_rank = _by_principal_component(normalized)
    rank = ranks_of(index)
    units = np.array(ranked.units, dtype=object)[order]
    bounds = {source: _middle(drawn, rank)[:, order] for source, drawn in ranks.items()}
    if np.isnan(normalized).any():
        ends = ranks_whatever_is_missing(oriented, weights, rule.normalization)
        bounds["missing"] = _around(*ends, rank)[:, order]
    return CompositeIndex(
        units=tuple(map(str, units)),
        unit_name=ranked.unit_name,
        index=index[order],
        rank=rank[order],
        rank_low={source: pair[0] for source, pair in bounds.items()},
        rank_high={source: pair[1] for source, pair in bounds.items()},
        normalized=normalized[order],
        support=ranked.smallest_support()[order],
        not_ranked=not_ranked,
        reweighted=tuple(
            str(unit)
            for unit, row in zip(units, normalized[order], strict=True)
            if np.isnan(row).any()
        ),
        without=_without_each(normalized[order], weights, ranked.names).set_axis(
            pd.Index(units, name=ranked.unit_name)
        ),
        components=parts,
        pca_rank=pca_rank[order],
        rule=rule,
    )


def normalize(values: np.ndarray, how: Normalization) -> np.ndarray:
    """Columns on a common scale, high staying high; missing values stay missing.

    Parameters
    ----------
    values : np.ndarray
        Shape (..., n, k): one row a unit.
    how : {"min_max", "z", "rank"}
        See `IndexRule`. A column that is equal in all units is 0 throughout.

    Returns
    -------
    np.ndarray
        Same shape.
    """
    if how == "rank":
        return _shares_below(values)
    if how == "min_max":
        base = np.nanmin(values, axis=-2, keepdims=True)
        width = np.nanmax(values, axis=-2, keepdims=True) - base
    else:
        base = np.nanmean(values, axis=-2, keepdims=True)
        width = np.nanstd(values, axis=-2, ddof=1, keepdims=True)
    return np.asarray((values - base) / np.where(width > 0, width, 1.0))


def weighted_mean(normalized: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of the components each unit has; shape (..., n).

    Where drawn weights of all a unit has are 0 to the last digit, they count alike.

    Parameters
    ----------
    normalized : np.ndarray
        Shape (..., n, k).
    weights : np.ndarray
        Shape (k,) or (..., k).
    """
    known = np.isfinite(normalized)
    w = weights[..., None, :] * known
    w = np.where(w.sum(axis=-1, keepdims=True) > 0, w, known)
    return np.asarray((w * np.where(known, normalized, 0.0)).sum(axis=-1) / w.sum(axis=-1))


def ranks_of(index: np.ndarray) -> np.ndarray:
    """Ranks, 1 for the highest; equal values share the better rank; shape (..., n)."""
    from scipy import stats

    return np.asarray(stats.rankdata(-np.round(index, 12), method="min", axis=-1), dtype=int)


def _shares_below(values: np.ndarray) -> np.ndarray:
    """Share of the other units below each value, ties halved."""
    from scipy import stats

    n_others = np.isfinite(values).sum(axis=-2, keepdims=True) - 1
    place = stats.rankdata(values, method="average", axis=-2, nan_policy="omit")
    return np.asarray((place - 1) / np.maximum(n_others, 1))


def _check_names(components: IndexComponents, rule: IndexRule) -> None:
    """Refuse weights of components that are not there, and components without one."""
    absent = [name for name in rule.weights if name not in components.names]
    unweighted = [name for name in components.names if name not in rule.weights]
    if absent or unweighted:
        raise EstimationError(
            f"weights without a component: {absent}; components without a weight: {unweighted}.\n"
            "  Declare one weight for each component, or leave the component out."
        )


def _require_measured(ranked: IndexComponents) -> None:
    """Refuse a component that no ranked unit has: nothing says what it could change."""
    unmeasured = [
        str(name)
        for name, column in zip(ranked.names, ranked.values.T, strict=True)
        if not np.isfinite(column).any()
    ]
    if unmeasured:
        raise EstimationError(
            f"{quoted(unmeasured)}: no unit that can be ranked has a value.\n  Leave the component "
            "out of the rule, and divide the other weights by their sum."
        )


def _not_ranked(components: IndexComponents, rule: IndexRule) -> dict[str, str]:
    """Units without a rank, and the reason of each."""
    weights = np.array([rule.weights[name] for name in components.names])
    known = np.isfinite(components.values)
    weight_known = known @ weights
    least = 1.0 if rule.missing == "leave_out" else rule.min_weight_known
    smallest = components.smallest_support()
    reasons = {}
    for position, unit in enumerate(components.units):
        if weight_known[position] < least - 1e-12:
            reasons[str(unit)] = "a component is missing"
        elif not smallest[position] >= rule.min_support:
            reasons[str(unit)] = "too few members or events behind a component"
    return reasons


def _draws_of_ranks(
    components: IndexComponents,
    turned: np.ndarray,
    weights: np.ndarray,
    *,
    rule: IndexRule,
    rng: np.random.Generator,
    n_draws: int,
) -> dict[str, np.ndarray]:
    """Ranks under drawn weights, drawn components and both; shape (n_draws, n) each."""
    if n_draws < 100:
        raise EstimationError("`n_draws` is below 100: the ends of a range need more.")
    drawn_weights = rng.dirichlet(rule.concentration * weights, size=n_draws)
    drawn = components.draw(n_draws, rng=rng) * turned
    fixed = normalize(components.values * turned, rule.normalization)
    ranks = {"weights": ranks_of(weighted_mean(fixed[None], drawn_weights))}
    moving = normalize(drawn, rule.normalization)
    ranks["sampling"] = ranks_of(weighted_mean(moving, weights))
    ranks["both"] = ranks_of(weighted_mean(moving, drawn_weights))
    return ranks


def _middle(ranks: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Ends of the middle 95 % of ranks, whole, around the rank itself; shape (2, n)."""
    low = np.quantile(ranks, _TAIL, axis=0, method="lower")
    high = np.quantile(ranks, 1 - _TAIL, axis=0, method="higher")
    return _around(low, high, rank)


def _around(low: np.ndarray, high: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Ends of a range that holds the rank itself; shape (2, n)."""
    return np.array([np.minimum(low, rank), np.maximum(high, rank)])


def _without_each(normalized: np.ndarray, weights: np.ndarray, names: np.ndarray) -> pd.DataFrame:
    """Ranks without one of the components; NaN for a unit that has no other."""
    columns = {}
    for position, name in enumerate(names):
        others = np.where(np.arange(len(names)) == position, 0.0, weights)
        has_other = (np.isfinite(normalized) & (others > 0)).any(axis=1)
        rank = np.full(len(normalized), np.nan)
        rank[has_other] = ranks_of(weighted_mean(normalized[has_other], others))
        columns[str(name)] = rank
    return pd.DataFrame(columns)


def _by_principal_component(
    normalized: np.ndarray,
) -> tuple[PrincipalComponents | None, np.ndarray]:
    """Components of the complete units, and ranks under squared loadings of the first."""
    complete = normalized[np.isfinite(normalized).all(axis=1)]
    try:
        parts = principal_components(complete)
    except EstimationError:
        return None, np.full(len(normalized), np.nan)
    return parts, ranks_of(weighted_mean(normalized, parts.loadings[:, 0] ** 2)).astype(float)


def spearman(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Rank correlation of two rankings of the same units."""
    from scipy import stats

    return float(stats.spearmanr(first, second).statistic)
