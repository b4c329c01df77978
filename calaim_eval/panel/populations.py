"""Populations of focus by member: from claims and feeds, and from the program file.

Rules (each a row of the code list `population_evidence`):

1. Evidence of claim lines is counted in days: the final lines of one day that show it are one.
   Emergency visits, hospital stays (by admission) and releases from custody are counted as events,
   a month of the window touched by a counted span under an aid code as one. Other evidence counts
   inside the window and outside, covered or not, as contacts do for an exposure.
2. In a month with evidence, the days or events of that month and of the `within_months` - 1 months
   before it are added up. The first month in which they reach `n_needed`, and in which the member
   is of the rule's age group on the first day, is the month identified. A member without a birth
   date is identified by the program file only.
3. The program file identifies by `population_of_focus` of any record, whatever its type, in the
   month of the record. Several codes in one record are parted by a semicolon (reading makes it so).
4. One row per member and population. Populations overlap and are never summed.

Receipt of a service is no evidence: it would define the population by the exposure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from calaim_eval.panel.columns import POPULATION_COLUMNS
from calaim_eval.panel.population_evidence import (
    ADULT_AGE,
    AID_CODE,
    Evidence,
    evidence_rules,
    evidences,
)
from calaim_eval.panel.spans import (
    completed_years,
    cut_by_month,
    date_of,
    day_number,
    month_number,
)

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.care import Care

CLAIMS, PROGRAM, BOTH = "claims", "program_file", "both"
_KEY = ("member", "population")


def member_populations(care: Care) -> Table:
    """One row per member and population of focus; the columns of `member_population`."""
    bucket = care.bucket
    of_aid_codes = _from_data(care, [each for each in evidences() if each.field == AID_CODE])
    found = bucket.keep("population_evidence", ibis.union(care.populations, *of_aid_codes))
    told = found.group_by(*_KEY).agg(
        claims_month=found["month"].min(where=found["evidence"] != PROGRAM),
        program_month=found["month"].min(where=found["evidence"] == PROGRAM),
        month=found["month"].min(),
    )
    kinds = found.filter(found["evidence"] != PROGRAM).select(*_KEY, "evidence").distinct()
    named = kinds.group_by(*_KEY).agg(evidence=kinds["evidence"].collect().sort().join(";"))
    joined = told.left_join(named, list(_KEY)).drop("member_right", "population_right")
    described = _with_age_group(care, joined).left_join(bucket.members, "member")
    basis = ibis.cases(
        (described["claims_month"].isnull(), PROGRAM),
        (described["program_month"].isnull(), CLAIMS),
        else_=BOTH,
    )
    told = described.mutate(
        basis=basis,
        first_month=_first_day(described["month"]),
        claims_month=_first_day(described["claims_month"]),
        program_month=_first_day(described["program_month"]),
    )
    return told.select(*POPULATION_COLUMNS)


def population_months(care: Care) -> Table:
    """Months in which anything but coverage identifies a member.

    Columns are `member`, `population`, `month`, `evidence`.
    """
    others = [each for each in evidences() if each.field != AID_CODE]
    return ibis.union(*_from_data(care, others), _from_records(care))


def _from_data(care: Care, kinds: Sequence[Evidence]) -> Iterator[Table]:
    """One table of months in which data of some kinds identify a member; none without a kind."""
    if not kinds:
        return
    name = "_".join(["evidence_counts", *(each.name for each in kinds[:1])])
    counted = care.bucket.keep(name, ibis.union(*(_counted(care, each) for each in kinds)))
    widths = sorted({rule.within_months for rule in evidence_rules()})
    totals = {f"n_{width}": _running_total(counted, width) for width in widths}
    known = _with_age_group(care, counted.mutate(**totals))
    rules = ibis.memtable(pd.DataFrame(evidence_rules())).rename(
        rule_evidence="evidence", rule_age="age_group"
    )
    is_of_rule = [
        known["evidence"] == rules["rule_evidence"],
        known["age_group"] == rules["rule_age"],
    ]
    joined = known.join(rules, is_of_rule)
    reached = ibis.cases(
        *[(joined["within_months"] == width, joined[f"n_{width}"]) for width in widths]
    )
    enough = joined.filter(reached >= joined["n_needed"])
    yield enough.select("member", "population", "month", "evidence")


def _running_total(counted: Table, width: int) -> Value:
    """Days or events of the month and of the months before it, `width` months in all."""
    window = ibis.range_window(
        preceding=width - 1,
        following=0,
        group_by=["member", "evidence"],
        order_by="month",
    )
    return counted["n"].sum().over(window)


def _counted(care: Care, each: Evidence) -> Table:
    """Days or events of one kind of evidence by member and month."""
    found = _dated(care, each)
    counted = found.group_by("member", "month").agg(n=found.count())
    return counted.select("member", "month", "n", evidence=ibis.literal(each.name))


def _dated(care: Care, each: Evidence) -> Table:
    """One row per day with the evidence, or per event: `member`, `month`; known members only."""
    if each.field == AID_CODE:
        return _aid_code_months(care, each.pattern)
    if each.is_on_lines:
        found = care.lines_of(each.line_kind()).select("member", "day").distinct()
    else:
        found = _events(care, each.field)
    known = found.filter(found["member"].notnull())
    return known.select("member", month=month_number(date_of(known["day"])))


def _aid_code_months(care: Care, pattern: str) -> Table:
    """Months touched by a counted span with such an aid code: `member`, `month`."""
    spans = care.bucket.kept("spans")
    found = spans.filter(spans["reason"].isnull() & spans["aid_code"].re_search(pattern))
    cut = cut_by_month(found.select("member", "start_day", "end_day"), care.bucket.calendar)
    return cut.select("member", "month").distinct()


def _events(care: Care, field: str) -> Table:
    """Events of one kind: `member`, `day`."""
    if field == "ed_visits":
        return care.ed_visits.select("member", "day")
    if field == "inpatient_stays":
        return care.episodes.select("member", day="admit_day")
    feed = care.bucket.read("custody")
    released = feed.filter(feed["release_date"].notnull())
    return released.select("member", day=day_number(released["release_date"])).distinct()


def _from_records(care: Care) -> Table:
    """Populations on the program records, in the columns of `_from_data`."""
    records = care.bucket.read("program_service")
    named = records.filter(records["population_of_focus"].notnull() & records["member"].notnull())
    codes = named.select(
        "member",
        month=month_number(named["record_date"]),
        population=named["population_of_focus"].split(";").unnest(),
    )
    codes = codes.mutate(population=codes["population"].strip())
    each = codes.filter(codes["population"] != "").distinct()
    return each.select("member", "population", "month", evidence=ibis.literal(PROGRAM))


def _with_age_group(care: Care, rows: Table) -> Table:
    """Rows with the `age_group` of the member on the first day of `month`."""
    person = care.bucket.read("person").select("member", "birth_date")
    joined = rows.left_join(person, "member").drop("member_right")
    age = completed_years(joined["birth_date"], _first_day(joined["month"]))
    group = ibis.ifelse(age >= ADULT_AGE, "adult", "child_youth")
    told = ibis.ifelse(joined["birth_date"].isnull(), ibis.null("string"), group)
    return joined.mutate(age_group=told).drop("birth_date")


def _first_day(month: Value) -> Value:
    """First day of a month number."""
    return ibis.date(month // 12, month % 12 + 1, 1)
