"""Rows of a released table arranged for drawing: one panel an outcome, groups in order."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import (
    OUTCOMES,
    ordered,
    outcome_label,
    race_order,
    short_race_label,
    wrap,
)
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calaim_eval.disclosure.released import ReleasedTable

HEADLINE_OUTCOMES = ("ed_visits", "inpatient_stays", "outpatient_visits", "ambulance_trips")
"""Outcomes a figure shows unless told otherwise; the tables show all."""


def outcome_panels(item: ReleasedTable) -> pd.DataFrame:
    """The item's rows with `outcome`, `unit` and an ordered `panel` heading such as
    ``Hospital stays`` over its unit.
    """
    frame = item.frame
    if "outcome" not in frame:
        frame = frame.assign(outcome=str(item.meta.get("measure", item.name)))
    if "unit" not in frame:
        frame = frame.assign(unit=str(item.meta.get("unit", "")))
    order = ordered(frame["outcome"], order=tuple(OUTCOMES))
    units = frame.drop_duplicates("outcome").set_index("outcome")["unit"]
    headings = {o: f"{outcome_label(o)}\n{unit_words(str(units[o]))}" for o in order}
    return frame.assign(
        outcome=pd.Categorical(frame["outcome"], categories=order, ordered=True),
        panel=pd.Categorical(
            frame["outcome"].map(headings), categories=list(headings.values()), ordered=True
        ),
    ).sort_values("outcome", kind="stable")


def unit_words(unit: str) -> str:
    """The part of a unit that a heading does not already say: ``per 1,000 member-months``."""
    _, found, rest = unit.partition(" per 1,000 ")
    return f"per 1,000 {rest}" if found else wrap(unit, width=34)


def choose_outcomes(frame: pd.DataFrame, outcomes: Sequence[str] | None) -> pd.DataFrame:
    """Rows of the outcomes asked for; by default the headline ones, or all if none is there."""
    wanted = list(outcomes) if outcomes is not None else list(HEADLINE_OUTCOMES)
    chosen = frame[frame["outcome"].isin(wanted)]
    if chosen.empty and outcomes is None:
        chosen = frame
    chosen = chosen.copy()
    for column in ("outcome", "panel"):
        chosen[column] = chosen[column].cat.remove_unused_categories()
    return chosen


def group_rows(frame: pd.DataFrame, *, width: int, total: str = "All members") -> pd.DataFrame:
    """Adds `group`, the label of `race_ethnicity`, ordered so that the total comes on top."""
    codes = ordered(frame["race_ethnicity"], order=(ALL, *race_order()))
    names = {code: total if code == ALL else short_race_label(code) for code in codes}
    labels = {code: wrap(name, width=width) for code, name in names.items()}
    return frame.assign(
        group=pd.Categorical(
            frame["race_ethnicity"].map(labels),
            categories=list(reversed(labels.values())),
            ordered=True,
        ),
        is_all=frame["race_ethnicity"].eq(ALL),
    )


def rows_height(frame: pd.DataFrame, *, line: float = 0.145) -> float:
    """Inches the group rows need so that no label touches the next one.

    Rows are evenly spaced, so two neighbours of several lines set the distance for all.
    """
    lines = [1 + label.count("\n") for label in frame["group"].cat.categories]
    pairs = [(a + b) / 2 for a, b in pairwise(lines)]
    return max(0.185, line * max(pairs, default=1)) * max(len(lines), 4)
