"""Clustering by two things at once, such as county and plan."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.results import EffectTable, Method

REFERENCE = (
    "Cameron AC, Gelbach JB, Miller DL (2011). Robust inference with multiway clustering. Journal "
    "of Business & Economic Statistics 29(2):238-249. doi:10.1198/jbes.2010.07136"
)
AGREEMENT = 1e-9
"""Tables of one panel agree to rounding; relative."""


def multiway_clustered(
    first: EffectTable, second: EffectTable, *, intersection: EffectTable | None = None
) -> EffectTable:
    r"""The estimates with a covariance clustered by two things that cross, e.g. county and plan.

    Use where shocks may be shared within counties and also within plans that work in several
    counties.

    Parameters
    ----------
    first, second : EffectTable
        The same effects of the same members, clustered by one thing and by the other.
    intersection : EffectTable, optional
        The same, clustered by both together: ``reduce_panel(..., cluster="county_plan")`` with a
        column that has a value for each pair. May be left out when one of the two is clustered by
        member: a member has one county, so that members lie within counties and the
        intersection is the member. Member by county is then, exactly, county.

    Returns
    -------
    EffectTable
        Without ``cluster_influence``: the covariance is no cross-product of one.

    Raises
    ------
    EstimationError
        The tables are not about the same effects, both are clustered alike, or the intersection is
        missing or coarser than one of the two.

    Notes
    -----
    :math:`V = V_1 + V_2 - V_{12}` [1]_. A negative eigenvalue is set to 0, and a note says so.
    County by *month* is refused in effect: a month's influence on effects by cohort and month sums
    to 0 over members by construction, so there is no variance between months to be seen.

    References
    ----------
    .. [1] Cameron AC, Gelbach JB, Miller DL (2011). JBES 29(2):238-249.
       doi:10.1198/jbes.2010.07136
    """
    names = [str(table.method.options.get("cluster", "?")) for table in (first, second)]
    _require_different(first, second, names)
    if intersection is None:
        if MEMBER not in names:
            raise EstimationError(
                f"multiway_clustered: clusters by {names[0]} and {names[1]} cross, and "
                "`intersection` is missing. Make a column of both, reduce_panel(..., cluster=that "
                "column), and estimate once more."
            )
        intersection = (first, second)[names.index(MEMBER)]
    for other in (second, intersection):
        _require_same(first, other)
    _require_finer(intersection, (first, second), names)
    raw = first.covariance + second.covariance - intersection.covariance
    covariance, is_mended = _without_negative_eigenvalues(raw)
    words = f"{names[0]} and {names[1]}"
    notes = [note for note in first.notes if not note.startswith("Standard errors are clustered")]
    notes.append(f"Standard errors are clustered by {words}, two ways.")
    if is_mended:
        notes.append("The two-way covariance had a negative eigenvalue, which was set to 0.")
    return EffectTable(
        keys=first.keys,
        estimate=first.estimate,
        covariance=covariance,
        support=first.support,
        estimand=first.estimand,
        method=Method(
            first.method.estimator,
            MappingProxyType({**first.method.options, "cluster": words}),
            "; ".join(part for part in (first.method.reference, REFERENCE) if part),
        ),
        notes=tuple(notes),
    )


def _require_different(first: EffectTable, second: EffectTable, names: list[str]) -> None:
    """Refuse two tables that are clustered alike."""
    if names[0] == names[1]:
        raise EstimationError(
            f"multiway_clustered: both tables are clustered by {names[0]}. Estimate the same "
            "effects with two different `cluster` columns."
        )


def _require_same(first: EffectTable, other: EffectTable) -> None:
    """Refuse tables of different effects or members."""
    is_same = len(first) == len(other) and first.keys.equals(other.keys)
    scale = np.nanmax(np.abs(first.estimate), initial=0.0)
    if is_same:
        is_same = np.allclose(
            first.estimate, other.estimate, rtol=AGREEMENT, atol=AGREEMENT * scale, equal_nan=True
        )
    if not is_same:
        raise EstimationError(
            f"multiway_clustered: the tables differ in rows or estimates ({len(first)} and "
            f"{len(other)} rows). Estimate the same effects of the same panel each time."
        )


def _require_finer(
    intersection: EffectTable, tables: tuple[EffectTable, EffectTable], names: list[str]
) -> None:
    """Refuse an intersection with fewer clusters than one of its parts."""
    if intersection.cluster_influence is None:
        return
    n_both = len(intersection.cluster_influence)
    for table, name in zip(tables, names, strict=True):
        influence = table.cluster_influence
        if influence is None or len(influence) > n_both:
            n_own = "members" if influence is None else f"{len(influence)} clusters"
            raise EstimationError(
                f"multiway_clustered: the intersection has {n_both} clusters, and {name} has "
                f"{n_own}; it must be at least as fine as both."
            )


def _without_negative_eigenvalues(covariance: np.ndarray) -> tuple[np.ndarray, bool]:
    """The nearest covariance without negative eigenvalues, and whether it had any."""
    variance = np.diag(covariance)
    # A row that cannot vary (the base month) stays at exactly 0, or it would get an error.
    known = np.flatnonzero(np.isfinite(variance) & (variance != 0))
    block = covariance[np.ix_(known, known)]
    if np.isnan(block).any():
        raise EstimationError(
            "multiway_clustered: covariances between some rows are unknown (stacked tables). "
            "Combine each table before stacking."
        )
    values, vectors = np.linalg.eigh(block)
    if not values.size or values.min() >= -1e-12 * max(values.max(), 0.0):
        return covariance, False
    mended = covariance.copy()
    mended[np.ix_(known, known)] = (vectors * np.clip(values, 0.0, None)) @ vectors.T
    return mended, True
