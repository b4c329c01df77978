"""The panel's rules once more, in plain Python and slowly: day by day, pair by pair.

Nothing here comes from the package. It is written from the rules' wording, to compare with.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

DAY = timedelta(days=1)
NOT_AN_INDEX = {"02", "07", "20", "40", "41", "42", "30"}


@dataclass
class Span:
    start: date
    end: date | None
    plan: str | None
    county: str | None
    recorded: date | None
    dual: bool = False


@dataclass
class Stay:
    facility: str
    admit: date
    discharge: date
    left: str


@dataclass
class EdClaim:
    facility: str
    days: list[date]


@dataclass
class Member:
    spans: list[Span]
    ed_claims: list[EdClaim] = field(default_factory=list)
    ed_doctor_days: list[date] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    death: date | None = None


def month_of(day: date) -> str:
    return f"{day:%Y-%m}"


def days_of_window(first: date, last: date) -> list[date]:
    return [first + DAY * i for i in range((last - first).days + 1)]


def coverage(member: Member, first: date, last: date) -> dict[str, dict[str, object]]:
    """Month -> covered days, plan, county, dual, by walking through the days."""
    on_day: dict[date, list[Span]] = {}
    for day in days_of_window(first, last):
        if member.death is not None and day > member.death:
            break
        spans = [s for s in member.spans if s.start <= day and (s.end is None or day <= s.end)]
        if spans:
            on_day[day] = spans
    months: dict[str, dict[str, object]] = {}
    for month in sorted({month_of(day) for day in on_day}):
        mine = {day: spans for day, spans in on_day.items() if month_of(day) == month}
        if any(s.dual for spans in mine.values() for s in spans):
            continue
        plan = _winner(mine, "plan", lambda s: True)
        county = _winner(mine, "county", lambda s, plan=plan: s.plan == plan)
        months[month] = {"covered_days": len(mine), "plan": plan, "county": county}
    return months


def _winner(on_day, attribute, counts):
    """Most days, then latest recorded, then known before missing, then alphabetical."""
    days: Counter = Counter()
    recorded: dict[object, date] = {}
    for spans in on_day.values():
        for value in {getattr(s, attribute) for s in spans if counts(s)}:
            days[value] += 1
        for s in spans:
            if counts(s) and s.recorded is not None:
                value = getattr(s, attribute)
                recorded[value] = max(recorded.get(value, s.recorded), s.recorded)
    return min(
        days,
        key=lambda v: (-days[v], -recorded.get(v, date.min).toordinal(), v is None, v or ""),
    )


def hospital_stays(stays: list[Stay]) -> list[Stay]:
    """Merge claims of one facility until no two can be merged."""
    groups = [[stay] for stay in stays]

    def span(group):
        end = max(s.discharge for s in group)
        last = [s for s in group if s.discharge == end]
        return min(s.admit for s in group), end, any(s.left == "30" for s in last)

    merged = True
    while merged:
        merged = False
        for i in range(len(groups)):
            for j in range(len(groups)):
                if i == j or groups[i][0].facility != groups[j][0].facility:
                    continue
                start_i, end_i, still_i = span(groups[i])
                start_j, _, _ = span(groups[j])
                overlaps = start_i <= start_j <= end_i
                follows = still_i and start_j == end_i + DAY
                if overlaps or follows:
                    groups[i] += groups[j]
                    del groups[j]
                    merged = True
                    break
            if merged:
                break
    out = []
    for group in groups:
        start, end, _ = span(group)
        finals = [s for s in group if s.discharge == end]
        done = [s for s in finals if s.left != "30"] or finals
        # The generator gives claims that end together the same disposition, or one is interim.
        out.append(Stay(group[0].facility, start, end, done[0].left))
    return out


def episodes(stays: list[Stay], transfer_days: int = 1) -> list[Stay]:
    """Join stays across facilities, in order of admission."""
    out: list[list[Stay]] = []
    for stay in sorted(hospital_stays(stays), key=lambda s: (s.admit, s.discharge, s.facility)):
        if out:
            end = max(s.discharge for s in out[-1])
            last_places = {s.facility for s in out[-1] if s.discharge == end}
            near = stay.admit <= end + DAY * transfer_days and stay.facility not in last_places
            if stay.admit <= end or near:
                out[-1].append(stay)
                continue
        out.append([stay])
    merged = []
    for group in out:
        last = max(group, key=lambda s: (s.discharge, s.admit, s.facility))
        admit = min(s.admit for s in group)
        merged.append(Stay("", admit, last.discharge, last.left))
    return merged


def inpatient_nights(eps: list[Stay]) -> Counter:
    nights: Counter = Counter()
    for episode in eps:
        day = episode.admit
        while True:
            nights[month_of(day)] += 1
            day += DAY
            if day >= episode.discharge:
                break
    return nights


def readmissions(member: Member, eps: list[Stay], within_days: int) -> Counter:
    counted: Counter = Counter()
    ordered = sorted(eps, key=lambda s: s.admit)
    for index, following in pairwise(ordered):
        died = member.death is not None and member.death <= index.discharge
        if index.left in NOT_AN_INDEX or index.discharge == index.admit or died:
            continue
        if 1 <= (following.admit - index.discharge).days <= within_days:
            counted[month_of(index.discharge)] += 1
    return counted


def ed_visits(member: Member) -> Counter:
    """Facility visits by facility, then doctors' days that nothing explains."""
    pieces: list[tuple[str, date, date]] = []
    for claim in member.ed_claims:
        days = sorted(set(claim.days))
        while days:
            start = end = days.pop(0)
            while days and days[0] == end + DAY:
                end = days.pop(0)
            pieces.append((claim.facility, start, end))
    starts: list[date] = []
    busy: list[tuple[date, date]] = []
    for facility in {p[0] for p in pieces}:
        mine = sorted((s, e) for f, s, e in pieces if f == facility)
        while mine:
            first = mine[0][0]
            visit = [(s, e) for s, e in mine if s <= first + DAY]
            mine = [(s, e) for s, e in mine if s > first + DAY]
            starts.append(first)
            busy.append((first, max(e for _, e in visit)))
    alone = []
    for day in sorted(set(member.ed_doctor_days)):
        near_visit = any(s - DAY <= day <= e + DAY for s, e in busy)
        in_stay = any(s.admit - DAY <= day <= s.discharge for s in hospital_stays(member.stays))
        if not near_visit and not in_stay:
            alone.append(day)
    while alone:
        first = alone[0]
        starts.append(first)
        alone = [day for day in alone if day > first + DAY]
    return Counter(month_of(day) for day in starts)
