"""Race and ethnicity of a panel's members in another display, age bands, populations of focus.

The panel's files hold one exclusive display. Everything here puts groups beside the files, and
every output by them says which display they are in and what was merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from calaim_eval.design.age_bands import AGE_BAND, FIRST_AGES, age_band
from calaim_eval.design.ledger import count_words
from calaim_eval.equity.intersections import merge_groups
from calaim_eval.errors import TableError
from calaim_eval.panel import MemberMonths
from calaim_eval.panel.grouped import GroupedMonths, as_grouped, with_groups
from calaim_eval.schema.overlapping import IN_COMBINATION, JOIN, POPULATION
from calaim_eval.schema.race_displays import RaceDisplay
from calaim_eval.schema.recorded_race import RecordedCategories, recorded_categories
from calaim_eval.tables import Tables

RACE = "race_ethnicity"
NO_POPULATION = "none"
_CODES = ("race_code", "ethnicity_code")


def person_categories(tables: Tables, *, schema: str = "as_recorded") -> RecordedCategories:
    """Categories of race and ethnicity that the persons of checked tables have.

    Parameters
    ----------
    tables : Tables
        With the table `person`; codes are read in the code system that each row names.
    schema : str
        A declared schema; `race_schemas` lists them.

    Returns
    -------
    RecordedCategories
    """
    systems = {code: f"{code}_system" for code in _CODES}
    persons = tables.frame("person", ["member_id", *_CODES, *systems.values()])
    return recorded_categories(persons, schema=schema, values=_CODES, systems=systems)


def with_race_ethnicity(
    panel: MemberMonths,
    categories: RecordedCategories,
    *,
    display: RaceDisplay,
    priority: Sequence[str] = (),
    only: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    reason: str = "",
) -> GroupedMonths:
    """The panel with race and ethnicity in a display of your choice.

    Parameters
    ----------
    panel : MemberMonths
    categories : RecordedCategories
        From `recorded_categories` or `person_categories`. Members of the panel who are not in it
        are "unknown".
    display : {"hispanic_first", "alone", "in_combination", "primary"}
        In combination gives the column `race_ethnicity_in_combination`, for rates and shares; the
        others take the place of `race_ethnicity`, for everything.
    priority : sequence of str
        For `primary`: which of several categories goes first.
    only : str, optional
        In combination: one category against everybody else. `race_ethnicity` is then the category,
        ``"not_"`` and the category, `declined` or `unknown`; no member is in two, so gaps and
        effects can be had, one category at a time.
    merge : mapping of str to sequence of str, optional
        New group and the groups it is made of, as in `merge_groups`; needs `reason`.
    reason : str
        Why groups are merged, in words that a reader of the report will see.

    Returns
    -------
    GroupedMonths
        Reads the same files. Every output by the column carries the display, the merges and how
        many values were not in the schema.

    Raises
    ------
    TableError
        The display is none, cannot decide, or `only` is no category or not in combination.
    EstimationError
        The merge is refused; see `merge_groups`.

    Examples
    --------
    >>> months = pd.DataFrame({"member_id": ["a", "b"], "covered_days": [31, 31],
    ...                        "month": ["2022-01-01", "2022-01-01"], "ed_visits": [1, 0]})
    >>> panel = MemberMonths.from_frames(months)
    >>> race = pd.DataFrame({"member_id": ["a", "b"], "race": ["Asian;White", "White"]})
    >>> found = recorded_categories(race, schema="omb_2024", values=["race"])
    >>> from calaim_eval.equity import members_by_group
    >>> shown = with_race_ethnicity(panel, found, display="in_combination")
    >>> members_by_group(shown, by="race_ethnicity_in_combination").to_frame()["numerator"].tolist()
    [1.0, 2.0, 2.0]
    """
    groups = categories.groups(display, priority=priority)
    column = groups.columns[1]
    notes = [categories.words(display, priority=priority), *_reasons(categories)]
    if only is not None:
        groups, column = _one_against_rest(groups, categories, display, only)
        notes.append(
            f"`{RACE}` is one category at a time: `{only}`, alone or in combination, and "
            f"`not_{only}`, everybody else who names a category."
        )
    if merge:
        groups, words = _merged(groups, column, merge, reason)
        notes += words
    series = groups.set_index("member_id")[column]
    return with_groups(panel, column, series, notes=notes)


def with_age_bands(panel: MemberMonths, first_ages: Sequence[int]) -> GroupedMonths:
    """The panel with age bands of your choice as the group `age_band`.

    Parameters
    ----------
    panel : MemberMonths
    first_ages : sequence of int
        First ages of the bands after the lowest, such as ``(18, 65)`` for 0-17, 18-64, 65+; empty
        for the usual ones.

    Returns
    -------
    GroupedMonths
        `age_band` is a grouping column of rates, members and designs: completed years on the first
        of the month; in a design the month the members are looked at in.

    Raises
    ------
    DesignError
        The ages do not rise.
    """
    starts = tuple(first_ages) or FIRST_AGES
    names = age_band(pd.Series([0, *starts], dtype=float), starts).tolist()
    own = as_grouped(panel)
    said = f"Age bands {', '.join(names)}: completed years on the first of the month."
    return replace(own, age_bands=starts, group_notes={**own.group_notes, AGE_BAND: (said,)})


def with_populations(panel: MemberMonths) -> GroupedMonths:
    """The panel with the populations of focus of its members as groups that overlap.

    Returns
    -------
    GroupedMonths
        `population_of_focus` is a grouping column of rates, shares and members: a member counts in
        every population, one of none in ``"none"``. Effects are by one population at a time.
    """
    found = panel.population_frame()
    labels = found.groupby("member_id")["population"].agg(
        lambda codes: JOIN.join(sorted(set(codes)))
    )
    note = (
        "Populations of focus as known at any time in the panel's data, from program files or "
        "claims; claims show one criterion of a population, seldom its whole definition."
    )
    return with_groups(panel, POPULATION, labels, notes=[note], absent=NO_POPULATION)


def _reasons(categories: RecordedCategories) -> list[str]:
    """How many values named no category though something was recorded."""
    told = categories.reasons.groupby("reason", sort=False)["n_values"].sum()
    return [
        f"Race and ethnicity: {reason}: {count_words(int(n))} values."
        for reason, n in told.items()
        if "not in the schema" in str(reason) or "several categories" in str(reason)
    ]


def _one_against_rest(
    groups: pd.DataFrame, categories: RecordedCategories, display: str, only: str
) -> tuple[pd.DataFrame, str]:
    """One category, alone or in combination, against everybody else who names one."""
    if display != "in_combination" or only not in categories.schema.categories:
        listed = ", ".join(f"'{each}'" for each in categories.schema.categories)
        raise TableError(
            f"`only` is '{only}' with display '{display}'; it takes one category in combination.\n"
            f"  Use display='in_combination' and one of {listed}."
        )
    named = groups[IN_COMBINATION].str.split(JOIN)
    label = [
        only if only in each else each[0] if each[0] in ("declined", "unknown") else f"not_{only}"
        for each in named
    ]
    return groups[["member_id"]].assign(**{RACE: label}), RACE


def _merged(
    groups: pd.DataFrame, column: str, merge: Mapping[str, Sequence[str]], reason: str
) -> tuple[pd.DataFrame, list[str]]:
    """Groups merged by the mapping, and the record of it as notes."""
    parted = groups.assign(**{column: groups[column].str.split(JOIN)})
    rows = parted.explode(column, ignore_index=True)
    merged, log = merge_groups(rows, column=column, merge=merge, reason=reason)
    joined = merged.groupby("member_id", sort=False)[column].agg(
        lambda each: JOIN.join(sorted(set(each)))
    )
    words = [
        f"`{column}`: {', '.join(repr(g) for g in part['group'])} together as {new!r}: {reason}"
        for new, part in log.groupby("merged_into", sort=False)
    ]
    return joined.reset_index(), words
