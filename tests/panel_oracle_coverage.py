"""Covered months from the rules' words: every member walked through day by day."""

from __future__ import annotations

from calendar import monthrange
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from typing import Any

Row = dict[str, Any]
DAY = timedelta(days=1)
USED = "used"
DUAL = "month with Medicare (dual)"
OUTSIDE_WINDOW = "outside the window"
OUTSIDE_COVERAGE = "outside coverage"
NOT_FIRST_DAY = "not covered on the first day of the month"
IN_CUSTODY = "month wholly in custody"
NOT_ALL_DAYS = "not covered on all days of the month"


def month_of(day: date) -> str:
    return f"{day:%Y-%m}"


def month_ends(month: str) -> tuple[date, date]:
    """First and last day of a month."""
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, 1), date(year, number, monthrange(year, number)[1])


def days_between(first: date, last: date) -> list[date]:
    return [first + DAY * i for i in range((last - first).days + 1)]


def completed_years(birth: date, day: date) -> int:
    """Years completed; someone born on February 29 completes a year on March 1."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


@dataclass
class Coverage:
    """Months of all members, what became of each, and what became of each span."""

    months: dict[tuple[str, str], Row] = field(default_factory=dict)
    reasons: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    spans: list[set[str]] = field(default_factory=list)
    counted: list[tuple[Row, list[date]]] = field(default_factory=list)
    window: tuple[date, date] = (date.min, date.max)

    def fates(self, member: str, day: date) -> set[str]:
        """What may be said of an event on a day: "used", or why it is not."""
        if not self.window[0] <= day <= self.window[1]:
            return {OUTSIDE_WINDOW}
        return self.reasons.get((member, month_of(day)), {OUTSIDE_COVERAGE})


def coverage(
    tables: dict[str, list[Row]],
    rules: Any,
    window: tuple[date, date],
    in_custody: set[tuple[str, str]],
) -> Coverage:
    """Covered months by the rules."""
    told = Coverage(window=window)
    held = in_custody if rules.custody_months == "leave_out" else set()
    persons = {row["member_id"]: row for row in tables.get("person", [])}
    by_member: dict[str, list[Row]] = defaultdict(list)
    for span in tables["eligibility"]:
        by_member[span["member_id"]].append(span)
    for member, spans in by_member.items():
        left_out = {month for who, month in held if who == member}
        _member(told, member, spans, persons.get(member, {}), rules, left_out)
    return told


def _member(
    told: Coverage,
    member: str,
    spans: list[Row],
    person: Row,
    rules: Any,
    left_out: set[str],
) -> None:
    """Add the months and spans of one member."""
    days_of = [_span_days(span, person, told.window) for span in spans]
    excluded = [_span_reasons(span, person, rules, told.window) for span in spans]
    counted = [i for i, reasons in enumerate(excluded) if not reasons]
    told.counted += [(spans[i], days_of[i]) for i in counted]
    medicare = _medicare_months(spans, days_of, rules)
    months = sorted({month_of(day) for i in counted for day in days_of[i]})
    for month in months:
        touching = {i: {d for d in days_of[i] if month_of(d) == month} for i in counted}
        touching = {i: days for i, days in touching.items() if days}
        covered = set().union(*touching.values())
        reasons = _month_reasons(month, covered, rules, is_dual=month in medicare)
        reasons |= {IN_CUSTODY} if month in left_out else set()
        told.reasons[member, month] = reasons or {USED}
        if not reasons:
            told.months[member, month] = {
                "covered_days": len(covered),
                "is_dual": month in medicare,
                **_attributes(month, touching, spans, rules),
                **_personal(month, person),
            }
            if told.months[member, month]["county"] is None:
                told.months[member, month]["county"] = person.get("county")
    for i, reasons in enumerate(excluded):
        fates = (
            [told.reasons[member, m] for m in {month_of(d) for d in days_of[i]}]
            if not reasons
            else []
        )
        is_used = any(fate == {USED} for fate in fates)
        told.spans.append(reasons or ({USED} if is_used else set().union(*fates)))


def _span_days(span: Row, person: Row, window: tuple[date, date]) -> list[date]:
    """Days of the window in the span, from birth to death."""
    first = max(span["enrollment_start_date"], person.get("birth_date") or date.min, window[0])
    last = min(
        span["enrollment_end_date"] or date.max, person.get("death_date") or date.max, window[1]
    )
    return days_between(first, last) if first <= last else []


def _span_reasons(span: Row, person: Row, rules: Any, window: tuple[date, date]) -> set[str]:
    """Every reason for which a span does not count; the words do not say which goes first."""
    start, end = span["enrollment_start_date"], span["enrollment_end_date"] or date.max
    birth, death = person.get("birth_date") or date.min, person.get("death_date") or date.max
    reasons = set()
    if (span.get("payer_type") or "medicaid") not in rules.payer_types:
        reasons.add("payer type not in the study")
    if rules.benefit_scope == "full" and span.get("benefit_scope") == "limited":
        reasons.add("limited benefits")
    if start > death:
        reasons.add("begins after death")
    if end < birth:
        reasons.add("ends before birth")
    if max(start, birth) > window[1] or min(end, death) < window[0]:
        reasons.add(OUTSIDE_WINDOW)
    return reasons


def _medicare_months(spans: list[Row], days_of: list[list[date]], rules: Any) -> set[str]:
    """Months in which the member also has Medicare: a code, or a Medicare span."""
    months = set()
    for span, days in zip(spans, days_of, strict=True):
        is_code = span.get("dual_status_code") not in (None, "00")
        is_span = span.get("payer_type") == "medicare" and "medicare" not in rules.payer_types
        if is_code or is_span:
            months |= {month_of(day) for day in days}
    return months


def _month_reasons(month: str, covered: set[date], rules: Any, *, is_dual: bool) -> set[str]:
    """Every reason for which a month with coverage stays out of the panel."""
    first, last = month_ends(month)
    reasons = set()
    if rules.exclude_duals and is_dual:
        reasons.add(DUAL)
    if rules.month_rule == "first_day" and first not in covered:
        reasons.add(NOT_FIRST_DAY)
    if rules.month_rule == "all_days" and not set(days_between(first, last)) <= covered:
        reasons.add(NOT_ALL_DAYS)
    return reasons


def _attributes(month: str, touching: dict[int, set[date]], spans: list[Row], rules: Any) -> Row:
    """Plan, county within it, aid code within that; scope; when it was recorded."""
    told: Row = {}
    within = dict(touching)
    for name in ("plan", "county", "aid_code"):
        told[name] = _winner(name, within, spans, rules)
        within = {i: days for i, days in within.items() if spans[i].get(name) == told[name]}
    recorded = [spans[i]["recorded_date"] for i in touching if spans[i].get("recorded_date")]
    told["is_retroactive"] = min(recorded) > month_ends(month)[1] if recorded else None
    told["is_full_scope"] = any(spans[i].get("benefit_scope") != "limited" for i in touching)
    return told


def _winner(name: str, within: dict[int, set[date]], spans: list[Row], rules: Any) -> str | None:
    """Most days, then latest recorded, or the other way round; known first, then alphabetical."""
    days: dict[str | None, set[date]] = defaultdict(set)
    recorded: Counter = Counter()
    for i, mine in within.items():
        value = spans[i].get(name)
        days[value] |= mine
        when = spans[i].get("recorded_date")
        recorded[value] = max(recorded[value], when.toordinal() if when else 0)

    def rank(value: str | None) -> tuple:
        by_days, by_date = -len(days[value]), -recorded[value]
        order = (by_days, by_date) if rules.plan_rule == "most_days" else (by_date, by_days)
        return (*order, value is None, value or "")

    return min(days, key=rank)


def _personal(month: str, person: Row) -> Row:
    """Age on the first of the month, and sex as recorded."""
    birth = person.get("birth_date")
    age = max(0, completed_years(birth, month_ends(month)[0])) if birth else None
    return {"age_years": age, "sex": person.get("sex") or "unknown"}


def with_history(
    months: dict[tuple[str, str], Row], window: tuple[date, date], max_gap_months: int
) -> None:
    """Add what a member's earlier months in the panel say of each."""
    first = _number(month_of(window[0]))
    of: dict[str, list[str]] = defaultdict(list)
    for who, month in months:
        of[who].append(month)
    for (who, month), row in months.items():
        before = [each for each in of[who] if each < month]
        last = months[who, max(before)]["plan"] if before else None
        is_known = last is not None and row["plan"] is not None
        row["is_plan_move"] = last != row["plan"] if is_known else None
        year = range(_number(month) - 12, _number(month))
        covered = {_number(each) for each in before}
        is_there = [number in covered for number in year]
        is_known = year[0] >= first
        row["lookback_covered_months"] = sum(is_there) if is_known else None
        gaps = [len(list(run)) for is_in, run in groupby(is_there) if not is_in]
        longest = max(gaps, default=0)
        row["is_continuously_enrolled"] = longest <= max_gap_months if is_known else None


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:])
