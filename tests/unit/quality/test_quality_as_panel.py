"""Months, forms and stays of the check are those of the panel."""

from __future__ import annotations

import pandas as pd
import pytest
from clean_tables import (
    EXTRACT,
    MEMBERS,
    WINDOW,
    add,
    checked,
    clean_frames,
    found,
    put,
    stay,
    visit,
)

from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.quality import QualityRules, check_quality
from calaim_eval.tables import Tables

MONTHS = pd.period_range("2022-01", "2022-12", freq="M")


@pytest.mark.parametrize("given", ["empty", "no column"])
def test_a_county_that_only_the_person_has_is_no_missing_county(given):
    frames = clean_frames()
    if given == "empty":
        frames["eligibility"]["county"] = None
    else:
        frames["eligibility"] = frames["eligibility"].drop(columns="county")
    report = checked(frames)
    assert ("county_missing", "eligibility") not in found(report)
    assert report.looked_at["county_missing"] == len(MEMBERS)
    put(frames, "person", 0, county=None)
    assert found(checked(frames))["county_missing", "eligibility"] == (1, len(MEMBERS))


@pytest.mark.parametrize("custody_months", ["leave_out", "keep"])
def test_member_months_are_those_of_the_panel(custody_months, tmp_path):
    """Spells of two members, one of which fills a month."""
    frames = clean_frames()
    frames["custody"] = pd.DataFrame(
        {
            "member_id": [MEMBERS[0], MEMBERS[1]],
            "booking_date": ["2022-03-15", "2022-06-02"],
            "release_date": ["2022-05-10", "2022-06-29"],
        }
    )
    tables, rules = Tables.from_frames(frames), PanelRules(custody_months=custody_months)
    report = check_quality(tables, **WINDOW, extract_date=EXTRACT, panel_rules=rules)
    told = report.completeness[report.completeness["feed"] == "professional"]
    of_check = dict(zip(told["month"], told["n_member_months"], strict=True))
    panel = build_member_months(tables, **WINDOW, rules=rules, out_dir=tmp_path).to_frame(["month"])
    of_panel = panel.groupby(panel["month"].dt.to_period("M")).size()
    assert [of_check[m.year * 12 + m.month - 1] for m in MONTHS] == of_panel[MONTHS].tolist()
    # April is the one month wholly in custody, of one member.
    in_april = len(MEMBERS) - (custody_months == "leave_out")
    assert of_panel.tolist() == [4, 4, 4, in_april, 4, 4, 4, 4, 4, 4, 4, 4]


@pytest.mark.parametrize(("bill", "n"), [("111", 1), ("0111", 1), ("121", 0), ("131", 0)])
def test_acute_stays_are_those_on_bills_the_panel_counts_as_inpatient(bill, n):
    """12x (Part B only) is no admission in the panel."""
    frames = clean_frames()
    put(frames, "medical_claim", len(frames["medical_claim"]) - 1, bill_type_code=bill)
    put(frames, "medical_claim", len(frames["medical_claim"]) - 1, discharge_date="2022-05-30")
    put(frames, "medical_claim", len(frames["medical_claim"]) - 1, claim_end_date="2022-05-30")
    report = checked(frames, rules=QualityRules(max_stay_days=30))
    assert found(report).get(("stays_too_long", "medical_claim"), (0, 0))[0] == n
    assert report.looked_at["stays_too_long"] == len(MEMBERS) - 1 + n


@pytest.mark.parametrize(
    ("claim_type", "bill", "looked_at"),
    [
        (None, "131", "bill_types_missing"),
        (None, None, "procedure_codes_missing"),
        ("institutional", None, "bill_types_missing"),
        ("dental", None, ""),
    ],
)
def test_the_form_of_a_line_is_told_as_in_the_panel(claim_type, bill, looked_at):
    before, frames = checked(clean_frames()).looked_at, clean_frames()
    line = visit("new", MEMBERS[0], "2022-07-07", claim_type=claim_type, bill_type_code=bill)
    add(frames, "medical_claim", line)
    after = checked(frames).looked_at
    for check in ("bill_types_missing", "procedure_codes_missing"):
        assert after[check] - before[check] == (check == looked_at), check


@pytest.mark.parametrize(
    ("codes", "n"),
    [
        ({"hcpcs_code": "99283"}, 1),
        ({"hcpcs_code": "99213"}, 0),
        ({"hcpcs_code": "99213", "revenue_center_code": "0450"}, 1),
        ({"hcpcs_code": "99213", "revenue_center_code": "0456"}, 0),
    ],
)
def test_emergency_lines_are_told_by_the_codes_of_the_code_list(codes, n):
    frames = clean_frames()
    add(frames, "medical_claim", visit("new", MEMBERS[0], "2022-07-07", **codes))
    assert checked(frames).looked_at.get("ed_days_implausible", 0) == n


def test_a_final_bill_is_told_by_its_frequency_digit():
    frames = clean_frames()
    add(
        frames,
        "medical_claim",
        *(
            stay(f"s{bill}", MEMBERS[0], "2022-09-01", "2022-09-02", bill_type_code=bill)
            for bill in ("0112", "113", "0114")
        ),
    )
    # Four stays of the clean tables (111) and the last bill of a series (4); not first or interim.
    assert checked(frames).looked_at["still_a_patient_on_final_bill"] == 4 + 1
