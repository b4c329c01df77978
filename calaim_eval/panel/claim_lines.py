"""Claim lines told apart once: one pass finds out every kind of line that any measure asks for.

A code's kinds are looked up, not matched line by line: the distinct codes of a column are held
against every pattern once, and each line then carries one number whose bits say what it matches.
What kinds a line is of are bits of a number again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add, or_
from typing import TYPE_CHECKING

import ibis

from calaim_eval.errors import TableError
from calaim_eval.panel.claim_standing import FINAL
from calaim_eval.panel.code_patterns import DIAGNOSES, MODIFIERS, CodePattern
from calaim_eval.panel.spans import day_number

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.measure import LineKind
    from calaim_eval.panel.rules import PanelRules

_BITS = 62


@dataclass
class _Patterns:
    """Patterns that kinds hold codes against: they are collected before any line is told.

    Attributes
    ----------
    by_column : dict[str, list[str]]
        By column; a pattern's place in the list is its bit.
    telling : dict[str, int]
        By column the bits of patterns of which one match has all kinds of a line worked out.
    """

    by_column: dict[str, list[str]] = field(default_factory=dict)
    telling: dict[str, int] = field(default_factory=dict)

    def bit(self, pattern: str, column: str) -> int:
        """Bit of a pattern in the masks of a column: the same for every column of its group."""
        shared = next((p for name, p in self.by_column.items() if _is_like(name, column)), [])
        listed = self.by_column.setdefault(column, shared)
        if pattern not in listed:
            listed.append(pattern)
        if len(listed) > _BITS:
            raise TableError(
                f"the measures hold `{column}` against more than {_BITS} patterns.\n"
                "  Join patterns with `|`, or build the panel with fewer `measures`."
            )
        return listed.index(pattern)


class ClaimLines:
    """Claim lines as a line kind sees them.

    Attributes
    ----------
    rules : PanelRules
    is_institutional, is_professional : Value
        Form of the line: see `form_of`.
    """

    def __init__(
        self, rows: Table, rules: PanelRules, patterns: _Patterns, *, is_bare: bool = False
    ) -> None:
        self._rows = rows
        self._patterns = patterns
        self._is_bare = is_bare
        self.rules = rules
        self.is_institutional: Value = rows["is_institutional"]
        self.is_professional: Value = rows["is_professional"]

    def __getitem__(self, column: str) -> Value:
        """A column of `medical_claim`."""
        return self._rows[column]

    def has(self, pattern: CodePattern) -> Value:
        """Whether the line's code matches; false where it has none."""
        return self.any_has(pattern.pattern, [pattern.column])

    def any_has(self, pattern: str, columns: Sequence[str]) -> Value:
        """Whether any of the line's codes matches; the columns are one, or of one group."""
        bits = self._bits(pattern, columns)
        for column in columns:
            self._patterns.telling[column] = self._patterns.telling.get(column, 0) | bits
        return ibis.literal(False) if self._is_bare else self._matches(bits, columns)

    def is_qualified_by(self, pattern: str, columns: Sequence[str]) -> Value:
        """As `any_has`, of codes that many lines have and that alone make few of them of the kind.

        What is found is the same. A match by `any_has` has every kind of the line worked out; this
        one does so only where the rest of the kind is met as well.
        """
        return self._matches(self._bits(pattern, columns), columns)

    def is_on_bill(self, *types: str) -> Value:
        """Whether the first digits of the type of bill, but for a leading zero, are among some."""
        return self.is_qualified_by(f"^0?({'|'.join(types)})", ["bill_type_code"])

    def is_at(self, *places: str) -> Value:
        """Whether the place of service is among some."""
        return self.is_qualified_by(f"^({'|'.join(places)})$", ["place_of_service_code"])

    def _bits(self, pattern: str, columns: Sequence[str]) -> int:
        """Number with the bit of a pattern."""
        (bit,) = {self._patterns.bit(pattern, column) for column in columns}
        return 1 << bit

    def _matches(self, bits: int, columns: Sequence[str]) -> Value:
        """Whether any of the codes has any of the bits."""
        masks = reduce(or_, [self._rows[_mask(column)] for column in columns])
        return (masks & ibis.literal(bits, "int64")) != 0


def form_of(claims: Table) -> Value:
    """Form of each line: what its claim says, else institutional with a bill type or revenue code.

    A line without any of them is professional.
    """
    has_form = claims["bill_type_code"].notnull() | claims["revenue_center_code"].notnull()
    guessed = ibis.ifelse(has_form, "institutional", "professional")
    return ibis.coalesce(claims["claim_type"], guessed)


def _is_like(column: str, other: str) -> bool:
    """Whether two columns hold codes of one group, in one of several places of the line."""
    return column == other or any(column in group and other in group for group in _GROUPS)


def _code(column: str) -> str:
    """Column with a code that is looked up."""
    return f"{column}_code"


def _mask(column: str) -> str:
    """Column with the bits of a code."""
    return f"{column}_mask"


_GROUPS = (DIAGNOSES, MODIFIERS)
_CODED = (
    "revenue_center_code",
    "hcpcs_code",
    "place_of_service_code",
    "bill_type_code",
    "drg_code",
    "discharge_disposition_code",
    *DIAGNOSES,
    *MODIFIERS,
    "rendering_taxonomy_code",
    "billing_taxonomy_code",
)
_CARRIED = (
    "claim_id",
    "hcpcs_code",
    *MODIFIERS,
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
    is_part : bool
        Whether lines of other kinds were left out: then only these kinds can be asked for.
    """

    rows: Table
    kinds: Mapping[str, int]
    is_part: bool = False

    def of(self, *kinds: LineKind) -> Table:
        """Lines of one of the kinds.

        Raises
        ------
        TableError
            No measure asks for a kind: its lines were never told.
        """
        unasked = [kind.__name__ for kind in kinds if kind.__name__ not in self.kinds]
        if unasked and not self.is_part:
            raise TableError(
                f"a measure reads claim lines of the kind `{unasked[0]}`, which no measure has in "
                "its `line_kinds`.\n  Name the function there."
            )
        return self.rows.filter(reduce(or_, [self.is_of(self.rows, kind) for kind in kinds]))

    def is_of(self, rows: Table, kind: LineKind) -> Value:
        """Whether each of some of the rows is of a kind; false where no measure asks for it."""
        if self.is_part and kind.__name__ not in self.kinds:
            raise TableError(
                f"claim lines of the kind `{kind.__name__}` were not kept when care was counted.\n"
                "  This is a defect of the panel, not of the data; please report it."
            )
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
    for column, listed in patterns.by_column.items():
        bucket.keep(f"codes_{column}", _lookup(bucket.raw("medical_claim"), column, listed))
    rows = _masked(claims, patterns.by_column)
    final = rows.filter((rows["standing"] == FINAL) & _may_be(rows, kinds, bucket.rules, patterns))
    told = _narrow(final, _words(ClaimLines(final, bucket.rules, patterns), kinds))
    numbers = {kind.__name__: number for number, kind in enumerate(kinds)}
    return ToldLines(bucket.keep("claim_lines", told), numbers)


def _may_be(
    rows: Table, kinds: Sequence[LineKind], rules: PanelRules, patterns: _Patterns
) -> Value:
    """Whether a line can be of any kind: a code tells it, or it is of one that no code tells.

    Cheaper than the kinds themselves, which an engine would work out here and again for the bits.
    """
    told = reduce(
        or_,
        [
            rows[_mask(name)] & ibis.literal(bits, "int64")
            for name, bits in patterns.telling.items()
        ],
        ibis.literal(0, "int64"),
    )
    bare = ClaimLines(rows, rules, patterns, is_bare=True)
    return reduce(or_, [kind(bare) for kind in kinds], told != 0)


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


def _patterns(claims: Table, kinds: Sequence[LineKind], rules: PanelRules) -> _Patterns:
    """Patterns that the kinds ask for."""
    asked = _Patterns()
    forms = {"is_institutional": "boolean", "is_professional": "boolean"}
    masks = {_mask(column): "int64" for column in _CODED}
    lines = ibis.table({**claims.schema(), **forms, **masks}, name="lines")
    for kind in kinds:
        kind(ClaimLines(lines, rules, asked))
    return asked


def _masked(claims: Table, columns: Collection[str]) -> Table:
    """Lines with their form, and with the bits of the codes of some columns."""
    joined = claims
    for column in columns:
        schema = {_code(column): "string", _mask(column): "int64"}
        codes = ibis.table(schema, name=f"codes_{column}")
        joined = joined.left_join(codes, claims[column] == codes[_code(column)])
    form = form_of(joined)
    return joined.mutate(
        is_institutional=form == "institutional",
        is_professional=form == "professional",
        **{_mask(each): joined[_mask(each)].fill_null(0) for each in columns},
    )


def _lookup(claims: Table, column: str, patterns: Sequence[str]) -> Table:
    """Distinct codes of a column, each with a bit for every pattern it matches."""
    codes = claims.filter(claims[column].notnull()).select(column).distinct()
    bits = [
        ibis.ifelse(codes[column].re_search(pattern), ibis.literal(1 << bit, "int64"), 0)
        for bit, pattern in enumerate(patterns)
    ]
    # No filter on the bits: an engine would match every line's code before it finds the distinct.
    return codes.select(
        **{_code(column): codes[column], _mask(column): reduce(add, bits).cast("int64")}
    )


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
