"""One defect at a time in clean tables: exactly that finding, with a count known by hand."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from clean_tables import (
    DOCTOR,
    EXTRACT,
    MEMBERS,
    WINDOW,
    add,
    checked,
    clean_frames,
    fill,
    found,
    put,
    visit,
)

from calaim_eval.quality import CHECKS, QualityRules, check_quality
from calaim_eval.quality.counts import as_counts
from calaim_eval.quality.findings import build_findings
from calaim_eval.tables import Tables

A, B = MEMBERS[0], MEMBERS[1]
N_LINES = 4 * 12 + 4


def test_clean_tables_have_no_finding_and_nearly_every_check_looked():
    report = checked(clean_frames())
    assert found(report) == {}
    assert not report.stops
    assert not report.warnings
    blind = {check for check in CHECKS if report.looked_at.get(check, 0) == 0}
    assert blind == {
        # Nobody died; no void or replacement; no rows set aside; all plans too small to judge.
        "coverage_after_death",
        "voids_of_unknown_claims",
        "replacements_of_unknown_claims",
        "voids_that_do_not_net_out",
        "values_missing",
        "values_unreadable",
        "dates_impossible",
        "dates_out_of_order",
        "values_unlisted",
        "values_below_minimum",
        "exact_duplicates",
        "keys_repeated",
        "members_not_in_eligibility",
        "rows_set_aside_otherwise",
        "encounters_absent",
        "encounter_gaps",
        "encounter_drops",
        "encounter_surges",
        "ed_days_implausible",
        "modifiers_invalid",
        "program_lines_outside_coverage",
        "program_codes_unexplained",
    }


def _exact_copy(frames):
    add(frames, "medical_claim", dict(frames["medical_claim"].iloc[0]))


def _key_repeated(frames):
    row = dict(frames["medical_claim"].iloc[0])
    add(frames, "medical_claim", row | {"paid_amount": 81.0, "paid_date": "2022-03-01"})


def _missing_key(frames):
    put(frames, "medical_claim", 0, claim_start_date=None)


def _unreadable(frames):
    put(frames, "medical_claim", 0, paid_amount="eighty")


def _impossible_date(frames):
    put(frames, "pharmacy_claim", 0, dispensing_date="1822-03-05")


def _dates_out_of_order(frames):
    put(frames, "medical_claim", 0, claim_end_date="2022-01-09")


def _unlisted(frames):
    put(frames, "person", 0, sex="q")


def _below_minimum(frames):
    put(frames, "medical_claim", 0, claim_line_number=-1)


def _stranger(frames):
    add(frames, "medical_claim", visit("visit-x", "nobody-99", "2022-05-05"))


def _person_without_spans(frames):
    add(frames, "person", dict(frames["person"].iloc[0]) | {"member_id": "nobody-99"})


def _spans_without_person(frames):
    add(frames, "eligibility", dict(frames["eligibility"].iloc[0]) | {"member_id": "new-55"})


def _no_birth_date(frames):
    put(frames, "person", 1, birth_date=None)


def _too_old(frames):
    put(frames, "person", 1, birth_date="1901-01-01")


def _overlap_same(frames):
    row = dict(frames["eligibility"].iloc[0])
    add(frames, "eligibility", row | {"enrollment_start_date": "2022-06-01"})


def _overlap_other(frames):
    row = dict(frames["eligibility"].iloc[0]) | {"plan": "South Plan"}
    span = {"enrollment_start_date": "2022-06-01", "enrollment_end_date": "2022-06-10"}
    add(frames, "eligibility", row | span)


def _covered_after_death(frames):
    # No claim after it: the visits of the member from November on go.
    put(frames, "person", 0, death_date="2022-10-20")
    claims = frames["medical_claim"]
    late = (claims["member_id"] == A) & (claims["claim_start_date"] > "2022-10-20")
    frames["medical_claim"] = claims[~late].reset_index(drop=True)


def _race_unknown(frames):
    put(frames, "person", 0, race_code=None, race_code_system=None)
    put(frames, "person", 2, race_code="unknown")


def _no_county(frames):
    frames["eligibility"]["county"] = None
    frames["person"]["county"] = None
    put(frames, "eligibility", 0, county="Alameda")
    put(frames, "eligibility", 1, county="Alameda")
    put(frames, "eligibility", 2, county="Alameda")


def _no_plan(frames):
    put(frames, "eligibility", 3, plan=None)


def _outside_coverage(frames):
    put(frames, "eligibility", 0, enrollment_end_date="2022-10-31")


def _other_plan(frames):
    put(frames, "medical_claim", 5, plan="South Plan")
    put(frames, "pharmacy_claim", 0, plan="Medi-Cal Rx")


def _after_death(frames):
    put(frames, "person", 0, death_date="2022-12-05")


def _before_birth(frames):
    put(frames, "person", 0, birth_date="2022-01-20")
    put(frames, "eligibility", 0, enrollment_start_date="2022-01-20")


def _line_outside_claim(frames):
    put(frames, "medical_claim", 3, claim_line_start_date="2022-04-12")


def _paid_before(frames):
    put(frames, "medical_claim", 3, paid_date="2022-04-01")


def _near_duplicate(frames):
    add(frames, "medical_claim", visit("visit-again", A, "2022-01-10", paid_amount=75.0))


def _near_duplicate_fill(frames):
    add(frames, "pharmacy_claim", fill("fill-again", B, "2022-03-05"))


def _void(frames, claim_id, original, amount):
    line = visit(claim_id, A, "2022-01-10", claim_status="void", paid_amount=amount)
    add(frames, "medical_claim", line | {"original_claim_id": original})


def _void_unknown(frames):
    _void(frames, "void-1", "no-such-claim", -80.0)
    _void(frames, "void-2", None, -80.0)


def _void_does_not_net(frames):
    _void(frames, "void-1", f"visit-{A}-01", -60.0)


def _replacement_unknown(frames):
    line = visit("again-1", A, "2022-01-11", claim_status="replacement")
    add(frames, "medical_claim", line | {"original_claim_id": "no-such-claim"})


def _still_patient(frames):
    put(frames, "medical_claim", 48, discharge_disposition_code="30")
    # An interim bill (frequency 2) may say so.
    put(frames, "medical_claim", 49, discharge_disposition_code="30", bill_type_code="0112")


def _long_stay(frames):
    put(
        frames,
        "medical_claim",
        48,
        discharge_date="2023-04-04",
        claim_end_date="2023-04-04",
        paid_date="2023-04-28",
    )


def _ed_days(frames):
    emergency = {"hcpcs_code": "99284", "place_of_service_code": "23"}
    days = [f"2022-07-{day:02d}" for day in range(1, 17)]
    add(
        frames,
        "medical_claim",
        *(visit(f"ed-{day}", B, day, **emergency) for day in days),
        *(visit(f"ed-a-{day}", A, day, **emergency) for day in days[:15]),
    )


def _amounts(frames):
    put(frames, "medical_claim", 0, paid_amount=-5.0)
    put(frames, "medical_claim", 1, paid_amount=0.0)
    put(frames, "medical_claim", 2, paid_amount=0.0)
    put(frames, "medical_claim", 3, paid_amount=None)


def _no_payment_date(frames):
    put(frames, "medical_claim", 7, paid_date=None)


def _bad_codes(frames):
    put(frames, "medical_claim", 0, hcpcs_code="9921")
    put(frames, "medical_claim", 1, hcpcs_modifier_1="U", hcpcs_modifier_3="GT")
    put(frames, "medical_claim", 2, diagnosis_code_1="25000", diagnosis_code_2="Z5901")
    put(frames, "medical_claim", 3, place_of_service_code="28")
    put(frames, "medical_claim", 4, rendering_npi="1245319598")
    put(frames, "medical_claim", 48, revenue_center_code="0050", bill_type_code="911")
    put(frames, "medical_claim", 49, discharge_disposition_code="99")
    put(frames, "pharmacy_claim", 0, ndc_code="0093505698")


def _codes_missing(frames):
    put(frames, "medical_claim", 0, hcpcs_code=None)
    put(frames, "medical_claim", 1, place_of_service_code=None, diagnosis_code_1=None)
    put(frames, "medical_claim", 2, rendering_npi=None, plan=None)
    put(frames, "medical_claim", 48, bill_type_code=None, facility_npi=None)
    put(frames, "medical_claim", 49, revenue_center_code=None)
    put(frames, "pharmacy_claim", 0, ndc_code=None)


def _organization_npi(frames):
    put(frames, "organization", 0, npi="1234567890")


def _record_outside(frames):
    put(frames, "eligibility", 3, enrollment_end_date="2022-12-31")
    row = dict(frames["program_service"].iloc[0])
    gone = {"record_id": "r-9", "record_type": "outreach", "record_date": "2022-02-02"}
    asked = {"record_id": "r-8", "record_type": "authorization", "record_date": "2022-02-02"}
    add(frames, "program_service", row | gone, row | asked)
    put(frames, "eligibility", 0, enrollment_start_date="2022-03-01")
    claims = frames["medical_claim"]
    early = (claims["member_id"] == A) & (claims["claim_start_date"] < "2022-03-01")
    frames["medical_claim"] = claims[~early].reset_index(drop=True)


def _program_lines(frames):
    ecm = {"hcpcs_code": "G9008", "hcpcs_modifier_1": "U1"}
    add(
        frames,
        "medical_claim",
        visit("ecm-1", A, "2022-06-06", **ecm),
        visit("ecm-2", A, "2022-06-07", hcpcs_code="G9008"),
        visit("ecm-3", A, "2022-06-08", hcpcs_code="H0014"),
        visit("ecm-4", A, "2022-06-09", hcpcs_code="G9012", hcpcs_modifier_1="ZZ"),
    )


CASES = {
    _exact_copy: {("exact_duplicates", "medical_claim"): (1, N_LINES + 1)},
    _key_repeated: {("keys_repeated", "medical_claim"): (1, N_LINES + 1)},
    _missing_key: {("values_missing", "medical_claim"): (1, N_LINES)},
    _unreadable: {
        ("values_unreadable", "medical_claim"): (1, N_LINES),
        ("amounts_missing", "medical_claim"): (1, N_LINES),
    },
    _impossible_date: {("dates_impossible", "pharmacy_claim"): (1, 4)},
    _dates_out_of_order: {("dates_out_of_order", "medical_claim"): (1, N_LINES)},
    _unlisted: {("values_unlisted", "person"): (1, 4)},
    _below_minimum: {("values_below_minimum", "medical_claim"): (1, N_LINES)},
    _stranger: {("members_not_in_eligibility", "medical_claim"): (1, N_LINES + 1)},
    _person_without_spans: {("persons_without_eligibility", "person"): (1, 5)},
    _spans_without_person: {
        ("eligibility_without_person", "eligibility"): (1, 5),
        ("race_unknown", "person"): (1, 5),
    },
    _no_birth_date: {("birth_date_missing", "person"): (1, 4)},
    _too_old: {("birth_date_implausible", "person"): (1, 4)},
    _overlap_same: {("spans_overlap_same_plan", "eligibility"): (1, 5)},
    _overlap_other: {("spans_overlap_other_plan", "eligibility"): (1, 1)},
    _covered_after_death: {("coverage_after_death", "eligibility"): (1, 1)},
    _race_unknown: {("race_unknown", "person"): (2, 4)},
    _no_county: {("county_missing", "eligibility"): (1, 4)},
    _no_plan: {("plan_missing", "eligibility"): (1, 4)},
    # The visits of November and December.
    _outside_coverage: {("claims_outside_coverage", "medical_claim"): (2, N_LINES)},
    # By the plan the line names.
    _other_plan: {("claims_of_other_plan", "medical_claim"): (1, 1)},
    # The visit of December; coverage ends in the month of death.
    _after_death: {("claims_after_death", "medical_claim"): (1, N_LINES)},
    _before_birth: {("claims_before_birth", "medical_claim"): (1, N_LINES)},
    _line_outside_claim: {("lines_outside_claim_dates", "medical_claim"): (1, N_LINES)},
    _paid_before: {("paid_before_service", "medical_claim"): (1, N_LINES)},
    _near_duplicate: {("near_duplicates", "medical_claim"): (1, N_LINES + 1)},
    _near_duplicate_fill: {("near_duplicates", "pharmacy_claim"): (1, 5)},
    _void_unknown: {("voids_of_unknown_claims", "medical_claim"): (2, 2)},
    _void_does_not_net: {("voids_that_do_not_net_out", "medical_claim"): (1, 1)},
    _replacement_unknown: {("replacements_of_unknown_claims", "medical_claim"): (1, 1)},
    _still_patient: {("still_a_patient_on_final_bill", "medical_claim"): (1, 3)},
    _long_stay: {("stays_too_long", "medical_claim"): (1, 4)},
    _ed_days: {("ed_days_implausible", "medical_claim"): (1, 2)},
    _amounts: {
        ("amounts_negative", "medical_claim"): (1, N_LINES),
        ("amounts_zero", "medical_claim"): (2, N_LINES),
        ("amounts_missing", "medical_claim"): (1, N_LINES),
    },
    _no_payment_date: {("payment_dates_missing", "medical_claim"): (1, N_LINES)},
    _bad_codes: {
        ("procedure_codes_invalid", "medical_claim"): (1, 48),
        ("modifiers_invalid", "medical_claim"): (1, 2),
        ("diagnosis_codes_invalid", "medical_claim"): (1, N_LINES + 1),
        ("places_of_service_invalid", "medical_claim"): (1, 48),
        ("npis_invalid", "medical_claim"): (1, 48 + 4),
        ("revenue_codes_invalid", "medical_claim"): (1, 4),
        ("bill_types_invalid", "medical_claim"): (1, 4),
        ("discharge_status_invalid", "medical_claim"): (1, 4),
        ("drug_codes_invalid", "pharmacy_claim"): (1, 4),
    },
    _codes_missing: {
        ("procedure_codes_missing", "medical_claim"): (1, 48),
        ("places_of_service_missing", "medical_claim"): (1, 48),
        ("diagnoses_missing", "medical_claim"): (1, N_LINES),
        ("rendering_npis_missing", "medical_claim"): (1, 48),
        ("claim_plans_missing", "medical_claim"): (1, N_LINES),
        ("bill_types_missing", "medical_claim"): (1, 4),
        ("facility_npis_missing", "medical_claim"): (1, 4),
        ("revenue_codes_missing", "medical_claim"): (1, 4),
        ("drug_codes_missing", "pharmacy_claim"): (1, 4),
    },
    _organization_npi: {("npis_invalid", "organization"): (1, 1)},
    _record_outside: {("program_records_outside_coverage", "program_service"): (1, 5)},
    # H0014 alone is detoxification, G9008 without a modifier and G9012 with another are open.
    _program_lines: {("program_codes_unexplained", "medical_claim"): (3, 4)},
}


@pytest.fixture(scope="module")
def all_defects():
    """One run over a clean world for each defect, its members, claims and plans its own."""
    worlds = [in_own_world(defect) for defect in CASES]
    frames = {
        name: pd.concat([world[name] for world in worlds], ignore_index=True) for name in worlds[0]
    }
    return checked(frames)


def in_own_world(defect) -> dict[str, pd.DataFrame]:
    """Clean tables with a defect, under names that no other world has."""
    frames = clean_frames()
    defect(frames)
    world = defect.__name__
    for name, frame in frames.items():
        own = frame.astype(object).where(frame.notna(), None)
        for column in own.columns:
            ending = f" {world}" if column in _NAMES else ""
            own[column] = [None if v is None else f"{v}{ending}" for v in own[column]]
        frames[name] = own
    return frames


_NAMES = {"member_id", "claim_id", "original_claim_id", "record_id", "organization_id", "plan"}


def by_plan(report, world) -> dict[tuple[str, str], tuple[int, int]]:
    """Findings that lie in the plans of a world."""
    return {
        (f.check.id, f.table): (
            sum(g.n for g in f.by("plan") if g.name.endswith(f" {world}")),
            sum(g.of for g in f.by("plan") if g.name.endswith(f" {world}")),
        )
        for f in report.findings
        if any(g.name.endswith(f" {world}") for g in f.by("plan"))
    }


def without_plan(report) -> dict[tuple[str, str], int]:
    """Units of the findings that are not told by plan."""
    return {
        (f.check.id, f.table): f.n
        for f in report.findings
        if not any(" _" in g.name for g in f.by("plan"))
    }


@pytest.mark.parametrize("defect", CASES, ids=lambda defect: defect.__name__.strip("_"))
def test_a_defect_is_found_and_nothing_else(all_defects, defect):
    unplanned = without_plan(all_defects)
    expected = {key: counts for key, counts in CASES[defect].items() if key not in unplanned}
    assert by_plan(all_defects, defect.__name__) == expected
    assert expected or set(CASES[defect]) <= set(unplanned)


def test_findings_that_are_not_told_by_plan_are_the_defects_together(all_defects):
    told = without_plan(all_defects)
    totals: dict[tuple[str, str], int] = {}
    for expected in CASES.values():
        for key, (n, _) in expected.items():
            if key in told:
                totals[key] = totals.get(key, 0) + n
    assert told == totals
    assert len(told) >= 12


def test_a_finding_is_held_against_all_that_was_looked_at():
    frames = clean_frames()
    for defect in (_covered_after_death, _no_plan, _organization_npi, _exact_copy):
        defect(frames)
    # The two visits after the death are gone, the copy is one more row.
    assert found(checked(frames)) == {
        ("coverage_after_death", "eligibility"): (1, 1),
        ("plan_missing", "eligibility"): (1, 4),
        ("npis_invalid", "organization"): (1, 1),
        ("exact_duplicates", "medical_claim"): (1, N_LINES - 2 + 1),
    }


def test_every_check_has_a_defect_or_a_test_of_its_own():
    tried = {check for expected in CASES.values() for check, _ in expected}
    of_months = {  # test_quality_completeness.py and test_quality_run_out.py
        "encounters_absent",
        "encounter_gaps",
        "encounter_drops",
        "encounter_surges",
        "months_incomplete",
        "payments_end_early",
    }
    of_names = {"plans_too_many", "counties_too_many"}  # test_crowded_names.py
    here = {"rows_set_aside_otherwise", "program_lines_outside_coverage"}
    assert tried | of_months | of_names | here == set(CHECKS)


def test_a_reason_no_check_knows_is_not_lost():
    tables = Tables.from_frames(clean_frames())
    tables.ledger.add("person", "set aside for a new reason", 2, stage="read")
    report = check_quality(tables, **WINDOW, extract_date=EXTRACT)
    assert found(report) == {("rows_set_aside_otherwise", "person"): (2, 6)}


def test_program_lines_outside_coverage_are_told_from_other_lines():
    frames = clean_frames()
    ecm = {"hcpcs_code": "G9008", "hcpcs_modifier_1": "U1"}
    add(frames, "medical_claim", visit("ecm-1", A, "2022-12-12", **ecm))
    put(frames, "eligibility", 0, enrollment_end_date="2022-11-30")
    expected = {
        ("claims_outside_coverage", "medical_claim"): (2, N_LINES + 1),
        ("program_lines_outside_coverage", "medical_claim"): (1, 1),
    }
    assert found(checked(frames)) == expected


def test_groups_say_where_it_lies():
    frames = clean_frames()
    put(frames, "eligibility", 1, plan="South Plan", county="Kern")
    frames["medical_claim"].loc[frames["medical_claim"]["member_id"] == B, "plan"] = "South Plan"
    frames["pharmacy_claim"].loc[frames["pharmacy_claim"]["member_id"] == B, "plan"] = "South Plan"
    put(frames, "person", 1, race_code="unknown")
    put(frames, "medical_claim", 12, paid_amount=0.0)  # first visit of B, in January
    report = checked(frames)
    race = next(f for f in report.findings if f.check.id == "race_unknown")
    assert [(g.name, g.n, g.of) for g in race.by("plan")] == [("South Plan", 1, 1)]
    assert [(g.name, g.n, g.of) for g in race.by("county")] == [("Kern", 1, 1)]
    zero = next(f for f in report.findings if f.check.id == "amounts_zero")
    assert [(g.name, g.n, g.of) for g in zero.by("plan")] == [("South Plan", 1, 13)]
    months = {g.name: (g.n, g.of) for g in zero.by("month")}
    assert months["2022-01"] == (1, 4)
    assert months["2022-04"] == (0, 8)
    assert list(months) == sorted(months)
    assert zero.n_members == 1


def _judged(n: int, of: int, plans: tuple[str, ...] = ("one",), **rules: object):
    """The finding on lines outside coverage that counts make under rules."""
    rows = pd.DataFrame({"plan": plans, "n": [n, *[0] * (len(plans) - 1)], "of": of})
    counts = as_counts(rows, check="claims_outside_coverage", table="medical_claim")
    members = pd.DataFrame({"check": [], "table": [], "n_members": []})
    (finding,) = build_findings(counts, members, QualityRules(**rules))
    return finding


def test_limits_make_the_severity():
    name = "claims_outside_coverage"
    assert _judged(2, 52).severity == "note"  # 3.8%; warns above 5%
    assert _judged(2, 52, warn_above={name: 0.03}).severity == "warn"
    assert _judged(2, 52, warn_above={name: 0.04}).severity == "note"
    assert _judged(2, 52, stop_above={name: 0.03}).severity == "stop"
    assert _judged(50, 52).severity == "stop"  # above one half
    assert _judged(52, 52, stop_above={name: 1.0}).severity == "warn"
    assert _judged(52, 52, stop_above={name: 1.0}, warn_above={name: 1.0}).severity == "note"


def test_an_accepted_finding_neither_stops_nor_warns():
    name = "claims_outside_coverage"
    frames = clean_frames()
    _outside_coverage(frames)
    rules = QualityRules(stop_above={name: 0.0}, accepted={name: "agreed"})
    report = checked(frames, rules=rules)
    assert (report.stops, report.warnings) == ((), ())
    assert [(f.check.id, f.severity, f.accepted) for f in report.accepted] == [
        (name, "stop", "agreed")
    ]
    assert _judged(50, 52).stops
    assert not _judged(50, 52, accepted={name: "agreed"}).stops


def test_a_large_plan_warns_on_its_own_and_a_small_one_does_not():
    plans = ("large", *(f"other {i}" for i in range(9)))
    large = _judged(200, 1_000, plans)
    assert (large.severity, large.share) == ("warn", 0.02)
    assert large.large_plan.name == "large"
    assert _judged(199, 999, plans).severity == "note"


def test_the_buckets_do_not_matter():
    frames = clean_frames()
    for defect in (_bad_codes, _amounts, _near_duplicate, _void_unknown, _race_unknown):
        defect(frames)
    reports = [
        check_quality(Tables.from_frames(frames, n_buckets=n), **WINDOW, extract_date=EXTRACT)
        for n in (1, 4)
    ]
    one, four = (
        [dataclasses.replace(f, groups=tuple(sorted(f.groups, key=repr))) for f in r.findings]
        for r in reports
    )
    assert one == four
    assert len(one) >= 12


def test_tables_that_were_not_given_are_not_looked_at():
    frames = {"eligibility": clean_frames()["eligibility"]}
    report = checked(frames)
    assert "claims_outside_coverage" not in report.looked_at
    assert "race_unknown" not in report.looked_at
    assert report.looked_at["spans_overlap_same_plan"] == 4
    assert report.findings == ()
    assert report.run_out == {}
    assert report.completeness.empty


def test_doctor_and_hospital_numbers_of_the_clean_tables_check():
    # Luhn over 80840 and the number, written out the long way.
    for npi in (DOCTOR, "1234567893"):
        digits = [int(d) for d in "80840" + npi]
        doubled = [d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits[::-1])]
        assert sum(doubled) % 10 == 0
