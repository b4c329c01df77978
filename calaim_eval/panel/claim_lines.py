"""Claim lines told apart once: one pass finds out every kind of line that any measure asks for.

A code's kinds are looked up, not matched line by line: the distinct codes of a column are held
against every pattern once, and each line then carries one number whose bits say what it matches.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
    """Claim lines as a line kind sees them.

    Attributes
    ----------
    rules : PanelRules
    is_institutional, is_professional : Value
        Form of the line. One without a claim type is institutional when it has a bill type or a
        revenue code, else professional.
    bill : Value
        First two digits of the type of bill, without the leading zero; missing where there is none.
    """

    def __init__(self, rows: Table, rules: PanelRules, patterns: dict[str, list[str]]) -> None:
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
        listed = self._patterns.setdefault(pattern.column, [])
        if pattern.pattern not in listed:
            listed.append(pattern.pattern)
        if len(listed) > _BITS:
            raise TableError(
                f"the measures hold `{pattern.column}` against more than {_BITS} patterns.\n"
                "  Join patterns with `|`, or build the panel with fewer `measures`."
            )
        bit = ibis.literal(1 << listed.index(pattern.pattern), "int64")
        return (self._rows[_mask(pattern.column)] & bit) != 0


def _mask(column: str) -> str:
    """Column with the bits of a code."""
    return f"{column}_mask"


_CODED = (
    "revenue_center_code",
    "hcpcs_code",
    "place_of_service_code",
    "bill_type_code",
    "drg_code",
    "discharge_disposition_code",
    *(f"diagnosis_code_{i}" for i in range(1, 6)),
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


def told_lines(bucket: Bucket, claims: Table, kinds: Sequence[LineKind]) -> Table:
    """Lines that count and are of any kind, narrow, with a flag for each kind.

    Computed once a bucket: every event is built from it.

    Parameters
    ----------
    bucket : Bucket
    claims : Table
        Lines with `standing`, `day` and `month` (`claim_standing.with_standing`).
    kinds : sequence of LineKind

    Returns
    -------
    Table
        `member`, `month`, `day`, `last_day` (of the line), the columns of `_CARRIED`,
        `stay_start_day`, `stay_end_day` (of the claim), and a flag by the name of each kind.
    """
    patterns = _patterns(claims, kinds, bucket.rules)
    for column, listed in patterns.items():
        bucket.keep(f"codes_{column}", _lookup(bucket.raw("medical_claim"), column, listed))
    rows = _masked(claims, patterns)
    lines = ClaimLines(rows, bucket.rules, patterns)
    told = rows.mutate(**{kind.__name__: kind(lines) for kind in kinds})
    return bucket.keep("claim_lines", _narrow(told, [kind.__name__ for kind in kinds]))


def any_line_is(lines: Table, kind: LineKind) -> Value:
    """Whether any line of a group is of a kind; false where no measure asks for it."""
    if kind.__name__ not in lines.columns:
        return lines.count() < 0
    return lines[kind.__name__].max()


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


def _narrow(told: Table, flags: Sequence[str]) -> Table:
    """Lines that count and have a flag, and what measures need of them."""
    has_flag = reduce(or_, [told[flag] for flag in flags], ibis.literal(False))
    lines = told.filter((told["standing"] == FINAL) & has_flag)
    stay_start = ibis.coalesce(lines["admission_date"], lines["claim_start_date"])
    stay_end = ibis.coalesce(lines["discharge_date"], lines["claim_end_date"], stay_start)
    last_day = ibis.coalesce(lines["claim_line_end_date"], lines["claim_end_date"])
    return lines.select(
        "member",
        "month",
        "day",
        *flags,
        *_CARRIED,
        last_day=ibis.greatest(day_number(last_day).fill_null(lines["day"]), lines["day"]),
        stay_start_day=day_number(stay_start),
        stay_end_day=day_number(stay_end),
    )
