"""Referrals outside ECM and Community Supports: what became of those for housing and others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.clustered_shares import clustered_shares
from calaim_eval.integration.inputs import Day, as_day, check_unique, set_aside, take_columns
from calaim_eval.integration.referrals import CLUSTERED_WILSON
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

HOUSING_EVENTS = ("10", "11", "12", "13", "14", "15", "17", "18")
"""HUD coordinated-entry events (element 4.20) that refer to a bed or a home, vouchers included."""
RESULTS = ("received", "accepted", "person_declined", "provider_declined", "closed", "open")
_HOUSING, _OTHER = "housing", "other"


def outside_referrals(
    social_referral: pd.DataFrame,
    *,
    as_of: Day,
    maturation_days: int = 90,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Matured root referrals outside the program by what became of them.

    Coordinated-entry events and referrals of platforms for services that are no support. An HMIS
    records that a referral was accepted, not that a home was received: ``"accepted"`` is no
    closed loop.

    Parameters
    ----------
    social_referral : pd.DataFrame
        Columns of the table `social_referral`.
    as_of : day
        The day the referrals are looked at.
    maturation_days : int
        Days a referral must have had by `as_of`.
    referred_from, referred_to : day, optional
        Keep referrals made between these days, both included.
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Keys ``result`` (``"all"`` and `RESULTS`) and ``kind`` (``"all"``, ``"housing"``:
        `HOUSING_EVENTS`, ``"other"``); denominator: matured root referrals of the kind; Wilson
        interval on the effective number of referrals.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or referral ids repeat.
    EstimationError
        No root referral has matured.
    """
    day = as_day(as_of, name="as_of")
    rows = take_columns(
        social_referral,
        table="social_referral",
        required=("referral_id", "member_id", "referred_date"),
        optional=(
            "root_referral_id",
            "social_service_code",
            "social_service_code_system",
            "accepted_date",
            "closed_date",
            "referral_status",
            "closure_reason",
        ),
    )
    identified = rows[rows["referral_id"].notna()]
    check_unique(identified, table="social_referral", key=["referral_id"])
    root = rows["root_referral_id"].fillna(rows["referral_id"])
    made = rows["referred_date"]
    outside = pd.Series(data=False, index=rows.index)
    if referred_from is not None:
        outside |= made < as_day(referred_from, name="referred_from")
    if referred_to is not None:
        outside |= made > as_day(referred_to, name="referred_to")
    is_kept = set_aside(
        {
            "referral, member or referral date missing": rows[["referral_id", "member_id"]]
            .isna()
            .any(axis=1)
            | made.isna(),
            "not a root: part of a chain, counted with its root": root != rows["referral_id"],
            "made outside the window": outside,
            f"younger than {maturation_days} days": made > day - pd.Timedelta(days=maturation_days),
        },
        table="social_referral",
        stage="outside_referrals",
        ledger=ledger,
    )
    if not is_kept.any():
        raise EstimationError(
            f"table `social_referral`: none of {len(rows):,} rows is a root referral of the window "
            f"that is {maturation_days} days old.\n  Use a later `as_of`, or fewer days."
        )
    kept = rows[is_kept].reset_index(drop=True)
    return _table(kept, _results(kept, day), day=day, maturation_days=maturation_days)


def _results(rows: pd.DataFrame, day: pd.Timestamp) -> pd.Series:
    """What became of each referral by the day looked at."""
    ended = rows["closed_date"].le(day) | (
        rows["closed_date"].isna() & rows["referral_status"].isin(["closed", "declined"])
    )
    reason = rows["closure_reason"].where(ended)
    accepted = rows["accepted_date"].le(day) | (
        rows["accepted_date"].isna() & rows["referral_status"].eq("accepted")
    )
    chosen = np.select(
        [
            reason.eq("services_received"),
            ended & reason.eq("member_declined"),
            ended & rows["referral_status"].eq("declined"),
            ended,
            accepted,
        ],
        ["received", "person_declined", "provider_declined", "closed", "accepted"],
        default="open",
    )
    return pd.Series(chosen, index=rows.index)


def _table(
    rows: pd.DataFrame, result: pd.Series, *, day: pd.Timestamp, maturation_days: int
) -> RateTable:
    """Shares of each result, by kind of referral."""
    is_housing = rows["social_service_code_system"].eq("hmis_event") & rows[
        "social_service_code"
    ].isin(HOUSING_EVENTS)
    kind = pd.Series(np.where(is_housing, _HOUSING, _OTHER))
    marks = {ALL: pd.Series(data=True, index=result.index)}
    marks |= {name: result == name for name in RESULTS}
    shares = pd.concat(
        [
            clustered_shares(
                is_in, group=kind, cluster=rows["member_id"], groups=(_HOUSING, _OTHER)
            ).assign(result=name)
            for name, is_in in marks.items()
        ]
    )
    shares = pd.concat([shares.loc[[each]] for each in (ALL, _HOUSING, _OTHER)])
    whole = (shares["result"] == ALL).to_numpy()
    return RateTable(
        measure="Referrals outside the program",
        keys=pd.DataFrame(
            {"result": shares["result"].to_numpy(), "kind": shares.index.to_numpy(dtype=object)}
        ),
        numerator=shares["numerator"].to_numpy(dtype=float),
        denominator=shares["denominator"].to_numpy(dtype=float),
        conf_low=np.where(whole, np.nan, shares["conf_low"]),
        conf_high=np.where(whole, np.nan, shares["conf_high"]),
        n_members=shares["n_clusters_with_success"].to_numpy(dtype=float),
        numerator_name="matured_root_social_referrals",
        denominator_name="matured_root_social_referrals",
        unit="share of matured root referrals",
        kind="proportion",
        method=Method(
            "Share with Wilson 95 % interval on effective trials, clustered by member",
            {"as_of": str(day.date()), "maturation_days": maturation_days},
            CLUSTERED_WILSON,
        ),
        margins=("kind", "result"),
        denominator_keys=("kind",),
        notes=(
            "A referral is not a person: root referrals are counted.",
            "Accepted is no more than accepted: an HMIS does not record that a home was received.",
        ),
    )
