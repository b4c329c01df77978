"""Continuous enrollment: who was covered through a stretch of months around an anchor month."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.panel.rules import require_count

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
        `member_id` and `month` (any day of it, or text such as "2024-03"), one row per question; a
        member may have several. One the panel does not have has no covered month.
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
        A column or a value of it is absent, a month cannot be read, none of the members is in the
        panel, a number of months is none, or a stretch reaches outside the panel's window, where
        nobody can be seen to be covered.

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
    _require_months(
        lookback_months=lookback_months, follow_up_months=follow_up_months, max_gap_months=allowed
    )
    stretches = _stretches(panel, _questions(anchors), lookback_months, follow_up_months)
    parts = sorted((panel.folder / "member_month").glob("part-*.parquet"))
    found = [_covered(part, stretches) for part in parts]
    if len(stretches) and not any(is_known for _, is_known in found):
        raise TableError(
            "none of the members of `anchors` is in the panel.\n"
            "  Write `member_id` as the panel has it: leading zeros are part of it."
        )
    gaps = _gaps(pd.concat([months for months, _ in found], ignore_index=True), stretches)
    told = anchors.reset_index(drop=True).copy()
    told["n_covered_months"] = gaps["n_covered_months"]
    told["longest_gap_months"] = gaps["longest_gap_months"]
    told["is_continuous"] = told["longest_gap_months"] <= allowed
    return told


def _require_months(**lengths: int) -> None:
    """Raise unless each is a whole number of months."""
    for name, months in lengths.items():
        require_count(f"`{name}`", int(months) if isinstance(months, np.integer) else months)


def _questions(anchors: pd.DataFrame) -> pd.DataFrame:
    """The anchors with `member_id` as text and the number of their month, `number`."""
    for column in ("member_id", "month"):
        if column not in anchors:
            raise TableError(f"`anchors` lacks column `{column}`; it needs `member_id`, `month`.")
        if anchors[column].isna().any():
            raise TableError(
                f"`anchors` has rows without `{column}`.\n  Leave them out, or complete them."
            )
    ids = anchors["member_id"]
    if pd.api.types.is_float_dtype(ids) and (ids == ids.round()).all():
        ids = ids.astype("int64")
    numbers = _numbers(_months(anchors["month"]))
    return pd.DataFrame(
        {"member_id": ids.astype("str").str.strip().to_numpy(), "number": numbers.to_numpy()}
    )


def _months(months: pd.Series) -> pd.Series:
    """Months as dates or periods; text is read."""
    if months.dtype.kind == "M" or isinstance(months.dtype, pd.PeriodDtype):
        return months
    read = pd.to_datetime(months.astype("str"), format="ISO8601", errors="coerce")
    if read.isna().any():
        raise TableError(
            "`anchors` has values of `month` that are no month.\n"
            '  Write months as "2024-03", or as dates.'
        )
    return read


def _stretches(
    panel: MemberMonths, questions: pd.DataFrame, lookback: int, follow_up: int
) -> pd.DataFrame:
    """First and last month number of each anchor's stretch."""
    number = questions["number"]
    first, last = _number_of(panel.first_month), _number_of(panel.last_month)
    outside = int(((number - lookback < first) | (number + follow_up > last)).sum())
    if outside:
        raise TableError(
            f"{outside:,} of {len(questions):,} anchors reach outside the panel's window "
            f"({panel.first_month} to {panel.last_month}) with `lookback_months` {lookback} and "
            f"`follow_up_months` {follow_up}.\n"
            "  Leave those anchors out, shorten the stretch, or build a longer panel."
        )
    return pd.DataFrame(
        {
            "member_id": questions["member_id"],
            "anchor": range(len(questions)),
            "from_number": number - lookback,
            "to_number": number + follow_up,
        }
    )


def _covered(part: Path, stretches: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Covered months of one part in a stretch (`anchor`, `number`); if it has any such member."""
    months = pd.read_parquet(part, columns=["member_id", "month"])
    months = months[months["member_id"].isin(stretches["member_id"])]
    months = months.assign(number=_numbers(pd.to_datetime(months["month"])))
    joined = months.merge(stretches, on="member_id")
    inside = joined["number"].between(joined["from_number"], joined["to_number"])
    return joined.loc[inside, ["anchor", "number"]], not months.empty


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
