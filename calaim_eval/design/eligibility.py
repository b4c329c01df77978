"""When a member became eligible: the same rule for exposed and comparison members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from calaim_eval.design.member_month_parts import member_month_parts, month_numbers
from calaim_eval.errors import DesignError

if TYPE_CHECKING:
    from calaim_eval.panel import MemberMonths

EligibilityRule = Literal["listed", "high_ed_use"]


def listed_months(exposures: pd.DataFrame, *, service: str) -> pd.Series:
    """First month each member was on the plan's list of members eligible for the service.

    Parameters
    ----------
    exposures : pd.DataFrame
        `member_id`, `identified_month`; one row per member.

    Returns
    -------
    pd.Series
        Month number by member_id; members never listed are absent.

    Raises
    ------
    DesignError
        No record says when a member was identified.
    """
    months = pd.Series(
        month_numbers(exposures["identified_month"]), index=exposures["member_id"]
    ).dropna()
    if months.empty:
        raise DesignError(
            f"no record of type `identified` for service `{service}` in table `program_service` "
            f"({len(exposures):,} members have other records).\n"
            "  Add the plan's list of eligible members (member information file), or use "
            'eligibility="high_ed_use".'
        )
    return months


def high_ed_use_months(panel: MemberMonths, *, visits: int, within_months: int) -> pd.Series:
    """First month in which a member reached `visits` ED visits within `within_months` months.

    Parameters
    ----------
    visits : int
        Threshold, e.g. 5 (population of focus 2, adults).
    within_months : int
        Calendar months of the moving window, the current month included, e.g. 6.

    Returns
    -------
    pd.Series
        Month number by member_id; members who never reached it are absent. Visits in months
        without coverage are not in the panel and do not count.
    """
    if visits < 1 or within_months < 1:
        raise DesignError(
            f"`high_use_visits` is {visits} and `high_use_months` {within_months}; "
            "both must be 1 or more."
        )
    reached = [
        _first_month_over(part, visits, within_months)
        for part in member_month_parts(panel, ["ed_visits"])
    ]
    return pd.concat(reached)


def _first_month_over(part: pd.DataFrame, visits: int, within_months: int) -> pd.Series:
    """First month over the threshold of each member in a part of the panel.

    A moving sum can only rise in a month with a visit, so only those rows are looked at.
    """
    rows = part[part["ed_visits"].fillna(0) > 0].sort_values(["member_id", "month_number"])
    member, names = pd.factorize(rows["member_id"])
    month = rows["month_number"].to_numpy()
    span = int(month.max() - month.min()) + within_months + 1 if len(month) else 1
    position = member * span + (month - month.min() if len(month) else month)
    cumulative = np.concatenate([[0.0], np.cumsum(rows["ed_visits"].to_numpy(dtype=float))])
    member_start = np.searchsorted(member, member, side="left")
    window_start = np.searchsorted(position, position - within_months + 1, side="left")
    in_window = cumulative[1:] - cumulative[np.maximum(window_start, member_start)]
    over = np.flatnonzero(in_window >= visits)
    first, at = np.unique(member[over], return_index=True)
    return pd.Series(month[over][at].astype(float), index=pd.Index(names[first]), dtype=float)
