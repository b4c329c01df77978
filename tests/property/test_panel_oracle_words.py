"""Cases the oracle's members keep clear of, since the words once left them open: each by itself."""

from __future__ import annotations

from datetime import date

import panel_oracle as oracle
import panel_people as made
import pytest

from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.tables import Tables

SPAN = {"enrollment_start_date": date(2024, 1, 1), "enrollment_end_date": date(2024, 3, 31)}
LINE = {
    "claim_line_number": 1,
    "claim_type": "professional",
    "claim_start_date": date(2024, 2, 5),
    "paid_amount": oracle.Decimal("100.00"),
}


@pytest.fixture(scope="module")
def months():
    """Member months as built, and as the words say, of all cases together."""
    tables = made.people([])
    for who in ("dual", "county", "digit", "u1", "u2"):
        tables["eligibility"].append({"member_id": who, **SPAN, "county": "Kern"})
        tables["person"].append({"member_id": who, "birth_date": date(1990, 1, 1)})
    limited = {"benefit_scope": "limited", "dual_status_code": "02"}
    tables["eligibility"].append({"member_id": "dual", **SPAN, **limited})
    tables["eligibility"].append({"member_id": "county", **SPAN})
    tables["person"][-4]["county"] = "Fresno"
    bill = {"claim_type": "institutional", "claim_status": "original"}
    first = {"member_id": "digit", **LINE, **bill, "claim_id": "d1", "bill_type_code": "131"}
    later = {"claim_id": "d2", "bill_type_code": "138", "original_claim_id": "d1"}
    tables["medical_claim"] += [first, {**first, **later}]
    for who, code, modifier in (("u2", "G9008", "U2"), ("u1", "G9012", "U1")):
        ecm = {"hcpcs_code": code, "hcpcs_modifier_1": modifier, "claim_id": who}
        tables["medical_claim"].append({"member_id": who, **LINE, **ecm})
    read = Tables.from_frames(made.frames(tables))
    panel = build_member_months(read, first_month="2024-01", last_month="2024-06")
    frame = panel.to_frame()
    frame["month"] = frame["month"].dt.strftime("%Y-%m")
    built = {(row["member_id"], row["month"]): row for row in frame.to_dict("records")}
    return built, oracle.expected(tables, PanelRules(), made.WINDOW).months


def test_medicare_seen_on_a_span_that_does_not_count(months):
    built, told = months
    assert ("dual", "2024-02") not in told
    assert ("dual", "2024-02") not in built


def test_a_county_of_a_span_goes_before_that_of_the_person(months):
    built, told = months
    assert told["county", "2024-02"]["county"] == "Kern"
    assert built["county", "2024-02"]["county"] == "Kern"


def test_a_void_by_frequency_digit_acts_though_recorded_as_original(months):
    assert months[0]["digit", "2024-02"]["paid_usd"] == 0


@pytest.mark.parametrize("who", ["u1", "u2"])
def test_only_the_pairs_of_the_code_list_are_ecm_services(months, who):
    """G9008 goes with U1 and G9012 with U2; the other pairs are counted as unclassified."""
    assert months[0][who, "2024-02"]["ecm_services"] == 0
