"""The network that organizations report: ties of one survey wave, and who did not answer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.inputs import (
    Day,
    as_day,
    check_values,
    names_as_text,
    set_aside,
    take_columns,
)
from calaim_eval.integration.organization_network.organization_network import (
    OrganizationNetwork,
    matrix_of,
)
from calaim_eval.results import Method
from calaim_eval.tables.ledger import RowLedger

TieType: TypeAlias = Literal["referral", "data", "money", "coordination"]


def survey_network(
    tie: pd.DataFrame,
    *,
    wave: Day,
    tie_type: TieType,
    minimum_strength: float = 1.0,
    organizations: Collection[str] | None = None,
    answered: Collection[str] | None = None,
    ledger: RowLedger | None = None,
) -> OrganizationNetwork:
    """Directed network of the ties that organizations report about themselves.

    A tie goes from the organization that reports it. ``network.undirected(rule="both")`` keeps
    the ties that both ends confirm, ``rule="either"`` those that one end names; bounds for
    organizations that did not answer are in `network_bounds`.

    Parameters
    ----------
    tie : pd.DataFrame
        Columns of the table `tie`.
    wave : day
        First day of the survey wave, as in ``wave_date``.
    tie_type : {"referral", "data", "money", "coordination"}
    minimum_strength : float
        Reported strength from which on a tie counts; a tie without a strength counts, one of
        strength 0 never does.
    organizations : collection of str, optional
        Organizations that were asked. Default: all that a tie of the wave names.
    answered : collection of str, optional
        Organizations that answered the wave, with or without a tie, e.g. those in
        `survey_response`. Default: those that report at least one tie of any type in the wave;
        an organization that answered "no ties" then counts as not having answered.
    ledger : RowLedger, optional
        Gets the rows set aside and the reason of each.

    Returns
    -------
    OrganizationNetwork
        With ``has_answered``; ``strength`` is the strength reported, 1 where none was.

    Raises
    ------
    TableError
        Columns are absent, cannot be read, or hold values outside the code list.
    EstimationError
        The wave has no row.

    References
    ----------
    Stork D, Richards WD (1992). Nonrespondents in communication network studies. Group Organ
    Manage 17(2):193-209. doi:10.1177/1059601192172006
    """
    rows = take_columns(
        tie,
        table="tie",
        required=("wave_date", "from_organization_id", "to_organization_id", "tie_type"),
        optional=("tie_strength",),
    )
    check_values(rows, table="tie", column="tie_type")
    if tie_type not in set(rows["tie_type"]):
        raise EstimationError(
            f"`tie_type`: no row of table `tie` is of type {tie_type!r}.\n"
            f"  It has {', '.join(f'`{t}`' for t in sorted(rows['tie_type'].dropna().unique()))}."
        )
    day = as_day(wave, name="wave")
    of_wave = rows[rows["wave_date"] == day]
    if of_wave.empty:
        waves = sorted(rows["wave_date"].dropna().dt.date.astype(str).unique())
        raise EstimationError(
            f"table `tie`: no row is of the wave {day.date()}.\n  It has {', '.join(waves)}."
        )
    organizations = None if organizations is None else names_as_text(organizations)
    answered = None if answered is None else names_as_text(answered)
    names = _asked(of_wave, organizations, answered)
    is_weak = rows["tie_strength"] < minimum_strength
    is_kept = _kept(rows, day=day, tie_type=tie_type, names=names, is_weak=is_weak, ledger=ledger)
    return _network(rows[is_kept], names, _who_answered(of_wave, names, answered), wave, tie_type)


def _kept(
    rows: pd.DataFrame,
    *,
    day: pd.Timestamp,
    tie_type: str,
    names: np.ndarray,
    is_weak: pd.Series,
    ledger: RowLedger | None,
) -> np.ndarray:
    """Rows that are ties of the wave and type between organizations that were asked."""
    ends = rows[["from_organization_id", "to_organization_id"]]
    return set_aside(
        {
            "an organization is missing": ends.isna().any(axis=1),
            "another wave": rows["wave_date"] != day,
            "another type of tie": rows["tie_type"] != tie_type,
            "tie of an organization to itself": ends.iloc[:, 0] == ends.iloc[:, 1],
            "organization that was not asked": ~ends.isin(list(names)).all(axis=1),
            "weaker than the strength asked for": is_weak,
            "a strength of 0 is no tie": rows["tie_strength"] <= 0,
        },
        table="tie",
        stage="survey network",
        ledger=ledger,
    )


def _asked(
    of_wave: pd.DataFrame, organizations: Collection[str] | None, answered: Collection[str] | None
) -> np.ndarray:
    """Organizations that were asked, in rising order."""
    if organizations is not None:
        return np.array(sorted(set(organizations)), dtype=object)
    both = pd.concat([of_wave["from_organization_id"], of_wave["to_organization_id"]]).dropna()
    return np.array(sorted({*both, *(answered or ())}), dtype=object)


def _who_answered(
    of_wave: pd.DataFrame, names: np.ndarray, answered: Collection[str] | None
) -> np.ndarray:
    """Whether each organization answered the wave; (n,)."""
    who = of_wave["from_organization_id"].dropna() if answered is None else list(answered)
    return np.isin(names, np.array(sorted(set(who)), dtype=object))


def _network(
    rows: pd.DataFrame, names: np.ndarray, has_answered: np.ndarray, wave: Day, tie_type: str
) -> OrganizationNetwork:
    """Ties with the strength reported; a tie listed twice is one, at its larger strength."""
    keys = ["from_organization_id", "to_organization_id"]
    largest = rows.assign(tie_strength=rows["tie_strength"].fillna(1.0)).groupby(keys)[
        "tie_strength"
    ].max()  # fmt: skip
    place = pd.Index(names)
    sender, receiver = (place.get_indexer(largest.index.get_level_values(key)) for key in keys)
    return OrganizationNetwork(
        organizations=names,
        strength=matrix_of(sender, receiver, largest.to_numpy(), len(names)),
        members=None,
        is_directed=True,
        method=Method("Ties reported in a survey", {"wave": str(wave), "tie_type": tie_type}),
        has_answered=has_answered,
    )
