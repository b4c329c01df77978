# ruff: noqa: FBT003  (Ibis names: `fill_null(False)`)
"""What is asked of each row of a table: which rows are set aside, and what is remarked on.

A row is set aside when a value it cannot do without is missing, unreadable or impossible. A
problem in a column that a row can do without is read as missing, and counted as a remark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from calaim_eval.schema.codes import load_codes
from calaim_eval.schema.field import Field, Table
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.values import engine_type, is_recorded, read_value

if TYPE_CHECKING:
    import ibis

EARLIEST_DATE = date(1900, 1, 1)
LATEST_DATE = date(2100, 1, 1)
REASON, REMARKS = "__reason", "__remarks"
# May lie after the extract: the end of a span already known, a contract already signed.
PLANNED_AHEAD = frozenset(
    {"enrollment_end_date", "contract_start_date", "contract_end_date", "effective_date"}
)
# Where the enumeration has a value for what is not known, an unlisted value becomes it.
_NOT_KNOWN = ("unknown", "other", "not_reported")
# Missing means "not known" here and nothing else, so an unlisted value may become missing.
_SAFE_WHEN_MISSING = frozenset({"race_code_system", "ethnicity_code_system"})
# Explained by a code list that is complete: a value outside it is worth a remark.
_COMPLETE_LISTS = {
    "county": ("county", "county"),
    "headquarters_county": ("county", "county"),
    "population_of_focus": ("population_of_focus", "code"),
}
_KINDS = {
    "date": "a date",
    "month": "a date",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "yes or no",
}


@dataclass(frozen=True)
class RowRule:
    """One thing asked of every row.

    Attributes
    ----------
    column : str
        Column the rule is about.
    problem : str
        What is wrong, as the ledger says it.
    applies : ibis.Value
        Boolean per row, never missing: the row has the problem.
    sets_aside : bool
        The row is set aside; otherwise it is kept and the problem is remarked on.
    """

    column: str
    problem: str
    applies: ibis.Value
    sets_aside: bool


def indispensable(table: Table) -> frozenset[str]:
    """Columns whose unreadable value sets the row aside.

    A person is kept whatever the dates say: without the row the member's race would be lost.
    """
    ordered = [column for pair in table.date_order for column in pair]
    needed = {*table.required, *table.not_null, *table.key, *ordered}
    return frozenset(needed - ({"birth_date", "death_date"} if table.name == "person" else set()))


def type_columns(raw: ibis.Table, table: Table) -> ibis.Table:
    """Declared columns as their declared types, and whether a value was recorded at all.

    Returns
    -------
    ibis.Table
        Every row; declared columns in order (missing where absent), then `__has_<column>` for
        each column whose text may be unreadable.
    """
    import ibis

    values = {
        column: read_value(raw[column], column)
        if column in raw.columns
        else ibis.null(engine_type(column))
        for column in table.fields
    }
    recorded = {
        f"__has_{column}": is_recorded(raw[column], column)
        if column in raw.columns
        else ibis.literal(value=False)
        for column in table.fields
        if FIELDS[column].dtype in _KINDS
    }
    # `view` keeps the engine from repeating every reading inside every rule.
    return raw.select(**values, **recorded).view()


def row_rules(typed: ibis.Table, table: Table, *, extract_date: date | None) -> list[RowRule]:
    """All rules of a table, in the order in which the first that applies names the reason.

    Parameters
    ----------
    typed : ibis.Table
        What `type_columns` returns.
    table : Table
        Declaration of the table.
    extract_date : date or None
        Day the files were cut; nothing but planned dates may lie after it.

    Returns
    -------
    list[RowRule]
        Rules that set aside first.
    """
    rules = [_missing(typed, column) for column in table.not_null]
    needed = indispensable(table)
    for column in table.fields:
        rules += _column_rules(
            typed, FIELDS[column], is_needed=column in needed, extract_date=extract_date
        )
    rules += [
        _out_of_order(typed, pair, is_needed=pair[1] in needed, extract_date=extract_date)
        for pair in table.date_order
    ]
    if {"program", "service"} <= set(table.fields):
        rules.append(_other_program(typed))
    return sorted(rules, key=lambda rule: not rule.sets_aside)


def read_rows(raw: ibis.Table, table: Table, *, extract_date: date | None) -> ibis.Table:
    """Rows as declared, each with why it is set aside and what is remarked on.

    Returns
    -------
    ibis.Table
        Every row of `raw`. Declared columns in order and of their declared type; absent ones are
        missing. `REASON`: text, missing for a row that is kept. `REMARKS`: whole number, bit *i*
        set when remark *i* of `remark_texts` applies.
    """
    import ibis

    typed = type_columns(raw, table)
    rules = row_rules(typed, table, extract_date=extract_date)
    reasons = [(rule.applies, rule.problem) for rule in rules if rule.sets_aside]
    remarks = [rule.applies for rule in rules if not rule.sets_aside]
    bits = [applies.ifelse(1 << i, 0).cast("int64") for i, applies in enumerate(remarks)]
    values = {column: _final_value(typed, column, extract_date) for column in table.fields}
    values |= _without_out_of_order(typed, table, values, extract_date)
    return typed.select(
        **values,
        **{
            REASON: ibis.cases(*reasons) if reasons else ibis.null("string"),
            REMARKS: sum(bits, ibis.literal(0, type="int64")),
        },
    )


@cache
def remark_texts(table: Table) -> tuple[str, ...]:
    """Texts of the remarks of `read_rows`, by bit."""
    import ibis

    columns = {column: engine_type(column) for column in table.fields}
    recorded = {
        f"__has_{column}": "boolean" for column in table.fields if FIELDS[column].dtype in _KINDS
    }
    rules = row_rules(ibis.table({**columns, **recorded}, name="any"), table, extract_date=None)
    return tuple(rule.problem for rule in rules if not rule.sets_aside)


def _final_value(typed: ibis.Table, column: str, extract_date: date | None) -> ibis.Value:
    """Value as declared: impossible dates missing, unlisted values by their rule."""
    value = typed[column]
    field = FIELDS[column]
    if field.dtype in ("date", "month"):
        value = _is_impossible(value, column, extract_date).ifelse(None, value)
    elif field.values:
        value = _is_unlisted(value, field.values).ifelse(_stand_in(field), value)
    return value.cast(engine_type(column))


def _missing(typed: ibis.Table, column: str) -> RowRule:
    """A value that must be there is not."""
    missing = typed[column].isnull()
    if f"__has_{column}" in typed.columns:
        missing = missing & ~typed[f"__has_{column}"]
    return RowRule(column, f"`{column}` is missing", missing, sets_aside=True)


def _column_rules(
    typed: ibis.Table, field: Field, *, is_needed: bool, extract_date: date | None
) -> list[RowRule]:
    """Rules about one column on its own."""
    value = typed[field.name]
    rules = []
    if f"__has_{field.name}" in typed.columns:
        rules.append(_unreadable(typed, field, is_needed=is_needed))
    if field.dtype in ("date", "month"):
        rules.append(_impossible(value, field.name, is_needed=is_needed, extract_date=extract_date))
    if field.minimum is not None:
        below = (value < field.minimum).fill_null(False)
        problem = f"`{field.name}` is below {field.minimum:g}"
        rules.append(RowRule(field.name, problem, below, sets_aside=True))
    if field.values:
        rules.append(_unlisted_value(value, field))
    if field.name == "service":
        rules.append(_unlisted_service(value))
    if field.name in _COMPLETE_LISTS:
        rules.append(_outside_list(value, field.name))
    return rules


def _unreadable(typed: ibis.Table, field: Field, *, is_needed: bool) -> RowRule:
    """Something is recorded that is not of the declared type."""
    problem = f"`{field.name}` cannot be read as {_KINDS[field.dtype]}"
    if not is_needed:
        problem += " (read as missing)"
    unreadable = typed[f"__has_{field.name}"] & typed[field.name].isnull()
    return RowRule(field.name, problem, unreadable, sets_aside=is_needed)


def _impossible(
    value: ibis.Value, column: str, *, is_needed: bool, extract_date: date | None
) -> RowRule:
    """A date before 1900 or after the day the files were cut."""
    limited = extract_date is not None and column not in PLANNED_AHEAD
    problem = f"`{column}` is before 1900 or after {'the extract date' if limited else '2100'}"
    if not is_needed:
        problem = f"`{column}` is an impossible date (read as missing)"
    return RowRule(
        column, problem, _is_impossible(value, column, extract_date), sets_aside=is_needed
    )


def _is_impossible(value: ibis.Value, column: str, extract_date: date | None) -> ibis.Value:
    """Whether a date is out of range; false where it is missing."""
    latest = LATEST_DATE if extract_date is None or column in PLANNED_AHEAD else extract_date
    return ((value < EARLIEST_DATE) | (value > latest)).fill_null(False)


def _is_unlisted(value: ibis.Value, allowed: tuple[str, ...]) -> ibis.Value:
    """Whether a value is recorded that is not among the allowed ones."""
    return (value.notnull() & ~value.isin(allowed)).fill_null(False)


def _stand_in(field: Field) -> str | None:
    """Allowed value that says not known, where the enumeration has one."""
    return next((word for word in _NOT_KNOWN if word in field.values), None)


def _unlisted_value(value: ibis.Value, field: Field) -> RowRule:
    """A value outside a short enumeration."""
    unlisted = _is_unlisted(value, field.values)
    problem = f"`{field.name}` is not an allowed value"
    if _stand_in(field) is not None:
        problem += f" (read as `{_stand_in(field)}`)"
        return RowRule(field.name, problem, unlisted, sets_aside=False)
    if field.name in _SAFE_WHEN_MISSING:
        problem += " (read as missing)"
        return RowRule(field.name, problem, unlisted, sets_aside=False)
    return RowRule(field.name, problem, unlisted, sets_aside=True)


def _unlisted_service(value: ibis.Value) -> RowRule:
    """A service that is neither ECM nor one of the supports."""
    allowed = ("ecm", *load_codes("community_support")["service"])
    problem = "`service` is neither `ecm` nor a listed support"
    return RowRule("service", problem, _is_unlisted(value, allowed), sets_aside=True)


def _other_program(typed: ibis.Table) -> RowRule:
    """A support under ECM, or ECM under the supports: nobody can tell which of the two it was."""
    other = ((typed["service"] == "ecm") != (typed["program"] == "ecm")).fill_null(False)
    return RowRule("service", "`program` is not that of the `service`", other, sets_aside=True)


def _outside_list(value: ibis.Value, column: str) -> RowRule:
    """A code that its code list does not explain; kept as it is."""
    name, key = _COMPLETE_LISTS[column]
    listed = (*load_codes(name)[key].unique(), "out_of_state")
    problem = f"`{column}` is not in its code list (kept as it is)"
    if column == "population_of_focus":
        one = f"({'|'.join(re.escape(code) for code in listed)})"
        unlisted = (~value.re_search(f"^{one}(;{one})*$")).fill_null(False)
    else:
        unlisted = _is_unlisted(value, listed)
    return RowRule(column, problem, unlisted, sets_aside=False)


def _out_of_order(
    typed: ibis.Table, pair: tuple[str, str], *, is_needed: bool, extract_date: date | None
) -> RowRule:
    """A later date that precedes the earlier one."""
    problem = f"`{pair[1]}` is before `{pair[0]}`"
    if not is_needed:
        problem += " (read as missing)"
    before = _is_before(typed, pair, extract_date)
    return RowRule(pair[1], problem, before, sets_aside=is_needed)


def _is_before(typed: ibis.Table, pair: tuple[str, str], extract_date: date | None) -> ibis.Value:
    """Whether the later date precedes the earlier one; an impossible date is none."""
    earlier, later = (
        _is_impossible(typed[column], column, extract_date).ifelse(None, typed[column])
        for column in pair
    )
    return (later < earlier).fill_null(False)


def _without_out_of_order(
    typed: ibis.Table, table: Table, values: Mapping[str, ibis.Value], extract_date: date | None
) -> dict[str, ibis.Value]:
    """Later dates that a row can do without, missing where they precede the earlier ones."""
    return {
        pair[1]: _is_before(typed, pair, extract_date).ifelse(None, values[pair[1]])
        for pair in table.date_order
        if pair[1] not in indispensable(table)
    }
