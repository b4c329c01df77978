"""Risk-set matching: at each index month the exposed with the nearest who are not yet exposed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.design.match_metric import RiskRows, risk_rows
from calaim_eval.design.matched_rules import ALL_USED, FAR, NOBODY, RiskRules
from calaim_eval.design.nearest import (
    Matches,
    Points,
    nearest_with_replacement,
    nearest_without_replacement,
)

Replacement = Literal["across_months", "with", "without"]
Censoring = Literal["set", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class MatchedSets:
    """Pairs of an exposed member and a match; a set is the pairs of one exposed member.

    Attributes
    ----------
    exposed, comparison : np.ndarray
        Rows of the candidates; shape (n_pairs,), ordered by index month and exposed member.
    month : np.ndarray
        Index month of each pair; shape (n_pairs,).
    distance : np.ndarray
        Shape (n_pairs,).
    reason : np.ndarray
        Why an exposed member at risk has no match, ``""`` otherwise; shape (n_candidates,).
    """

    exposed: np.ndarray
    comparison: np.ndarray
    month: np.ndarray
    distance: np.ndarray
    reason: np.ndarray

    def set_of_pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of each pair's set from 0, and the position of each set's first pair."""
        first = np.flatnonzero(np.concatenate([[True], self.exposed[1:] != self.exposed[:-1]]))
        number = np.repeat(np.arange(len(first)), np.diff([*first, len(self.exposed)]))
        return number, first


def sides_at_risk(rules: RiskRules, month: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows at risk in an index month: exposed in it, and not yet exposed."""
    rows = rules.at_risk(np.arange(len(rules.eligible)), month)
    is_exposed = rules.exposed[rows] == month
    return rows[is_exposed], rows[~is_exposed]


def risk_blocks(rules: RiskRules) -> list[RiskRows]:
    """Matching variables of everybody at risk, for each index month with both sides."""
    blocks = []
    for month in rules.index_months():
        exposed, others = sides_at_risk(rules, int(month))
        if exposed.size and others.size:
            rows = np.concatenate([exposed, others])
            is_exposed = np.arange(len(rows)) < len(exposed)
            blocks.append(risk_rows(rules.values(rows, int(month)), is_exposed))
    return blocks


def match_sets(
    rules: RiskRules,
    cell: np.ndarray,
    tie: np.ndarray,
    metric: np.ndarray,
    *,
    ratio: int,
    caliper: float | None,
    replacement: Replacement,
) -> MatchedSets:
    """Match the exposed of each index month, the months in order.

    Parameters
    ----------
    rules : RiskRules
    cell : np.ndarray
        Exact groups as whole numbers; shape (n,).
    tie : np.ndarray
        One uniform draw a member, which breaks ties; shape (n,).
    metric : np.ndarray
        From `metric_matrix`; shape (p, d).
    ratio : int
    caliper : float, optional
    replacement : {"across_months", "with", "without"}
        Whether a member may be a match once in an index month, any number of times, or once in
        all.
    """
    is_free = np.ones(len(cell), dtype=bool)
    reason = np.full(len(cell), "", dtype=object)
    found = []
    for month in map(int, rules.index_months()):
        exposed, others = sides_at_risk(rules, month)
        others = others[np.isin(cell[others], cell[exposed])]
        pool = others[is_free[others]]
        places = [
            Points(rules.values(rows, month) @ metric, cell[rows], tie[rows])
            for rows in (exposed, pool)
        ]
        nearest = nearest_with_replacement if replacement == "with" else nearest_without_replacement
        pairs = nearest(*places, ratio=ratio, caliper=caliper)
        if replacement == "without":
            is_free[pool[pairs.pool]] = False
        alone = np.setdiff1d(np.arange(len(exposed)), pairs.exposed)
        everyone = Points(rules.values(others, month) @ metric, cell[others], tie[others])
        reason[exposed[alone]] = _why_alone(places[0].take(alone), everyone, caliper)
        order = np.lexsort((pairs.distance, pairs.exposed))
        found.append((exposed, pool, Matches(*(_ordered(pairs, order))), month))
    return MatchedSets(
        exposed=_joined([e[p.exposed] for e, _, p, _ in found], np.int64),
        comparison=_joined([r[p.pool] for _, r, p, _ in found], np.int64),
        month=_joined([np.full(len(p.pool), m) for _, _, p, m in found], np.int64),
        distance=_joined([p.distance for _, _, p, _ in found], np.float64),
        reason=reason,
    )


def _ordered(pairs: Matches, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs in another order."""
    return pairs.exposed[order], pairs.pool[order], pairs.distance[order]


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    """Arrays end to end; empty without any."""
    return np.concatenate([np.empty(0, dtype=dtype), *parts])


def _why_alone(alone: Points, everyone: Points, caliper: float | None) -> np.ndarray:
    """Why exposed members have no match."""
    reason = np.full(len(alone.cell), NOBODY, dtype=object)
    reason[np.isin(alone.cell, everyone.cell)] = FAR
    reason[nearest_with_replacement(alone, everyone, ratio=1, caliper=caliper).exposed] = ALL_USED
    return reason


def last_months(sets: MatchedSets, rules: RiskRules, *, censor: Censoring) -> np.ndarray:
    """Last month that counts of each set, the same for its exposed member and its matches.

    A set ends before the first month in which anybody in it is not covered: a side that lost a
    member's level while the other kept its counterpart's would show a change that nobody had.

    Parameters
    ----------
    rules : RiskRules
        Coverage and month of exposure of the candidates.
    censor : {"set", "none"}
        Whether a set also ends before the first of its matches is exposed.

    Returns
    -------
    np.ndarray
        Month number, NaN where follow-up does not end early; shape (n_sets,).
    """
    if not sets.comparison.size:
        return np.empty(0)
    _, first = sets.set_of_pair()
    matches = rules.use.covered_until(sets.comparison, sets.month)
    if censor == "set":
        matches = np.fmin(matches, rules.exposed[sets.comparison] - 1)
    own = rules.use.covered_until(sets.exposed[first], sets.month[first])
    return np.asarray(np.fmin(np.fmin.reduceat(matches, first), own))


def linked_sets(sets: MatchedSets, n_candidates: int) -> np.ndarray:
    """Number of each set's group: sets that share a member, directly or by others, are one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    number, first = sets.set_of_pair()
    n_sets = len(first)
    persons = np.concatenate([sets.exposed[first], sets.comparison])
    of_set = np.concatenate([np.arange(n_sets), number])
    size = n_sets + n_candidates
    links = coo_matrix((np.ones(len(persons)), (of_set, n_sets + persons)), shape=(size, size))
    label = connected_components(links, directed=False)[1][:n_sets]
    return np.asarray(np.unique(label, return_inverse=True)[1])
