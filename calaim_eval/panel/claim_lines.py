"""Claim lines told apart once: one pass finds out every kind of line that any measure asks for.

A code's kinds are looked up, not matched line by line: the distinct codes of a column are held
against every pattern once, and each line then carries one number whose bits say what it matches.
What kinds a line is of are bits of a number again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, or_
from typing import TYPE_CHECKING

import ibis

from calaim_eval.errors import TableError
from calaim_eval.panel.claim_standing import FINAL
from calaim_eval.panel.code_patterns import CodePattern
from calaim_eval.panel.spans import day_number

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.measure import LineKind
    from calaim_eval.panel.rules import PanelRules

_BITS = 62


class ClaimLines:
    """Claim lines as a line kind sees them; without `patterns`, as if no code matched any.

    Attributes
    ----------
    rules : PanelRules
    is_institutional, is_professional : Value
        Form of the line. One without a claim type is institutional when it has a bill type or a
        revenue code, else professional.
    bill : Value
        First two digits of the type of bill, without the leading zero; missing where there is none.
    """

    def __init__(
        self, rows: Table, rules: PanelRules, patterns: dict[str, list[str]] | None
    ) -> None:
        self._rows = rows
        self._patterns = patterns
        self.rules = rules
        has_form = rows["bill_type_code"].notnull() | rows["revenue_center_code"].notnull()
        guessed = ibis.ifelse(has_form, "institutional", "professional")
        form = ibis.coalesce(rows["claim_type"], guessed)
        self.is_institutional: Value = form == "institutional"
        self.is_professional: Value = form == "professional"
        self.bill: Value = rows["bill"]

    def __getitem__(self, column: str) -> Value:
        """A column of `medical_claim`."""
        return self._rows[column]

    def has(self, pattern: CodePattern) -> Value:
        """Whether the line's code matches; false where it has none."""
        return self.any_has(pattern.pattern, [pattern.column])

    def any_has(self, pattern: str, columns: Sequence[str]) -> Value:
        """Whether any of the line's codes matches; the columns are one, or diagnoses."""
        if self._patterns is None:
            return ibis.literal(False)
        (bit,) = {self._bit(self._patterns, pattern, column) for column in columns}
        masks = reduce(or_, [self._rows[_mask(column)] for column in columns])
        return (masks & ibis.literal(1 << bit, "int64")) != 0

    @staticmethod
    def _bit(patterns: dict[str, list[str]], pattern: str, column: str) -> int:
        """Bit of a pattern in the masks of a column: the same for every diagnosis."""
        shared = next((p for name, p in patterns.items() if _is_like(name, column)), [])
        listed = patterns.setdefault(column, shared)
        if pattern not in listed:
            listed.append(pattern)
        if len(listed) > _BITS:
            raise TableError(
                f"the measures hold `{column}` against more than {_BITS} patterns.\n"
                "  Join patterns with `|`, or build the panel with fewer `measures`."
            )
        return listed.index(pattern)


def _is_like(column: str, other: str) -> bool:
    """Whether two columns hold codes of one kind, in one of several places of the line."""
    return column == other or (column in _DIAGNOSES and other in _DIAGNOSES)


def _mask(column: str) -> str:
    """Column with the bits of a code."""
    return f"{column}_mask"


_DIAGNOSES = tuple(f"diagnosis_code_{i}" for i in range(1, 6))
_CODED = (
    "revenue_center_code",
    "hcpcs_code",
    "place_of_service_code",
    "bill_type_code",
    "drg_code",
    "discharge_disposition_code",
    *_DIAGNOSES,
    "rendering_taxonomy_code",
    "billing_taxonomy_code",
)
_CARRIED = (
    "claim_id",
    "hcpcs_code",
    *(f"hcpcs_modifier_{i}" for i in range(1, 6)),
    "revenue_center_code",
    "place_of_service_code",
    "drg_code",
    "diagnosis_code_1",
    "discharge_disposition_code",
    "facility_npi",
    "rendering_npi",
)
"""Columns that measures may read off a line besides its flags."""


@dataclass(frozen=True)
class ToldLines:
    """Lines that count, told apart.

    Attributes
    ----------
    rows : Table
        `member`, `month`, `day`, `last_day` (of the line), the columns of `_CARRIED`,
        `stay_start_day`, `stay_end_day` (of the claim), and the bits of the kinds. Lines of no kind
        may be among them.
    kinds : Mapping[str, int]
        Number of each kind, by its name.
    """

    rows: Table
    kinds: Mapping[str, int]

    def of(self, *kinds: LineKind) -> Table:
        """Lines of one of the kinds."""
        return self.rows.filter(reduce(or_, [self.is_of(self.rows, kind) for kind in kinds]))

    def is_of(self, rows: Table, kind: LineKind) -> Value:
        """Whether each of some of the rows is of a kind; false where no measure asks for it."""
        word, bit = divmod(self.kinds.get(kind.__name__, 0), _BITS)
        asked = 1 << bit if kind.__name__ in self.kinds else 0
        return (rows[_word(word)] & ibis.literal(asked, "int64")) != 0


def _word(number: int) -> str:
    """Column with the bits of kinds."""
    return f"kinds_{number}"


def told_lines(bucket: Bucket, claims: Table, kinds: Sequence[LineKind]) -> ToldLines:
    """Lines that count and may be of a kind, narrow, with a bit for each kind they are of.

    Computed once a bucket: every event is built from it.

    Parameters
    ----------
    bucket : Bucket
    claims : Table
        Lines with `standing`, `day` and `month` (`claim_standing.with_standing`).
    kinds : sequence of LineKind
    """
    patterns = _patterns(claims, kinds, bucket.rules)
    for column, listed in patterns.items():
        bucket.keep(f"codes_{column}", _lookup(bucket.raw("medical_claim"), column, listed))
    rows = _masked(claims, patterns)
    final = rows.filter((rows["standing"] == FINAL) & _may_be(rows, kinds, bucket.rules, patterns))
    told = _narrow(final, _words(ClaimLines(final, bucket.rules, patterns), kinds))
    numbers = {kind.__name__: number for number, kind in enumerate(kinds)}
    return ToldLines(bucket.keep("claim_lines", told), numbers)


def _may_be(
    rows: Table, kinds: Sequence[LineKind], rules: PanelRules, patterns: Collection[str]
) -> Value:
    """Whether a line can be of any kind: a code matches a pattern, or it is of one without.

    Cheaper than the kinds themselves, which an engine would work out here and again for the bits.
    """
    matched = reduce(or_, [rows[_mask(each)] for each in patterns], ibis.literal(0, "int64"))
    bare = ClaimLines(rows, rules, None)
    return reduce(or_, [kind(bare) for kind in kinds], matched != 0)


def _words(lines: ClaimLines, kinds: Sequence[LineKind]) -> dict[str, Value]:
    """Bits of the kinds of each line, in as many numbers as it takes."""
    words = {}
    for first in range(0, len(kinds), _BITS):
        bits = [
            ibis.ifelse(kind(lines), ibis.literal(1 << bit, "int64"), ibis.literal(0, "int64"))
            for bit, kind in enumerate(kinds[first : first + _BITS])
        ]
        words[_word(first // _BITS)] = reduce(or_, bits)
    return words


def _patterns(claims: Table, kinds: Sequence[LineKind], rules: PanelRules) -> dict[str, list[str]]:
    """Patterns that the kinds ask for, by column."""
    asked: dict[str, list[str]] = {}
    lines = ClaimLines(_masked(claims, _CODED), rules, asked)
    for kind in kinds:
        kind(lines)
    return asked


def _masked(claims: Table, columns: Collection[str]) -> Table:
    """Lines with the bits of the codes of some columns."""
    for column in columns:
        schema = {column: "string", _mask(column): "int64"}
        codes = ibis.table(schema, name=f"codes_{column}")
        claims = claims.left_join(codes, column).drop(f"{column}_right")
    return claims.mutate(**{_mask(each): claims[_mask(each)].fill_null(0) for each in columns})


def _lookup(claims: Table, column: str, patterns: Sequence[str]) -> Table:
    """Distinct codes of a column, each with a bit for every pattern it matches."""
    codes = claims.filter(claims[column].notnull()).select(column).distinct()
    bits = [
        ibis.ifelse(codes[column].re_search(pattern), ibis.literal(1 << bit, "int64"), 0)
        for bit, pattern in enumerate(patterns)
    ]
    # No filter on the bits: an engine would match every line's code before it finds the distinct.
    return codes.mutate(**{_mask(column): reduce(add, bits).cast("int64")})


def _narrow(lines: Table, words: Mapping[str, Value]) -> Table:
    """What measures need of the lines."""
    stay_start = ibis.coalesce(lines["admission_date"], lines["claim_start_date"])
    stay_end = ibis.coalesce(lines["discharge_date"], lines["claim_end_date"], stay_start)
    last_day = ibis.coalesce(lines["claim_line_end_date"], lines["claim_end_date"])
    return lines.select(
        "member",
        "month",
        "day",
        *_CARRIED,
        last_day=ibis.greatest(day_number(last_day).fill_null(lines["day"]), lines["day"]),
        stay_start_day=day_number(stay_start),
        stay_end_day=day_number(stay_end),
        **words,
    )
