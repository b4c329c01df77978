"""Members who count in each group by the probability of being in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.equity.group_probabilities import GroupProbabilities
from calaim_eval.equity.groups import as_groups, check_columns
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.results.share_words import share_words

KNOWN_BIAS = (
    "Probability weighting misses a group's rate by minus the mean covariance, among members of "
    "equal probabilities, of membership and outcome, over the group's share. Where the group goes "
    "with the outcome beyond name and place, gaps come out too small: see "
    "probability_weighting_bias."
)


@dataclass(frozen=True, slots=True)
class WeightedMembers:
    """Members, their weight in each group, and what each group's rate is made of."""

    events: np.ndarray
    time: np.ndarray
    weights: np.ndarray
    groups: tuple[str, ...]

    @property
    def rate(self) -> np.ndarray:
        """Weighted events over weighted time; shape (G,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((self.weights.T @ self.events) / (self.weights.T @ self.time))

    @property
    def influence(self) -> np.ndarray:
        """Influence of each member on each group's rate; shape (n, G)."""
        away = self.events[:, None] - self.time[:, None] * self.rate
        n = len(self.events)
        total = self.weights.T @ self.time
        return np.asarray(np.sqrt(n / (n - 1)) * self.weights * away / total)

    @property
    def has_spread(self) -> np.ndarray:
        """Groups with members that differ, to judge an error by; shape (G,), bool."""
        # All members at the rate leave what rounding leaves.
        return np.asarray((self.influence**2).sum(axis=0) > 1e-24 * self.rate**2)


def weighted_members(
    members: pd.DataFrame,
    outcome: str,
    time: str | None,
    probabilities: pd.DataFrame | GroupProbabilities,
    stratum: str,
    missing: Sequence[str] | str | None,
    threshold: float | None,
) -> tuple[WeightedMembers, tuple[str, ...]]:
    """Members with their weights, and the notes."""
    columns = ["member_id", outcome, *([] if time is None else [time])]
    check_columns(members, [*columns, *([] if missing is None else [stratum])])
    bad = {c: int(members[c].isna().sum()) for c in columns if members[c].isna().any()}
    repeats = int(members["member_id"].duplicated().sum())
    if bad or repeats:
        raise TableError(
            f"the members: {repeats:,} of {len(members):,} rows repeat a `member_id`; missing "
            f"values: {bad or 'none'}. Give one row per member with known values."
        )
    given = (
        probabilities
        if isinstance(probabilities, GroupProbabilities)
        else (GroupProbabilities(probabilities))
    )
    recorded = None if missing is None else as_groups(members, [stratum])[stratum]
    weights, groups = _weights(members, given, recorded, missing)
    notes = (*given.notes, KNOWN_BIAS)
    if threshold is not None:
        weights, left = _cut(weights, threshold)
        notes = (
            *given.notes,
            f"Thresholded: members without a probability of at least {threshold} are left out "
            f"({share_words(left, len(members))} of all). Who is left differs from who is not.",
        )
    events = members[outcome].to_numpy(dtype=float)
    if time is None and not np.isin(events, (0.0, 1.0)).all():
        raise EstimationError(f"`{outcome}` is not yes/no; name its denominator with `time`.")
    period = np.ones(len(members)) if time is None else members[time].to_numpy(dtype=float)
    if (period < 0).any() or (events < 0).any():
        raise EstimationError(f"`{outcome}` or its denominator is below 0 for some members.")
    data = WeightedMembers(events, period, weights, groups)
    empty = [g for g, total in zip(groups, weights.T @ period, strict=True) if not total > 0]
    if empty:
        raise EstimationError(f"no member has any weight in {', '.join(empty)}; drop the column.")
    return data, notes


def _weights(
    members: pd.DataFrame,
    given: GroupProbabilities,
    recorded: pd.Series | None,
    missing: Sequence[str] | str | None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Weight of each member in each group: 1 in a recorded group, else the probabilities."""
    groups = [str(c) for c in given.values.columns]
    needs = np.ones(len(members), dtype=bool)
    if recorded is not None:
        gone = [missing] if isinstance(missing, str) else list(missing or ())
        needs = recorded.isin(gone).to_numpy()
        groups += [g for g in dict.fromkeys(recorded[~needs]) if g not in groups]
    weights = np.zeros((len(members), len(groups)))
    row = given.values.index.get_indexer(members.loc[needs, "member_id"])
    if (row < 0).any():
        raise EstimationError(
            f"{int((row < 0).sum()):,} of {int(needs.sum()):,} members have no probabilities. "
            "Leave them out on purpose, or give theirs."
        )
    k = given.values.shape[1]
    weights[np.flatnonzero(needs), :k] = given.values.to_numpy(dtype=float)[row]
    if recorded is not None:
        at = recorded[~needs].map({g: i for i, g in enumerate(groups)}).to_numpy(dtype=int)
        weights[np.flatnonzero(~needs), at] = 1.0
    used = weights.sum(axis=0) > 0
    used[:k] |= recorded is None
    return weights[:, used], tuple(g for g, use in zip(groups, used, strict=True) if use)


def _cut(weights: np.ndarray, threshold: float) -> tuple[np.ndarray, int]:
    """Weights of 1 where a probability reaches the threshold; members without any."""
    if not 0.5 < threshold <= 1:
        raise EstimationError(
            f"`threshold` is {threshold}; it must lie above 0.5 and be at most 1."
        )
    hard = (weights >= threshold).astype(float)
    return hard, round(len(hard) - float(hard.sum()))
