"""From the categories a member has to the group or groups the member is shown in.

One record, several lawful displays. `hispanic_first` and `alone` put every member in one group,
`primary` too, by a stated order; `in_combination` counts a member in every category named.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from calaim_eval.errors import TableError
from calaim_eval.schema.overlapping import JOIN
from calaim_eval.schema.race_schemas import NO_ANSWER, SEVERAL, UNSPLIT

RaceDisplay = Literal["hispanic_first", "alone", "in_combination", "primary"]
DISPLAYS: dict[RaceDisplay, str] = {
    "hispanic_first": "Hispanic first",
    "alone": "alone",
    "in_combination": "alone or in combination",
    "primary": "one primary group",
}
"""Displays and what a reader calls them."""

_WORDS = {
    "hispanic_first": (
        "each member in one group: Hispanic whatever the race, else the one race named, else "
        "more than one race"
    ),
    "alone": (
        "each member in one group: the one category named (alone), Hispanic or Latino included, "
        "else more than one"
    ),
    "in_combination": (
        "each member in every category named (alone or in combination); rows overlap and are "
        "never added up"
    ),
    "primary": "each member in one group: the first named of the stated order",
}


def check_display(display: str) -> None:
    """Raise TableError unless the display is one of the four."""
    if display not in DISPLAYS:
        listed = ", ".join(f"'{each}'" for each in DISPLAYS)
        raise TableError(f"`display` is '{display}', not one of {listed}.")


def shown_group(
    categories: Collection[str], *, display: RaceDisplay, priority: Sequence[str] = ()
) -> str:
    """Group of a member in a display; in combination, all of them joined.

    Parameters
    ----------
    categories : collection of str
        All that the member's record names; may hold `declined` and `unknown`.
    display : {"hispanic_first", "alone", "in_combination", "primary"}
    priority : sequence of str
        For `primary`: which of several categories goes first. A member with several, none of them
        in the order, is `multiple`.

    Returns
    -------
    str
        A group of the code list `race_ethnicity_group`, never empty. In combination the
        categories joined by ``";"`` in alphabetical order.

    Notes
    -----
    "Asian or Pacific Islander, not split" says nothing more of a member who is also recorded as
    Asian or as Native Hawaiian or Pacific Islander, and is then no second category.

    Examples
    --------
    >>> shown_group({"white", "hispanic"}, display="alone")
    'multiple'
    >>> shown_group({"white", "hispanic"}, display="in_combination")
    'hispanic;white'
    """
    check_display(display)
    named = named_categories(categories)
    if not named:
        return "declined" if "declined" in categories else "unknown"
    if display == "in_combination":
        return JOIN.join(sorted(named))
    if display == "hispanic_first" and "hispanic" in named:
        return "hispanic"
    if len(named) == 1:
        return next(iter(named))
    if display == "primary":
        return next((each for each in priority if each in named), SEVERAL)
    return SEVERAL


def named_categories(categories: Collection[str]) -> frozenset[str]:
    """Categories that say what a member is, each once."""
    named = frozenset(categories) - {*NO_ANSWER, ""}
    return named - {UNSPLIT} if named & {"asian", "nhpi"} else named


def display_words(display: RaceDisplay, *, schema: str, priority: Sequence[str] = ()) -> str:
    """The sentence by which every output says which display it is in."""
    check_display(display)
    order = f" ({', '.join(priority)})" if display == "primary" and priority else ""
    return f"Race and ethnicity ({schema}; {DISPLAYS[display]}): {_WORDS[display]}{order}."
