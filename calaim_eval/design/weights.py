"""Weights of members that make both sides alike, and how much of the data they use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

Weighting = Literal["entropy_balance", "propensity"]
WeightTarget = Literal["att", "overlap"]
SIDES = ("exposed", "comparison")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True, eq=False)
class MemberWeights:
    """Weights of exposed and comparison members, which sum to the same on both sides.

    Made by `entropy_balance` or `propensity_weights`; read by `balance` and `overlap_plot`.

    Attributes
    ----------
    weights : pd.DataFrame
        One row per member in the order given: `is_exposed`, `weight` (0 = set aside) and, of
        propensity weights, `score` (probability of exposure). Index: that of the frames given,
        usually `member_id`. Not for release.
    target : {"att", "overlap"}
        Whose effect weighted means estimate: the exposed, or those who might be on either side.
    method : str
        In words, with the reference.
    diagnostics : pd.DataFrame
        One row a side: `n_members`, `n_weighted`, `effective_sample_size`,
        `share_outside_support`, `largest_share` (of the side's weight on one member) and
        quantiles of the positive weights relative to their mean. Counts: not for release.
    notes : tuple[str, ...]
    """

    weights: pd.DataFrame
    target: WeightTarget
    method: str
    diagnostics: pd.DataFrame
    notes: tuple[str, ...] = ()

    def to_frame(self, *, member_id: str = "member_id") -> pd.DataFrame:
        """`member_id`, `is_exposed` and `weight`, to be merged onto member-level data.

        The weights are those of members: a regression on member months takes the same weight in
        every month of a member and clusters by member.
        """
        return self.weights[["is_exposed", "weight"]].reset_index(names=member_id)

    def __repr__(self) -> str:
        sizes = self.diagnostics["effective_sample_size"].round().astype(int)
        return (
            f"<MemberWeights for the {self.target}: effective sample size {sizes['exposed']:,} "
            f"exposed, {sizes['comparison']:,} comparison>"
        )


def effective_sample_size(weights: np.ndarray) -> float:
    r"""Kish's effective sample size, :math:`(\sum w)^2 / \sum w^2`; 0 without weight.

    Examples
    --------
    >>> effective_sample_size(np.array([1.0, 1.0, 2.0]))
    2.6666666666666665
    """
    square = float((weights**2).sum())
    return float(weights.sum() ** 2 / square) if square else 0.0


def weight_diagnostics(
    is_exposed: np.ndarray, weight: np.ndarray, is_outside: np.ndarray
) -> pd.DataFrame:
    """Diagnostics of `MemberWeights`, one row a side; all arrays have shape (n,)."""
    rows = {}
    for side, members in zip(SIDES, (is_exposed, ~is_exposed), strict=True):
        w = weight[members]
        positive = w[w > 0]
        relative = positive / positive.mean() if len(positive) else np.full(1, np.nan)
        rows[side] = {
            "n_members": len(w),
            "n_weighted": len(positive),
            "effective_sample_size": effective_sample_size(w),
            "share_outside_support": float(is_outside[members].mean()),
            "largest_share": float(w.max() / w.sum()) if w.sum() else np.nan,
            **{
                f"weight_p{round(100 * q):02d}": float(value)
                for q, value in zip(QUANTILES, np.quantile(relative, QUANTILES), strict=True)
            },
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("side")
