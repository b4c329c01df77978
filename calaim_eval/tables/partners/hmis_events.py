"""Coordinated-entry events, and enrollments in projects that are a support, as referrals."""

from __future__ import annotations

import pandas as pd

from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.hmis_export import HmisExport
from calaim_eval.tables.partners.links import Links
from calaim_eval.tables.partners.partner_tables import declared_frame
from calaim_eval.tables.partners.text_rows import look_up

PROBLEM_SOLVING = "2"
ACCEPTED, CLIENT_REJECTED, PROVIDER_REJECTED = "1", "2", "3"
NO_ENROLLMENT = "enrollment not in `Enrollment`, or set aside there"
RESULT_FIRST = "`ResultDate` before `EventDate` (kept; the day of the result is read as missing)"
NO_RESULT_DAY = "result without `ResultDate` (kept; the day of the result is missing)"
NO_PLACE = "project referred to not in `Project` (kept without organization)"
UNKNOWN_RESULT = "`ReferralResult` is not a listed code (kept as pending)"


def event_frames(
    export: HmisExport,
    links: Links,
    enrollments: pd.DataFrame,
    projects: pd.DataFrame,
    ledger: RowLedger,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events as `social_referral`, and those the service map names as `referral`.

    Parameters
    ----------
    export : HmisExport
    links : Links
    enrollments : pd.DataFrame
        Kept enrollments: index EnrollmentID; `PersonalID`, `organization_id`.
    projects : pd.DataFrame
        Index ProjectID; `organization_id`.
    ledger : RowLedger

    Notes
    -----
    The client accepted (result 1): accepted on the day of the result. The client or the provider
    rejected (2, 3): closed on that day. Problem solving (event 2) is no referral to somebody else
    and is closed as services received where it ended in a safe place. Without a result: pending.
    """
    rows = export.rows("Event", ledger)
    rows.require("EventID")
    rows.require("Event")
    day = rows.day("EventDate", is_needed=True)
    rows.keep_latest(["EventID"], by="DateUpdated")
    rows.set_aside(~rows["EnrollmentID"].isin(enrollments.index), NO_ENROLLMENT)
    told = rows.day("ResultDate", is_needed=False)
    rows.note(told < day, RESULT_FIRST)
    told = told.where(~(told < day))
    result = rows["ReferralResult"]
    listed = (ACCEPTED, CLIENT_REJECTED, PROVIDER_REJECTED)
    rows.note(result.notna() & ~result.isin(listed), UNKNOWN_RESULT)
    rows.note(result.isin(listed) & told.isna(), NO_RESULT_DAY)
    place = rows["LocationCrisisOrPHHousing"]
    rows.note(place.notna() & ~place.isin(projects.index), NO_PLACE)
    at = rows.used()
    kept = rows.frame.iloc[at]
    frame = _referrals(export, links, kept, day.iloc[at], told.iloc[at], enrollments, projects)
    service = links.service("event", kept["Event"]).reset_index(drop=True)
    is_support = service.notna()
    supports = frame[is_support].assign(service=service[is_support])
    return (
        declared_frame("social_referral", dict(frame[~is_support].items())),
        declared_frame("referral", dict(supports.items())),
    )


def _referrals(
    export: HmisExport,
    links: Links,
    kept: pd.DataFrame,
    day: pd.Series,
    told: pd.Series,
    enrollments: pd.DataFrame,
    projects: pd.DataFrame,
) -> pd.DataFrame:
    """Columns that both tables of referrals share, and the code of the event."""
    result = kept["ReferralResult"].where(kept["Event"] != PROBLEM_SOLVING, None)
    solved = kept["ProbSolDivRRResult"].where(kept["Event"] == PROBLEM_SOLVING, None)
    is_accepted = result == ACCEPTED
    is_closed = result.isin([CLIENT_REJECTED, PROVIDER_REJECTED]) | solved.isin(["0", "1"])
    reason = result.map({CLIENT_REJECTED: "member_declined", PROVIDER_REJECTED: "other"})
    reason = reason.where(solved.isna(), solved.map({"1": "services_received", "0": "other"}))
    status = pd.Series("pending", index=kept.index, dtype=object)
    status = status.mask(is_accepted, "accepted").mask(is_closed, "closed")
    status = status.mask(result == PROVIDER_REJECTED, "declined")
    identifier = "event:" + kept["EventID"]
    own = Links("hmis").member(identifier, export.scope)
    person = look_up(kept["EnrollmentID"], enrollments["PersonalID"])
    ends = told.where(solved.isna(), told.fillna(day))
    return pd.DataFrame(
        {
            "referral_id": own,
            "root_referral_id": own,
            "member_id": links.member(person, export.scope),
            "from_organization_id": look_up(kept["EnrollmentID"], enrollments["organization_id"]),
            "to_organization_id": look_up(
                kept["LocationCrisisOrPHHousing"], projects["organization_id"]
            ),
            "social_service_code": kept["Event"],
            "social_service_code_system": "hmis_event",
            "referred_date": day,
            "accepted_date": told.where(is_accepted),
            "closed_date": ends.where(is_closed),
            "referral_status": status,
            "closure_reason": reason.astype(object).where(reason.notna(), None),
        }
    ).reset_index(drop=True)


def project_referrals(export: HmisExport, links: Links, enrollments: pd.DataFrame) -> pd.DataFrame:
    """Enrollments in projects that the service map (kind ``project``) says are a support.

    Where a community enters referrals to a support as enrollments in a project of that name, one
    enrollment is one referral for one service: not a person, and not a service received.
    """
    service = links.service("project", enrollments["ProjectID"].astype(object))
    kept = enrollments[service.notna().to_numpy()]
    own = Links("hmis").member("enrollment:" + pd.Series(kept.index, dtype=object), export.scope)
    is_closed = kept["exit_date"].notna()
    return declared_frame(
        "referral",
        {
            "referral_id": own,
            "root_referral_id": own,
            "member_id": links.member(kept["PersonalID"], export.scope),
            "to_organization_id": kept["organization_id"],
            "service": service[service.notna()],
            "referred_date": kept["entry_date"],
            "closed_date": kept["exit_date"],
            "referral_status": is_closed.map({True: "closed", False: "pending"}).astype(object),
            "closure_reason": is_closed.map({True: "other", False: None}).astype(object),
        },
    )
