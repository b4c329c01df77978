# ruff: noqa: PD004  (Ibis name: `notnull`)
"""Check a table against its declaration: what is wrong, in which column, in how many rows.

Structural problems (a missing column, a column that is not what it should be, an empty table)
raise `TableError`. Problems of single rows come back as findings; reading the table sets those
rows aside and counts them.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.columns import declared_table, match_columns
from calaim_eval.schema.field import Table
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.race_ethnicity import (
    CODE_COLUMNS,
    UNLISTED_RACE,
    derive_race_ethnicity,
)
from calaim_eval.schema.rules import row_rules, type_columns
from calaim_eval.schema.values import DATE_FORMATS

if TYPE_CHECKING:
    import ibis

FINDING_COLUMNS = ["table", "column", "problem", "n_rows", "share_of_rows", "row_is_set_aside"]
# Above this share of unreadable values a column is not what its name says.
_STRUCTURAL_SHARE = 0.5
STRUCTURAL_SIGNS = ("is missing", "cannot be read", "not an allowed value")
_KEY_HINT = {
    "member_month": "Overlapping enrollment spans are the usual cause; build the panel with "
    "`build_member_months`, which merges them."
}


def check_table(
    data: pd.DataFrame | ibis.Table | Path | str,
    table: str,
    *,
    rename: Mapping[str, str] | None = None,
    extract_date: date | str | None = None,
) -> pd.DataFrame:
    """Check one table against its declaration in `schema.TABLES`.

    Parameters
    ----------
    data : pd.DataFrame, ibis.Table, Path or str
        The rows; a path is a parquet file or a folder of parquet parts. Never changed.
    table : str
        Name of the declared table.
    rename : mapping of str to str, optional
        Name in the data to declared name.
    extract_date : date or str, optional
        Day the data were cut; later dates are findings, apart from planned ones. By default
        dates up to 2100 pass.

    Returns
    -------
    pd.DataFrame
        One row per finding, worst first: `table`, `column` (several are parted by a comma),
        `problem`, `n_rows`, `share_of_rows` (0-1), `row_is_set_aside` (reading sets such rows
        aside; else they are kept, as the problem says). A row may have several findings. Empty
        when nothing is wrong. Holds counts only, never a value.

    Raises
    ------
    TableError
        No such table; the table is empty; a required column is missing; more than half of a
        column cannot be read as its type; a derived table repeats its key.

    Examples
    --------
    >>> spans = pd.DataFrame({"member_id": ["a", "b"],
    ...                       "enrollment_start_date": ["2022-01-01", "2022-03-01"],
    ...                       "enrollment_end_date": ["2022-06-30", "2022-02-01"]})
    >>> check_table(spans, "eligibility")[["problem", "n_rows"]].values.tolist()
    [['`enrollment_end_date` is before `enrollment_start_date`', 1]]
    """
    declared = declared_table(table)
    raw, source = _as_ibis(data)
    columns = match_columns(raw.columns, declared, rename=rename, source=source)
    typed = type_columns(raw.select(**{new: raw[old] for new, old in columns.items()}), declared)
    rules = row_rules(typed, declared, extract_date=_as_date(extract_date))
    counts = _count(typed, {str(i): rule.applies for i, rule in enumerate(rules)})
    n_rows = counts.pop("n_rows")
    if n_rows == 0:
        raise TableError(empty_message(table, source))
    n_recorded = _count(typed, _recorded(typed))
    findings = [
        (rule.column, rule.problem, counts[str(i)], rule.sets_aside) for i, rule in enumerate(rules)
    ]
    for column, problem, n_bad, _ in findings:
        raise_if_structural(
            declared, column, problem, n_bad, n_recorded.get(column, n_rows), source=source
        )
    findings += _key_findings(typed, declared, n_rows)
    if table == "person":
        findings.append(("race_code", UNLISTED_RACE, _count_unlisted_race(typed), False))
    return _as_frame(declared, findings, n_rows)


def raise_if_structural(
    table: Table, column: str, problem: str, n_bad: int, n_recorded: int, *, source: str = ""
) -> None:
    """Raise when a problem affects so many values that the column is not what it should be."""
    if n_recorded == 0 or n_bad / n_recorded <= _STRUCTURAL_SHARE:
        return
    share = f"{n_bad:,} of {n_recorded:,} rows"
    if "is missing" in problem:
        raise TableError(
            f"table `{table.name}`: `{column}` is missing in {share}{_where(source)}.\n"
            "  Every row needs it; check how the file was written."
        )
    if not any(sign in problem for sign in STRUCTURAL_SIGNS):
        return
    unreadable = "cannot be read" in problem
    kind = f"read as {FIELDS[column].dtype}" if unreadable else "one of its allowed values"
    raise TableError(
        f"table `{table.name}`: `{column}` is not {kind} in {share} that have it{_where(source)}.\n"
        f"  {_how_it_is_read(table, column)}"
    )


def empty_message(table: str, source: str = "") -> str:
    """Message for a table without rows."""
    return (
        f"table `{table}` has no rows{_where(source)}.\n"
        "  Give a file with rows; leave an optional table out altogether."
    )


def _where(source: str) -> str:
    """File in parentheses, or nothing."""
    return f" (file {source})" if source else ""


def _how_it_is_read(table: Table, column: str) -> str:
    """Next step for a column that is not what it should be."""
    field = FIELDS[column]
    if field.values:
        allowed = ", ".join(f"`{value}`" for value in field.values)
        return (
            f"Allowed: {allowed}. Recode the column, map its values ([input.values.{table.name}."
            f"{column}]), or leave it out if it is not required."
        )
    if field.dtype in ("date", "month"):
        return f"Dates are read as {DATE_FORMATS}. Write them so, or check `rename`."
    if field.dtype == "boolean":
        return "Yes or no is read as 1/0, true/false, yes/no or y/n. Recode the column."
    return (
        "Numbers have a decimal point (1234.50); a comma only parts thousands (1,234.50). Write "
        "them so, or check `rename`."
    )


def _as_ibis(data: pd.DataFrame | ibis.Table | Path | str) -> tuple[ibis.Table, str]:
    """Rows as an expression, and the file they come from."""
    import ibis

    if isinstance(data, pd.DataFrame):
        return frame_as_ibis(data), ""
    if not isinstance(data, Path | str):
        return data, ""
    path = Path(data)
    if not path.exists():
        raise TableError(f"`{path}` does not exist.\n  Give a parquet file or a folder of parts.")
    # Brackets in a folder's name are no pattern.
    named = glob.escape(str(path))
    return ibis.read_parquet(f"{named}/*.parquet" if path.is_dir() else named), path.name


def frame_as_ibis(frame: pd.DataFrame) -> ibis.Table:
    """A frame as an expression; periods become their first day, categories text."""
    import ibis

    plain = {}
    for column, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.PeriodDtype):
            plain[column] = frame[column].dt.start_time
        elif isinstance(dtype, pd.CategoricalDtype):
            plain[column] = frame[column].astype("str")
        elif frame[column].isna().all():
            plain[column] = pd.Series(None, index=frame.index, dtype="str")
    named = frame.assign(**plain).reset_index(drop=True)
    return ibis.memtable(named.set_axis([str(column) for column in named.columns], axis=1))


def _as_date(day: date | str | None) -> date | None:
    """A date out of a date or ISO text."""
    return date.fromisoformat(day) if isinstance(day, str) else day


def _recorded(typed: ibis.Table) -> dict[str, Any]:
    """Per column, whether a row has a value to be read."""
    marked = [name for name in typed.columns if name.startswith("__has_")]
    text = [name for name in typed.columns if name in FIELDS and FIELDS[name].values]
    return {name.removeprefix("__has_"): typed[name] for name in marked} | {
        name: typed[name].notnull() for name in text
    }


def _count(typed: ibis.Table, conditions: Mapping[str, Any]) -> dict[str, int]:
    """Rows, and rows that meet each condition, in one pass."""
    aggregates = {name: condition.sum() for name, condition in conditions.items()}
    counted = typed.aggregate(n_rows=typed.count(), **aggregates).to_pandas().iloc[0]
    return {name: int(value) if pd.notna(value) else 0 for name, value in counted.items()}


def _key_findings(typed: ibis.Table, table: Table, n_rows: int) -> list[tuple[str, str, int, bool]]:
    """Rows that repeat the key; a derived table must not have any."""
    if not table.key:
        return []
    key = list(table.key)
    complete = typed.filter([typed[column].notnull() for column in key])
    groups = complete.group_by(key).agg(n=complete.count())
    counted = groups.aggregate(n_rows=groups.n.sum(), n_keys=groups.count()).to_pandas().iloc[0]
    n_keyed = int(counted["n_rows"]) if pd.notna(counted["n_rows"]) else 0
    n_repeats = n_keyed - int(counted["n_keys"])
    named = ", ".join(f"`{column}`" for column in key)
    if n_repeats and not table.is_input:
        hint = _KEY_HINT.get(table.name, "Each key is one row; drop or merge the repeats.")
        raise TableError(
            f"table `{table.name}`: {n_repeats:,} of {n_rows:,} rows repeat the key ({named}).\n"
            f"  {hint}"
        )
    return [(", ".join(key), f"repeats the key ({named})", n_repeats, True)]


def _count_unlisted_race(typed: ibis.Table) -> int:
    """Persons with a race or ethnicity code that the code list does not have."""
    combinations = typed.group_by(list(CODE_COLUMNS)).agg(n=typed.count()).to_pandas()
    unlisted = derive_race_ethnicity(combinations)["has_unlisted_code"].astype(bool)
    return int(combinations.loc[unlisted, "n"].sum())


def _as_frame(
    table: Table, findings: list[tuple[str, str, int, bool]], n_rows: int
) -> pd.DataFrame:
    """Findings with at least one row, worst first."""
    rows = [
        (table.name, column, problem, n_bad, n_bad / n_rows, sets_aside)
        for column, problem, n_bad, sets_aside in findings
        if n_bad
    ]
    frame = pd.DataFrame(rows, columns=FINDING_COLUMNS)
    return frame.sort_values(
        ["row_is_set_aside", "n_rows"], ascending=False, kind="stable", ignore_index=True
    )
