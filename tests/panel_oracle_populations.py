"""Populations of focus from the wording of their code list: a month at a time."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import date

from panel_oracle_claims import Row, bill, service_day
from panel_oracle_coverage import completed_years, month_ends, month_of
from panel_oracle_hospital import NURSING_BILLS, NURSING_REVENUE
from panel_oracle_more import MENTAL, SUBSTANCE

ADULT, CHILD = "adult", "child_youth"
PROGRAM = "program_file"
FOSTER = {
    *("03", "04", "07", "40", "42", "43", "45", "46", "5K"),
    *(f"4{letter}" for letter in "FGHIJKLMN"),
}
DIAGNOSES = {
    "homelessness_diagnosis": "Z590",
    "housing_instability_diagnosis": "Z591|Z598",
    "serious_mental_illness_diagnosis": r"F2\d|F30|F31|F322|F323|F332|F333",
    "substance_use_diagnosis": "F1[0-6]|F18|F19",
    "pregnancy_diagnosis": r"O\d|OA|Z331|Z34|Z37|Z39|Z3A",
}
COUNTY_SERVICES = {code for code in MENTAL if code[0] in "HT"}
SUBSTANCE_SERVICES = {
    *(code for code in SUBSTANCE if code[0] == "H"),
    *(f"G20{i}" for i in range(60, 81)),
}
BOTH = (ADULT, CHILD)
# Population, ages, evidence, days or events needed, months in which.
RULES = [
    *(("1a", ADULT, name, 1, 1) for name in (*list(DIAGNOSES)[:2], "homelessness_place")),
    *(("1b", CHILD, name, 1, 1) for name in (*list(DIAGNOSES)[:2], "homelessness_place")),
    ("2", ADULT, "ed_use", 5, 6),
    ("2", ADULT, "inpatient_use", 3, 12),
    ("2", CHILD, "ed_use", 3, 12),
    ("2", CHILD, "inpatient_use", 2, 12),
    *(("3", ages, "serious_mental_illness_diagnosis", 2, 12) for ages in BOTH),
    *(("3", ages, "substance_use_diagnosis", 2, 12) for ages in BOTH),
    *(("3", ages, "specialty_mental_health_service", 1, 1) for ages in BOTH),
    *(("3", ages, "substance_use_service", 1, 1) for ages in BOTH),
    *(("4", ages, "release_from_custody", 1, 1) for ages in BOTH),
    ("6", ADULT, "nursing_facility_bill", 1, 1),
    ("6", ADULT, "nursing_facility_revenue", 1, 1),
    ("8", CHILD, "foster_care_aid_code", 1, 1),
    *(("9", ages, "pregnancy_diagnosis", 1, 1) for ages in BOTH),
]
Days = list[tuple[str, date]]


def populations(
    lines: list[Row],
    events: dict[str, Days],
    foster: set[tuple[str, str]],
    records: list[Row],
    births: dict[str, date],
) -> dict[tuple[str, str], Row]:
    """What a member and population have.

    `events` are emergency visits, hospital stays and releases from custody; `foster` members and
    months under an aid code of foster care.
    """
    counts = _counts(lines, events, foster)
    found: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for population, ages, evidence, n_needed, within in RULES:
        for who, months in counts[evidence].items():
            for month in months:
                n = sum(k for each, k in months.items() if 0 <= _apart(each, month) < within)
                if n >= n_needed and _age_group(births.get(who), month) == ages:
                    found[who, population].add((evidence, month))
    for row in records:
        for code in (row.get("population_of_focus") or "").split(";"):
            if code.strip():
                key = (row["member_id"], code.strip())
                found[key].add((PROGRAM, month_of(row["record_date"])))
    return {key: _row(mine, births.get(key[0])) for key, mine in found.items()}


def foster_months(counted: list[tuple[Row, list[date]]]) -> set[tuple[str, str]]:
    """Members and months touched by a counted span under an aid code of foster care."""
    return {
        (span["member_id"], month_of(day))
        for span, days in counted
        for day in days
        if span.get("aid_code") in FOSTER
    }


def _row(found: set[tuple[str, str]], birth: date | None) -> Row:
    """Months and evidence of a member and population."""
    claims = [month for evidence, month in found if evidence != PROGRAM]
    program = [month for evidence, month in found if evidence == PROGRAM]
    first = min(claims + program)
    basis = "both" if claims and program else "claims" if claims else PROGRAM
    return {
        "age_group": _age_group(birth, first),
        "basis": basis,
        "evidence": ";".join(sorted({each for each, _ in found} - {PROGRAM})) or None,
        "first_month": first,
        "claims_month": min(claims, default=None),
        "program_month": min(program, default=None),
    }


def _apart(one: str, other: str) -> int:
    """Calendar months from one to the other."""
    return (int(other[:4]) - int(one[:4])) * 12 + int(other[5:]) - int(one[5:])


def _age_group(birth: date | None, month: str) -> str | None:
    if birth is None:
        return None
    return ADULT if completed_years(birth, month_ends(month)[0]) >= 21 else CHILD


def _counts(
    lines: list[Row], events: dict[str, Days], foster: set[tuple[str, str]]
) -> dict[str, dict[str, Counter]]:
    """Days or events by evidence, member and month."""
    days: dict[str, set[tuple[str, date]]] = defaultdict(set)
    for line in lines:
        for evidence in _evidence(line):
            days[evidence].add((line["member_id"], service_day(line)))
    told: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
    for evidence, each in [*days.items(), *events.items()]:
        for who, day in each:
            told[evidence][who][month_of(day)] += 1
    for who, month in foster:
        told["foster_care_aid_code"][who][month] = 1
    return told


def _evidence(line: Row) -> set[str]:
    """What a line is evidence of."""
    codes = [line.get(f"diagnosis_code_{i}") or "" for i in range(1, 6)]
    told = {name for name, mine in DIAGNOSES.items() if any(re.match(mine, c) for c in codes)}
    tests = {
        "homelessness_place": line.get("place_of_service_code") in {"04", "27"},
        "specialty_mental_health_service": line.get("hcpcs_code") in COUNTY_SERVICES,
        "substance_use_service": line.get("hcpcs_code") in SUBSTANCE_SERVICES,
        "nursing_facility_bill": bill(line)[:2] in NURSING_BILLS,
        "nursing_facility_revenue": line.get("revenue_center_code") in NURSING_REVENUE,
    }
    return told | {name for name, is_so in tests.items() if is_so}
