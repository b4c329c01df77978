"""Continuous enrollment: who was covered through a stretch of months around an anchor month."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.errors import TableError

if TYPE_CHECKING:
    from calaim_eval.panel.member_months import MemberMonths


def continuous_enrollment(
    panel: MemberMonths,
    anchors: pd.DataFrame,
    *,
    lookback_months: int,
    follow_up_months: int,
    max_gap_months: int | None = None,
) -> pd.DataFrame:
    """Whether members were covered from before to after an anchor month.

    Use for a sensitivity with continuously enrolled members, or for a measure that needs it (HEDIS
    readmissions: a year before to a month after). Dropping those who left selects on the outcome
    where leaving is informative; report both.

    Parameters
    ----------
    panel : MemberMonths
    anchors : pd.DataFrame
        `member_id` and `month` (first day), one row per question; a member may have several.
    lookback_months, follow_up_months : int
        Months before and after the anchor month that must be covered, besides the month itself.
    max_gap_months : int, optional
        Longest run of months without coverage that does not break it; the panel's rule by default.
        Months before the first and after the last covered one are a gap too.

    Returns
    -------
    pd.DataFrame
        The anchors in their order, with `n_covered_months`, `longest_gap_months` and
        `is_continuous`.

    Raises
    ------
    TableError
        A column is absent, or a stretch reaches outside the panel's window, where nobody can be
        seen to be covered.

    Examples
    --------
    >>> from calaim_eval.panel import MemberMonths
    >>> panel = MemberMonths.from_frames(pd.DataFrame({
    ...     "member_id": "a", "month": ["2024-01-01", "2024-02-01", "2024-04-01"],
    ...     "covered_days": 28}))
    >>> anchors = pd.DataFrame({"member_id": ["a"], "month": pd.to_datetime(["2024-02-01"])})
    >>> told = continuous_enrollment(panel, anchors, lookback_months=1, follow_up_months=2,
    ...                              max_gap_months=1)
    >>> told[["longest_gap_months", "is_continuous"]].to_numpy().tolist()
    [[1, True]]
    """
    allowed = panel.rules.max_gap_months if max_gap_months is None else max_gap_months
    stretches = _stretches(panel, anchors, lookback_months, follow_up_months)
    parts = sorted((panel.folder / "member_month").glob("part-*.parquet"))
    seen = pd.concat([_covered(part, stretches) for part in parts], ignore_index=True)
    gaps = _gaps(seen, stretches)
    told = anchors.reset_index(drop=True).copy()
    told["n_covered_months"] = gaps["n_covered_months"]
    told["longest_gap_months"] = gaps["longest_gap_months"]
    told["is_continuous"] = told["longest_gap_months"] <= allowed
    return told


def _stretches(
    panel: MemberMonths, anchors: pd.DataFrame, lookback: int, follow_up: int
) -> pd.DataFrame:
    """First and last month number of each anchor's stretch."""
    for column in ("member_id", "month"):
        if column not in anchors:
            raise TableError(f"`anchors` lacks column `{column}`; it needs `member_id`, `month`.")
    number = _numbers(anchors["month"])
    first, last = _number_of(panel.first_month), _number_of(panel.last_month)
    outside = int(((number - lookback < first) | (number + follow_up > last)).sum())
    if outside:
        raise TableError(
            f"{outside:,} of {len(anchors):,} anchors reach outside the panel's window "
            f"({panel.first_month} to {panel.last_month}) with `lookback_months` {lookback} and "
            f"`follow_up_months` {follow_up}.\n"
            "  Leave those anchors out, shorten the stretch, or build a longer panel."
        )
    return pd.DataFrame(
        {
            "member_id": anchors["member_id"].to_numpy(),
            "anchor": range(len(anchors)),
            "from_number": (number - lookback).to_numpy(),
            "to_number": (number + follow_up).to_numpy(),
        }
    )


def _covered(part: Path, stretches: pd.DataFrame) -> pd.DataFrame:
    """Covered months of one part that fall into a stretch: `anchor`, `number`."""
    months = pd.read_parquet(part, columns=["member_id", "month"])
    months = months[months["member_id"].isin(stretches["member_id"])]
    months = months.assign(number=_numbers(pd.to_datetime(months["month"])))
    joined = months.merge(stretches, on="member_id")
    inside = joined["number"].between(joined["from_number"], joined["to_number"])
    return joined.loc[inside, ["anchor", "number"]]


def _gaps(seen: pd.DataFrame, stretches: pd.DataFrame) -> pd.DataFrame:
    """Covered months and longest gap of each anchor, in anchor order."""
    # A month just before and just after each stretch turn its edges into ordinary gaps.
    edges = pd.concat(
        [
            pd.DataFrame({"anchor": stretches["anchor"], "number": stretches["from_number"] - 1}),
            pd.DataFrame({"anchor": stretches["anchor"], "number": stretches["to_number"] + 1}),
        ]
    )
    ordered = pd.concat([seen, edges]).sort_values(["anchor", "number"], ignore_index=True)
    ordered["gap"] = ordered.groupby("anchor")["number"].diff() - 1
    by_anchor = ordered.groupby("anchor")
    return pd.DataFrame(
        {
            "n_covered_months": by_anchor.size() - 2,
            "longest_gap_months": by_anchor["gap"].max().astype("int64"),
        }
    )


def _numbers(months: pd.Series) -> pd.Series:
    """Month numbers, consecutive across years."""
    return months.dt.year * 12 + months.dt.month


def _number_of(month: pd.Period) -> int:
    """Month number of a period."""
    return int(month.year * 12 + month.month)
