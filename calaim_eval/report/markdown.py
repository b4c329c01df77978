"""Figures and tables as Markdown that Quarto and the embedded engine both read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.report.errors import ReportError
from calaim_eval.report.figures.theme import Figure
from calaim_eval.report.release_items import (
    Absent,
    find_item,
    is_simulated,
    lower_first,
    reason_left_out,
)
from calaim_eval.report.tables.layout import DisplayTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calaim_eval.disclosure import Released

FIGURE_FOLDER = "figures"
SIMULATED = "Simulated data: a demonstration, not findings"


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


def section(*pieces: str | tuple[Figure | DisplayTable | Absent, str], heading: str = "") -> str:
    """Markdown of a part of the page: its text, figures and tables that the release holds.

    Parameters
    ----------
    *pieces : str or (item, label)
        In order. A string is text; it belongs to the figure or table after it (or, at the end, to
        the one before it) and is left out where that is absent, so that no sentence speaks of
        numbers that are not there. What is absent is said by `absences`.
    heading : str
        Heading line, left out with everything else where all items are absent.

    Returns
    -------
    str
        Empty where every item is absent.
    """
    texts: list[str] = []
    waiting: list[str] = []
    is_shown = False
    for piece in pieces:
        if isinstance(piece, str):
            waiting.append(piece)
            continue
        item, label = piece
        is_shown = not isinstance(item, Absent)
        if is_shown:
            texts += [*waiting, block(item, label=label)]
        waiting = []
    if is_shown:
        texts += waiting
    if not texts:
        return ""
    return "\n" + "\n\n".join(t for t in (heading, *texts) if t) + "\n"


def absences(released: Released, names: Sequence[str], *, where_stated: Sequence[str] = ()) -> str:
    """One note for the items of a part of the page that the release does not hold.

    Parameters
    ----------
    released : Released
    names : sequence of str
        Items the part shows.
    where_stated : sequence of str
        Items that only some studies ask for: named where the release states why they are absent.

    Returns
    -------
    str
        Items with the same reason in one sentence; empty where all are present.
    """
    by_reason: dict[str, list[str]] = {}
    stated = [name for name in where_stated if reason_left_out(released, name)]
    for name in (*names, *stated):
        found = find_item(released, name)
        if isinstance(found, Absent):
            by_reason.setdefault(found.why, []).append(lower_first(found.title))
    if not by_reason:
        return ""
    lines = [
        f"Not in this release: {'; '.join(titles)}. {why}" for why, titles in by_reason.items()
    ]
    body = "\n\n".join(lines)
    return f'\n::: {{.callout-note title="Nothing to show"}}\n{body}\n:::\n'


def simulated_notice(released: Released) -> str:
    """The warning that a page about simulated data opens with.

    Parameters
    ----------
    released : Released
        Uses `is_simulated` of the provenance.

    Returns
    -------
    str
        A callout; empty where the release does not say that its data are simulated.
    """
    if not is_simulated(released):
        return ""
    return (
        f'\n::: {{.callout-warning title="{SIMULATED}"}}\nNo row behind these pages is a person. '
        "The numbers show what a report looks like; they say nothing about Medi-Cal, about any "
        "county, organization or group, or about the program. Do not cite them.\n:::\n"
    )


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
    return f'\n::: {{.callout-note title="Nothing to show"}}\n{item.words}\n:::\n'
