"""Statements of 834 files about one member's coverage, in order, to enrollment spans.

- An addition, change or reinstatement says that the member is covered from its first to its last
  day. Days that were covered already stay as first recorded. When its last day was covered
  already, the coverage that went on beyond it ends there; otherwise what comes later stays.
- A termination ends coverage on its last day; what began later is taken back.
- A deletion takes back the days from its first to its last, or all that follow.
- A full file says all there is: it replaces what was said from its first day on, and ends the
  coverage of members it does not have the day before it takes effect. Where it has a member and
  does not tell the days, it ends nothing of that member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from calaim_eval.tables.x12_834_loops import CANCEL, DELETE, REINSTATE, is_day

_OPEN, _DAY = date.max, timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Statement:
    """What one coverage loop says.

    Attributes
    ----------
    rank : int
        Place of its transaction in time.
    action : str
        Maintenance type: 021 add, 001 change, 024 cancel, 002 delete, 025 reinstate, 030 audit.
    begin, end : date or None
    recorded : date or None
        Day of the file.
    dual_status_code, county : str or None
    is_unclear : bool
        It says that there is coverage, and not on which days.
    """

    rank: int
    action: str
    begin: date | None
    end: date | None
    recorded: date | None = None
    dual_status_code: str | None = None
    county: str | None = None
    is_unclear: bool = False


@dataclass(frozen=True, slots=True)
class FullFile:
    """A transaction that states all coverage there is.

    Attributes
    ----------
    rank : int
        Place in time.
    effective : date
        First day it holds for.
    """

    rank: int
    effective: date


@dataclass(frozen=True, slots=True)
class Span:
    """Covered days, both ends included; an open end is the last date there is."""

    begin: date
    end: date
    recorded: date | None = None
    dual_status_code: str | None = None
    county: str | None = None

    def to_row(self) -> dict[str, Any]:
        """Under declared names."""
        return {
            "enrollment_start_date": self.begin,
            "enrollment_end_date": None if self.end == _OPEN else self.end,
            "recorded_date": self.recorded,
            "dual_status_code": self.dual_status_code,
            "county": self.county,
        }


def spans_of(statements: Iterable[Statement], full_files: Sequence[FullFile]) -> list[Span]:
    """Spans of one member in one plan and line of coverage.

    Parameters
    ----------
    statements : iterable of Statement
        In any order between ranks, as in the file within one.
    full_files : sequence of FullFile
        All full files of the plan, also those without the member.

    Returns
    -------
    list[Span]
        By first day, without overlap.

    Examples
    --------
    >>> add = Statement(0, "021", date(2024, 1, 1), None)
    >>> cancel = Statement(1, "024", None, date(2024, 3, 31))
    >>> [(str(span.begin), str(span.end)) for span in spans_of([add, cancel], [])]
    [('2024-01-01', '2024-03-31')]
    """
    by_rank: dict[int, list[Statement]] = {each.rank: [] for each in full_files}
    for statement in statements:
        by_rank.setdefault(statement.rank, []).append(statement)
    effective = {each.rank: each.effective for each in full_files}
    spans: list[Span] = []
    for rank in sorted(by_rank):
        if rank in effective:
            spans = _restate(spans, by_rank[rank], effective[rank])
        else:
            for statement in by_rank[rank]:
                spans = _apply(spans, statement)
    return sorted(spans, key=lambda span: span.begin)


def statement_of(row: Mapping[str, Any], rank: int, recorded: str | None) -> Statement | None:
    """Statement of a coverage row; missing when a date of it is no date."""
    days = (row["begin"], row["end"], recorded)
    if not all(is_day(day) for day in days if day):
        return None
    begin, end, day = (date.fromisoformat(day) if day else None for day in days)
    told = (row["dual_status_code"], row["county"], bool(row.get("is_unclear")))
    return Statement(rank, row["action"] or "", begin, end, day, *told)


def _apply(spans: list[Span], statement: Statement) -> list[Span]:
    """What holds after a statement of a file of changes."""
    if statement.is_unclear:
        return spans
    begin, end = statement.begin, statement.end or _OPEN
    if statement.action == CANCEL:
        if begin is not None and begin <= end and not _covers(spans, begin):
            spans = _state(spans, statement, begin, end)
        return _within(spans, [(date.min, end)])
    if statement.action == DELETE:
        return _delete(spans, statement)
    if begin is None:
        return _reopen(spans, statement) if statement.action == REINSTATE else spans
    return _state(spans, statement, begin, end) if begin <= end else spans


def _delete(spans: list[Span], statement: Statement) -> list[Span]:
    """Spans without the days from the first to the last of a deletion, where it has them."""
    begin, end = statement.begin, statement.end
    if begin and end and begin > end:
        return spans
    windows = [(date.min, begin - _DAY)] if begin else []
    if end and end < _OPEN:
        windows.append((end + _DAY, _OPEN))
    return _within(spans, windows)


def _reopen(spans: list[Span], statement: Statement) -> list[Span]:
    """Spans, the last of which goes on."""
    if not spans:
        return spans
    last = max(spans, key=lambda span: span.begin)
    others = [span for span in spans if span is not last]
    return [*others, replace(last, end=statement.end or _OPEN)]


def _state(
    spans: list[Span], statement: Statement, begin: date, end: date, *, ends_there: bool = True
) -> list[Span]:
    """Spans with the days of a statement covered; what went on beyond them ends, or stays."""
    told: dict[str, Any] = {
        "dual_status_code": statement.dual_status_code,
        "county": statement.county,
    }
    last = _end_of_run(spans, end) if ends_there and _covers(spans, end) else end
    windows = [(date.min, begin - _DAY)]
    if last < _OPEN:
        windows.append((last + _DAY, _OPEN))
    kept = _within(spans, windows)
    day = begin
    for span in sorted(_within(spans, [(begin, end)]), key=lambda each: each.begin):
        if day < span.begin:
            kept.append(Span(day, span.begin - _DAY, statement.recorded, **told))
        kept.append(replace(span, **told))
        if span.end == _OPEN:
            return kept
        day = span.end + _DAY
    return [*kept, Span(day, end, statement.recorded, **told)] if day <= end else kept


def _covers(spans: list[Span], day: date) -> bool:
    """Whether a day is covered."""
    return any(span.begin <= day <= span.end for span in spans)


def _end_of_run(spans: list[Span], day: date) -> date:
    """Last day of the unbroken coverage that a day is in."""
    for span in sorted(spans, key=lambda each: each.begin):
        if day < _OPEN and span.begin <= day + _DAY and span.end > day:
            day = span.end
    return day


def _restate(spans: list[Span], statements: list[Statement], effective: date) -> list[Span]:
    """What holds after a full file.

    Deletions are taken back first. A termination without a first day states no coverage: it keeps
    what was there until its day. Another one states its days, as an audit does. With a statement
    that does not tell its days, nothing ends.
    """
    for statement in statements:
        if statement.action == DELETE:
            spans = _delete(spans, statement)
    stated, lasts = _stated(statements, effective)
    if not stated and not lasts:
        lasts = [effective - _DAY]
    for begin, end, statement in stated:
        spans = _state(spans, statement, begin, end, ends_there=False)
    if any(each.is_unclear for each in statements):
        return spans
    last = min([*lasts, *(begin - _DAY for begin, _, _ in stated)])
    told = _joined([(begin, end) for begin, end, _ in stated])
    return _within(spans, [(date.min, last), *told])


def _stated(
    statements: list[Statement], effective: date
) -> tuple[list[tuple[date, date, Statement]], list[date]]:
    """Days that the statements of a full file cover, and the last days of those that only end."""
    stated, lasts = [], []
    for each in statements:
        begin = each.begin or (None if each.action == CANCEL else effective)
        end = each.end or _OPEN
        if each.action == DELETE or each.is_unclear:
            continue
        if begin is not None and begin <= end:
            stated.append((begin, end, each))
        elif each.action == CANCEL:
            lasts.append(end)
    return stated, lasts


def _joined(windows: list[tuple[date, date]]) -> list[tuple[date, date]]:
    """Windows of days without overlap."""
    joined: list[tuple[date, date]] = []
    for begin, end in sorted(windows):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _within(spans: list[Span], windows: Sequence[tuple[date, date]]) -> list[Span]:
    """The parts of spans that lie in one of several windows of days, which do not overlap."""
    return [
        replace(span, begin=max(span.begin, first), end=min(span.end, last))
        for span in spans
        for first, last in windows
        if max(span.begin, first) <= min(span.end, last)
    ]
