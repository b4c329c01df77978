"""Days from referral to service: how many have started by 30, 60 and 90 days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.time_to_event.incidence_table import incidence_table
from calaim_eval.integration.inputs import Day, as_day
from calaim_eval.integration.referral_groups import group_referrals
from calaim_eval.integration.referral_roots import Chain, root_referrals
from calaim_eval.results import EffectTable, Estimand
from calaim_eval.tables.ledger import USED, RowLedger

OUTCOMES = ("service_started", "ended_without_service")


def time_to_service(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    horizon_days: Sequence[int] = (30, 60, 90),
    by: str | None = None,
    person: pd.DataFrame | None = None,
    organization: pd.DataFrame | None = None,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    chain: Chain = "root_record",
    ledger: RowLedger | None = None,
) -> EffectTable:
    r"""Share of root referrals whose service started by each horizon, competing exits counted.

    Use it where referrals of all ages are to speak: those still open on the day looked at are
    censored there. A referral that ended without service (declined, not reached, died ...) can no
    longer start one; that is a competing exit, not a censoring, so the estimate is
    Aalen-Johansen's and never one minus Kaplan-Meier.

    Parameters
    ----------
    referral : pd.DataFrame
        Columns of the table `referral`.
    as_of : day
        The day the loop is looked at; open referrals are followed until then.
    horizon_days : sequence of int
        Days since referral to report, above 0.
    by : optional
        As in `referral_funnel`.
    person, organization : pd.DataFrame, optional
        Tables that `by` needs.
    referred_from, referred_to : day, optional
        Keep referrals made between these days, both included.
    chain : {"root_record", "whole_chain"}
        As in `referral_funnel`.
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    EffectTable
        Keys `by` (``"all"`` first), ``outcome`` (``"service_started"``,
        ``"ended_without_service"``; what is left is still open) and ``days``; estimate: the
        probability, 0 to 1; joint covariance over all rows, clustered by member, so the
        difference between two groups has its own interval (`combine`). ``support``: distinct
        members, events by the horizon, months of follow-up. NaN where nobody was followed to
        the horizon.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or referral ids repeat.
    EstimationError
        No root referral is left, a horizon is not positive, or `by` cannot be used.

    Notes
    -----
    Day 0 is the day of referral. Start: ``service_started_date``; where the loop closed with
    services received and no start was recorded, the day it closed (the latest possible one). A
    start recorded before the referral is set aside. Months of follow-up are days / 30.4375.
    """
    days = _horizons(horizon_days)
    day = as_day(as_of, name="as_of")
    spells = referral_spells(
        referral,
        as_of=day,
        referred_from=referred_from,
        referred_to=referred_to,
        chain=chain,
        ledger=ledger,
    )
    group, groups = group_referrals(spells, by, person=person, organization=organization)
    return incidence_table(
        spells,
        cluster=spells["member_id"],
        group=group,
        groups=groups,
        by=by,
        times=days,
        outcomes=OUTCOMES,
        estimand=Estimand(
            name="Cumulative incidence of service start",
            contrast="root referrals whose service started by each day, other exits competing",
            unit="share of root referrals",
            is_causal=False,
        ),
        options={"as_of": str(day.date()), "chain": chain, "cluster": "member"},
    )


def referral_spells(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    chain: Chain = "root_record",
    ledger: RowLedger | None = None,
) -> pd.DataFrame:
    """Root referrals with the days they waited and how that ended, for `competing_hazards`.

    Parameters
    ----------
    referral, as_of, referred_from, referred_to, chain, ledger
        As in `time_to_service`.

    Returns
    -------
    pd.DataFrame
        One row per root referral: its columns, ``duration_days`` and ``cause`` (1 service started,
        2 ended without, 0 still open on the day looked at). Restricted.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or referral ids repeat.
    EstimationError
        No root referral has usable dates.
    """
    day, own = as_day(as_of, name="as_of"), RowLedger()
    roots = root_referrals(
        referral,
        as_of=day,
        referred_from=referred_from,
        referred_to=referred_to,
        chain=chain,
        ledger=own,
        stage="time_to_service",
    )
    spells, n_early, n_undated = _spells(roots, day=day)
    if ledger is not None:
        _count(ledger, own, n_early=n_early, n_undated=n_undated)
    if spells.empty:
        raise EstimationError(
            f"table `referral`: none of {len(roots):,} root referrals has usable dates.\n"
            "  Check `service_started_date` and `closed_date` against `referred_date`."
        )
    return spells


def spells_of_roots(roots: pd.DataFrame, *, day: pd.Timestamp) -> pd.DataFrame:
    """Root referrals with the days they waited and how that ended, none left out.

    Adds ``duration_days``, ``cause``, ``ends_undated`` (ended on a day nobody recorded) and
    ``starts_early`` (began before the referral).
    """
    received = roots["is_closed_by_services"]
    start = roots["service_started_date"].where(
        roots["service_started_date"].notna() | ~received, roots["closed_date"]
    )
    ends_undated = start.isna() & (
        received | ((roots["referral_status"] == "closed") & roots["closed_date"].isna())
    )
    end = start.fillna(roots["closed_date"])
    cause = np.select([start.notna(), end.notna()], [1, 2], default=0)
    duration = (end.fillna(day) - roots["referred_date"]).dt.days.astype(float)
    return roots.assign(
        duration_days=duration,
        cause=cause,
        ends_undated=ends_undated,
        starts_early=(duration < 0) & ~ends_undated,
    )


def _spells(roots: pd.DataFrame, *, day: pd.Timestamp) -> tuple[pd.DataFrame, int, int]:
    """Those with usable days; how many start too early, and how many end on no recorded day."""
    spells = spells_of_roots(roots, day=day)
    is_undated, is_early = spells["ends_undated"], spells["starts_early"]
    kept = spells[~is_undated & ~is_early].reset_index(drop=True)
    kept = kept.drop(columns=["ends_undated", "starts_early"])
    return kept, int(is_early.sum()), int(is_undated.sum())


def _count(ledger: RowLedger, own: RowLedger, *, n_early: int, n_undated: int) -> None:
    """Add this measure's rows to the caller's ledger, its own reasons included."""
    stage = "time_to_service"
    for row in own.to_frame().itertuples(index=False):
        n_rows = row.n_rows - (n_early + n_undated if row.reason == USED else 0)
        ledger.add(row.table, row.reason, n_rows, stage=stage)
    ledger.add("referral", "service started before the referral", n_early, stage=stage)
    ledger.add("referral", "closed on a day that was not recorded", n_undated, stage=stage)


def _horizons(horizon_days: Sequence[int]) -> np.ndarray:
    """Horizons, checked and in order."""
    days = np.unique(np.asarray(list(horizon_days), dtype=float))
    if not len(days) or (days <= 0).any():
        raise EstimationError(
            "`horizon_days` is empty or holds a day that is not positive.\n"
            "  Give days since referral, e.g. (30, 60, 90)."
        )
    return days
