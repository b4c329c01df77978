"""A small set of tables in which nothing is wrong, to put one defect at a time into."""

from __future__ import annotations

from datetime import date

import pandas as pd

from calaim_eval.quality import QualityReport, check_quality
from calaim_eval.tables import Tables

WINDOW = {"first_month": "2022-01", "last_month": "2022-12"}
EXTRACT = date(2023, 6, 30)
HOSPITAL, DOCTOR = "1234567893", "1245319599"  # both check; the first is CMS's own example
MEMBERS = ("member-aa-1", "member-bb-2", "member-cc-3", "member-dd-4")


def clean_frames() -> dict[str, pd.DataFrame]:
    """Four members of one plan, each with a visit a month, a stay, a fill and an ECM record."""
    spans = [
        {
            "member_id": member,
            "enrollment_start_date": "2022-01-01",
            "enrollment_end_date": "2022-12-31",
            "plan": "North Plan",
            "payer_type": "medicaid",
            "county": "Alameda",
            "recorded_date": "2021-12-20",
        }
        for member in MEMBERS
    ]
    persons = [
        {
            "member_id": member,
            "birth_date": "1980-05-05",
            "death_date": None,
            "sex": "female",
            "race_code": "white",
            "race_code_system": "analysis_group",
            "county": "Alameda",
        }
        for member in MEMBERS
    ]
    visits = [
        visit(f"visit-{member}-{month:02d}", member, f"2022-{month:02d}-10")
        for member in MEMBERS
        for month in range(1, 13)
    ]
    stays = [stay(f"stay-{member}", member, "2022-04-03", "2022-04-06") for member in MEMBERS]
    fills = [fill(f"fill-{member}", member, "2022-03-05") for member in MEMBERS]
    records = [
        {
            "record_id": f"record-{member}",
            "member_id": member,
            "program": "ecm",
            "service": "ecm",
            "record_type": "service",
            "record_date": "2022-05-05",
            "organization_id": "org-1",
            "plan": "North Plan",
        }
        for member in MEMBERS
    ]
    return {
        "eligibility": pd.DataFrame(spans),
        "person": pd.DataFrame(persons),
        "medical_claim": pd.DataFrame([*visits, *stays]),
        "pharmacy_claim": pd.DataFrame(fills),
        "program_service": pd.DataFrame(records),
        "organization": pd.DataFrame(
            [{"organization_id": "org-1", "organization_type": "cbo", "npi": HOSPITAL}]
        ),
    }


def visit(claim_id: str, member: str, day: str, **other: object) -> dict[str, object]:
    """A paid office visit."""
    paid = (pd.Timestamp(day) + pd.Timedelta(days=25)).date().isoformat()
    return {
        "claim_id": claim_id,
        "claim_line_number": 1,
        "claim_type": "professional",
        "member_id": member,
        "plan": "North Plan",
        "claim_start_date": day,
        "claim_end_date": day,
        "claim_line_start_date": day,
        "hcpcs_code": "99213",
        "place_of_service_code": "11",
        "diagnosis_code_1": "E119",
        "rendering_npi": DOCTOR,
        "claim_status": "original",
        "paid_date": paid,
        "paid_amount": 80.0,
        **other,
    }


def stay(claim_id: str, member: str, day: str, last: str, **other: object) -> dict[str, object]:
    """A paid hospital stay, one line."""
    return {
        **visit(claim_id, member, day),
        "claim_type": "institutional",
        "claim_end_date": last,
        "admission_date": day,
        "discharge_date": last,
        "bill_type_code": "111",
        "revenue_center_code": "0120",
        "hcpcs_code": None,
        "place_of_service_code": None,
        "drg_code": "194",
        "discharge_disposition_code": "01",
        "facility_npi": HOSPITAL,
        "rendering_npi": None,
        "paid_amount": 9_000.0,
        **other,
    }


def fill(claim_id: str, member: str, day: str, **other: object) -> dict[str, object]:
    """A paid fill of a prescription."""
    paid = (pd.Timestamp(day) + pd.Timedelta(days=5)).date().isoformat()
    return {
        "claim_id": claim_id,
        "claim_line_number": 1,
        "member_id": member,
        "plan": "North Plan",
        "dispensing_date": day,
        "ndc_code": "00093505698",
        "quantity": 30,
        "days_supply": 30,
        "claim_status": "original",
        "paid_date": paid,
        "paid_amount": 12.5,
        **other,
    }


def add(frames: dict[str, pd.DataFrame], table: str, *rows: dict[str, object]) -> None:
    """Add rows to a table."""
    frames[table] = pd.concat([frames[table], pd.DataFrame(list(rows))], ignore_index=True)


def put(frames: dict[str, pd.DataFrame], table: str, row: int, **values: object) -> None:
    """Change values of a row."""
    for column, value in values.items():
        if column not in frames[table].columns:
            frames[table][column] = None
        frames[table][column] = frames[table][column].astype(object)
        frames[table].loc[row, column] = value


def checked(frames: dict[str, pd.DataFrame], **options: object) -> QualityReport:
    """Findings on frames."""
    tables = Tables.from_frames(frames)
    return check_quality(tables, **WINDOW, extract_date=EXTRACT, **options)


def found(report: QualityReport) -> dict[tuple[str, str], tuple[int, int]]:
    """Units with a problem and units looked at, by check and table."""
    return {(f.check.id, f.table): (f.n, f.of) for f in report.findings}
