"""What the results' own notes tell a reader, said once, with labels in place of codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import OUTCOMES, ordered, outcome_label, race_label
from calaim_eval.report.release_items import (
    EXPECTED_ITEMS,
    FURTHER_ITEMS,
    item_title,
    require_released,
)

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_OUTCOME = re.compile(r"^`(\w+)`: (.*)$", flags=re.S)
_GROUP = re.compile(r"^race_ethnicity (\w+): (.*)$", flags=re.S)


def collect_notes(released: Released) -> pd.DataFrame:
    """Every note of the released tables once.

    Parameters
    ----------
    released : Released

    Returns
    -------
    pd.DataFrame
        Columns `items` (titles of the tables that carry the note), `about` (outcomes or group it
        concerns; empty for all), `note`. A note repeated for several outcomes is one row.
    """
    tables = require_released(released).tables
    found: dict[tuple[str, str], tuple[set[str], dict[str, None]]] = {}
    for name in ordered(tables, order=(*EXPECTED_ITEMS, *FURTHER_ITEMS)):
        for note in tables[name].meta.get("notes") or ():
            outcome, group, text = _taken_apart(str(note))
            outcomes, items = found.setdefault((group, text), (set(), {}))
            outcomes |= {outcome} if outcome else set()
            items[item_title(name)] = None
    rows = [
        {"items": "; ".join(items), "about": _about(outcomes, group), "note": _sentence(text)}
        for (group, text), (outcomes, items) in found.items()
    ]
    return pd.DataFrame(rows, columns=["items", "about", "note"])


def _taken_apart(note: str) -> tuple[str, str, str]:
    """Outcome, group and text of a note; empty where it concerns none in particular."""
    match = _OUTCOME.match(note)
    if match and match.group(1) in OUTCOMES:
        return match.group(1), "", match.group(2)
    if match := _GROUP.match(note):
        return "", match.group(1), match.group(2)
    return "", "", note


def _about(outcomes: set[str], group: str) -> str:
    if group:
        return race_label(group)
    return "; ".join(outcome_label(o) for o in ordered(outcomes, order=tuple(OUTCOMES)))


def _sentence(text: str) -> str:
    """The note as a sentence without code marks."""
    text = text.strip().replace("`", "")
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "!", "?")) else f"{text}."
