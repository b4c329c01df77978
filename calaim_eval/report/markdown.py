"""Figures and tables as Markdown that Quarto and the embedded engine both read."""

from __future__ import annotations

from pathlib import Path

from calaim_eval.report.errors import ReportError
from calaim_eval.report.figures.theme import Figure
from calaim_eval.report.release_items import Absent
from calaim_eval.report.tables.layout import DisplayTable

FIGURE_FOLDER = "figures"


def block(item: Figure | DisplayTable | Absent, *, label: str, lead: str = "") -> str:
    """Markdown of a figure or table with its caption, or the words that say it is absent.

    Use in a cell with ``#| output: asis``: ``print(block(figures.event_study(released),
    label="fig-event-study"))``.

    Parameters
    ----------
    item : Figure, DisplayTable or Absent
    label : str
        ``fig-...`` or ``tbl-...``; the page refers to it as ``@fig-...``.
    lead : str
        Text before it, left out where the item is absent, so that no reference points nowhere.

    Returns
    -------
    str
        A figure is also written to ``figures/<label>.png`` in the working folder.

    Raises
    ------
    ReportError
        The label does not start as its kind asks.
    """
    if isinstance(item, Absent):
        return _absent(item)
    if isinstance(item, Figure):
        text = _figure(item, label=_checked(label, "fig-"))
    else:
        text = _table(item, label=_checked(label, "tbl-"))
    return f"\n{lead}\n{text}" if lead else text


def _checked(label: str, prefix: str) -> str:
    if not label.startswith(prefix):
        raise ReportError(f"label `{label}`: a label of this kind starts with `{prefix}`.")
    return label


def _figure(figure: Figure, *, label: str) -> str:
    folder = Path(FIGURE_FOLDER)
    folder.mkdir(exist_ok=True)
    figure.save(folder / f"{label}.png")
    alt = figure.alt_text.replace("\\", " ").replace('"', "'").replace("\n", " ")
    path = f"{FIGURE_FOLDER}/{label}.png"
    return f'\n![{figure.caption}]({path}){{#{label} fig-alt="{alt}" width=100%}}\n'


def _table(table: DisplayTable, *, label: str) -> str:
    return f"\n::: {{#{label}}}\n\n```{{=html}}\n{table.to_html()}\n```\n\n{table.caption}\n\n:::\n"


def _absent(item: Absent) -> str:
    return f'\n::: {{.callout-note title="Not in this release"}}\n{item.words}\n:::\n'
