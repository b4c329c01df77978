"""How unequal use of care is over groups, then and now, and at which stage gaps in access arise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import ACCESS_STAGES, OUTCOMES, ordered, race_label, race_order
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    decimals_for,
    interval,
    number,
    unbroken,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import effect_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out, outcome_headings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calaim_eval.disclosure import Released
    from calaim_eval.disclosure.released import ReleasedTable

WITHHELD = "every number of it rests on, or could give away, a small number of members or events"
_GROUP = "Race and ethnicity"
_SPREAD = "Spread between groups"
_PERIODS = {"before_program": "Year before the program", "last_year": "Last year"}
_MEASURES = {
    ("between_group_sd", "equal"): "absolute, each group alike",
    ("coefficient_of_variation", "equal"): "percent of the average, each group alike",
    ("between_group_sd", "population"): "absolute, by members",
    ("coefficient_of_variation", "population"): "percent of the average, by members",
}
_VERSIONS = {
    "plug_in": "Measured (95% interval)",
    "if_equal": "If groups were equal",
    "bias_corrected": "Less chance",
}
_GAP, _RATIO = "Gap in the share served", "Ratio of the shares"


def disparity_table(released: Released) -> DisplayTable | Absent:
    """Spread of each headline outcome between groups, the year before the program and the last.

    Parameters
    ----------
    released : Released
        Uses `use_disparity`.

    Returns
    -------
    DisplayTable | Absent
        Rows by outcome: absolute and relative, each group alike and by members. Absent also
        where every row is withheld.
    """
    found = _shown(released, "use_disparity")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "period", "measure", "weights", "version"))
    frame = found.frame
    absolute = frame[frame["measure"] == "between_group_sd"]
    headings, _ = outcome_headings(absolute, found)
    periods = ordered(frame["period"], order=tuple(_PERIODS))
    rows = []
    for outcome in ordered(frame["outcome"], order=tuple(OUTCOMES)):
        if frame.loc[frame["outcome"] == outcome, "is_suppressed"].all():
            rows.append(_withheld_outcome(headings[outcome], periods))
            continue
        for (measure, weights), words in _MEASURES.items():
            mine = frame[
                (frame["outcome"] == outcome)
                & (frame["measure"] == measure)
                & (frame["weights"] == weights)
            ]
            if mine.empty:
                continue
            decimals = decimals_for(mine["estimate"])
            row = {"Outcome": headings[outcome], _SPREAD: words.capitalize()}
            cells = mine.set_index(["period", "version"])
            for period in periods:
                for version in _VERSIONS:
                    at = (period, version)
                    cell = cells.loc[at] if at in cells.index else None
                    row[f"{period} {version}"] = _spread_cell(cell, version, decimals=decimals)
            rows.append(row)
    columns = {p: [f"{p} {version}" for version in _VERSIONS] for p in periods}
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "How far the groups' rates lie apart (standard deviation between groups of race and "
            "ethnicity), all members of the study, the last year before the service reached 11 "
            "or more members in a month and the last year of the data."
        ),
        row_name=_SPREAD,
        row_group="Outcome",
        spanners={_PERIODS.get(p, p): columns[p] for p in periods},
        labels={f"{p} {version}": words for p in periods for version, words in _VERSIONS.items()},
        notes=(
            "If groups were equal: what chance alone would show. Less chance: the measured spread "
            "without what chance adds to it.",
            "Each group alike: a small group counts as much as a large one; by members: it hardly "
            "counts. The absolute spread can fall while the relative one grows.",
            "Many members are in both years, so no interval of the change is given. A change is "
            "not an effect of the program.",
        ),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def access_gap_table(released: Released) -> DisplayTable | Absent:
    """Each group's gap in the share served, split between outreach and what follows it.

    Parameters
    ----------
    released : Released
        Uses `access_gap`; adds the ratio of `access_gap_ratio` where released.

    Returns
    -------
    DisplayTable | Absent
        Differences in percentage points, with 95% intervals; the parts add up to the gap. Absent
        also where every row is withheld.
    """
    found = _shown(released, "access_gap")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", "reference", "component"))
    frame = found.frame
    ratios = find_item(released, "access_gap_ratio")
    by_group = (
        None
        if isinstance(ratios, Absent)
        else _rows_by(ratios.frame[ratios.frame["component"] == "gap"], "race_ethnicity")
    )
    parts = [c for c in ordered(frame["component"], order=tuple(ACCESS_STAGES)) if c != "gap"]
    rows = []
    for group in ordered(frame["race_ethnicity"], order=race_order()):
        mine = _rows_by(frame[frame["race_ethnicity"] == group], "component")
        row = {_GROUP: race_label(group), _GAP: _points(mine.get("gap"))}
        row |= {_part(stage): _points(mine.get(stage)) for stage in parts}
        if by_group is not None:
            row[_RATIO] = effect_cell(by_group.get(group), decimals=2, is_signed=False)
        rows.append(row)
    reference = race_label(str(frame["reference"].iloc[0]))
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Gap in the share served, among members identified as eligible, and the stage it "
            f"arises at: each group minus {reference}, in percentage points, with 95% intervals; "
            "negative means fewer are served."
        ),
        row_name=_GROUP,
        spanners={"The part of the gap that goes with": [_part(stage) for stage in parts]},
        notes=(
            "The parts add up to the gap. They say at which stage members of a group are lost, not "
            "why. Who is identified as eligible in the first place is not in them.",
        ),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _shown(released: Released, name: str) -> ReleasedTable | Absent:
    """The released table, or `Absent` where it is not there or all of it is withheld."""
    found = find_item(released, name)
    if isinstance(found, Absent) or not found.frame["is_suppressed"].all():
        return found
    return Absent(name, WITHHELD)


def _rows_by(frame: pd.DataFrame, key: str) -> dict[str, pd.Series]:
    """Each row under its value of `key`."""
    return {str(value): row for value, row in frame.set_index(key).iterrows()}


def _points(row: pd.Series | None) -> str:
    """A difference of shares in percentage points with its interval."""
    return effect_cell(row, decimals=1, scale=100)


def _part(stage: str) -> str:
    """Heading of the part of a stage."""
    if stage == "served":
        return "Served, once reached"
    return ACCESS_STAGES.get(stage, stage)


def _withheld_outcome(heading: str, periods: Sequence[str]) -> dict[str, str]:
    """One row for an outcome of which nothing is shown."""
    cells = {f"{period} {version}": SUPPRESSED_MARK for period in periods for version in _VERSIONS}
    return {"Outcome": heading, _SPREAD: "All of these", **cells}


def _spread_cell(row: pd.Series | None, version: str, *, decimals: int) -> str:
    """A spread; the measured one with its interval, which does not reach below 0."""
    if row is None:
        return UNDEFINED_MARK
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    text = number(row["estimate"], decimals=decimals)
    if version != "plug_in" or text == UNDEFINED_MARK:
        return text
    low = max(0.0, row["conf_low"])
    bounds = interval(low, row["conf_high"], decimals=decimals, is_signed=False)
    return f"{text} ({unbroken(bounds)})"
