"""Populations of focus counted, and the code list behind them."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import MemberMonths, members_by_population
from calaim_eval.panel import population_evidence as listed
from calaim_eval.schema.codes import load_codes

MONTHS = pd.DataFrame(
    {"member_id": list("abcde"), "month": "2024-01-01", "covered_days": 31, "ed_visits": 0}
)
FOUND = pd.DataFrame(
    [
        ("a", "1a", "adult", "claims"),
        ("a", "3", "adult", "both"),
        ("b", "3", "adult", "program_file"),
        ("c", "3", "child_youth", "claims"),
        ("x", "3", "adult", "claims"),  # never covered
        ("d", "9", None, "program_file"),
    ],
    columns=["member_id", "population", "age_group", "basis"],
)


@pytest.fixture(scope="module")
def panel():
    return MemberMonths.from_frames(MONTHS, member_population=FOUND)


def test_members_of_the_panel_by_population_without_a_total(panel):
    told = members_by_population(panel)
    assert told.to_frame()[["population", "numerator"]].to_numpy().tolist() == [
        ["1a", 1],
        ["3", 3],
        ["9", 1],
    ]
    assert set(told.denominator) == {5}
    assert told.margins == ()
    assert "all" not in set(told.keys["population"])


def test_members_of_any_population_are_counted_once(panel):
    told = members_by_population(panel, margin="any").to_frame().set_index("population")
    # Five rows of members in the panel, four members.
    assert told.loc["any", "numerator"] == 4
    assert told["numerator"].drop("any").sum() == 5


def test_by_basis_and_age(panel):
    by_basis = members_by_population(panel, by="basis").to_frame()
    assert by_basis[["population", "basis", "numerator"]].to_numpy().tolist() == [
        ["1a", "claims", 1],
        ["3", "both", 1],
        ["3", "claims", 1],
        ["3", "program_file", 1],
        ["9", "program_file", 1],
    ]
    by_age = members_by_population(panel, by="age_group", margin="any").to_frame()
    assert by_age.query("population == '9'")["age_group"].tolist() == ["unknown"]
    assert by_age.iloc[-1][["population", "age_group", "numerator"]].tolist() == ["any", "all", 4]


@pytest.mark.parametrize("margin", ["all", "total", "sum"])
def test_a_total_is_refused(panel, margin):
    with pytest.raises(TableError, match=r"Populations of focus overlap.*\n.*margin=\"any\""):
        members_by_population(panel, margin=margin)
    with pytest.raises(TableError, match="not one of 'basis', 'age_group'"):
        members_by_population(panel, by="plan")


def test_a_frame_of_one_population(panel):
    assert panel.population_frame("3")["member_id"].tolist() == ["a", "b", "c", "x"]
    with pytest.raises(TableError, match=r"no population of focus has the code `10`"):
        panel.population_frame("10")


def test_the_code_list_names_populations_and_ages_that_exist():
    evidence = load_codes("population_evidence")
    known = load_codes("population_of_focus")
    pairs = set(zip(known["code"], known["age_group"], strict=True))
    assert set(zip(evidence["population"], evidence["age_group"], strict=True)) <= pairs
    assert set(evidence["confirmed"]) <= {"yes", "partial", "no"}
    assert (evidence["n_needed"].astype(int) >= 1).all()
    assert (evidence["within_months"].astype(int) >= 1).all()
    for pattern in evidence["codes_regex"]:
        re.compile(pattern)


def test_every_population_claims_can_show_has_evidence():
    """`claims_identifiable` of the list says yes or partly; the rest is the program file alone."""
    known = load_codes("population_of_focus")
    from_feeds = {"4"}  # the custody feed, not claims
    said = known[~known["claims_identifiable"].str.startswith("no")]
    with_evidence = set(load_codes("population_evidence")["population"])
    # Nursing-facility level of care is not seen in claims, only that a member lives in one.
    assert set(said["code"]) - with_evidence == {"5"}
    assert with_evidence - set(said["code"]) == from_feeds


LETTERED = [f"{letter}{number:04d}" for letter in "GHT" for number in range(10_000)]
BILLS = [f"{number:03d}{end}" for number in range(1000) for end in ("", "1")]
NUMBERS = [f"{number:04d}" for number in range(10_000)]


@pytest.mark.parametrize(
    ("evidence", "measure", "component", "codes"),
    [
        ("specialty_mental_health_service", "bh_visit", "mental health HCPCS", LETTERED),
        ("substance_use_service", "sud_visit", "SUD HCPCS/CPT", LETTERED),
        ("nursing_facility_bill", "snf_days", "bill type", BILLS),
        ("nursing_facility_revenue", "snf_days", "revenue", NUMBERS),
    ],
)
def test_evidence_is_by_the_codes_of_the_measure_it_names(evidence, measure, component, codes):
    """The source of the evidence is the list of measures: a mend there is made here as well."""
    kinds = {each.name: each.pattern for each in listed.evidences()}
    measures = load_codes("utilization_definitions")
    row = measures[(measures["measure"] == measure) & (measures["component"] == component)]
    theirs = [code for code in codes if re.match(row["codes_regex"].item(), code)]
    ours = [code for code in codes if re.match(kinds[evidence], code)]
    assert ours == theirs
    assert ours


def test_a_kind_of_evidence_has_one_meaning(monkeypatch):
    rows = load_codes("population_evidence")
    rows.loc[rows.index[-1], "codes_regex"] = "^X"
    monkeypatch.setattr(listed, "load_codes", lambda name: rows)
    listed.evidences.cache_clear()
    with pytest.raises(TableError, match="evidence `pregnancy_diagnosis` has two meanings"):
        listed.evidences()
    listed.evidences.cache_clear()
