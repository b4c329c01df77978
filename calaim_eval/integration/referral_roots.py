"""Root referrals: one loop each, whatever the chain of forwarded referrals under it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.inputs import Day, as_day, check_unique, set_aside, take_columns
from calaim_eval.tables.ledger import RowLedger

STEP_DATES = ("authorized_date", "accepted_date", "reached_date", "service_started_date")
DATES = ("referred_date", *STEP_DATES, "closed_date")
RECEIVED = "services_received"
_REQUIRED = ("referral_id", "member_id", "service", "referred_date")
_OPTIONAL = (
    "root_referral_id",
    "from_organization_id",
    "to_organization_id",
    "plan",
    "county",
    *STEP_DATES,
    "closed_date",
    "referral_status",
    "closure_reason",
)


def read_referrals(referral: pd.DataFrame) -> pd.DataFrame:
    """Copy of the referral table with typed columns and `place`, its place in a chain."""
    rows = take_columns(referral, table="referral", required=_REQUIRED, optional=_OPTIONAL)
    identified = rows[rows["referral_id"].notna()]
    check_unique(identified, table="referral", key=["referral_id"])
    return rows.assign(place=chain_place(rows))


def chain_place(rows: pd.DataFrame) -> np.ndarray:
    """Place of each referral in its chain: root, child, orphan or cycle.

    A referral is a root when ``root_referral_id`` is its own id or missing, a child when
    following ``root_referral_id`` ends at a root, an orphan when it ends at an id the table does
    not have, and in a cycle when it never ends.
    """
    n = len(rows)
    if n == 0:
        return np.array([], dtype=object)
    position = pd.Series(np.arange(n), index=rows["referral_id"])
    position = position[position.index.notna()]
    parent = rows["root_referral_id"].map(position).fillna(n).to_numpy(dtype=np.int64)
    own = np.arange(n)
    parent = np.where(rows["root_referral_id"].isna(), own, parent)
    pointer = np.append(parent, n)  # position n stands for "not in the table"
    for _ in range(int(np.ceil(np.log2(n + 1))) + 1):
        pointer = pointer[pointer]
    end = pointer[:n]
    ends_at_root = np.append(parent == own, False)[end]
    return np.select(
        [parent == own, end == n, ends_at_root], ["root", "orphan", "child"], default="cycle"
    )


def root_referrals(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    maturation_days: int = 0,
    exempt_services: Sequence[str] = (),
    ledger: RowLedger | None = None,
    stage: str = "root referrals",
) -> pd.DataFrame:
    """Root referrals as they stood on a day: what happened later has not happened yet.

    Parameters
    ----------
    referral : pd.DataFrame
        Columns of the table `referral`.
    as_of : day
        The day the loop is looked at: the extract date, or the end of a quarter.
    referred_from, referred_to : day, optional
        Keep referrals made between these days, both included.
    maturation_days : int
        Keep referrals at least this many days old on the day looked at.
    exempt_services : sequence of str
        Services to leave out.
    ledger : RowLedger, optional
        Gets the rows set aside and the reason of each.
    stage : str
        Stage name in the ledger.

    Returns
    -------
    pd.DataFrame
        One row per root referral; dates after `as_of` are missing.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or referral ids repeat.
    EstimationError
        No root referral is left.
    """
    if maturation_days < 0:
        raise EstimationError("`maturation_days` is negative.\n  Give 0 or more days.")
    day = as_day(as_of, name="as_of")
    rows = read_referrals(referral)
    is_kept = set_aside(
        {
            **_not_a_loop(rows),
            "made after the day looked at": rows["referred_date"] > day,
            "made outside the window": _outside(rows["referred_date"], referred_from, referred_to),
            "service exempt from closing the loop": rows["service"].isin(list(exempt_services)),
            f"younger than {maturation_days} days": rows["referred_date"]
            > day - pd.Timedelta(days=maturation_days),
        },
        table="referral",
        stage=stage,
        ledger=ledger,
    )
    if not is_kept.any():
        raise EstimationError(_none_left(rows, maturation_days=maturation_days))
    roots = rows[is_kept].drop(columns="place").reset_index(drop=True)
    for column in (*STEP_DATES, "closed_date"):
        roots[column] = roots[column].where(roots[column] <= day)
    return roots.assign(is_closed_by_services=_closed_by_services(rows[is_kept], roots))


def _not_a_loop(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Rows that are not a loop of their own, or cannot be one."""
    return {
        "referral, member, service or referral date missing": rows[list(_REQUIRED)]
        .isna()
        .any(axis=1),
        "not a root: part of a chain, counted with its root": rows["place"] == "child",
        "root referral is not in the table": rows["place"] == "orphan",
        "root referrals point at each other in a circle": rows["place"] == "cycle",
        "closed before it was opened": rows["closed_date"] < rows["referred_date"],
    }


def _outside(days: pd.Series, first: Day | None, last: Day | None) -> pd.Series:
    """Whether each day lies outside a window; an end not given is open."""
    outside = days.isna()
    if first is not None:
        outside |= days < as_day(first, name="referred_from")
    if last is not None:
        outside |= days > as_day(last, name="referred_to")
    return outside


def _none_left(rows: pd.DataFrame, *, maturation_days: int) -> str:
    """Say why no referral is left."""
    if maturation_days and (rows["place"] == "root").any():
        return (
            f"table `referral`: none of {int((rows['place'] == 'root').sum()):,} root referrals is "
            f"in the window and {maturation_days} days old by `as_of`: none has matured.\n"
            "  Use a later `as_of`, fewer `maturation_days`, or time_to_service(), which uses "
            "young referrals too."
        )
    return (
        f"table `referral`: none of {len(rows):,} rows is a root referral made by the day looked "
        "at and within the window.\n"
        "  Check `as_of`, `referred_from`, `referred_to`, and that `root_referral_id` of a root "
        "equals its `referral_id` or is missing."
    )


def _closed_by_services(original: pd.DataFrame, roots: pd.DataFrame) -> np.ndarray:
    """Loop closed: services received, dated by the day looked at or closed without a date."""
    is_undated = original["closed_date"].isna().to_numpy() & (roots["referral_status"] == "closed")
    closed: np.ndarray = (
        (roots["closure_reason"] == RECEIVED) & (roots["closed_date"].notna() | is_undated)
    ).to_numpy(dtype=bool)
    return closed
