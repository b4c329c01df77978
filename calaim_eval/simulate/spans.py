"""The enrollment spans an eligibility extract shows: true coverage and counted defects."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.columns import NO_DAY, date_column, id_column, text_column
from calaim_eval.simulate.counties import PLAN_TRANSITION, Counties
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import AID_CODES, People

if TYPE_CHECKING:
    import pyarrow as pa

_OPEN_DAY = int(np.datetime64("9999-12-31").astype(int))
_PAYERS = ("medicaid", "medicare", "commercial")
_OTHER_PLANS = ("Original Medicare", "Commercial Carrier")
_SCOPES = ("full", "limited")
_DUAL_CODES = ("00", "02", "08")


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
