"""The network that referrals make: who refers to whom, in all or for members of one group."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.code_lists import race_ethnicity_groups
from calaim_eval.integration.inputs import Day, names_as_text, set_aside
from calaim_eval.integration.organization_network.organization_network import (
    OrganizationNetwork,
    matrix_of,
)
from calaim_eval.integration.referral_groups import RACE, group_referrals
from calaim_eval.integration.referral_roots import root_referrals
from calaim_eval.results import Method
from calaim_eval.tables.ledger import RowLedger

_STAGE = "referral network"


def referral_network(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    minimum_referrals: int = 1,
    minimum_members: int = 0,
    race_ethnicity: str | None = None,
    person: pd.DataFrame | None = None,
    organizations: Collection[str] | None = None,
    ledger: RowLedger | None = None,
) -> OrganizationNetwork:
    """Directed network of root referrals between organizations.

    Parameters
    ----------
    referral : pd.DataFrame
        Columns of the table `referral`. A referral that a plan made goes out from the plan.
    as_of : day
        The day the referrals are looked at: the extract date, or the end of a quarter.
    referred_from, referred_to : day, optional
        Referrals made between these days, both included.
    minimum_referrals : int
        Root referrals a tie must have.
    minimum_members : int
        Distinct members a tie must have. With the policy's smallest count (11), everything
        computed from the network is the same whatever smaller ties there are.
    race_ethnicity : str, optional
        Referrals of members of this group only (needs `person`). Groups of organizations, such
        as those led by the group, are another question: see `brokerage_roles`.
    person : pd.DataFrame, optional
        ``member_id`` and ``race_ethnicity``.
    organizations : collection of str, optional
        Organizations of the network: those without a referral become isolates, and referrals
        from or to others are set aside. Default: whoever sent or received a referral in the
        window, whatever the member's group.
    ledger : RowLedger, optional
        Gets the rows set aside and the reason of each.

    Returns
    -------
    OrganizationNetwork
        ``strength`` counts root referrals, ``members`` distinct members.

    Raises
    ------
    TableError
        Columns are absent or cannot be read.
    EstimationError
        No referral names both ends, or `race_ethnicity` is not in the code list.

    Examples
    --------
    >>> import pandas as pd
    >>> from calaim_eval.integration import referral_network
    >>> referrals = pd.DataFrame(
    ...     {
    ...         "referral_id": ["r1", "r2", "r3"],
    ...         "member_id": ["m1", "m2", "m2"],
    ...         "from_organization_id": ["hospital", "hospital", "shelter"],
    ...         "to_organization_id": ["shelter", "shelter", "clinic"],
    ...         "service": "ecm",
    ...         "referred_date": "2024-10-01",
    ...     }
    ... )
    >>> referral_network(referrals, as_of="2024-12-31")
    <OrganizationNetwork 3 organizations, 2 directed ties>
    """
    roots = root_referrals(
        referral,
        as_of=as_of,
        referred_from=referred_from,
        referred_to=referred_to,
        ledger=ledger,
        stage=_STAGE,
    )
    organizations = None if organizations is None else names_as_text(organizations)
    ends = roots[["from_organization_id", "to_organization_id"]]
    is_tie = set_aside(
        {
            "sending or receiving organization not recorded": ends.isna().any(axis=1),
            "referred within one organization": ends.iloc[:, 0] == ends.iloc[:, 1],
            "organization not in the network asked for": _is_outside(ends, organizations),
        },
        table="referral",
        stage="ties of the referral network",
        ledger=ledger,
    )
    if not is_tie.any():
        raise EstimationError(
            f"table `referral`: none of {len(roots):,} root referrals names a sending and a "
            "receiving organization of the network.\n"
            "  Fill `from_organization_id` and `to_organization_id`, or check `organizations`."
        )
    rows = roots[is_tie]
    names = _names(rows, organizations)
    if race_ethnicity is not None:
        rows = rows[_is_of_group(rows, race_ethnicity, person)]
    network = _network(rows, names, race_ethnicity=race_ethnicity, as_of=as_of)
    return network.at_least(members=minimum_members, strength=minimum_referrals)


def _is_outside(ends: pd.DataFrame, organizations: Collection[str] | None) -> pd.Series:
    """Whether an end of each referral is no organization of the network."""
    if organizations is None:
        return pd.Series(np.zeros(len(ends), dtype=bool), index=ends.index)
    return ~ends.isin(list(organizations)).all(axis=1)


def _names(rows: pd.DataFrame, organizations: Collection[str] | None) -> np.ndarray:
    """Organizations of the network in rising order."""
    if organizations is not None:
        return np.array(sorted(set(organizations)), dtype=object)
    both = pd.concat([rows["from_organization_id"], rows["to_organization_id"]])
    return np.array(sorted(both.unique()), dtype=object)


def _is_of_group(rows: pd.DataFrame, group: str, person: pd.DataFrame | None) -> np.ndarray:
    """Whether each referral is of a member of the group."""
    listed = race_ethnicity_groups()
    if group not in listed:
        raise EstimationError(
            f"`race_ethnicity`: {group!r} is not in the code list.\n"
            f"  Choose among {', '.join(f'`{value}`' for value in listed)}."
        )
    of, _ = group_referrals(rows, RACE, person=person, organization=None)
    return np.asarray(of == group)


def _network(
    rows: pd.DataFrame, names: np.ndarray, *, race_ethnicity: str | None, as_of: Day
) -> OrganizationNetwork:
    """Count referrals and members of every tie."""
    keys = ["from_organization_id", "to_organization_id"]
    counts = rows.groupby(keys)["member_id"].agg(["size", "nunique"])
    place = pd.Index(names)
    sender, receiver = (place.get_indexer(counts.index.get_level_values(key)) for key in keys)
    return OrganizationNetwork(
        organizations=names,
        strength=matrix_of(sender, receiver, counts["size"].to_numpy(), len(names)),
        members=matrix_of(sender, receiver, counts["nunique"].to_numpy(), len(names)),
        is_directed=True,
        method=Method(
            "Root referrals between organizations",
            {"as_of": str(as_of), "race_ethnicity": race_ethnicity or "all"},
        ),
    )
