"""Where referrals are lost: how far each unfinished loop got, and how it ended."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration.inputs import Day, as_day
from calaim_eval.integration.referral_roots import RECEIVED, Chain, root_referrals
from calaim_eval.integration.referrals import CLUSTERED_WILSON, STEPS, steps_reached
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.results.intervals import wilson_interval
from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables.ledger import RowLedger

OPEN, DECLINED, NO_REASON = "still_open", "declined_by_organization", "closed_without_reason"
ENDINGS = (
    *(reason for reason in FIELDS["closure_reason"].values if reason != RECEIVED),
    NO_REASON,
    DECLINED,
    OPEN,
)


def referral_losses(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    maturation_days: int = 90,
    chain: Chain = "root_record",
    ledger: RowLedger | None = None,
) -> RateTable:
    """Matured root referrals without services received: the step they got to and how they ended.

    It answers what a closure rate cannot: are referrals lost because plans do not authorize,
    organizations have no room, or members are not reached.

    Parameters
    ----------
    referral, as_of, referred_from, referred_to, chain, ledger
        As in `referral_funnel`.
    maturation_days : int
        Days a referral must have had by `as_of`.

    Returns
    -------
    RateTable
        Keys ``last_step`` (referred ... started, with the margin ``"all"``) and ``ending`` (a
        closure reason, closed without one, declined by the organization, still open; with the
        margin ``"all"``); numerator: root referrals; denominator: all matured root referrals, so
        that the grand total is the share not closed by services. Wilson interval on the number
        of members, the cautious end of what repeated referrals of a member can do.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or referral ids repeat.
    EstimationError
        No root referral has matured.
    """
    day = as_day(as_of, name="as_of")
    roots = root_referrals(
        referral,
        as_of=day,
        referred_from=referred_from,
        referred_to=referred_to,
        maturation_days=maturation_days,
        chain=chain,
        ledger=ledger,
        stage="referral_losses",
    )
    last_step = np.array(STEPS)[steps_reached(roots).sum(axis=1).to_numpy() - 1]
    lost = roots.assign(last_step=last_step, ending=_ending(roots))
    lost = lost[~lost["is_closed_by_services"].to_numpy(dtype=bool)]
    grid = pd.MultiIndex.from_product(
        [[ALL, *STEPS[:-1]], [ALL, *ENDINGS]], names=["last_step", "ending"]
    )
    counted = _with_margins(lost).groupby(["last_step", "ending"])["member_id"]
    numerator = counted.size().reindex(grid, fill_value=0).to_numpy(dtype=float)
    n_members = counted.nunique().reindex(grid, fill_value=0).to_numpy(dtype=float)
    denominator = np.full(len(grid), float(len(roots)))
    share = numerator / denominator
    effective = float(roots["member_id"].nunique())
    low, high = wilson_interval(share * effective, np.full(len(grid), effective))
    return RateTable(
        measure="Where referrals are lost",
        keys=grid.to_frame(index=False),
        numerator=numerator,
        denominator=denominator,
        conf_low=low,
        conf_high=high,
        n_members=n_members,
        numerator_name="matured_root_referrals_not_closed_by_services",
        denominator_name="matured_root_referrals_any_service",
        unit="share of matured root referrals",
        kind="proportion",
        method=Method(
            "Share with Wilson 95 % interval on the number of members",
            {"as_of": str(day.date()), "maturation_days": maturation_days, "chain": chain},
            CLUSTERED_WILSON,
        ),
        margins=("last_step", "ending"),
        notes=("A step counts as reached if it or a later positive step happened.",),
    )


def _ending(roots: pd.DataFrame) -> np.ndarray:
    """How each loop without services received stands on the day looked at."""
    reason, status = roots["closure_reason"], roots["referral_status"]
    is_closed = roots["closed_date"].notna() | (status == "closed") & roots["is_undated"]
    return np.select(
        [
            is_closed & reason.isin(list(ENDINGS)),
            is_closed,
            status == "declined",
        ],
        [reason.fillna(""), NO_REASON, DECLINED],
        default=OPEN,
    )


def _with_margins(lost: pd.DataFrame) -> pd.DataFrame:
    """Rows once for their cell and once for each margin they belong to."""
    rows = lost[["member_id", "last_step", "ending"]]
    by_step = pd.concat([rows, rows.assign(last_step=ALL)])
    return pd.concat([by_step, by_step.assign(ending=ALL)])
