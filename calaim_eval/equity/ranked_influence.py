r"""What each member adds to slope and concentration indices over ranks.

An index is a function of the members' weights: directly, and through the ranks, which are made of
the weights too. The influence of member :math:`i` is the derivative of the index with respect to
their share :math:`p_i` of the weight, times that share. The rank :math:`X_j` of member :math:`j`
moves by :math:`p_i (K_{ij} - X_j)`, with :math:`K_{ij}` 1 where :math:`i` stands below :math:`j`,
one half where they are level and 0 above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.equity.ordered_disparity import fitted_ends
from calaim_eval.equity.ordered_formulas import Model, absolute_concentration, midpoint_ranks
from calaim_eval.estimate.regressions.regression_error import cluster_sums

Ranks = Literal["sampled", "known"]


@dataclass(frozen=True, slots=True, eq=False)
class RankedMembers:
    """Members of one population with their place in its order.

    Attributes
    ----------
    outcome, share : np.ndarray
        Shape (n,); shares of the weight sum to 1.
    place : np.ndarray
        Number of the rank group, 0 the most disadvantaged; shape (n,), every number occurs.
    """

    outcome: np.ndarray
    share: np.ndarray
    place: np.ndarray

    @property
    def group_share(self) -> np.ndarray:
        """Share of each rank group; shape (k,)."""
        return np.bincount(self.place, weights=self.share)

    @property
    def group_rate(self) -> np.ndarray:
        """Mean outcome of each rank group; shape (k,)."""
        return np.asarray(
            np.bincount(self.place, weights=self.share * self.outcome) / self.group_share
        )

    @property
    def rank(self) -> np.ndarray:
        """Midpoint rank of each member; shape (n,)."""
        return np.asarray(midpoint_ranks(self.group_share)[self.place])


def ends_with_influence(
    members: RankedMembers, *, model: Model, top: float, ranks: Ranks
) -> tuple[np.ndarray, np.ndarray]:
    """Rates predicted at ranks 0 and 1, shape (2,), and their influence, shape (n, 2)."""
    ends = fitted_ends(members.group_rate, members.group_share, top=top, model=model)
    intercept, at_one = _linear_predictor(ends / top, model)
    slope = at_one - intercept
    x = np.column_stack([np.ones_like(members.rank), members.rank])
    level, steep = _level(intercept + slope * members.rank, model)
    away = members.outcome / top - level
    score = x * away[:, None]
    if ranks == "sampled":
        moves = np.column_stack([-steep * slope, away - members.rank * steep * slope])
        score = score + _through_ranks(members, moves)
    bread = np.linalg.inv((x.T * (members.share * steep)) @ x)
    coefficients = members.share[:, None] * (score @ bread)
    steep_ends = _level(np.array([intercept, at_one]), model)[1]
    return ends, top * steep_ends * np.cumsum(coefficients, axis=1)


def concentration_with_influence(
    members: RankedMembers, *, ranks: Ranks
) -> tuple[np.ndarray, np.ndarray]:
    """Absolute concentration and mean, shape (2,), and their influence, shape (n, 2).

    With ranks known the index is the slope of the convenient regression of the outcome, times
    twice the variance of the ranks; that variance and the mean are held.
    """
    y, p, x = members.outcome, members.share, members.rank
    found = np.array([absolute_concentration(members.group_rate, members.group_share), p @ y])
    if ranks == "known":
        low, high = fitted_ends(members.group_rate, members.group_share, top=1.0, model="linear")
        error = y - low - (high - low) * x
        return found, np.column_stack([2 * p * (x - 0.5) * error, np.zeros_like(p)])
    direct = (2 * x - 1) * y - found[0]
    through = _through_ranks(members, 2 * y[:, None])[:, 0]
    return found, np.column_stack([p * (direct + through), p * (y - found[1])])


def _through_ranks(members: RankedMembers, moves: np.ndarray) -> np.ndarray:
    """Effect of a member's weight through all ranks, `moves` by member and rank; (n, q)."""
    by_group = cluster_sums(members.share[:, None] * moves, members.place)
    above = by_group.sum(axis=0) - np.cumsum(by_group, axis=0)
    held = midpoint_ranks(members.group_share) @ by_group
    return np.asarray((above + by_group / 2 - held)[members.place])


def _linear_predictor(level: np.ndarray, model: Model) -> np.ndarray:
    """Linear predictor of a level."""
    if model == "linear":
        return level
    return np.asarray(np.log(level) - (np.log1p(-level) if model == "logit" else 0.0))


def _level(eta: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Level of a linear predictor, and its derivative."""
    if model == "linear":
        return eta, np.ones_like(eta)
    if model == "log":
        return np.exp(eta), np.exp(eta)
    level = 1 / (1 + np.exp(-eta))
    return level, level * (1 - level)
