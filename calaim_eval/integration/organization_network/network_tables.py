"""What may leave of a referral network: ties of many members, and measures of those ties alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.about_organizations import two_columns
from calaim_eval.integration.code_lists import race_ethnicity_groups
from calaim_eval.integration.contracts import is_listed, organization_trait
from calaim_eval.integration.inputs import UNKNOWN, Day, as_day, take_columns
from calaim_eval.integration.organization_network.brokerage import ROLES, brokerage_roles
from calaim_eval.integration.organization_network.coordinator import (
    WITHOUT,
    main_broker,
    without_coordinator,
)
from calaim_eval.integration.organization_network.degree import partner_counts
from calaim_eval.integration.organization_network.hierarchy import connected_pairs
from calaim_eval.integration.organization_network.mixing import ei_index
from calaim_eval.integration.organization_network.network_rates import (
    SMALLEST_SHOWN_TIE,
    network_rates,
)
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.paths import betweenness
from calaim_eval.integration.organization_network.referral_network import referral_network
from calaim_eval.integration.organization_network.stability import tie_stability
from calaim_eval.results import ALL, RateTable
from calaim_eval.tables.ledger import RowLedger

PLAN = "plan"
BANDS = (50, 200)
_PERMUTATIONS = 499
NETWORK_TABLES = (
    "referral_network_ties",
    "referral_network_organizations",
    "referral_network",
    "referral_network_roles",
    "referral_network_mixing",
    "referral_network_by_race",
    "referral_network_stability",
)
"""Names of the tables of `network_tables`; the last two only where they can be made."""


def network_tables(
    referral: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    as_of: Day,
    person: pd.DataFrame | None = None,
    coordinator: str | None = None,
    minimum_members: int = SMALLEST_SHOWN_TIE,
    ledger: RowLedger | None = None,
) -> dict[str, RateTable]:
    """Tables of the referral network that may leave.

    The network is that of the root referrals of the year to `as_of`. Only ties of at least
    `minimum_members` distinct members are in it, and only organizations that have such a tie:
    every number is worked out from the ties listed, so nothing can be read from them of ties that
    are not, not even whether they exist.

    Parameters
    ----------
    referral, organization : pd.DataFrame
        Columns of the tables of these names.
    as_of : day
        Last day of the year looked at.
    person : pd.DataFrame, optional
        ``member_id`` and ``race_ethnicity``: for the networks of each group's referrals.
    coordinator : str, optional
        Its ``organization_id``. Default: the organization that most shortest paths go through.
    minimum_members : int
        Smallest count of the disclosure policy.
    ledger : RowLedger, optional
        Gets the rows set aside and the reason of each.

    Returns
    -------
    dict of str to RateTable
        - ``referral_network_ties``: one row a tie, with the band its members are in;
        - ``referral_network_organizations``: partners, shortest paths between others, and
          brokerage roles between types of organization, of each organization;
        - ``referral_network``: the whole network, with the coordinator and without;
        - ``referral_network_roles``: open two-paths by role, with those expected;
        - ``referral_network_mixing``: ties between types, and between leaderships;
        - ``referral_network_by_race``: each group's own network (with `person`);
        - ``referral_network_stability``: ties kept, created and dissolved against the year
          before, where it has a tie that is large enough.

    Raises
    ------
    EstimationError
        No tie is large enough, or `coordinator` has none that is.
    """
    if minimum_members < SMALLEST_SHOWN_TIE:
        raise EstimationError(
            f"`minimum_members`: {minimum_members} is below {SMALLEST_SHOWN_TIE}; ties of so few "
            "members may not leave.\n  Use referral_network() for work that stays inside."
        )
    last = as_day(as_of, name="as_of")
    window = {"as_of": last, "referred_from": last - pd.DateOffset(years=1) + pd.Timedelta(days=1)}
    network = referral_network(
        referral, **window, referred_to=last, minimum_members=minimum_members, ledger=ledger
    )
    network = _with_ties(network, minimum_members)
    center = coordinator or main_broker(network)
    if center not in set(network.organizations):
        raise EstimationError(
            f"`coordinator`: `{center}` has no tie of {minimum_members} members or more in the "
            "year.\n  Name it as `organization_id` does."
        )
    types = organization_types(network, organization)
    names = organization_labels(network, organization)
    tables = {
        "referral_network_ties": _ties(network, names),
        "referral_network_organizations": _organizations(network, types, names),
        "referral_network": _whole(network, center, names, is_named=coordinator is not None),
        "referral_network_roles": _roles(network, types),
        "referral_network_mixing": _mixing(network, organization, types),
    }
    if person is not None:
        tables["referral_network_by_race"] = _by_race(
            referral, network, person, minimum_members=minimum_members, window=window
        )
    tables |= _stability(referral, network, first=window["referred_from"], least=minimum_members)
    note = (
        f"Ties of {minimum_members} members or more in the year to {last.date()}; organizations "
        "with such a tie."
    )
    return {name: replace(t, notes=(*t.notes, note)) for name, t in tables.items()}


def _stability(
    referral: pd.DataFrame, network: OrganizationNetwork, *, first: pd.Timestamp, least: int
) -> dict[str, RateTable]:
    """Ties against those of the year before, over the organizations of either; or nothing."""
    before = first - pd.Timedelta(days=1)
    try:
        earlier = referral_network(
            referral,
            as_of=before,
            referred_from=first - pd.DateOffset(years=1),
            referred_to=before,
            minimum_members=least,
        )
        earlier = _with_ties(earlier, least)
    except EstimationError:
        return {}
    names = np.union1d(earlier.organizations, network.organizations)
    waves = (earlier.among(names), network.among(names))
    return {"referral_network_stability": tie_stability(*waves)}


def organization_types(network: OrganizationNetwork, organization: pd.DataFrame) -> pd.Series:
    """Type of each organization by its id; an id the roster does not have is a plan's name."""
    ids = pd.Series(network.organizations, dtype=object)
    kind = organization_trait(ids, organization).to_numpy()
    return pd.Series(
        np.where(is_listed(ids, organization).to_numpy(), kind, PLAN), index=network.organizations
    )


def organization_labels(
    network: OrganizationNetwork, organization: pd.DataFrame
) -> Mapping[str, str]:
    """Name of each organization by its id, the id behind it where two share a name."""
    ids = list(network.organizations)
    if "organization_name" not in organization.columns:
        return {i: i for i in ids}
    roster = take_columns(
        organization, table="organization", required=("organization_id", "organization_name")
    )
    names = roster.drop_duplicates("organization_id").set_index("organization_id").astype(object)
    label = names["organization_name"].reindex(ids).fillna(pd.Series(ids, index=ids))
    is_shared = label.duplicated(keep=False)
    return {i: f"{label[i]} ({i})" if is_shared[i] else str(label[i]) for i in ids}


def member_bands(n_members: np.ndarray, minimum_members: int) -> np.ndarray:
    """Band of each number of members, as a report prints it."""
    middle, large = BANDS
    labels = [f"{minimum_members} to {middle - 1}", f"{middle} to {large - 1}", f"{large} or more"]
    return np.asarray(np.array(labels, dtype=object)[np.digitize(n_members, BANDS)])


def _with_ties(network: OrganizationNetwork, minimum_members: int) -> OrganizationNetwork:
    """Organizations that have a tie."""
    has_tie = partner_counts(network)["any"] > 0
    if not has_tie.any():
        raise EstimationError(
            f"table `referral`: no tie between two organizations is of {minimum_members} members "
            "or more in the year.\n  A network of smaller ties may not leave."
        )
    return network.only(network.organizations[has_tie])


def _ties(network: OrganizationNetwork, names: Mapping[str, str]) -> RateTable:
    """One row a tie, with the band of its members."""
    frame = network.to_frame()
    least = int(network.method.options["minimum_members"])  # type: ignore[call-overload]
    keys = pd.DataFrame(
        {
            "from_organization": frame["from_organization_id"].map(names),
            "to_organization": frame["to_organization_id"].map(names),
            "members_in_band": member_bands(frame["n_members"].to_numpy(), max(least, 1)),
        }
    )
    return network_rates(
        network,
        "Ties of the referral network",
        keys,
        np.ones(len(keys)),
        np.full(len(keys), np.nan),
        names=("ties_by_sender_and_receiver", ""),
        unit="ties",
        estimator="Root referrals between organizations",
        kind="count",
    )


def _organizations(
    network: OrganizationNetwork, types: pd.Series, names: Mapping[str, str]
) -> RateTable:
    """Partners, shortest paths and brokerage of each organization."""
    n = network.n
    counts = partner_counts(network)
    brokered = brokerage_roles(network, types, n_permutations=0).count
    through = brokered.sum(axis=1)
    pairs = float((n - 1) * (n - 2))
    values = {
        "referred_to_by": (counts["in"], np.full(n, n - 1.0)),
        "refers_to": (counts["out"], np.full(n, n - 1.0)),
        "between": (betweenness(network.ties), np.full(n, pairs)),
        "brokered": (through, np.full(n, through.sum())),
        **{role: (brokered[:, k], through) for k, role in enumerate(ROLES)},
    }
    keys = pd.DataFrame(
        [(names[o], types[o], measure) for measure in values for o in network.organizations],
        columns=["organization", "organization_type", "measure"],
    )
    return network_rates(
        network,
        "Organizations of the referral network",
        keys,
        np.concatenate([v[0] for v in values.values()]),
        np.concatenate([v[1] for v in values.values()]),
        names=("partners_or_paths", "other_organizations_pairs_or_paths"),
        unit="share of other organizations, pairs or two-paths",
        estimator="Degree, betweenness and Gould-Fernandez brokerage",
        reference="Gould and Fernandez (1989), doi:10.2307/270949",
    )


def _whole(
    network: OrganizationNetwork, center: str, names: Mapping[str, str], *, is_named: bool
) -> RateTable:
    """The network with the coordinator and without, named in the key of the second."""
    table = without_coordinator(network, center)
    who = "named by the study" if is_named else "most shortest paths go through it"
    return replace(
        table,
        keys=table.keys.assign(
            taken_out=np.where(table.keys["network"] == WITHOUT, names[center], "nobody")
        ),
        notes=(*table.notes, f"Coordinator taken out: {names[center]} ({who})."),
    )


def _roles(network: OrganizationNetwork, types: pd.Series) -> RateTable:
    """Open two-paths by role; what is expected, and the test, in a note."""
    brokers = brokerage_roles(network, types, n_permutations=_PERMUTATIONS)
    totals = brokers.totals()
    tests = "; ".join(
        f"{row['role']} {row['n_paths']:.0f} against {row['expected']:.1f} expected"
        + (f" (p = {row['p_value']:.3f})" if np.isfinite(row["p_value"]) else "")
        for _, row in totals.iterrows()
    )
    table = network_rates(
        network,
        "Brokerage between types of organization",
        pd.DataFrame({"role": list(ROLES)}),
        totals["n_paths"].to_numpy(),
        np.full(len(ROLES), totals["n_paths"].sum()),
        names=("open_two_paths_by_role", "all_open_two_paths"),
        unit="share of open two-paths",
        estimator="Gould-Fernandez brokerage",
        reference="Gould and Fernandez (1989), doi:10.2307/270949",
        kind="proportion",
    )
    words = f"With types dealt anew over the organizations: {tests}."
    return replace(table, notes=(*table.notes, words))


def _mixing(
    network: OrganizationNetwork, organization: pd.DataFrame, types: pd.Series
) -> RateTable:
    """Ties to another type, and to another leadership; what is expected in a note."""
    ids = pd.Series(network.organizations, dtype=object)
    groupings = {"organization_type": types}
    if "leadership" in organization.columns:
        led = organization_trait(ids, organization, trait="leadership").to_numpy()
        led = np.where(types.to_numpy() == PLAN, PLAN, led)
        groupings["leadership"] = pd.Series(led, index=network.organizations)
    keys, numbers, notes = [], [], []
    for grouping, groups in groupings.items():
        mixing = ei_index(network, groups, n_permutations=_PERMUTATIONS)
        keys += [(group, grouping) for group in mixing.group]
        numbers += list(zip(mixing.n_external, mixing.n_external + mixing.n_internal, strict=True))
        first = mixing.to_frame().iloc[0]
        notes.append(
            f"E-I index by {grouping}: {first['ei_index']:.2f}, expected "
            f"{first['expected']:.2f} with groups dealt anew (p = {first['p_value']:.3f})."
        )
    table = network_rates(
        network,
        "Ties to another group of organizations",
        pd.DataFrame(keys, columns=["group", "grouping"]),
        *two_columns(numbers),
        names=("ties_between_groups", "ties_of_the_group"),
        unit="share of ties",
        estimator="E-I index",
        reference="Krackhardt and Stern (1988), doi:10.2307/2786835",
        kind="proportion",
    )
    return replace(table, notes=(*table.notes, *notes))


def _by_race(
    referral: pd.DataFrame,
    network: OrganizationNetwork,
    person: pd.DataFrame,
    *,
    minimum_members: int,
    window: Mapping[str, pd.Timestamp],
) -> RateTable:
    """How much of the network is open to the referrals of each group's members."""
    known = set(person["race_ethnicity"].dropna().astype(object)) | {UNKNOWN}
    groups = [g for g in race_ethnicity_groups() if g in known]
    keys: list[tuple[str, str]] = []
    sums: list[tuple[float, float]] = []
    for group in (ALL, *groups):
        own = network
        if group != ALL:
            own = referral_network(
                referral,
                as_of=window["as_of"],
                referred_from=window["referred_from"],
                referred_to=window["as_of"],
                minimum_members=minimum_members,
                race_ethnicity=group,
                person=person,
                organizations=list(network.organizations),
            )
        reached = float((partner_counts(own)["any"] > 0).sum())
        keys += [(group, m) for m in ("ties", "organizations", "connectedness")]
        sums += [
            (float(own.n_ties), float(network.n_ties)),
            (reached, float(network.n)),
            connected_pairs(own),
        ]
    return network_rates(
        network,
        "Referral networks of each group's members",
        pd.DataFrame(keys, columns=["race_ethnicity", "measure"]),
        *two_columns(sums),
        names=("ties_organizations_or_pairs_of_the_group", "those_of_all_members"),
        unit="share of the network of all members",
        estimator="Root referrals between organizations, by the member's group",
    )
