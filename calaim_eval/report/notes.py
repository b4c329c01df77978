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
from calaim_eval.schema.race_ethnicity import race_ethnicity_groups

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_OUTCOME = re.compile(r"^`(\w+)`: (.*)$", flags=re.S)
_GROUP_AMOUNT = re.compile(r"(?<=[:;] )(\w+)(?= )")


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
    found: dict[str, tuple[set[str], dict[str, None]]] = {}
    for name in ordered(tables, order=(*EXPECTED_ITEMS, *FURTHER_ITEMS)):
        for note in tables[name].meta.get("notes") or ():
            outcome, text = _taken_apart(str(note))
            outcomes, items = found.setdefault(text, (set(), {}))
            outcomes |= {outcome} if outcome else set()
            items[item_title(name)] = None
    rows = [
        {"items": "; ".join(items), "about": _about(outcomes), "note": _sentence(text)}
        for text, (outcomes, items) in found.items()
    ]
    return pd.DataFrame(rows, columns=["items", "about", "note"])


def _taken_apart(note: str) -> tuple[str, str]:
    """Outcome and text of a note; the outcome is empty where it concerns none in particular."""
    match = _OUTCOME.match(note)
    if match and match.group(1) in OUTCOMES:
        return match.group(1), match.group(2)
    return "", note


def _about(outcomes: set[str]) -> str:
    return "; ".join(outcome_label(o) for o in ordered(outcomes, order=tuple(OUTCOMES)))


def _sentence(text: str) -> str:
    """The note as a sentence without code marks, groups by their labels."""
    text = text.strip().replace("`", "")
    groups = race_ethnicity_groups()
    text = _GROUP_AMOUNT.sub(lambda m: f"{race_label(m[1])}:" if m[1] in groups else m[1], text)
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "!", "?")) else f"{text}."
