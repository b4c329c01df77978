"""The members of the oracle meet every rule: an agreement about a rule nobody meets is none."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random

import panel_oracle as oracle
import panel_oracle_care as care
import panel_oracle_hospital as hospital
import panel_oracle_more as more
import panel_oracle_populations as focus
import panel_people as made
import pytest
from panel_oracle_claims import service_day, standings, status

from calaim_eval.panel import PanelRules
from calaim_eval.panel.measures import EXPOSURES, MEASURES

DAY = timedelta(days=1)
AT_LEAST = 3
KEPT = PanelRules(exclude_duals=False, benefit_scope="any", custody_months="leave_out")


def made_up(n: int = 350, **how: bool) -> dict[str, list[dict]]:
    return made.people(Random(20240229).sample(range(10**9), n), **how)


@pytest.fixture(scope="module")
def told():
    """What the words say of members as they are, and of members under former identifiers."""
    plain = oracle.expected(made_up(), PanelRules(), made.WINDOW)
    tables = made_up(has_limits=True, has_merges=True)
    return plain, oracle.expected(tables, KEPT, made.WINDOW)


@pytest.fixture(scope="module")
def months():
    """Months of a window that looks back on a year."""
    rules = PanelRules(exclude_duals=False, max_gap_months=1)
    return list(oracle.expected(made_up(), rules, made.LONG_WINDOW).months.values())


@pytest.fixture(scope="module")
def situations():
    """How often what the rules of care speak of comes about."""
    tables, _ = oracle.as_read(made_up(600))
    lines = tables["medical_claim"]
    found: Counter = Counter()
    found.update(_of_versions(lines))
    final: dict[str, list[dict]] = {}
    for line, standing in zip(lines, standings(lines), strict=True):
        if standing == "used":
            final.setdefault(line["member_id"], []).append(line)
    people = {row["member_id"]: row for row in tables["person"]}
    for who, mine in final.items():
        stays = list(care.stay_claims(mine, "accommodation_or_drg").values())
        found.update(_of_stays(stays))
        found.update(_of_emergency(mine, stays))
        found.update(_of_readmissions(mine, stays, tables, people.get(who, {}), who))
    found.update(_of_spans(tables["eligibility"]))
    return found


def _of_versions(lines: list[dict]) -> Iterator[str]:
    named = {line["claim_id"]: line for line in lines}
    for line in lines:
        what, before = status(line), named.get(line.get("original_claim_id"))
        if what == "original":
            continue
        yield what if line.get("claim_status") else f"{what} by its bill"
        if before is None and what != "denied":
            yield f"{what} of nothing"
        elif before is not None and status(before) == "replacement":
            yield f"{what} of a replacement"


def _of_stays(stays: list[care.Stay]) -> Iterator[str]:
    for one in stays:
        for other in stays:
            gap = (other.admit - one.discharge).days
            is_here = one.facility == other.facility
            if one is other or other.admit < one.admit:
                continue
            if is_here and gap <= 0:
                yield "claims of one facility that overlap"
            elif is_here and gap == 1:
                is_interim = one.left == care.STILL_A_PATIENT
                yield "interim bill" if is_interim else "back at the same facility the next day"
            elif gap in (0, 1):
                is_said = one.left in care.TRANSFER_CODES
                when = "the same day" if gap == 0 else "the next day"
                yield f"transfer {when}, {'as its status says' if is_said else 'by dates alone'}"
            elif not is_here and gap < 0:
                yield "stays of two facilities that overlap"


def _of_emergency(lines: list[dict], stays: list[care.Stay]) -> Iterator[str]:
    doctors = care.ed_doctor_lines(lines)
    days = [service_day(line) for line in doctors]
    claims = care.ed_claims(lines, "without_urgent_care")
    visits = care.ed_visits_of(care.Member(ed_claims=claims, ed_doctor_days=days, stays=stays))
    if len(care.ed_claims(lines, "with_urgent_care")) > len(claims):
        yield "urgent care"
    if sum(v.facility is not None for v in visits) < len(claims):
        yield "claims of one visit"
    for visit in visits:
        yield "visit of a facility" if visit.facility else "visit of a doctor alone"
        same, anywhere = (
            more.ended_in_admission(visit, care.hospital_stays(stays), rule)
            for rule in ("same_facility_or_transfer", "any_facility")
        )
        if same and visit.is_transferred:
            yield "visit that ended in admission elsewhere by transfer"
        elif same:
            yield "visit that ended in admission"
        elif anywhere:
            yield "visit with a stay at another facility"
    if len({day for day in days if not any(v.first == day for v in visits)}) > 0:
        yield "doctor's day that is part of another visit or stay"
    observed = more.observation_stays(lines, [])
    if len(more.observation_stays(lines, stays)) < len(observed):
        yield "observation that led to a stay"


def _of_readmissions(
    lines: list[dict], stays: list[care.Stay], tables: dict, person: dict, who: str
) -> Iterator[str]:
    known = hospital.plans(lines, tables, who)
    without = hospital.Plans(known.starts, [], [])
    death, birth = person.get("death_date"), person.get("birth_date")
    eps = care.episodes(stays)
    for stay in eps:
        if stay.left in care.NOT_AN_INDEX:
            yield f"stay left with {stay.left}"
        if stay.discharge == stay.admit:
            yield "stay within a day"
        if death and death <= stay.discharge:
            yield "died by discharge"
        if not hospital.is_planned(stay, without, "unknown") and hospital.is_planned(
            stay, known, "unknown"
        ):
            yield "planned by a list of the study"
        for system in ("ms_drg", "apr_drg"):
            is_told = hospital.is_planned(stay, without, system)
            if is_told and not hospital.is_planned(stay, without, "unknown"):
                yield f"planned by {system}"
    every = (
        PanelRules(readmission_days=10, planned_readmissions="count"),
        PanelRules(readmission_days=10),
        PanelRules(readmission_days=10, readmission_pregnancy="leave_out"),
        PanelRules(readmission_days=10, readmission_ages=(18, 64)),
        PanelRules(readmission_days=10, readmission_stays="inpatient_or_observation"),
    )
    counts = []
    for rules in every:
        lives = (birth, death)
        counts.append(hospital.readmissions(stays, lines, rules, known, lives, lambda _: True))
    if counts[0][1]:
        yield "readmission"
    names = ("planned readmission", "pregnancy", "age at discharge", "observation")
    for name, base, other in zip(names, (0, 1, 1, 1), counts[1:], strict=True):
        if counts[base] != other:
            yield f"index stays that differ by {name}"


def _of_spans(spans: list[dict]) -> Iterator[str]:
    by_member: dict[str, list[dict]] = {}
    for span in spans:
        by_member.setdefault(span["member_id"], []).append(span)
    for mine in by_member.values():
        for i, one in enumerate(mine):
            for other in mine[i + 1 :]:
                first = max(one["enrollment_start_date"], other["enrollment_start_date"])
                last = min(
                    one["enrollment_end_date"] or date.max, other["enrollment_end_date"] or date.max
                )
                if first <= last:
                    is_tie = one["plan"] == other["plan"]
                    yield "spans of one plan overlap" if is_tie else "plans overlap"


def test_the_oracle_has_no_line_of_the_package():
    files = sorted(Path(oracle.__file__).parent.glob("panel_oracle*.py"))
    assert len(files) > 5
    for file in files:
        others = {name for name in _imported(file) if not name.startswith("panel_oracle")}
        assert others <= set(sys.stdlib_module_names), file.name


def _imported(file: Path) -> Iterator[str]:
    """Libraries that a file brings in."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name.split(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


@pytest.mark.parametrize("measure", [*MEASURES, *EXPOSURES])
def test_every_measure_happens(told, measure):
    n_months = sum(bool(row[measure]) for row in told[0].months.values())
    assert n_months >= AT_LEAST


@pytest.mark.parametrize(
    "column",
    [
        "is_dual",
        "is_retroactive",
        "is_in_custody",
        "is_plan_move",
        "lookback_covered_months",
        "is_continuously_enrolled",
    ],
)
def test_every_fact_of_a_month_is_there_and_not(months, column):
    values = Counter(bool(row[column]) for row in months if row[column] is not None)
    assert min(values[True], values[False]) >= AT_LEAST


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("eligibility", "payer type not in the study"),
        ("eligibility", "limited benefits"),
        ("eligibility", "begins after death"),
        ("eligibility", "ends before birth"),
        ("eligibility", "month with Medicare (dual)"),
        ("medical_claim", "denied"),
        ("medical_claim", "void record"),
        ("medical_claim", "voided"),
        ("medical_claim", "replaced"),
        ("medical_claim", "outside coverage"),
        ("medical_claim", "outside the window"),
        ("pharmacy_claim", "voided"),
        ("program_service", "authorized or denied, not received"),
        ("program_service", "repeats a contact of the day"),
        ("police_contact", "repeats another row of the day"),
        ("claim_procedure", "names no claim of the member"),
        ("ems_call", "no transport, or not known"),
    ],
)
def test_every_reason_happens(told, table, reason):
    assert sum(each == {reason} for each in told[0].rows[table]) >= AT_LEAST


@pytest.mark.parametrize("evidence", sorted({rule[2] for rule in focus.RULES}))
def test_every_evidence_of_a_population_happens(told, evidence):
    rows = told[0].populations.values()
    assert sum(evidence in (row["evidence"] or "").split(";") for row in rows) >= AT_LEAST


def test_populations_are_known_from_claims_from_the_program_file_and_from_both(told):
    bases = Counter(row["basis"] for row in told[0].populations.values())
    assert len(bases) == 3
    assert min(bases.values()) >= AT_LEAST


@pytest.mark.parametrize("feed", ["custody", "police_contact"])
def test_feeds_reach_some_months_and_not_others(told, feed):
    fates = Counter("outside what the feed covers" in each for each in told[1].rows[feed])
    assert min(fates.values()) >= AT_LEAST
    assert sum(each == {"month wholly in custody"} for each in told[1].rows["medical_claim"])


def test_every_way_to_merge_identifiers_happens(told):
    assert len(told[1].merged) == 6
    assert min(told[1].merged.values()) >= AT_LEAST


@pytest.mark.parametrize(
    "situation",
    [
        "void",
        "replacement",
        "denied",
        "replacement by its bill",
        "void of nothing",
        "replacement of nothing",
        "void of a replacement",
        "replacement of a replacement",
        "claims of one facility that overlap",
        "stays of two facilities that overlap",
        "interim bill",
        "back at the same facility the next day",
        "transfer the same day, as its status says",
        "transfer the same day, by dates alone",
        "transfer the next day, as its status says",
        "transfer the next day, by dates alone",
        "urgent care",
        "claims of one visit",
        "visit of a facility",
        "visit of a doctor alone",
        "doctor's day that is part of another visit or stay",
        "visit that ended in admission",
        "visit that ended in admission elsewhere by transfer",
        "visit with a stay at another facility",
        "observation that led to a stay",
        *(f"stay left with {code}" for code in ("02", "07", "20", "41", "30")),
        "stay within a day",
        "died by discharge",
        "planned by a list of the study",
        "planned by ms_drg",
        "planned by apr_drg",
        "readmission",
        *(
            f"index stays that differ by {rule}"
            for rule in ("planned readmission", "pregnancy", "age at discharge", "observation")
        ),
        "plans overlap",
        "spans of one plan overlap",
    ],
)
def test_every_situation_of_the_rules_comes_about(situations, situation):
    assert situations[situation] >= AT_LEAST
