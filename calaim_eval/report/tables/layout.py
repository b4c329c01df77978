"""One look for every table, and the HTML that all three formats are made from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.panels import unit_words
from calaim_eval.report.labels import OUTCOMES, ordered, outcome_label
from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK

if TYPE_CHECKING:
    from great_tables import GT

    from calaim_eval.disclosure.released import ReleasedTable

SUPPRESSED_NOTE = (
    f"{SUPPRESSED_MARK} Not shown: small numbers, or a number from which a small one could be "
    "worked out."
)
UNDEFINED_NOTE = f"{UNDEFINED_MARK} Not defined."


@dataclass(frozen=True, slots=True)
class DisplayTable:
    """A table with its caption.

    Attributes
    ----------
    gt : great_tables.GT
        Style it further with its own methods.
    caption : str
    n_suppressed : int
        Rows with a withheld number.
    """

    gt: GT
    caption: str
    n_suppressed: int = 0

    def to_html(self) -> str:
        """The table alone as plain, accessible HTML.

        Headers carry a ``scope``; alignment is written on each cell, so that a converter that
        knows no style sheet (to PDF, to DOCX) keeps it; ids are left out, because two tables of
        one page would repeat them.
        """
        html = self.gt.as_raw_html()
        table = html[html.index("<table") : html.index("</table>") + len("</table>")]
        table = re.sub(r'\s(id|headers)="[^"]*"', "", table)
        table = re.sub(r'\sdata-quarto-[a-z-]+="[^"]*"', "", table)
        table = re.sub(r'<(t[hd])([^>]*?)class="([^"]*)"', _aligned, table)
        return re.sub(r"\n\s*\n+", "\n", table)

    def _repr_html_(self) -> str:
        return str(self.gt.as_raw_html())


def _aligned(match: re.Match[str]) -> str:
    """The opening of a cell with the alignment its class means written as a style."""
    tag, before, classes = match.groups()
    found = re.search(r"gt_(left|right|center)\b", classes)
    style = f' style="text-align: {found.group(1)}"' if found else ""
    return f'<{tag}{before}class="{classes}"{style}'


def lay_out(
    frame: pd.DataFrame,
    *,
    caption: str,
    row_name: str,
    row_group: str | None = None,
    spanners: dict[str, list[str]] | None = None,
    labels: dict[str, str] | None = None,
    left: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    n_suppressed: int = 0,
) -> DisplayTable:
    """A table of ready-written text cells.

    Parameters
    ----------
    frame : pd.DataFrame
        Text only; column names are the headings a reader sees.
    caption : str
    row_name : str
        Column that names the rows; its cells become row headers.
    row_group : str, optional
        Column whose values become headings over groups of rows.
    spanners : dict, optional
        Heading over several columns to those columns.
    labels : dict, optional
        Column to the heading shown, where two columns have the same heading.
    left : tuple of str
        Columns of words, aligned left; the others are aligned right.
    notes : tuple of str
        Footnotes. The notes for withheld and undefined cells are added where those occur.
    n_suppressed : int

    Returns
    -------
    DisplayTable
    """
    from great_tables import GT

    table = GT(frame, rowname_col=row_name, groupname_col=row_group).tab_stubhead(label=row_name)
    numbers = [c for c in frame.columns if c not in (row_name, row_group, *left)]
    table = table.cols_align(align="right", columns=numbers)
    if left:
        table = table.cols_align(align="left", columns=list(left))
    for heading, columns in (spanners or {}).items():
        table = table.tab_spanner(label=heading, columns=columns)
    if labels:
        table = table.cols_label(cases={**labels})
    for note in (*_mark_notes(frame), *notes):
        table = table.tab_source_note(source_note=note)
    return DisplayTable(gt=table, caption=caption, n_suppressed=n_suppressed)


def outcome_headings(frame: pd.DataFrame, item: ReleasedTable) -> tuple[dict[str, str], str]:
    """Heading of each outcome, and the unit that all of them share, for the caption.

    Parameters
    ----------
    frame : pd.DataFrame
        Rows of `item` with `outcome` and, where stacked over outcomes, `unit`.
    item : ReleasedTable

    Returns
    -------
    dict[str, str]
        Outcome to its name; followed by its unit where the units differ.
    str
        `` per 1,000 member-months``, with the space before it; empty where the units differ.
    """
    outcomes = ordered(frame["outcome"], order=tuple(OUTCOMES))
    if "unit" in frame:
        units = frame.drop_duplicates("outcome").set_index("outcome")["unit"].astype(str)
    else:
        units = pd.Series(str(item.meta.get("unit", "")), index=outcomes)
    words = {o: " ".join(unit_words(units[o]).split()) for o in outcomes}
    shared = set(words.values())
    if len(shared) == 1 and (per := shared.pop()).startswith("per "):
        return {o: outcome_label(o) for o in outcomes}, f" {per}"
    return {o: f"{outcome_label(o)}, {words[o]}" for o in outcomes}, ""


def _mark_notes(frame: pd.DataFrame) -> list[str]:
    cells = {str(cell) for column in frame.columns for cell in frame[column]}
    notes = []
    if any(SUPPRESSED_MARK in cell for cell in cells):
        notes.append(SUPPRESSED_NOTE)
    if any(cell == UNDEFINED_MARK or f"({UNDEFINED_MARK})" in cell for cell in cells):
        notes.append(UNDEFINED_NOTE)
    return notes
