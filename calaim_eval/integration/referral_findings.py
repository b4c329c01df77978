"""What is odd in the referral records: counted, so that a reader can weigh the measures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration.code_lists import known_services
from calaim_eval.integration.contracts import is_listed
from calaim_eval.integration.inputs import Day, as_day, take_columns
from calaim_eval.integration.referral_roots import DATES, RECEIVED, STEP_DATES, read_referrals
from calaim_eval.results import Method, RateTable
from calaim_eval.schema.fields import FIELDS


def referral_findings(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    organization: pd.DataFrame | None = None,
    person: pd.DataFrame | None = None,
) -> RateTable:
    """How many referral records have each oddity; a record may have several.

    Use it before the funnel: it says which dates and statuses can be trusted.

    Parameters
    ----------
    referral : pd.DataFrame
        Columns of the table `referral`.
    as_of : day
        The day the loop is looked at.
    organization, person : pd.DataFrame, optional
        Tables against which organizations and members are looked up.

    Returns
    -------
    RateTable
        Key ``finding``, every check also with 0; numerator: records with it; denominator: all
        records of the table. The findings overlap and have no margin. No interval: every record
        was looked at.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or referral ids repeat.
    """
    day = as_day(as_of, name="as_of")
    rows = read_referrals(referral)
    found = {**_chains(rows), **_dates(rows, day=day), **_statuses(rows)}
    found["service not in the code list"] = ~rows["service"].isin(known_services())
    if organization is not None:
        found.update(_organizations(rows, organization))
    if person is not None:
        people = take_columns(person, table="person", required=("member_id",))
        found["member not in the member table"] = ~rows["member_id"].isin(people["member_id"])
    masks = [np.asarray(mask, dtype=bool) for mask in found.values()]
    numerator = np.array([float(mask.sum()) for mask in masks])
    empty = np.full(len(masks), np.nan)
    return RateTable(
        measure="Findings in the referral records",
        keys=pd.DataFrame({"finding": list(found)}),
        numerator=numerator,
        denominator=np.full(len(masks), float(len(rows))),
        conf_low=empty,
        conf_high=empty,
        n_members=np.array([float(rows.loc[m, "member_id"].nunique()) for m in masks]),
        numerator_name="referral_records_with_finding",
        denominator_name="referral_records",
        unit="share of referral records",
        kind="proportion",
        method=Method("Count of records, no sampling interval", {"as_of": str(day.date())}),
        notes=("A record may have several findings; the rows do not add up.",),
    )


def _chains(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Chains that do not lead to a root, or lead there by a detour."""
    places = rows.set_index("referral_id")["place"]
    places = places[places.index.notna() & ~places.index.duplicated()]
    named = rows["root_referral_id"].map(places)
    return {
        "root referral is not in the table": rows["place"] == "orphan",
        "root referrals point at each other in a circle": rows["place"] == "cycle",
        "names a forwarded referral as its root": (rows["place"] == "child") & (named == "child"),
    }


def _dates(rows: pd.DataFrame, *, day: pd.Timestamp) -> dict[str, pd.Series]:
    """Dates out of order, before the referral, or after the day looked at."""
    steps = rows[["referred_date", *STEP_DATES]]
    latest_before = steps.cummax(axis=1).shift(1, axis=1).iloc[:, 2:]
    out_of_order = (steps.iloc[:, 2:].to_numpy() < latest_before.to_numpy()).any(axis=1)
    before = rows[list(STEP_DATES)].lt(rows["referred_date"], axis=0).any(axis=1)
    return {
        "closed before it was opened": rows["closed_date"] < rows["referred_date"],
        "a step before the referral": before,
        "steps out of order": pd.Series(out_of_order, index=rows.index) & ~before,
        "a date after the day looked at": rows[list(DATES)].gt(day).any(axis=1),
    }


def _statuses(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Status and closure reason missing, unlisted or at odds with the dates."""
    status, reason = rows["referral_status"], rows["closure_reason"]
    is_closed = status == "closed"
    return {
        "status missing": status.isna(),
        "status not in the code list": status.notna()
        & ~status.isin(list(FIELDS["referral_status"].values)),
        "closure reason not in the code list": reason.notna()
        & ~reason.isin(list(FIELDS["closure_reason"].values)),
        "closed without a closing date": is_closed & rows["closed_date"].isna(),
        "closing date but status not closed": rows["closed_date"].notna() & ~is_closed,
        "closed without a reason": is_closed & reason.isna(),
        "services received without a start date": (reason == RECEIVED)
        & rows["service_started_date"].isna(),
        "service started but closed for another reason": is_closed
        & rows["service_started_date"].notna()
        & reason.notna()
        & (reason != RECEIVED),
    }


def _organizations(rows: pd.DataFrame, organization: pd.DataFrame) -> dict[str, pd.Series]:
    """Receiving organizations missing or unknown; referring ones neither known nor plans."""
    to, origin = rows["to_organization_id"], rows["from_organization_id"]
    plans = rows["plan"].dropna().unique()
    return {
        "receiving organization missing": to.isna(),
        "receiving organization not in the organization table": to.notna()
        & ~is_listed(to, organization),
        "referring organization neither in the organization table nor a plan": origin.notna()
        & ~is_listed(origin, organization)
        & ~origin.isin(plans),
    }
