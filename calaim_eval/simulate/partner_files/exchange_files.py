"""Write what plans and ECM providers exchange each month, in the heads of the state's templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from calaim_eval.simulate.partner_files.source_ids import (
    SourceIds,
    rows_of,
    write_links,
    write_text,
)

MARK = "plan_exchange:"
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_PAIR = ["plan", "member_id", "organization_id", "service"]
_STATUS = {
    "pending": "Pending",
    "accepted": "Accepted",
    "declined": "Declined",
    "closed": "Referral loop closed",
}
_REASONS = {
    "services_received": "Services received",
    "no_capacity": "Service provider declined",
    "unable_to_reach": "Unable to reach member",
    "not_eligible": "Member no longer eligible for services",
    "member_declined": "Member no longer needs services or declines services",
    "other": "Other",
    "coverage_ended": "Coverage ended",
    "died": "Member deceased",
}
_ENDS = {
    "completed": "SC",
    "member_declined": "DP",
    "unable_to_reach": "UE",
    "provider_ended": "UBE",
    "died": "EXP",
    "coverage_ended": "NE",
    "no_capacity": "CAP",
    "data_error": "ERR",
    "other": "OTH",
}
_WHO = {
    "payer": "MCP Name",
    "cin": "Member Client Index Number (CIN)",
    "provider": "ECM Provider Name",
    "npi": "ECM Provider National Provider Identifier (NPI)",
    "service": "Service",
}
_PRODUCED = "Member Information Return Transmission File Production Date"
_HEADS = {
    "return_transmission": {
        **_WHO,
        "population_of_focus": "Member POF",
        "program_status": "Member ECM Status",
        "program_start_date": "ECM Enrollment Start Date",
        "program_end_date": "ECM Enrollment End Date",
        "served": "Date of Most Recent Encounter with Member",
        "end_reason": "Discontinuation Reason Code",
        "referral_status": "Referral Status",
        "status_day": "Date of Referral Status Update",
        "closure_reason": "Reason for Referral Loop Closure",
        "produced": _PRODUCED,
    },
    "outreach_tracker": {
        **_WHO,
        "cin": "Member Client Index Number",
        "record_date": "Date of Outreach Attempt",
        "is_reached": "Outreach Attempt Successful",
    },
    "member_information": {
        **_WHO,
        "population_of_focus": "Member POF",
        "record_date": "Member Information File Production Date",
    },
}
"""Heads of the state's templates, as seen in a vendor's implementation; `Service` is the plan's."""
_LAYOUT = """\
[columns.return_transmission]
"Service" = "service"

[columns.outreach_tracker]
"Service" = "service"

[columns.member_information]
"Service" = "service"

[values.closure_reason]
"Coverage ended" = "coverage_ended"
"Member deceased" = "died"
"""


def write_plan_exchange(tables: Mapping[str, pd.DataFrame], folder: Path | str) -> Path:
    """Write member information, return transmission and outreach files, a folder a plan.

    Parameters
    ----------
    tables : mapping of str to pd.DataFrame
        `program_service` (identified, outreach, service), `program_enrollment`, `referral` and
        `organization`, as declared.
    folder : Path or str
        Gets ``plan-01/return_transmission_2024-03.csv`` and so on, a layout in each folder, and
        link files.

    Returns
    -------
    Path
        The folder.

    Notes
    -----
    Root referrals are written as one statement for each status they had: their number, steps,
    county, and the days of authorization and of the first service have no column. The day on which
    a member was reached is a successful attempt. A status without a day of its own has that of
    the file, the end of the month after the referral. Rows without a plan, a member or any day have
    no file to be in and are not written.
    """
    to = Path(folder)
    members = SourceIds(MARK, "", _cins(tables))
    npis = _npis(tables)
    organizations = SourceIds(MARK, "", npis)
    names = rows_of(tables, "organization").set_index("organization_id")["organization_name"]
    kinds = {
        "return_transmission": _returned(tables),
        "outreach_tracker": _attempts(tables),
        "member_information": _records(tables, "identified").assign(
            produced=lambda rows: rows["record_date"]
        ),
    }
    plans = sorted({str(plan) for rows in kinds.values() for plan in rows["plan"].dropna()})
    places = {plan: to / f"plan-{number:02d}" for number, plan in enumerate(plans, start=1)}
    for kind, rows in kinds.items():
        told = rows.dropna(subset=["plan", "member_id"])
        organization = told["organization_id"]
        told = told.assign(
            payer=told["plan"],
            cin=members.of(told["member_id"]),
            provider=organization.map(names.to_dict()).astype(object),
            npi=organizations.of(organization),
        )
        month = told["produced"].dt.strftime("%Y-%m")
        for (plan, when), part in told.groupby([told["plan"], month]):
            heads = _HEADS[kind]
            frame = part.reindex(columns=list(heads)).rename(columns=heads)
            write_text(places[str(plan)], f"{kind}_{when}", frame)
    for place in places.values():
        (place / "layout.toml").write_text(_LAYOUT, encoding="utf-8")
    write_links(to, members=members, organizations=organizations)
    return to


def _cins(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """A fictional client index number for each member: 9, seven digits, a letter."""
    ids = {
        str(each)
        for name in ("program_service", "program_enrollment", "referral")
        for each in rows_of(tables, name)["member_id"].dropna()
        if not str(each).startswith(MARK)
    }
    return {
        member: f"9{number:07d}{_LETTERS[number % len(_LETTERS)]}"
        for number, member in enumerate(sorted(ids))
    }


def _npis(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """NPI of each organization that has one."""
    rows = rows_of(tables, "organization").dropna(subset="npi")
    return dict(zip(rows["organization_id"].astype(str), rows["npi"].astype(str), strict=True))


def _records(tables: Mapping[str, pd.DataFrame], kind: str) -> pd.DataFrame:
    """Records of program services of one kind."""
    rows = rows_of(tables, "program_service")
    rows = rows[rows["record_type"] == kind].reset_index(drop=True)
    return rows.assign(record_date=pd.to_datetime(rows["record_date"]))


def _attempts(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Attempts of outreach; those on the day a referral reached its member were successful."""
    attempts = _records(tables, "outreach")[[*_PAIR, "record_date"]]
    reached = _roots(tables).dropna(subset="reached_date")
    reached = reached.rename(columns={"reached_date": "record_date"})[[*_PAIR, "record_date"]]
    both = attempts.merge(reached.drop_duplicates(), how="outer", indicator=True)
    both["is_reached"] = (both["_merge"] != "left_only").map({True: "Yes", False: "No"})
    return both.assign(produced=both["record_date"])


def _returned(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows of return transmissions: enrollments, services and statuses of referrals."""
    enrolled = rows_of(tables, "program_enrollment").rename(columns={"reported_date": "produced"})
    enrolled = enrolled.assign(
        end_reason=enrolled["end_reason"].map(_ENDS),
        produced=pd.to_datetime(enrolled["produced"]),
        service="ecm",
    )
    served = _records(tables, "service")
    served = served.assign(served=served["record_date"], produced=_month_end(served["record_date"]))
    parts = [enrolled, served, *_statements(_roots(tables))]
    for column in ("program_start_date", "program_end_date"):
        enrolled[column] = pd.to_datetime(enrolled[column])
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _roots(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Root referrals; the receiver is the provider."""
    rows = rows_of(tables, "referral")
    root = rows["root_referral_id"].where(rows["root_referral_id"].notna(), rows["referral_id"])
    rows = rows[root == rows["referral_id"]].rename(
        columns={"to_organization_id": "organization_id"}
    )
    days = {name: pd.to_datetime(rows[name]) for name in rows if str(name).endswith("_date")}
    return rows.assign(**days)


def _statements(roots: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """What each status of a referral came to, in the file of its month."""
    later = _month_end(roots["referred_date"] + pd.offsets.MonthEnd(1))
    final = roots["referral_status"].isin(["declined", "closed"])
    had = (
        ("pending", roots["referred_date"], roots["referred_date"].notna()),
        ("accepted", roots["accepted_date"], roots["accepted_date"].notna()),
        ("declined", roots["closed_date"], roots["referral_status"] == "declined"),
        ("closed", roots["closed_date"], roots["referral_status"] == "closed"),
    )
    for status, day, is_told in had:
        part = roots.loc[is_told, _PAIR].assign(
            referral_status=_STATUS[status],
            status_day=day[is_told],
            produced=_month_end(day[is_told]).fillna(later[is_told]),
        )
        if status in ("declined", "closed"):
            part["closure_reason"] = roots.loc[is_told & final, "closure_reason"].map(_REASONS)
        yield part


def _month_end(days: pd.Series) -> pd.Series:
    """Last day of the month of each day."""
    ends: pd.Series = pd.to_datetime(days) + pd.offsets.MonthEnd(0)
    return ends
