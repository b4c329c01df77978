"""The data dictionary: a page per table and the code lists, written from the declarations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calaim_eval.errors import OutputError
from calaim_eval.schema.codes import code_list_names, load_codes
from calaim_eval.schema.dictionary_pages import code_lists_page, index_page, table_page
from calaim_eval.schema.field import Field, Table
from calaim_eval.schema.fields import table_fields
from calaim_eval.schema.tables import TABLES

# Frictionless Table Schema, https://specs.frictionlessdata.io/table-schema/
_FRICTIONLESS_TYPES = {
    "string": "string",
    "date": "date",
    "month": "date",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}


def write_dictionary(folder: Path | str, tables: Mapping[str, Table] = TABLES) -> Path:
    """Write the data dictionary.

    Parameters
    ----------
    folder : Path or str
        Where to; made when absent. Pages of tables and lists that are gone are removed.
    tables : mapping of str to Table
        Tables by name; those of the schema by default. `panel.declared_tables` also has the
        measures of the member months.

    Returns
    -------
    Path
        The folder. It holds `README.md`, `tables/<table>.md`, `code_lists/README.md`,
        `code_lists/<list>.csv`, `datapackage.json` (Frictionless data package).

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    folder = Path(folder)
    pages = dictionary_files(tables)
    try:
        for stale in _generated(folder) - set(pages):
            (folder / stale).unlink()
        for name, text in pages.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as problem:
        raise OutputError(
            f"the data dictionary cannot be written to `{folder}` ({problem.strerror}).\n"
            "  Name a folder you may write to."
        ) from problem
    return folder


def dictionary_drift(folder: Path | str, tables: Mapping[str, Table] = TABLES) -> list[str]:
    """What in a written dictionary no longer agrees with the declarations.

    Parameters
    ----------
    folder : Path or str
        Folder that `write_dictionary` wrote.
    tables : mapping of str to Table
        Tables it was written from.

    Returns
    -------
    list[str]
        One line per file that is missing, out of date or no longer declared; empty when the
        dictionary is current.
    """
    folder = Path(folder)
    pages = dictionary_files(tables)
    drift = []
    for name, text in pages.items():
        path = folder / name
        if not path.is_file():
            drift.append(f"`{name}` is missing")
        elif path.read_text(encoding="utf-8") != text:
            drift.append(f"`{name}` is out of date")
    drift += [f"`{name}` is no longer declared" for name in sorted(_generated(folder) - set(pages))]
    return drift


def dictionary_files(tables: Mapping[str, Table] = TABLES) -> dict[str, str]:
    """Every file of the dictionary, by path within its folder."""
    pages = {"README.md": index_page(tables)}
    pages |= {f"tables/{name}.md": table_page(table) for name, table in tables.items()}
    pages["code_lists/README.md"] = code_lists_page(tables)
    pages |= {f"code_lists/{name}.csv": _as_csv(name) for name in code_list_names()}
    pages["datapackage.json"] = (
        json.dumps(data_package(tables), indent=2, ensure_ascii=False) + "\n"
    )
    return pages


def _generated(folder: Path) -> set[str]:
    """Files in the folders that hold nothing but generated files."""
    found = [*folder.glob("tables/*.md"), *folder.glob("code_lists/*.csv")]
    return {path.relative_to(folder).as_posix() for path in found}


def _as_csv(name: str) -> str:
    """A code list as CSV text."""
    text: str = load_codes(name).to_csv(index=False, lineterminator="\n")
    return text


def data_package(tables: Mapping[str, Table] = TABLES) -> dict[str, Any]:
    """Frictionless data package: the code lists as resources, the tables as schemas.

    The tables hold member data and are never part of the package, so they have a schema and no
    path.
    """
    resources: list[dict[str, Any]] = [
        {
            "name": name.replace("_", "-"),
            "path": f"code_lists/{name}.csv",
            "profile": "tabular-data-resource",
            "encoding": "utf-8",
            "schema": {
                "fields": [{"name": column, "type": "string"} for column in load_codes(name)],
                "missingValues": [""],
            },
        }
        for name in code_list_names()
    ]
    return {
        "profile": "data-package",
        "name": "calaim-eval-data-dictionary",
        "title": "Data dictionary of calaim_eval",
        "description": "Declared tables and code lists for evaluating CalAIM in Medi-Cal.",
        "resources": resources,
        "tableSchemas": {name: table_schema(table) for name, table in tables.items()},
    }


def table_schema(table: Table) -> dict[str, Any]:
    """Frictionless table schema of a declared table."""
    schema: dict[str, Any] = {
        "fields": [_field_schema(field, table) for field in table_fields(table)],
        "missingValues": [""],
    }
    if table.key:
        schema["primaryKey"] = list(table.key)
    return schema


def _field_schema(field: Field, table: Table) -> dict[str, Any]:
    """Frictionless description of one column."""
    described: dict[str, Any] = {
        "name": field.name,
        "type": _FRICTIONLESS_TYPES[field.dtype],
        "description": field.description,
    }
    constraints: dict[str, Any] = {}
    if field.name in table.not_null:
        constraints["required"] = True
    if field.values:
        constraints["enum"] = list(field.values)
    if field.minimum is not None:
        constraints["minimum"] = field.minimum
    if constraints:
        described["constraints"] = constraints
    if field.unit:
        described["unit"] = field.unit
    if field.code_list:
        described["codeList"] = f"code_lists/{field.code_list}.csv"
    return described
