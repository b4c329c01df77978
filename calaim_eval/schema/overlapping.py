"""Columns of groups that overlap: the label of a member holds every group the member is in."""

from __future__ import annotations

from collections.abc import Iterable

JOIN = ";"
"""Parts the groups of a label."""

IN_COMBINATION = "race_ethnicity_in_combination"
POPULATION = "population_of_focus"
OVERLAPPING = (IN_COMBINATION, POPULATION)

_NEXT_STEP = {
    IN_COMBINATION: (
        "One category at a time, with everybody else beside it: with_race_ethnicity(panel, "
        "categories, display='in_combination', only='aian'). Or an exclusive display: "
        "display='alone'."
    ),
    POPULATION: ('Make one design for each: design_exposure(panel, population_of_focus="2", ...).'),
}


def overlapping_columns(columns: Iterable[str]) -> tuple[str, ...]:
    """Those of the columns whose groups overlap."""
    return tuple(each for each in columns if each in OVERLAPPING)


def why_no_stratum(column: str) -> str:
    """Why effects cannot be had by this column, and what can be done."""
    return (
        f"`{column}` cannot be a stratum: a member may belong to several, so the groups overlap "
        "and their members would be counted more than once; effects of groups that share members "
        f"have no covariance here.\n  {_NEXT_STEP[column]}"
    )
