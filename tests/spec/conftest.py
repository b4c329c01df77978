"""Rules of the panel as ASCII tables in, plain values out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import pytest

from calaim_eval.panel import MemberMonths, PanelRules, build_member_months
from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables import Tables

WINDOW = ("2024-01", "2024-12")
SHORT = {
    "eligibility": {
        "start": "enrollment_start_date",
        "end": "enrollment_end_date",
        "recorded": "recorded_date",
        "payer": "payer_type",
        "scope": "benefit_scope",
        "dual": "dual_status_code",
        "aid": "aid_code",
    },
    "person": {"birth": "birth_date", "death": "death_date"},
    "member_xref": {"current": "current_member_id", "merged": "merged_date"},
    "medical_claim": {
        **{f"dx{i}": f"diagnosis_code_{i}" for i in range(1, 6)},
        "claim": "claim_id",
        "line": "claim_line_number",
        "type": "claim_type",
        "start": "claim_start_date",
        "end": "claim_end_date",
        "line_start": "claim_line_start_date",
        "admit": "admission_date",
        "discharge": "discharge_date",
        "bill": "bill_type_code",
        "revenue": "revenue_center_code",
        "rev": "revenue_center_code",
        "hcpcs": "hcpcs_code",
        "place": "place_of_service_code",
        "drg": "drg_code",
        "left": "discharge_disposition_code",
        "facility": "facility_npi",
        "at": "facility_npi",
        "rendering": "rendering_npi",
        "status": "claim_status",
        "original": "original_claim_id",
        "paid": "paid_amount",
        "line_end": "claim_line_end_date",
        "dx": "diagnosis_code_1",
        **{f"dx{i}": f"diagnosis_code_{i}" for i in range(2, 6)},
        "by": "rendering_npi",
        "taxonomy": "rendering_taxonomy_code",
        "biller": "billing_taxonomy_code",
        **{f"mod{i}": f"hcpcs_modifier_{i}" for i in range(1, 6)},
    },
    "pharmacy_claim": {
        "claim": "claim_id",
        "line": "claim_line_number",
        "date": "dispensing_date",
        "status": "claim_status",
        "original": "original_claim_id",
        "paid": "paid_amount",
        "ndc": "ndc_code",
        "days": "days_supply",
    },
    "program_service": {
        "record": "record_id",
        "type": "record_type",
        "date": "record_date",
        "by": "organization_id",
        "focus": "population_of_focus",
    },
    "organization": {"organization": "organization_id", "type": "organization_type"},
    "custody": {"booking": "booking_date", "release": "release_date"},
    "police_contact": {"date": "contact_date", "type": "contact_type"},
    "ems_call": {"date": "call_date", "transported": "is_transported"},
    "feed_coverage": {"start": "coverage_start_date", "end": "coverage_end_date"},
    "acsc_diagnosis": {
        "code": "diagnosis_code",
        "youngest": "youngest_age_years",
        "oldest": "oldest_age_years",
    },
    "claim_procedure": {"claim": "claim_id", "procedure": "procedure_code"},
    "planned_readmission_code": {"kind": "planned_code_kind", "code": "planned_code"},
    "ed_avoidable_weight": {
        "code": "diagnosis_code",
        "non_emergent": "non_emergent_share",
        "treatable": "primary_care_treatable_share",
        "preventable": "preventable_share",
        "youngest": "youngest_age_years",
        "oldest": "oldest_age_years",
    },
}
FORMS = {"inst": "institutional", "prof": "professional"}


def read_ascii(text: str, table: str) -> pd.DataFrame:
    """Frame of an ASCII table; an empty cell is missing, short column names are spelled out."""
    lines = [line.strip() for line in text.strip().splitlines() if set(line.strip()) - set("-+|")]
    cells = [[cell.strip() or None for cell in line.split("|")] for line in lines]
    frame = pd.DataFrame(cells[1:], columns=cells[0]).rename(columns={"member": "member_id"})
    frame = frame.rename(columns=SHORT[table])
    if "claim_type" in frame:
        frame["claim_type"] = frame["claim_type"].replace(FORMS)
    for number in (column for column in frame if _is_number(column)):
        frame[number] = pd.to_numeric(frame[number])
    return _with_defaults(frame, table)


def _is_number(column: str) -> bool:
    """Whether a column is declared a number."""
    return column in FIELDS and FIELDS[column].dtype in {"integer", "number"}


def _with_defaults(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Columns a table needs and a rule seldom turns on."""
    if table == "medical_claim" and "claim_line_number" not in frame:
        frame["claim_line_number"] = frame.groupby("claim_id").cumcount() + 1
    if table == "medical_claim" and "claim_type" not in frame:
        frame["claim_type"] = "institutional"
    if table == "organization" and "organization_type" not in frame:
        frame["organization_type"] = "cbo"
    if table == "program_service":
        frame["program"] = frame["service"].eq("ecm").map({True: "ecm", False: "community_support"})
    return frame


@dataclass
class Built:
    """A panel and ways to read it as plain values."""

    panel: MemberMonths

    def months(self, member: object) -> list[str]:
        """Months of a member in the panel."""
        frame = self.panel.to_frame(["member_id", "month"])
        mine = frame.loc[frame["member_id"] == str(member), "month"]
        return [f"{month:%Y-%m}" for month in mine.sort_values()]

    def values(self, column: str) -> dict[int, dict[str, object]]:
        """Values other than 0 and missing by member and month."""
        frame = self.panel.to_frame(["member_id", "month", column])
        frame = frame[frame[column].notna() & (frame[column] != 0)]
        told: dict[int, dict[str, object]] = {}
        for row in frame.itertuples(index=False):
            told.setdefault(int(row[0]), {})[f"{row[1]:%Y-%m}"] = row[2]
        return told

    def reasons(self, table: str, stage: str = "panel") -> dict[str, int]:
        """Ledger of a table: rows by reason, zeros left out."""
        ledger = self.panel.ledger.to_frame()
        mine = ledger[(ledger["table"] == table) & (ledger["stage"] == stage) & (ledger.n_rows > 0)]
        return dict(zip(mine["reason"], mine["n_rows"], strict=True))


@pytest.fixture(scope="session")
def spec() -> Callable[..., Built]:
    """Build a panel from ASCII tables.

    Members are covered throughout 2024 unless an `eligibility` table says otherwise. Options
    other than table names are panel rules; `window` sets other months.
    """

    def build(window: tuple[str, str] = WINDOW, n_buckets: int = 1, **given: object) -> Built:
        frames = {name: read_ascii(str(given.pop(name)), name) for name in SHORT if name in given}
        if "eligibility" not in frames:
            members = {m for frame in frames.values() for m in frame.get("member_id", ())}
            frames["eligibility"] = pd.DataFrame(
                {
                    "member_id": sorted(members),
                    "enrollment_start_date": f"{window[0]}-01",
                    "enrollment_end_date": None,
                }
            )
        tables = Tables.from_frames(frames, n_buckets=n_buckets)
        first, last = window
        rules = PanelRules(**given)  # type: ignore[arg-type]
        return Built(build_member_months(tables, first_month=first, last_month=last, rules=rules))

    return build
