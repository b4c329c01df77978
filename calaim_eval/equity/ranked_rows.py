"""Rows of members with outcome, place in an order and weight, and who of them is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.equity.ordered_disparity import NOT_RANKED, check_order, refuse_unordered
from calaim_eval.equity.ranked_influence import RankedMembers
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.results.share_words import share_words
from calaim_eval.results.smallest_support import smallest_support

FEW_RANKS = 20
"""A rank of at most so many values is one of groups, whose smallest must not be given away."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedRows:
    """All rows of a frame, those without outcome, rank or weight left out but in their place.

    Attributes
    ----------
    outcome, place, weight : np.ndarray
        Shape (n,); outcome and place NaN where not known.
    is_used : np.ndarray
        Rows that count; shape (n,), bool.
    """

    outcome: np.ndarray
    place: np.ndarray
    weight: np.ndarray
    is_used: np.ndarray
    notes: tuple[str, ...]

    def select(self, is_in: np.ndarray) -> RankedRows:
        """The rows of one group counting only."""
        return replace(self, is_used=self.is_used & is_in)

    def members(self, keys: Mapping[str, str]) -> RankedMembers:
        """Members that count; EstimationError where fewer than three ranks are among them."""
        used = self.is_used
        values, place = np.unique(self.place[used], return_inverse=True)
        if len(values) < 3:
            where = "".join(f" of `{k}` '{v}'" for k, v in keys.items())
            raise EstimationError(
                f"the members{where} have {len(values)} different ranks; three or more are needed."
                "\n  Leave the group out, or merge it by a mapping that is logged."
            )
        weight = self.weight[used]
        return RankedMembers(self.outcome[used], weight / weight.sum(), place)

    def support(self) -> np.ndarray:
        """Members and events behind a measure; shape (3,). Of few ranks those of the smallest."""
        used = self.is_used
        values, place = np.unique(self.place[used], return_inverse=True)
        if len(values) > FEW_RANKS:
            place = np.zeros_like(place)
        n = np.bincount(place).astype(float)
        events = np.bincount(place, weights=self.outcome[used] != 0)
        return smallest_support(np.column_stack([n, events, np.full(len(n), np.nan)]))


def ranked_rows(
    frame: pd.DataFrame,
    *,
    outcome: str,
    rank: str,
    order: Sequence[str] | None,
    weight: str | None,
) -> RankedRows:
    """Rows with their place; refuses a rank without an order and odd weights."""
    place = _places(frame[rank], rank, order)
    weights = np.ones(len(frame)) if weight is None else _weights(frame[weight], weight)
    values = _numbers(frame[outcome], outcome)
    known = {
        f"`{rank}` is not known, or no rank": np.isfinite(place),
        f"`{outcome}` is not known": np.isfinite(values),
        f"`{weight}` is 0": weights > 0,
    }
    notes = tuple(
        f"{why}: left out ({share_words(int((~is_known).sum()), len(frame))} of rows)."
        for why, is_known in known.items()
        if not is_known.all()
    )
    used = np.logical_and.reduce(list(known.values()))
    return RankedRows(values, place, weights, used, notes)


def _places(values: pd.Series, rank: str, order: Sequence[str] | None) -> np.ndarray:
    """Place of each row in the order as a number, higher the more advantaged; NaN without one."""
    if order is not None:
        check_order(order, rank)
        return _listed(values, rank, list(order))
    refuse_unordered((), rank)
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        refuse_unordered(values.dropna().astype(str).unique(), rank)
        raise EstimationError(
            f"`{rank}` is text: give `order`, its values from the most disadvantaged to the most "
            "advantaged; they are not ranked by spelling."
        )
    return _numbers(values, rank)


def _listed(values: pd.Series, rank: str, order: list[str]) -> np.ndarray:
    """Place in a list; refuses values that are not in it and have a meaning."""
    text = values.astype("string")
    places = text.map({name: i for i, name in enumerate(order)}).to_numpy(
        dtype=float, na_value=np.nan
    )
    odd = int((np.isnan(places) & text.notna() & ~text.isin(list(NOT_RANKED))).sum())
    lost = [name for name in order if not (text == name).any()]
    if odd or lost:
        raise EstimationError(
            f"`order` and `{rank}` differ: {part_words(odd, len(values), 'rows')} have a value "
            f"that is not in it, and {len(lost)} of its values are on no row "
            f"({', '.join(lost) or 'none'})."
        )
    return np.asarray(places)


def _numbers(values: pd.Series, name: str) -> np.ndarray:
    """A column as numbers; missing ones are NaN, infinite ones refused."""
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        raise TableError(f"`{name}` is no number; make it one first (yes/no as 1 and 0).")
    found = values.to_numpy(dtype=float, na_value=np.nan)
    infinite = int(np.isinf(found).sum())
    if infinite:
        raise TableError(f"`{name}` is infinite in {part_words(infinite, len(found), 'rows')}.")
    return np.asarray(found)


def _weights(values: pd.Series, name: str) -> np.ndarray:
    """Weights; TableError where one is missing or below 0, or all are 0."""
    found = _numbers(values, name)
    bad = int((~(found >= 0)).sum())
    if bad or not found.any():
        raise TableError(
            f"weights in `{name}`: {part_words(bad, len(found), 'rows')} are missing or below 0, "
            "and some must be above 0."
        )
    return found
