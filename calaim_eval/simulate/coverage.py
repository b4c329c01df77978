"""Who is covered when, by which plan; and the spans an eligibility extract shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.columns import NO_DAY, date_column, id_column, text_column
from calaim_eval.simulate.counties import PLAN_TRANSITION, Counties
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import AID_CODES, NEVER, NO_NEED, People

if TYPE_CHECKING:
    import pyarrow as pa

UNWINDING = "2023-07-01"
_OPEN_DAY = int(np.datetime64("9999-12-31").astype(int))
_PAYERS = ("medicaid", "medicare", "commercial")
_OTHER_PLANS = ("Original Medicare", "Commercial Carrier")
_SCOPES = ("full", "limited")
_DUAL_CODES = ("00", "02", "08")


@dataclass(frozen=True, slots=True)
class Coverage:
    """True Medi-Cal coverage of one chunk; every array has shape (n, n_months).

    Attributes
    ----------
    segment : NDArray
        Number of the coverage segment, -1 where not covered. A dead member is not covered.
    first_day, last_day : NDArray
        First and last covered day of each month, as day numbers.
    plan : NDArray
        Plan number of the month.
    is_dual, is_full_scope : NDArray
    """

    segment: NDArray[np.int8]
    first_day: NDArray[np.int32]
    last_day: NDArray[np.int32]
    plan: NDArray[np.int32]
    is_dual: NDArray[np.bool_]
    is_full_scope: NDArray[np.bool_]
    segment_start: NDArray[np.int32]
    segment_end: NDArray[np.int32]

    @property
    def is_covered(self) -> NDArray[np.bool_]:
        """Covered by Medi-Cal on at least one day of the month."""
        return self.segment >= 0

    @property
    def covered_days(self) -> NDArray[np.int32]:
        """Covered days of each month; shape (n, n_months)."""
        days = (self.last_day - self.first_day + 1) * self.is_covered
        return days.astype(np.int32)


def draw_coverage(
    people: People,
    *,
    calendar: Calendar,
    counties: Counties,
    parameters: Parameters,
    rng: np.random.Generator,
) -> Coverage:
    """Draw entry, loss, return and plan of every member."""
    starts, ends = _segments(people, calendar, parameters, rng)
    months = np.arange(calendar.n_months, dtype=np.int32)
    segment = np.full((people.n, calendar.n_months), -1, dtype=np.int8)
    for k in range(starts.shape[1]):
        inside = (months >= starts[:, k, None]) & (months < ends[:, k, None])
        segment[inside] = k
    segment[calendar.starts > people.death_day[:, None]] = -1
    first_day = np.broadcast_to(calendar.starts, segment.shape).copy()
    last_day = np.broadcast_to(calendar.starts + calendar.lengths - 1, segment.shape)
    last_day = np.minimum(last_day, people.death_day[:, None]).astype(np.int32)
    _start_mid_month(first_day, starts, people, calendar, parameters, rng)
    return Coverage(
        segment=segment,
        first_day=first_day,
        last_day=np.maximum(last_day, first_day),
        plan=_plans(people, months, calendar, counties, parameters, rng),
        is_dual=months >= people.dual_from[:, None],
        is_full_scope=months >= people.full_scope_from[:, None],
        segment_start=starts,
        segment_end=ends,
    )


def _segments(
    people: People, calendar: Calendar, parameters: Parameters, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Start and end month (exclusive; `NEVER` while open) of up to three segments; (n, 3)."""
    n, n_months = people.n, calendar.n_months
    monthly = np.full(n_months, parameters.value("exit_hazard_before_unwinding"))
    unwinding = calendar.index(UNWINDING)
    monthly[max(unwinding, 0) :] = parameters.value("exit_hazard_unwinding")
    cumulative = np.concatenate([[0.0], np.cumsum(monthly)])
    slower = np.where(people.need == NO_NEED, 1.0, 0.5)
    early = rng.random(n) < parameters.value("covered_at_start_share")
    entry = np.where(early, -rng.integers(1, 61, n), rng.integers(0, n_months, n))
    birth_month = calendar.month_of(people.birth_day)
    born_before = (birth_month - (calendar.starts[0] - people.birth_day) // 31).astype(np.int32)
    entry = np.maximum(entry, np.where(birth_month >= 0, birth_month, born_before))
    starts = np.full((n, 3), NEVER, dtype=np.int32)
    ends = np.full((n, 3), NEVER, dtype=np.int32)
    alive = np.ones(n, dtype=bool)
    for k in range(3):
        reached = cumulative[np.clip(entry, 0, n_months)] + rng.exponential(1.0, n) / slower
        leave = np.searchsorted(cumulative, reached)
        leave = np.where(leave > n_months, NEVER, np.maximum(leave, entry + 1))
        starts[alive, k] = entry[alive]
        ends[alive, k] = leave[alive]
        gap = rng.geometric(1 / parameters.value("gap_months_mean"), n)
        alive &= (leave < n_months) & (rng.random(n) < parameters.value("return_share"))
        entry = leave + gap
        alive &= entry < n_months
    return starts, ends


def _start_mid_month(
    first_day: NDArray[np.int32],
    starts: NDArray[np.int32],
    people: People,
    calendar: Calendar,
    parameters: Parameters,
    rng: np.random.Generator,
) -> None:
    """Move the first covered day of some entries into the month, and of newborns to their birth."""
    entry = starts[:, 0]
    inside = (entry >= 0) & (entry < calendar.n_months)
    late = inside & (
        rng.random(people.n) < parameters.value("messiness_share", "span_mid_month_start")
    )
    day = rng.integers(1, 27, people.n)
    rows = np.flatnonzero(late)
    first_day[rows, entry[rows]] += day[rows].astype(np.int32)
    born = np.flatnonzero(inside & (calendar.month_of(people.birth_day) == entry))
    first_day[born, entry[born]] = np.maximum(first_day[born, entry[born]], people.birth_day[born])


def _plans(
    people: People,
    months: NDArray[np.int32],
    calendar: Calendar,
    counties: Counties,
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Plan number by member and month: slot of the county, with switches, moves and 2024."""
    n = people.n
    slot = (rng.random(n)[:, None] > counties.plan_cut[people.county]).sum(axis=1)
    switches = rng.random(n) < parameters.value("plan_switch_share")
    switch_month = np.where(switches, rng.integers(1, calendar.n_months, n), NEVER)
    is_after_switch = months >= switch_month[:, None]
    slots = np.minimum((slot[:, None] + is_after_switch) % 3, 2)
    moved = months >= people.move_month[:, None]
    county = np.where(moved, people.new_county[:, None], people.county[:, None])
    is_new = months >= calendar.index(PLAN_TRANSITION)
    plan = np.where(is_new, counties.plan_after[county, slots], counties.plan_before[county, slots])
    return plan.astype(np.int32)


@dataclass(frozen=True, slots=True)
class Spans:
    """Rows of the eligibility extract; every array has shape (n_rows,)."""

    member: NDArray[np.int32]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    plan: NDArray[np.int32]
    payer: NDArray[np.int32]
    county: NDArray[np.int32]
    aid: NDArray[np.int32]
    dual: NDArray[np.int32]
    scope: NDArray[np.int32]
    recorded: NDArray[np.int32]

    def take(self, rows: NDArray[np.int64]) -> Spans:
        """Copy some rows."""
        return Spans(**{name: getattr(self, name)[rows] for name in self.__slots__})

    def with_columns(self, columns: dict[str, NDArray[np.int32]]) -> Spans:
        """Copy with some columns replaced."""
        kept = {name: getattr(self, name) for name in self.__slots__}
        return Spans(**{**kept, **columns})


def recorded_spans(
    people: People,
    coverage: Coverage,
    *,
    calendar: Calendar,
    counties: Counties,
    parameters: Parameters,
    injected: Counter[str],
    rng: np.random.Generator,
) -> Spans:
    """Spans as an extract shows them: true coverage, plus counted defects that do not change it."""
    base, last_month = _true_spans(people, coverage, calendar, parameters, injected, rng)
    extra = [
        _duplicated(base, parameters, injected, rng),
        _overlapping(base, last_month, people, calendar, counties, parameters, injected, rng),
        _reversed(base, parameters, injected, rng),
        _medicare(people, calendar, counties, injected, rng),
        _commercial(people, calendar, counties, parameters, injected, rng),
    ]
    parts = [base, *extra]
    rows = Spans(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in Spans.__slots__}
    )
    return rows.take(np.lexsort((rows.recorded, rows.start, rows.member)))


def _true_spans(
    people: People,
    coverage: Coverage,
    calendar: Calendar,
    parameters: Parameters,
    injected: Counter[str],
    rng: np.random.Generator,
) -> tuple[Spans, NDArray[np.int64]]:
    """Runs of months with the same segment, plan, county, dual status and scope."""
    months = np.arange(calendar.n_months)
    moved = months >= people.move_month[:, None]
    key = coverage.plan.astype(np.int64) * 64 + (coverage.segment.astype(np.int64) + 1) * 8
    key += moved * 4 + coverage.is_dual * 2 + coverage.is_full_scope
    covered = coverage.is_covered
    changes = np.ones((people.n, calendar.n_months + 1), dtype=bool)
    changes[:, 1:-1] = key[:, 1:] != key[:, :-1]
    member, first = np.nonzero(covered & changes[:, :-1])
    _, last = np.nonzero(covered & changes[:, 1:])
    segment = coverage.segment[member, first]
    begun = coverage.segment_start[member, segment]
    start = np.where(
        (first == 0) & (begun < 0),
        calendar.first_day(begun),
        coverage.first_day[member, first],
    )
    start = np.maximum(start, people.birth_day[member])
    n = len(member)
    moved_at = np.where(
        moved[member, first], people.new_county[member], people.county[member]
    ).astype(np.int32)
    recorded = start - rng.integers(0, 21, n)
    is_retro = (rng.random(n) < parameters.value("messiness_share", "span_retroactive")) & (
        start > calendar.starts[0]
    )
    late = np.minimum(start + rng.integers(35, 121, n), calendar.extract_day)
    injected["span_retroactive"] += int(is_retro.sum())
    is_missing_payer, is_missing_scope = rng.random(n) < 0.3, rng.random(n) < 0.5
    is_full = coverage.is_full_scope[member, first]
    spans = Spans(
        member=member.astype(np.int32),
        start=start.astype(np.int32),
        end=_end_days(people, coverage, calendar, parameters, injected, member, last, segment, rng),
        plan=coverage.plan[member, first],
        payer=np.where(is_missing_payer, -1, 0).astype(np.int32),
        county=moved_at,
        aid=people.aid[member],
        dual=np.where(
            coverage.is_dual[member, first], 1 + (people.number[member] % 5 == 0), 0
        ).astype(np.int32),
        scope=np.where(is_full, np.where(is_missing_scope, -1, 0), 1).astype(np.int32),
        recorded=np.where(is_retro, late, recorded).astype(np.int32),
    )
    return spans, last


def _end_days(
    people: People,
    coverage: Coverage,
    calendar: Calendar,
    parameters: Parameters,
    injected: Counter[str],
    member: NDArray[np.int64],
    last: NDArray[np.int64],
    segment: NDArray[np.int8],
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """End of each span: month end, death, or open as missing or as 9999-12-31."""
    n = len(member)
    month_end = (calendar.starts + calendar.lengths - 1)[last]
    at_edge = last == calendar.n_months - 1
    is_open = at_edge & (coverage.segment_end[member, segment] > calendar.n_months)
    as_sentinel = rng.random(n) < parameters.value("messiness_share", "open_end_as_9999")
    death = people.death_day[member]
    died = death <= month_end
    beyond = died & (rng.random(n) < parameters.value("messiness_share", "span_beyond_death"))
    injected["span_open_missing_end"] += int((is_open & ~as_sentinel & ~died).sum())
    injected["span_open_9999"] += int((is_open & as_sentinel & ~died).sum())
    injected["span_beyond_death"] += int(beyond.sum())
    open_end = np.where(as_sentinel, _OPEN_DAY, NO_DAY)
    return np.select(
        [beyond, died, is_open], [open_end, death, open_end], default=month_end
    ).astype(np.int32)


def _duplicated(
    base: Spans, parameters: Parameters, injected: Counter[str], rng: np.random.Generator
) -> Spans:
    """Exact copies of some rows."""
    share = parameters.value("messiness_share", "span_duplicated")
    rows = np.flatnonzero(rng.random(len(base.member)) < share)
    injected["span_duplicated"] += len(rows)
    return base.take(rows)


def _overlapping(
    base: Spans,
    last_month: NDArray[np.int64],
    people: People,
    calendar: Calendar,
    counties: Counties,
    parameters: Parameters,
    injected: Counter[str],
    rng: np.random.Generator,
) -> Spans:
    """The other plan of the county claims the member's last month too."""
    share = parameters.value("messiness_share", "span_overlapping_other_plan")
    is_new = last_month >= calendar.index(PLAN_TRANSITION)
    tables = np.where(
        is_new[:, None], counties.plan_after[base.county], counties.plan_before[base.county]
    )
    other = np.where(tables[:, 0] == base.plan, tables[:, 1], tables[:, 0])
    begins = calendar.starts[last_month]
    can = (
        (other != base.plan)
        & (begins >= base.start)
        & (people.death_day[base.member] > calendar.end_day)
    )
    rows = np.flatnonzero(can & (rng.random(len(can)) < share))
    injected["span_overlapping_other_plan"] += len(rows)
    ends = begins + calendar.lengths[last_month] - 1
    return base.take(rows).with_columns(
        {
            "plan": other[rows].astype(np.int32),
            "start": begins[rows].astype(np.int32),
            "end": ends[rows].astype(np.int32),
            "recorded": (begins[rows] + 10).astype(np.int32),
        }
    )


def _reversed(
    base: Spans, parameters: Parameters, injected: Counter[str], rng: np.random.Generator
) -> Spans:
    """Extra rows whose end precedes their start; a reader sets them aside."""
    share = parameters.value("messiness_share", "span_end_before_start")
    rows = np.flatnonzero(rng.random(len(base.member)) < share)
    injected["span_end_before_start"] += len(rows)
    wrong = base.take(rows)
    return wrong.with_columns({"end": wrong.start - 5})


def _medicare(
    people: People,
    calendar: Calendar,
    counties: Counties,
    injected: Counter[str],
    rng: np.random.Generator,
) -> Spans:
    """Medicare spans of most dual members."""
    rows = np.flatnonzero((people.dual_from < calendar.n_months) & (rng.random(people.n) < 0.6))
    start = calendar.first_day(np.maximum(people.dual_from[rows], -24))
    start = np.maximum(start, people.birth_day[rows])
    open_end = np.full(len(rows), NO_DAY)
    plan = len(counties.plans)
    spans = _other_spans(people, calendar, rows, start, open_end, payer=1, plan=plan)
    injected["span_medicare"] += len(spans.member)
    return spans


def _commercial(
    people: People,
    calendar: Calendar,
    counties: Counties,
    parameters: Parameters,
    injected: Counter[str],
    rng: np.random.Generator,
) -> Spans:
    """Commercial spans of a few members."""
    share = parameters.value("messiness_share", "span_commercial")
    rows = np.flatnonzero((rng.random(people.n) < share) & (people.birth_day < calendar.starts[0]))
    first = rng.integers(0, calendar.n_months - 6, len(rows)).astype(np.int32)
    length = rng.integers(5, 18, len(rows)).astype(np.int32)
    last = np.minimum(first + length, calendar.n_months - 1)
    start, end = calendar.first_day(first), calendar.last_day(last)
    plan = len(counties.plans) + 1
    spans = _other_spans(people, calendar, rows, start, end, payer=2, plan=plan)
    injected["span_commercial"] += len(spans.member)
    return spans


def _other_spans(
    people: People,
    calendar: Calendar,
    rows: NDArray[np.int64],
    start: NDArray[np.int32],
    end: NDArray[np.int32],
    *,
    payer: int,
    plan: int,
) -> Spans:
    """Spans of another payer."""
    alive = start <= people.death_day[rows]
    rows, start, end = rows[alive], start[alive], end[alive]
    death = people.death_day[rows]
    is_late = (end == NO_DAY) | (end > death)
    end = np.where(is_late & (death <= calendar.end_day), death, end)
    n = len(rows)
    nothing = np.full(n, -1, dtype=np.int32)
    return Spans(
        member=rows.astype(np.int32),
        start=start.astype(np.int32),
        end=end.astype(np.int32),
        plan=np.full(n, plan, dtype=np.int32),
        payer=np.full(n, payer, dtype=np.int32),
        county=people.county[rows],
        aid=nothing,
        dual=nothing,
        scope=nothing,
        recorded=start.astype(np.int32),
    )


def spans_columns(spans: Spans, people: People, counties: Counties) -> dict[str, pa.Array]:
    """Columns of the `eligibility` table."""
    return {
        "member_id": id_column("M", people.number[spans.member], width=9),
        "enrollment_start_date": date_column(spans.start),
        "enrollment_end_date": date_column(spans.end),
        "plan": text_column(spans.plan, [*counties.plans, *_OTHER_PLANS]),
        "payer_type": text_column(spans.payer, _PAYERS),
        "county": text_column(spans.county, counties.names),
        "aid_code": text_column(spans.aid, list(AID_CODES.values())),
        "dual_status_code": text_column(spans.dual, _DUAL_CODES),
        "benefit_scope": text_column(spans.scope, _SCOPES),
        "recorded_date": date_column(spans.recorded),
    }
