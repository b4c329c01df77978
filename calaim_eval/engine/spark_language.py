"""A step of a recipe in Spark's language, where Ibis alone would say it slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calaim_eval.engine.recipe import Step

if TYPE_CHECKING:
    import sqlglot.expressions as sge


def statement(step: Step, backend: Any) -> str:
    """One step in Spark's language, every column of its declared type."""
    if step.rows is None:
        raise ValueError(step.kind)
    query = backend.compiler.to_sqlglot(step.rows)
    for said in (_any_number, _days_since_1970, _days_after, _wide_shift):
        query = query.transform(said)
    names = backend.compiler.type_mapper
    columns = ", ".join(
        f"CAST(`{column}` AS {names.to_string(dtype)}) AS `{column}`"
        for column, dtype in step.rows.schema().items()
    )
    return f"SELECT {columns} FROM ({query.sql(dialect=backend.dialect)}) AS step"


def _any_number(node: sge.Expression) -> sge.Expression:
    """Row numbers in no order, within no group: any number of its own will do.

    Counting up would bring every row to one machine.
    """
    import sqlglot.expressions as sge

    if not isinstance(node, sge.Window) or not isinstance(node.this, sge.RowNumber):
        return node
    order = node.args.get("order")
    is_ordered = order is not None and any(
        not isinstance(each, sge.Null) for each in order.expressions
    )
    if node.args.get("partition_by") or is_ordered:
        return node
    # Like a row number, it begins at 1.
    return sge.Paren(
        this=sge.Add(
            this=sge.Anonymous(this="MONOTONICALLY_INCREASING_ID"), expression=sge.convert(1)
        )
    )


def _days_since_1970(node: sge.Expression) -> sge.Expression:
    """Days since 1970 as the number a date is stored as, not as a difference of timestamps."""
    import sqlglot.expressions as sge

    if not isinstance(node, sge.DateDiff) or not isinstance(node.expression, sge.DateFromParts):
        return node
    begin = [int(node.expression.args[part].name) for part in ("year", "month", "day")]
    unit = node.args.get("unit")
    if begin != [1970, 1, 1] or unit is None or unit.name.upper() != "DAY":
        return node
    return sge.Anonymous(this="UNIX_DATE", expressions=[node.this])


def _days_after(node: sge.Expression) -> sge.Expression:
    """Days added to a date as a number, not as an interval written out and read again."""
    import sqlglot.expressions as sge

    if not isinstance(node, sge.Add) or not isinstance(node.this, sge.DateFromParts):
        return node
    days = node.expression
    if not isinstance(days, sge.Cast) or not isinstance(days.this, sge.Concat):
        return node
    number, unit = days.this.expressions
    if unit.name != " days":
        return node
    return sge.Anonymous(this="DATE_ADD", expressions=[node.this, sge.cast(number, "int")])


def _wide_shift(node: sge.Expression) -> sge.Expression:
    """Bits shifted in 64 bits: a small number as it is written has 32, and the rest are lost."""
    import sqlglot.expressions as sge

    if isinstance(node, sge.BitwiseLeftShift) and isinstance(node.this, sge.Literal):
        node.set("this", sge.cast(node.this, "bigint"))
    return node
