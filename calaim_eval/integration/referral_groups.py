"""Groups of referrals: members' race and ethnicity, the receiving organization, or a column."""

from __future__ import annotations

import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.code_lists import (
    known_counties,
    known_services,
    race_ethnicity_groups,
)
from calaim_eval.integration.contracts import organization_trait, trait_values
from calaim_eval.integration.inputs import UNKNOWN, take_columns

_COLUMNS = ("service", "county", "plan")
_TRAITS = ("organization_type", "leadership", "ownership", "population_served")
RACE = "race_ethnicity"


def group_referrals(
    roots: pd.DataFrame,
    by: str | None,
    *,
    person: pd.DataFrame | None,
    organization: pd.DataFrame | None,
) -> tuple[pd.Series | None, list[str]]:
    """Group of each referral, and the groups in display order; no group without `by`.

    Parameters
    ----------
    roots : pd.DataFrame
        Root referrals.
    by : str | None
        ``"race_ethnicity"`` (needs `person`), a trait of the receiving organization (needs
        `organization`), or ``"service"``, ``"county"``, ``"plan"``.
    person, organization : pd.DataFrame, optional
        Columns of the tables of these names.

    Raises
    ------
    EstimationError
        `by` is not one of them, or the table it needs was not given.
    TableError
        The table it needs lacks the column, or repeats a key with different values.
    """
    if by is None:
        return None, []
    if by == RACE:
        return _by_race(roots, _needed(person, by=by, table="person"))
    if by in _TRAITS:
        roster = _needed(organization, by=by, table="organization")
        group = organization_trait(roots["to_organization_id"], roster, trait=by)
        return group, trait_values(by, group)
    if by not in _COLUMNS:
        raise EstimationError(
            f"`by`: {by!r} cannot group referrals.\n  Choose among "
            f"{', '.join(f'`{name}`' for name in (RACE, *_COLUMNS, *_TRAITS))}."
        )
    group = roots[by].fillna(UNKNOWN)
    return group, _in_order(group, by=by)


def _by_race(roots: pd.DataFrame, person: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Members' race and ethnicity; every group the member table has is a row."""
    people = take_columns(person, table="person", required=("member_id", RACE)).drop_duplicates()
    if people["member_id"].dropna().duplicated().any():
        n = int(people["member_id"].dropna().duplicated().sum())
        raise TableError(
            f"table `person`: {n:,} members are listed with more than one `race_ethnicity`.\n"
            "  Keep one row per member; read_tables() does it and counts the rest."
        )
    listed = race_ethnicity_groups()
    outside = people[RACE].notna() & ~people[RACE].isin(listed)
    if outside.any():
        raise TableError(
            f"table `person`, column `race_ethnicity`: {int(outside.sum()):,} of {len(people):,} "
            "members have a group that is not in the code list.\n"
            f"  Allowed: {', '.join(f'`{group}`' for group in listed)}."
        )
    known = people.dropna().set_index("member_id")[RACE]
    group = roots["member_id"].map(known).fillna(UNKNOWN)
    present = {*people[RACE].dropna(), *group, UNKNOWN, "declined"}
    return group, [g for g in listed if g in present]


def _in_order(group: pd.Series, *, by: str) -> list[str]:
    """Values present, code-list order first, others after, unknown last."""
    listed = {"service": known_services, "county": known_counties}.get(by, list)()
    present = set(group)
    order = [value for value in listed if value in present]
    order += sorted(present - set(order) - {UNKNOWN})
    return [*order, UNKNOWN] if UNKNOWN in present else order


def _needed(frame: pd.DataFrame | None, *, by: str, table: str) -> pd.DataFrame:
    """Table that a grouping needs."""
    if frame is None:
        raise EstimationError(
            f"`by={by!r}` needs the table `{table}`.\n  Pass it: {table}=tables.frame({table!r})."
        )
    return frame
