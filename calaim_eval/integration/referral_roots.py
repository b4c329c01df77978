"""Root referrals: one loop each, whatever the chain of forwarded referrals under it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.inputs import Day, as_day, check_unique, set_aside, take_columns
from calaim_eval.tables.ledger import RowLedger

STEP_DATES = ("authorized_date", "accepted_date", "reached_date", "service_started_date")
DATES = ("referred_date", *STEP_DATES, "closed_date")
RECEIVED = "services_received"
Chain = Literal["root_record", "whole_chain"]
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
    """Copy of the referral table with typed columns, `place` and `root` of each chain."""
    rows = take_columns(referral, table="referral", required=_REQUIRED, optional=_OPTIONAL)
    identified = rows[rows["referral_id"].notna()]
    check_unique(identified, table="referral", key=["referral_id"])
    place, root = chain_places(rows)
    return rows.assign(place=place, root=root)


def chain_places(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Place of each referral in its chain, and the position of its root.

    A referral is a ``root`` when ``root_referral_id`` is its own id or missing, a ``child`` when
    following ``root_referral_id`` ends at a root, an ``orphan`` when it ends at an id the table
    does not have, and in a ``cycle`` when it never ends.

    Returns
    -------
    tuple of np.ndarray
        Places and row positions of the roots (-1 without one); each of shape (n,).
    """
    n = len(rows)
    position = pd.Series(np.arange(n), index=rows["referral_id"])
    position = position[position.index.notna()]
    own = np.arange(n)
    named = rows["root_referral_id"].map(position).fillna(n).to_numpy(dtype=np.int64)
    parent = np.where(rows["root_referral_id"].isna(), own, named)
    pointer = np.append(parent, n)  # position n stands for "not in the table"
    for _ in range(int(np.ceil(np.log2(n + 1))) + 1):
        pointer = pointer[pointer]
    end = pointer[:n]
    is_root = parent == own
    ends_at_root = np.append(is_root, False)[end]
    place = np.select(
        [is_root, end == n, ends_at_root], ["root", "orphan", "child"], default="cycle"
    )
    return place, np.where(ends_at_root, end, -1)


def root_referrals(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    maturation_days: int = 0,
    exempt_services: Sequence[str] = (),
    chain: Chain = "root_record",
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
    chain : {"root_record", "whole_chain"}
        Whose dates and closing count: those of the root record, or the earliest of the root and
        every referral forwarded from it.
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
    if chain not in ("root_record", "whole_chain"):
        raise EstimationError(
            f"`chain`: {chain!r} is not one of `root_record`, `whole_chain`.\n  Choose one of them."
        )
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
    rows = _on_the_day(rows, day=day)
    if chain == "whole_chain":
        rows = _first_of_chain(rows)
    return rows[is_kept].drop(columns=["place", "root"]).reset_index(drop=True)


def _on_the_day(rows: pd.DataFrame, *, day: pd.Timestamp) -> pd.DataFrame:
    """Rows as they stood on the day: later dates missing, `is_closed_by_services` settled.

    A loop closed without a closing date is closed: its status says so, and no day contradicts.
    """
    is_undated = rows["closed_date"].isna() & (rows["referral_status"] == "closed")
    past = {c: rows[c].where(rows[c] <= day) for c in (*STEP_DATES, "closed_date")}
    is_closed = past["closed_date"].notna() | is_undated
    return rows.assign(
        **past,
        is_undated=is_undated,
        is_accepted=past["accepted_date"].notna() | (rows["referral_status"] == "accepted"),
        is_closed_by_services=is_closed & (rows["closure_reason"] == RECEIVED),
    )


def _first_of_chain(rows: pd.DataFrame) -> pd.DataFrame:
    """Roots with the earliest step dates of their chain, closed when any referral of it is."""
    is_backwards = rows["closed_date"] < rows["referred_date"]
    chained = rows[(rows["root"] >= 0) & ~is_backwards]
    of = chained.groupby("root")
    first = of[list(STEP_DATES)].min()
    received = chained["closed_date"].where(chained["is_closed_by_services"])
    first["received_date"] = received.groupby(chained["root"]).min()
    first[["is_accepted", "is_closed_by_services"]] = of[
        ["is_accepted", "is_closed_by_services"]
    ].any()
    at = first.index
    merged = rows.copy()
    columns = [*STEP_DATES, "is_accepted", "is_closed_by_services"]
    merged.loc[at, columns] = first[columns]
    closed = first["is_closed_by_services"]
    merged.loc[at[closed], "closure_reason"] = RECEIVED
    merged.loc[at[closed], "closed_date"] = first.loc[closed, "received_date"]
    return merged


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
