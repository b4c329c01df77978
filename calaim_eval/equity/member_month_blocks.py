"""Member-months to take rates from: a frame, a panel part by part, or a design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from calaim_eval.design.checks import to_month
from calaim_eval.design.member_month_parts import member_month_parts
from calaim_eval.equity.groups import as_groups, check_columns
from calaim_eval.errors import TableError
from calaim_eval.panel import MemberMonths


@dataclass(slots=True)
class Counter:
    """Rows left out because the outcome is missing."""

    n_missing: int = 0


def blocks(
    source: pd.DataFrame | MemberMonths,
    *,
    outcome: str,
    by: Sequence[str],
    months: tuple[str, str] | None,
    counter: Counter,
) -> Iterator[pd.DataFrame]:
    """Blocks of member-months with `member_id`, the outcome and the groups as text.

    Rows whose outcome is missing are left out and counted in `counter`.
    """
    columns = list(dict.fromkeys((outcome, *by)))
    first, last = _limits(months)
    if isinstance(source, MemberMonths):
        for part in member_month_parts(source, columns, first=first, last=last):
            yield usable(part, outcome=outcome, by=by, counter=counter)
    else:
        frame = _frame_rows(source, columns, first=first, last=last)
        yield usable(frame, outcome=outcome, by=by, counter=counter)


def usable(
    frame: pd.DataFrame, *, outcome: str, by: Sequence[str], counter: Counter
) -> pd.DataFrame:
    """Rows with a known outcome, groups as text; counts the others."""
    is_known = frame[outcome].notna()
    counter.n_missing += int((~is_known).sum())
    return as_groups(frame[is_known], by)


def _limits(months: tuple[str, str] | None) -> tuple[pd.Period | None, pd.Period | None]:
    """First and last month as periods."""
    if months is None:
        return None, None
    return to_month(months[0], name="months"), to_month(months[1], name="months")


def _frame_rows(
    frame: pd.DataFrame,
    columns: Sequence[str],
    *,
    first: pd.Period | None,
    last: pd.Period | None,
) -> pd.DataFrame:
    """Rows of a frame inside the months; TableError where a member's month repeats."""
    check_columns(frame, ["member_id", *columns, *(["month"] if first is not None else [])])
    if "month" in frame.columns:
        repeats = int(frame.duplicated(["member_id", "month"]).sum())
        if repeats:
            raise TableError(
                f"the frame: {repeats:,} of {len(frame):,} rows repeat the key (`member_id`, "
                "`month`).\n  Each would count as a member-month of its own; add them up first."
            )
    if first is None or last is None:
        return frame
    month = frame["month"]
    if not isinstance(month.dtype, pd.PeriodDtype):
        month = pd.to_datetime(month).dt.tz_localize(None).dt.to_period("M")
    return frame[(month >= first) & (month <= last)]
