"""Lists of codes that a study gives: their age limits, and what is no list of probabilities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from calaim_eval.errors import TableError
from calaim_eval.panel.spans import completed_years, date_of

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.measure import Measure
    from calaim_eval.tables import Tables

WEIGHTS = "ed_avoidable_weight"
SHARES = ("non_emergent_share", "primary_care_treatable_share", "preventable_share")
ROUNDING = 0.01
"""How much more than 1 shares that were rounded may add up to."""

_OLDEST = 10**3


def is_of_listed_age(rows: Table, day: Value) -> Value:
    """Whether the member's age on a day is within the limits of the row of the list.

    Parameters
    ----------
    rows : Table
        `birth_date`, `youngest_age_years` and `oldest_age_years`, each missing where not known or
        not limited.
    day : Value
        Day number.

    Returns
    -------
    Value
        True without a limit; false with one for a member of unknown age.
    """
    youngest, oldest = rows["youngest_age_years"], rows["oldest_age_years"]
    age = completed_years(rows["birth_date"], date_of(day))
    has_limit = youngest.notnull() | oldest.notnull()
    is_within = age.between(youngest.fill_null(0), oldest.fill_null(_OLDEST))
    return ~has_limit | is_within.fill_null(False)


def require_probabilities(tables: Tables, measures: Iterable[Measure]) -> None:
    """Raise where a measure rests on shares that are no probabilities.

    Raises
    ------
    TableError
        The three shares of some diagnosis add up to more than 1, as percentages do.
    """
    if not tables.has(WEIGHTS) or not any(WEIGHTS in each.needs_all for each in measures):
        return
    shares = tables.frame(WEIGHTS)[list(SHARES)].sum(axis="columns")
    n_above = int((shares > 1 + ROUNDING).sum())
    if n_above:
        raise TableError(
            f"{n_above:,} of {len(shares):,} rows of `{WEIGHTS}` have shares that add up to more "
            "than 1.\n"
            "  They are probabilities: divide percentages by 100, or leave those rows out."
        )
