"""Pages of the data dictionary as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from calaim_eval.schema.codes import code_list_names, load_codes
from calaim_eval.schema.field import Field, Table
from calaim_eval.schema.fields import table_fields
from calaim_eval.schema.rules import indispensable
from calaim_eval.schema.values import DATE_FORMATS

GENERATED = "<!-- Written by `calaim-eval dictionary`; change `calaim_eval/schema/` instead. -->"
_INLINE_VALUES = 8
CODE_LISTS = {
    "aid_code_groups": "Medi-Cal aid codes, grouped for strata.",
    "calaim_timeline": "Dates of CalAIM and of the breaks that fall on them.",
    "cbo_integration_metrics": "Measures of how community-based organizations take part.",
    "community_support": "Community Supports, their ids and the day each began.",
    "county": "The 58 counties: FIPS code, ECM phase, predecessor programs, plan model.",
    "ddg_scoring": "Scores of the CalHHS Data De-identification Guidelines, both editions.",
    "dual_status": "Medicare-Medicaid dual status codes: full, partial, not dual, not known.",
    "medi_cal_parameters": "Published sizes and shares of Medi-Cal, for simulation and checks.",
    "planned_readmission": "Diagnoses and DRGs of readmissions that were planned.",
    "population_of_focus": "ECM populations of focus with go-live dates and definitions.",
    "population_evidence": "What in the data identifies a member of a population of focus.",
    "program_counts": "Published counts of members and services.",
    "published_results": "Effects that evaluations have published.",
    "quarterly_report_tabs": "Tabs of the quarterly plan report to DHCS.",
    "race_ethnicity_column": "Yes/no columns of race and ethnicity in HMIS files.",
    "race_ethnicity_crosswalk": "Race and ethnicity codes of four systems and their group.",
    "race_ethnicity_group": "Race and ethnicity groups as they are shown, in order.",
    "race_ethnicity_schema": "What each source asks about race and ethnicity.",
    "service_codes": "HCPCS code and modifier of ECM and of each Community Support.",
    "utilization_definitions": "Which claim lines are a visit, a stay, a trip.",
}
_KINDS = {
    "string": "text",
    "date": "date",
    "month": "month (first day)",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes/no",
}


def index_page(tables: Mapping[str, Table]) -> str:
    """README: what the dictionary holds, how values are read, list of tables."""
    inputs = [table for table in tables.values() if table.is_input]
    derived = [table for table in tables.values() if not table.is_input]
    rows = [
        [f"[`{t.name}`](tables/{t.name}.md)", t.grain, "optional" if t.is_optional else "needed"]
        for t in inputs
    ]
    derived_rows = [[f"[`{t.name}`](tables/{t.name}.md)", t.grain, t.source] for t in derived]
    return _page(
        "# Data dictionary",
        GENERATED,
        "What each table must hold to be read by `calaim_eval`, and what each column means. A "
        "column has one name and one meaning wherever it occurs.",
        "## Tables you give",
        "One file a table, named after it: `.parquet`, `.csv`, `.csv.gz`, or a folder of such "
        "parts. A study needs three of them; each of the others adds what only it can tell.",
        _table(["table", "one row is", "for a study"], rows),
        "## Tables the package makes",
        _table(["table", "one row is", "made by"], derived_rows),
        "## How values are read",
        _list(
            [
                "Column names may be in upper or lower case. Other names: "
                '`read_tables(..., rename={"table": {"your_name": "declared_name"}})`. Columns '
                "that are not declared are left behind.",
                "Text is trimmed; an empty cell, `NULL`, `NaN`, `None`, `\\N` and a lone point "
                "are missing.",
                f"Dates are {DATE_FORMATS}; a time of day is dropped. Dates before 1900, after "
                "the extract date or after 2100 are impossible.",
                "Where an end date may be open, 9999-12-31 is the same as missing.",
                "Codes are put in upper case; leading zeros that a spreadsheet dropped are put "
                "back; the point in a diagnosis and the dashes in a drug code are removed.",
                "Amounts may have a dollar sign and thousands commas.",
            ]
        ),
        "## What happens to a row with a problem",
        "Nothing is lost without a count. A row is *set aside* when a column marked ● below is "
        "missing, unreadable or impossible, when its dates are out of order, when it repeats "
        "another row, or when its member is not in `eligibility`. A problem in another column is "
        "read as missing and remarked on. Of rows that repeat a key with other values the latest "
        "is kept. `Tables.ledger` has every reason with its number of "
        "rows; a table that is wrong as a whole raises an error instead.",
        "## Code lists",
        f"[{len(code_list_names())} code lists](code_lists/README.md) as CSV, each row with its "
        "source and whether a public page confirms it. `datapackage.json` describes all of this "
        "for machines (Frictionless Data).",
    )


def table_page(table: Table) -> str:
    """One table: grain, key, caveats, columns."""
    status = "made by the package" if not table.is_input else "needed"
    if table.is_optional:
        status = "optional"
    facts = [f"**One row is** {table.grain}.", f"**Status:** {status}."]
    if table.key:
        facts.append(f"**Key:** {_names(table.key)}.")
    if table.source:
        facts.append(f"**Usual source:** {table.source}.")
    if table.date_order:
        pairs = "; ".join(f"`{early}` ≤ `{late}`" for early, late in table.date_order)
        facts.append(f"**Order of dates:** {pairs}.")
    parts = [f"# {table.name}", GENERATED, _list(facts)]
    if table.caveats:
        parts += ["## Know before use", _list(table.caveats)]
    rows = [_field_row(field, table) for field in table_fields(table)]
    parts += [
        "## Columns",
        "Present: *must* be in the file, or *may* be absent and is then missing. ● a row is set "
        "aside when this is unreadable or impossible; ●● also when it is missing.",
        _table(["column", "type", "present", "meaning", "values"], rows),
        "[All tables](../README.md) · [code lists](../code_lists/README.md)",
    ]
    return _page(*parts)


def code_lists_page(tables: Mapping[str, Table]) -> str:
    """Index of the code lists."""
    rows = []
    fields = {field.name: field for table in tables.values() for field in table_fields(table)}
    for name in code_list_names():
        codes = load_codes(name)
        used = [field.name for field in fields.values() if field.code_list == name]
        rows.append(
            [
                f"[`{name}`]({name}.csv)",
                CODE_LISTS.get(name, ""),
                f"{len(codes):,}",
                _confirmed(name),
                _names(used[:_INLINE_VALUES]) or "–",
            ]
        )
    return _page(
        "# Code lists",
        GENERATED,
        "Every row says where it comes from (`source`). *Confirmed* counts the rows that a public "
        "page or file states as they are here; the others are partly confirmed, inferred or "
        "believed, and their row says which. Check those that carry your result.",
        _table(["list", "what it holds", "rows", "confirmed", "explains"], rows),
        "In Python: `calaim_eval.schema.load_codes(name)`. [All tables](../README.md)",
    )


def _confirmed(name: str) -> str:
    """How many rows of a list are confirmed, partly, and not."""
    codes = load_codes(name)
    column = "confirmed" if "confirmed" in codes else "status"
    if column not in codes:
        return "not recorded"
    fully = int(codes[column].str.startswith(("yes", "verified")).sum())
    partly = int(codes[column].str.startswith("partial").sum())
    return f"{fully:,} yes, {partly:,} partly, {len(codes) - fully - partly:,} no"


def _field_row(field: Field, table: Table) -> list[str]:
    """One column of a table as a row of its page."""
    kind = _KINDS[field.dtype]
    if field.unit and field.dtype in ("integer", "number"):
        kind += f", {field.unit}"
    present = "must" if field.name in table.required else "may"
    if table.is_input and field.name in table.not_null:
        present += " ●●"
    elif table.is_input and field.name in indispensable(table):
        present += " ●"
    return [f"`{field.name}`", kind, present, field.description, _values(field)]


def _values(field: Field) -> str:
    """Allowed values in full where they are few, else the list that explains them."""
    if field.values:
        return ", ".join(f"`{value}`" for value in field.values)
    if field.code_list:
        return f"[{field.code_list}](../code_lists/{field.code_list}.csv)"
    return f"{field.minimum:g} or more" if field.minimum is not None else ""


def _page(*parts: str) -> str:
    """Parts of a page with a blank line between."""
    return "\n\n".join(parts) + "\n"


def _list(items: Iterable[str]) -> str:
    """Bulleted list."""
    return "\n".join(f"- {item}" for item in items)


def _names(names: Iterable[str]) -> str:
    """Names in backticks."""
    return ", ".join(f"`{name}`" for name in names)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown table; a bar within a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text that does not break a table."""
    return text.replace("|", "\\|").replace("\n", " ")
