"""What the segments of an 834 say: transactions, members (loop 2000) and coverage (loop 2300)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from calaim_eval.errors import TableError
from calaim_eval.schema.codes import load_codes
from calaim_eval.schema.dual_status import DUAL_KIND_NOT_TOLD
from calaim_eval.schema.race_ethnicity import SEVERAL_CODES_SEPARATOR
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.text_files import UNREADABLE, open_text

AUDIT, CANCEL, DELETE, REINSTATE = "030", "024", "002", "025"
YES, NO = "yes", "no"
NO_MEMBER = "no member number (REF*0F)"
NO_COVERAGE = "no coverage loop (HD); the person is kept"
BAD_END = "no coverage loop (HD) and an end (DTP*356, 357) that is no date; the person is kept"
KEPT = (USED, NO_COVERAGE, BAD_END)
OTHER_LINE = "dental or vision coverage"
NO_BEGIN = "no begin date (DTP*348)"
NO_END = "termination without a date (DTP*349 or 357)"

_FULL_ACTIONS = frozenset({"4", "RX"})
_OTHER_LINES = frozenset({"DEN", "DCP", "VIS"})
_SEX = {"M": "male", "F": "female", "U": "unknown"}
_MEDICARE = frozenset("ABCD")
_MEMBER_NAMES = frozenset({"IL", "74"})
_SPOKEN = "7"

Row = dict[str, str | None]
Elements = list[str]
"""Elements of a segment; the first is its name."""


@dataclass
class Loop:
    """A transaction, a member or a coverage of one, with what became of it.

    Attributes
    ----------
    kind : {"transaction", "member", "coverage"}
    row : dict
        Values under declared names where there is one; dates as ``YYYY-MM-DD``.
    fate : str
        ``"used"``, or why it is not.
    is_whole : bool
        True for what a member without a coverage loop says: an end, or only that the file has the
        member. It holds for every line of coverage, and no loop of the file makes it, so it is not
        counted.
    """

    kind: Literal["transaction", "member", "coverage"]
    row: Row
    fate: str = USED
    is_whole: bool = False


@dataclass
class _Member:
    """Segments of one member loop as they come."""

    row: Row = field(default_factory=dict)
    action: str = ""
    numbers: dict[str, str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    coverages: list[Row] = field(default_factory=list)
    name: str = ""
    is_spoken: bool = False


def read_loops(path: Path, *, place: str) -> Iterator[Loop]:
    """Transactions, each followed by its members and their coverages.

    Parameters
    ----------
    path : Path
        One X12 interchange, packed or not.
    place : str
        What to call the file in messages.

    Raises
    ------
    TableError
        The file is no X12 interchange, is cut short, its own counts of segments are wrong, or the
        header of a transaction has a day that is none.
    """
    import pyx12.errors
    from pyx12.x12file import X12Reader

    try:
        with open_text(path, errors="replace") as stream:
            reader = X12Reader(stream)
            last = None
            state = _State(reader)
            for segment in reader:
                elements = segment.format().rstrip(reader.seg_term).split(reader.ele_term)
                last = elements[0]
                for loop in state.take(elements):
                    _check_days(loop, place)
                    yield loop
            yield from state.close_member()
            problems = [each for each in reader.pop_errors() if each[0] in ("isa", "gs", "st")]
    # pyx12 looks for the loop that a segment closes without asking whether one is open.
    except (pyx12.errors.X12Error, IndexError, *UNREADABLE) as problem:
        raise TableError(
            f"{place} cannot be read ({type(problem).__name__}).\n"
            "  It is damaged, locked with a password or no X12 interchange; fetch it again."
        ) from None
    if last != "IEA" or problems:
        why = (
            "ends before its last segment (IEA)"
            if last != "IEA"
            else (
                f"holds other numbers of segments or sets than it says, in {len(problems)} places"
            )
        )
        raise TableError(f"{place} {why}.\n  It is cut short or was changed; fetch it again.")


def _check_days(loop: Loop, place: str) -> None:
    """Raise unless the days of a transaction, by which all files are put in order, are dates."""
    if loop.kind != "transaction":
        return
    days = {"BGN03": loop.row.get("recorded_date") or "", "DTP*007": loop.row.get("effective")}
    wrong = [name for name, day in days.items() if day is not None and not is_day(day)]
    if wrong:
        raise TableError(
            f"{place}: the header of a transaction has a {wrong[0]} that is no date.\n"
            "  Files are put in order by it; ask the sender for a corrected file."
        )


def is_day(text: str) -> bool:
    """Whether a text is a calendar day, ``YYYY-MM-DD``; the first one there is means none."""
    try:
        return date.fromisoformat(text) > date.min
    except ValueError:
        return False


class _State:
    """Where in a transaction the segments have got to."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.header: Row | None = None
        self.member: _Member | None = None
        self.coverage: Row | None = None

    def take(self, segment: Elements) -> Iterator[Loop]:
        """Use a segment; give the loops that it closes."""
        kind = segment[0]
        if kind == "ST":
            self.header = {}
        elif kind == "INS":
            yield from self._close_header()
            yield from self.close_member()
            self.member = _start_member(segment)
        elif kind == "SE":
            yield from self._close_header()
            yield from self.close_member()
        elif self.member is not None:
            self._take_of_member(self.member, kind, segment)
        elif self.header is not None:
            _take_of_header(self.header, kind, segment)

    def _close_header(self) -> Iterator[Loop]:
        """The transaction, once its first member begins."""
        if self.header is not None:
            yield Loop("transaction", self.header)
        self.header = None

    def close_member(self) -> Iterator[Loop]:
        """The member whose segments are over, and the coverages of it."""
        if self.member is not None:
            yield from _loops_of(self.member)
        self.member = self.coverage = None

    def _take_of_member(self, member: _Member, kind: str, segment: Elements) -> None:
        """Segments of loops 2000 to 2320."""
        if kind == "HD":
            self.coverage = {"action": _value(segment, 1), "line": _value(segment, 3)}
            member.coverages.append(self.coverage)
        elif self.coverage is not None:
            if kind == "DTP":
                self.coverage.setdefault(_value(segment, 1) or "", _value(segment, 3))
        elif kind == "NM1":
            member.name = _value(segment, 1) or ""
        elif kind == "REF":
            member.numbers.setdefault(_value(segment, 1) or "", _value(segment, 2) or "")
        elif kind == "DTP":
            member.dates.setdefault(_value(segment, 1) or "", _value(segment, 3) or "")
        elif member.name in _MEMBER_NAMES:
            _take_of_person(member, kind, segment, self.reader)


def _value(segment: Elements, place: int) -> str | None:
    """Element of a segment, without blanks; missing when it is empty."""
    return segment[place].strip() or None if place < len(segment) else None


def _day(text: str | None, *, last: bool = False) -> str | None:
    """A day written CCYYMMDD, or an end of a range of days."""
    if not text:
        return None
    day = text.split("-")[-1 if last else 0]
    return f"{day[:4]}-{day[4:6]}-{day[6:8]}"


def _take_of_header(header: Row, kind: str, segment: Elements) -> None:
    """What holds for a whole transaction: its day, its kind and the plan it is for."""
    if kind == "BGN":
        header["made"] = f"{_value(segment, 3) or ''}{_value(segment, 4) or ''}"
        header["recorded_date"] = _day(_value(segment, 3))
        action = _value(segment, 8)
        header["is_full"] = (YES if action in _FULL_ACTIONS else NO) if action else None
    elif kind == "DTP" and _value(segment, 1) == "007":
        header["effective"] = _day(_value(segment, 3))
    elif kind == "N1" and _value(segment, 1) == "IN":
        header["plan"] = _value(segment, 2) or _value(segment, 4)


def _start_member(segment: Elements) -> _Member:
    """A member as its first segment tells."""
    medicare = (_value(segment, 6) or "")[:1]
    row = {
        "death_date": _day(_value(segment, 12)),
        "dual_status_code": DUAL_KIND_NOT_TOLD if medicare in _MEDICARE else None,
    }
    return _Member(row=row, action=_value(segment, 3) or "")


def _take_of_person(member: _Member, kind: str, segment: Elements, reader: Any) -> None:
    """Demographic segments of the member's own name loop."""
    if kind == "DMG":
        member.row["birth_date"] = _day(_value(segment, 2))
        member.row["sex"] = _SEX.get(_value(segment, 3) or "", _value(segment, 3))
        codes, system = _race(_value(segment, 5), reader)
        member.row |= {"race_code": codes, "race_code_system": system}
    elif kind == "N4":
        member.row["county"] = _county(segment)
    elif kind == "LUI" and not member.is_spoken:
        member.row["language"] = _value(segment, 2) or _value(segment, 3)
        member.is_spoken = _value(segment, 4) == _SPOKEN


def _race(text: str | None, reader: Any) -> tuple[str | None, str | None]:
    """Race codes of DMG05: of list 1109 where every answer has one, else the CDC codes."""
    if not text:
        return None, None
    repeats = reader.repetition_term
    answers = text.split(repeats) if repeats and not repeats.isalnum() else [text]
    parts = [each.split(reader.subele_term) for each in answers]
    own = [each[0] for each in parts if each[0]]
    cdc = [each[2] for each in parts if len(each) > 2 and each[2]]
    if len(own) == len(parts) or not cdc:
        return SEVERAL_CODES_SEPARATOR.join(own) or None, "x12_834_dmg05_1109" if own else None
    return SEVERAL_CODES_SEPARATOR.join(cdc), "cdc_omb"


def _county(segment: Elements) -> str | None:
    """County of a California address by its Medi-Cal code."""
    if _value(segment, 2) != "CA" or _value(segment, 5) != "CY":
        return None
    codes = load_codes("county").set_index("medi_cal_county_code")["county"]
    code = (_value(segment, 6) or "").zfill(2)
    return str(codes[code]) if code in codes.index else None


def _loops_of(member: _Member) -> Iterator[Loop]:
    """A member and its coverages, each with its fate."""
    number = member.numbers.get("0F")
    whole = _whole_end(member)
    fate = USED if number else NO_MEMBER
    if number and not member.coverages:
        fate = _fate_of_whole(whole)
    yield Loop("member", {**member.row, "member_id": number}, fate)
    if whole and not member.coverages and fate == USED:
        yield Loop("coverage", whole, is_whole=True)
    if fate == NO_COVERAGE:
        row = _coverage_row(member, {"line": None})
        yield Loop("coverage", row, NO_BEGIN, is_whole=True)
    for coverage in member.coverages:
        row = _coverage_row(member, coverage)
        yield Loop("coverage", row, _fate_of(row))


def _whole_end(member: _Member) -> Row | None:
    """The end of a member as a whole, where its own segments state one."""
    if member.action != CANCEL or not member.dates.get("357"):
        return None
    return _coverage_row(member, {"action": CANCEL, "line": None})


def _fate_of_whole(whole: Row | None) -> str:
    """What becomes of a member without a coverage loop."""
    if whole is None:
        return NO_COVERAGE
    days = [day for day in (whole["begin"], whole["end"]) if day]
    return USED if all(map(is_day, days)) else BAD_END


def _coverage_row(member: _Member, coverage: Row) -> Row:
    """A statement about coverage; a termination may have its dates at the member."""
    action = coverage.get("action") or member.action
    begin, end = _day(coverage.get("348")), _day(coverage.get("349"), last=True)
    if action == CANCEL:
        begin = begin or _day(member.dates.get("356"))
        end = end or _day(member.dates.get("357"), last=True)
    return {
        "member_id": member.numbers.get("0F"),
        "action": action,
        "line": coverage.get("line"),
        "begin": begin,
        "end": end,
        "dual_status_code": member.row.get("dual_status_code"),
        "county": member.row.get("county"),
    }


def _fate_of(row: Row) -> str:
    """Whether a statement about coverage can be used."""
    if not row["member_id"]:
        return NO_MEMBER
    if row["line"] in _OTHER_LINES:
        return OTHER_LINE
    if row["action"] == CANCEL:
        return USED if row["end"] else NO_END
    needs_begin = row["action"] not in (DELETE, REINSTATE)
    return NO_BEGIN if needs_begin and not row["begin"] else USED
