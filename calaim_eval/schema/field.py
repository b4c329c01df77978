"""What a column and a table are: the two types the whole contract is written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DType = Literal["string", "date", "month", "integer", "number", "boolean"]


@dataclass(frozen=True, slots=True)
class Field:
    """One column, defined once for every table that has it.

    Attributes
    ----------
    name : str
    dtype : {"string", "date", "month", "integer", "number", "boolean"}
        ``month`` is the first day of a calendar month.
    description : str
        One sentence for the data dictionary.
    unit : str
        Unit of a number ("USD", "days", "count"); empty for the rest.
    values : tuple[str, ...]
        Allowed values of a short enumeration.
    code_list : str
        Name of the code list (a CSV in the data dictionary) that explains the codes.
    minimum : float | None
        Smallest allowed number.
    """

    name: str
    dtype: DType
    description: str
    unit: str = ""
    values: tuple[str, ...] = ()
    code_list: str = ""
    minimum: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One input or derived table.

    Attributes
    ----------
    name : str
    grain : str
        What one row is.
    fields : tuple[str, ...]
        Column names, in order; each is defined in `schema.fields`.
    required : tuple[str, ...]
        Columns that must be present. The others are filled with missing values.
    not_null : tuple[str, ...]
        Columns whose value must be present: a row without it is set aside, with the reason.
    key : tuple[str, ...]
        Columns that identify a row; rows that repeat it are counted and resolved as the
        caveats say.
    is_optional : bool
        A study runs without it, with a notice.
    is_input : bool
        False for tables the package derives.
    date_order : tuple[tuple[str, str], ...]
        Pairs (earlier, later): a row whose later date precedes the earlier one is set aside.
    caveats : tuple[str, ...]
        What a researcher must know; printed in the dictionary.
    source : str
        Where such a file usually comes from.
    own_fields : tuple[Field, ...]
        Columns after `fields` that are defined where the table is made, not in `schema.fields`.
    """

    name: str
    grain: str
    fields: tuple[str, ...]
    required: tuple[str, ...]
    not_null: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    is_optional: bool = False
    is_input: bool = True
    date_order: tuple[tuple[str, str], ...] = ()
    caveats: tuple[str, ...] = ()
    source: str = ""
    own_fields: tuple[Field, ...] = ()
