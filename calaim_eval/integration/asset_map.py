"""What changed on the asset map between two dates: what appeared, stayed and left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError, require_choice
from calaim_eval.integration.contracts import organization_trait, trait_values
from calaim_eval.integration.inputs import Day, as_day, set_aside, take_columns
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

Counted: TypeAlias = Literal["organizations", "services", "coverage"]
CHANGES = ("appeared", "stayed", "left")
_UNITS: dict[str, tuple[str, ...]] = {
    "organizations": ("organization_id",),
    "services": ("organization_id", "county", "service"),
    "coverage": ("county", "service"),
}
_PLACES = ("county", "service")
_TRAITS = ("organization_type", "leadership", "population_served", "ownership")


def listed_on(contract: pd.DataFrame, *, day: Day, ledger: RowLedger | None = None) -> pd.DataFrame:
    """Asset map of the contract list on one day: organization, county, service.

    Parameters
    ----------
    contract : pd.DataFrame
        Columns of the table `contract`; a missing start or end is open.
    day : day
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    pd.DataFrame
        ``organization_id``, ``county``, ``service``; each once.

    Raises
    ------
    TableError
        Columns are absent or cannot be read.
    """
    at = as_day(day, name="day")
    unit = ["organization_id", *_PLACES]
    rows = take_columns(
        contract,
        table="contract",
        required=tuple(unit),
        optional=("contract_start_date", "contract_end_date"),
    )
    is_kept = set_aside(
        {
            "organization, county or service missing": rows[unit].isna().any(axis=1),
            "starts after the day": rows["contract_start_date"] > at,
            "ended before the day": rows["contract_end_date"] < at,
        },
        table="contract",
        stage="asset map",
        ledger=ledger,
    )
    return rows.loc[is_kept, unit].drop_duplicates().reset_index(drop=True)


def asset_map_change(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    counted: Counted = "organizations",
    by: str | Sequence[str] = (),
    organization: pd.DataFrame | None = None,
    days: tuple[Day, Day] | None = None,
) -> RateTable:
    """Organizations, services or covered cells that appeared, stayed and left.

    Parameters
    ----------
    before, after : pd.DataFrame
        Asset maps of two dates: ``organization_id``, ``county``, ``service``; of the contract
        list (`listed_on`) or of a resource directory.
    counted : {"organizations", "services", "coverage"}
        Organizations; one service of one organization in one county; or cells of county and
        service with at least one organization. An organization may stay while it leaves a
        county: with ``by="county"`` it is then counted there as left.
    by : str or sequence of str
        ``"county"``, ``"service"``, or one trait of the organization (needs `organization`, not
        for coverage).
    organization : pd.DataFrame, optional
        Columns of the table `organization`.
    days : (day, day), optional
        The two dates, for the words of a report.

    Returns
    -------
    RateTable
        Keys `by` and ``change`` (``"appeared"``, ``"stayed"``, ``"left"`` and their margin
        ``"all"``); numerator: units with the change; denominator: units listed on either date.
        No interval: the lists are complete. ``about="organizations"``.

    Raises
    ------
    TableError
        Columns are absent, or a list has no rows.
    EstimationError
        Not one organization is on both lists: their identifiers differ; or `by` cannot be made.
    """
    require_choice("`counted`", counted, _UNITS)
    breakdown = [by] if isinstance(by, str) else list(by)
    _check_breakdown(breakdown, counted, organization)
    lists = [_listed(frame, name) for frame, name in ((before, "before"), (after, "after"))]
    if not set(lists[0]["organization_id"]) & set(lists[1]["organization_id"]):
        raise EstimationError(
            "no organization is on both lists: their identifiers differ.\n"
            "  Link the two rosters first; otherwise every organization left and another came."
        )
    columns = list(dict.fromkeys([*breakdown, *_UNITS[counted]]))
    sides = [_with_traits(frame, breakdown, organization)[columns] for frame in lists]
    both = (
        sides[0].drop_duplicates().merge(sides[1].drop_duplicates(), how="outer", indicator="found")
    )
    names = {"left_only": "left", "both": "stayed", "right_only": "appeared"}
    both["change"] = both["found"].astype(str).map(names)
    keys, counts = _counts(both, breakdown)
    per_group = len(CHANGES) + 1
    return RateTable(
        measure=f"Change of the asset map: {counted}",
        keys=keys,
        numerator=counts,
        denominator=np.repeat(counts[::per_group], per_group),
        conf_low=np.full(len(keys), np.nan),
        conf_high=np.full(len(keys), np.nan),
        n_members=np.full(len(keys), np.nan),
        numerator_name=f"{counted}_by_change_of_the_asset_map",
        denominator_name=f"{counted}_on_either_date",
        unit=f"share of {counted} listed on either date",
        kind="proportion",
        method=Method("Comparison of two complete lists", _options(days, counted)),
        about="organizations",
        margins=("change",),
    )


def _check_breakdown(breakdown: list[str], counted: str, organization: pd.DataFrame | None) -> None:
    """Refuse breakdowns that cannot be made."""
    allowed = _PLACES if counted == "coverage" or organization is None else (*_PLACES, *_TRAITS)
    unknown = [name for name in breakdown if name not in allowed]
    if unknown:
        raise EstimationError(
            f"`by`: {unknown} cannot break down {counted}.\n  Choose among "
            f"{', '.join(f'`{name}`' for name in allowed)}; traits need `organization`, and "
            "coverage has none."
        )


def _listed(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Organization, county and service of a list; incomplete rows are refused."""
    unit = ("organization_id", *_PLACES)
    rows = take_columns(frame, table=name, required=unit).drop_duplicates()
    n_missing = int(rows.isna().any(axis=1).sum())
    if n_missing:
        raise TableError(
            f"list `{name}`: {n_missing:,} of {len(rows):,} rows lack an organization, county or "
            "service.\n  Complete them, or leave them out of both lists."
        )
    return rows.reset_index(drop=True)


def _with_traits(
    rows: pd.DataFrame, breakdown: list[str], organization: pd.DataFrame | None
) -> pd.DataFrame:
    """The list with the traits asked for."""
    added = {}
    for trait in breakdown:
        if trait in _TRAITS and organization is not None:
            added[trait] = organization_trait(rows["organization_id"], organization, trait=trait)
    return rows.assign(**added)


def _counts(both: pd.DataFrame, breakdown: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Units by group and change, each group with its margin first."""
    changes = [ALL, *CHANGES]
    if not breakdown:
        sizes = both["change"].value_counts().reindex(CHANGES, fill_value=0).to_numpy(dtype=float)
        return pd.DataFrame({"change": changes}), np.concatenate([[sizes.sum()], sizes])
    table = both.groupby([*breakdown, "change"]).size().unstack("change", fill_value=0)  # noqa: PD010
    table = table.reindex(columns=list(CHANGES), fill_value=0)
    for trait in breakdown:
        if trait in _TRAITS and len(breakdown) == 1:
            table = table.reindex(trait_values(trait, both[trait]), fill_value=0)
    table.insert(0, ALL, table.sum(axis=1))
    keys = table.index.to_frame(index=False).merge(pd.DataFrame({"change": changes}), how="cross")
    return keys, table.to_numpy(dtype=float).ravel()


def _options(days: tuple[Day, Day] | None, counted: str) -> dict[str, object]:
    """The two dates as the report prints them."""
    if days is None:
        return {"counted": counted}
    first, second = (as_day(day, name="days") for day in days)
    if second <= first:
        raise EstimationError("`days`: the second does not follow the first.\n  Swap them.")
    return {"counted": counted, "from": str(first.date()), "to": str(second.date())}
