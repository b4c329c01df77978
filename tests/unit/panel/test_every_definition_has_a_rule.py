"""No row of the published definitions is without an example among the rule tables."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from calaim_eval.schema import load_codes

SPEC = Path(__file__).parents[2] / "spec"
CODED = load_codes("utilization_definitions")
CODED = CODED[CODED["codes_regex"].fillna("") != ""]
# Rows without codes, and the rule tables that spell them out.
WITHOUT_CODES = {
    ("ed_visit", "ended in inpatient stay"): "a_visit_that_ended_in_admission",
    ("ip_stay", "merge: same end date"): "claims_of_one_facility_become_stays",
    ("ip_stay", "merge: overlap"): "claims_of_one_facility_become_stays",
    ("ip_days", "length of stay"): "claims_of_one_facility_become_stays",
    ("readmission_30d", "index stay"): "readmissions_within_thirty_days",
    ("readmission_30d", "continuous enrolment"): "index_stays_need_a_year_of_coverage",
    ("readmission_30d", "planned readmission rule"): "an_index_stay_whose_first_readmission",
    ("readmission_30d", "numerator"): "readmissions_within_thirty_days",
    ("readmission_30d", "right censoring"): "readmissions_are_missing_where_they_cannot",
    ("ed_avoidable_nyu", "NYU/Billings probabilities"): "avoidable_visits_are_a_sum",
    # Another algorithm, or a list of yes and no: the same table with other shares.
    ("ed_avoidable_nyu", "newer variant"): "other_weights_are_another_definition",
    (
        "ed_avoidable_dhcs",
        "DHCS/statewide collaborative avoidable ER list",
    ): "other_weights_are_another_definition",
    ("acsc_admission", "AHRQ PQI 90 style"): "stays_for_sensitive_conditions",
    ("amb_ed_rate", "HEDIS AMB (retired)"): "visits_are_split_by_whether_they_ended",
    ("jail_days", "custody spells"): "jail_days_are_days_with_any_time",
    ("police_encounters", "contacts"): "police_contacts_are_one_per_day_and_type",
}


def texts() -> str:
    """Source of the rule tables of the panel."""
    return "\n".join(p.read_text(encoding="utf-8") for p in sorted(SPEC.glob("test_panel_*.py")))


COLUMNS = {
    "revenue_code": ("rev", "revenue"),
    "procedure_code": ("hcpcs",),
    "procedure_code+modifiers": ("hcpcs",),
    "place_of_service": ("place",),
    "revenue_code|place_of_service": ("rev", "place"),
    "type_of_bill": ("bill",),
    "discharge_status": ("left",),
    "drg": ("drg",),
    "billing_taxonomy": ("biller",),
    "rendering_taxonomy": ("taxonomy",),
    "diagnosis": ("dx", "dx1", "dx2", "dx3", "dx4", "dx5"),
    "ndc+fill_date": ("ndc",),
}
"""Columns of the ASCII tables that hold what a definition's `claim_field` names."""


def cells() -> dict[str, set[str]]:
    """Cells of the ASCII tables by the heading of their column."""
    found: dict[str, set[str]] = {}
    lines = texts().splitlines()
    heads: list[str] = []
    for before, line in pairwise(lines):
        if re.fullmatch(r"\s*[-+]*-\+-[-+]*", line):
            heads = [each.strip() for each in before.split("|")]
        elif "|" in line and heads:
            for head, cell in zip(heads, line.split("|"), strict=False):
                found.setdefault(head, set()).add(cell.strip())
        else:
            heads = []
    return found


@pytest.mark.parametrize(
    ("measure", "component", "field", "pattern"),
    [
        tuple(row)
        for row in CODED[["measure", "component", "claim_field", "codes_regex"]].to_numpy()
    ],
)
def test_a_code_of_every_definition_is_in_a_rule_table(measure, component, field, pattern):
    given = set().union(*[cells().get(column, set()) for column in COLUMNS[field]])
    assert any(re.search(pattern, cell) for cell in given), f"{measure}: {component}"


def test_every_definition_without_codes_has_a_rule_table():
    every = load_codes("utilization_definitions")
    plain = every[every["codes_regex"].fillna("") == ""]
    assert set(plain[["measure", "component"]].itertuples(index=False, name=None)) == set(
        WITHOUT_CODES
    )
    text = texts()
    assert not [name for name in WITHOUT_CODES.values() if f"def test_{name}" not in text]
