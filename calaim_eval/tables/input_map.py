"""How the files of a study map to declared tables: other names, constants, codes of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from calaim_eval.errors import TableError
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import TABLES
from calaim_eval.schema.values import MISSING_TEXTS, as_text

if TYPE_CHECKING:
    import ibis

Constant = str | int | float | bool | date


@dataclass(frozen=True)
class InputMap:
    """What the files of a study are called, and what is in them under another name or code.

    Attributes
    ----------
    files : mapping of str to str
        Table to the file that holds it: a name or a pattern such as ``"elig_2024*.csv.gz"``, from
        the input folder; for a database the table or view.
    rename : mapping of str to mapping
        Table to {name in the file: declared name}.
    constants : mapping of str to mapping
        Table to {declared column: value for every row}, for a column the file does not have.
    values : mapping of str to mapping
        Table to {declared column: {value in the file: declared value}}. Blanks around a value do
        not matter, upper and lower case do; ``""`` stands for a missing value. Values that are not
        named stay as they are.
    sheets : mapping of str to str
        Table to the sheet of a workbook that holds it: ``"Contracts"``, with the first cell of the
        header ``"Contracts!A4"``, or ``"*"`` for every visible sheet with its columns.

    Examples
    --------
    >>> mapped = InputMap(values={"eligibility": {"payer_type": {"MCAL": "medicaid"}}})
    >>> mapped.to_dict()["values"]
    {'eligibility': {'payer_type': {'MCAL': 'medicaid'}}}
    """

    files: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    constants: Mapping[str, Mapping[str, Constant]] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    sheets: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise when a table, column or value is named that is not declared.

        Raises
        ------
        TableError
            The message has the part, the table and column, and what there is.
        """
        for part in ("files", "rename", "constants", "values", "sheets"):
            for table in getattr(self, part):
                _require_input_table(part, table)
        for part in ("constants", "values"):
            for table, columns in getattr(self, part).items():
                for column in columns:
                    _require_column(part, table, column)
        for table, by_column in self.values.items():
            for column, pairs in by_column.items():
                _require_values("values", table, column, pairs.values())
        for table, constants in self.constants.items():
            for column, value in constants.items():
                _require_values("constants", table, column, [constant_text(value)])

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for a manifest."""
        return {
            "files": dict(self.files),
            "rename": {table: dict(pairs) for table, pairs in self.rename.items()},
            "constants": {
                table: {column: constant_text(value) for column, value in columns.items()}
                for table, columns in self.constants.items()
            },
            "values": {
                table: {column: dict(pairs) for column, pairs in columns.items()}
                for table, columns in self.values.items()
            },
            **({"sheets": dict(self.sheets)} if self.sheets else {}),
        }


def constant_text(value: Constant) -> str:
    """A constant as a file would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def add_constants(
    raw: ibis.Table,
    table: str,
    constants: Mapping[str, Constant],
    *,
    rename: Mapping[str, str],
    label: str,
) -> ibis.Table:
    """Rows with the constant columns more.

    Raises
    ------
    TableError
        The file has the column already.
    """
    import ibis

    has = {rename.get(name, name.strip().lower()) for name in raw.columns}
    twice = [column for column in constants if column in has]
    if twice:
        raise TableError(
            f"constants: table `{table}` has a column `{twice[0]}` already (file {label}).\n"
            "  Drop the constant; to change values of the column, map them with `values`."
        )
    added = {name: ibis.literal(constant_text(value)) for name, value in constants.items()}
    return raw.mutate(**added) if added else raw


def map_values(column: ibis.Value, pairs: Mapping[str, str]) -> ibis.Value:
    """A column as text with the values named in `pairs` replaced."""
    text = as_text(column)
    for_missing = [new for old, new in pairs.items() if old.strip() in MISSING_TEXTS]
    named = {old.strip(): new for old, new in pairs.items() if old.strip() not in MISSING_TEXTS}
    mapped = text.cases(*named.items(), else_=text) if named else text
    return mapped.fill_null(for_missing[0]) if for_missing else mapped


def _require_input_table(part: str, table: str) -> None:
    """Raise unless the table is a declared input."""
    inputs = [each.name for each in TABLES.values() if each.is_input]
    if table not in inputs:
        listed = ", ".join(f"`{name}`" for name in inputs)
        raise TableError(
            f"{part}: no table is named `{table}`.{_hint(table, inputs)}\n  Tables: {listed}."
        )


def _require_column(part: str, table: str, column: str) -> None:
    """Raise unless the table declares the column."""
    declared = TABLES[table].fields
    if column not in declared:
        listed = ", ".join(f"`{name}`" for name in declared)
        raise TableError(
            f"{part}: table `{table}` declares no column `{column}`.{_hint(column, declared)}\n"
            f"  Its columns: {listed}."
        )


def _require_values(part: str, table: str, column: str, values: Any) -> None:
    """Raise unless the values are among those a column with a list of values may have."""
    allowed = FIELDS[column].values
    wrong = [value for value in values if allowed and value not in allowed]
    if wrong:
        raise TableError(
            f"{part}: `{table}.{column}` cannot be '{wrong[0]}'.\n"
            f"  Allowed: {', '.join(f'{value!r}' for value in allowed)}."
        )


def _hint(name: str, names: Any) -> str:
    """The name that was probably meant."""
    close = get_close_matches(name, list(names), n=1)
    return f" Did you mean `{close[0]}`?" if close else ""
