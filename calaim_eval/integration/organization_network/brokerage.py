"""Who stands between whom: brokerage roles between groups of organizations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.inputs import UNKNOWN, as_text
from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.two_paths import (
    ClosedTwoPaths,
    closed_two_paths,
)
from calaim_eval.results import RateTable

ROLES = ("coordinator", "itinerant", "representative", "gatekeeper", "liaison")
"""A > A > A; A > B > A; A > A > B; A > B > B; A > B > C: group of sender, broker, receiver."""
_ROUNDING = 1e-9
_KIND_OF_ROLE = [7, 1, 4, 2, 0]  # bits: sender-broker, broker-receiver, sender-receiver alike


@dataclass(frozen=True, slots=True, eq=False)
class BrokerageTable:
    """Brokerage of each organization and of the network, against groups dealt anew.

    Attributes
    ----------
    network : OrganizationNetwork
    group : np.ndarray
        Group of each organization; (n,).
    count : np.ndarray
        Open two-paths through each organization, by role in the order of `ROLES`; (n, 5).
    expected : np.ndarray
        Exact mean of `count` when groups are dealt anew; (n, 5).
    z, p_value : np.ndarray
        Distance to the mean in standard deviations, and two-sided p; from the permutations;
        (n, 5). NaN without permutations and where nothing varies.
    total_z, total_p_value : np.ndarray
        The same for the sums over organizations; (5,).
    n_permutations : int
    """

    network: OrganizationNetwork
    group: np.ndarray
    count: np.ndarray
    expected: np.ndarray
    z: np.ndarray
    p_value: np.ndarray
    total_z: np.ndarray
    total_p_value: np.ndarray
    n_permutations: int

    def to_frame(self) -> pd.DataFrame:
        """One row an organization and role, and the role ``"all"`` without a test."""
        roles = [*ROLES, "all"]
        empty = np.full((self.network.n, 1), np.nan)
        values = {
            "n_paths": np.hstack([self.count, self.count.sum(axis=1, keepdims=True)]),
            "expected": np.hstack([self.expected, self.expected.sum(axis=1, keepdims=True)]),
            "z": np.hstack([self.z, empty]),
            "p_value": np.hstack([self.p_value, empty]),
        }
        return pd.DataFrame(
            {
                "organization_id": np.repeat(self.network.organizations, len(roles)),
                "group": np.repeat(self.group, len(roles)),
                "role": np.tile(roles, self.network.n),
                **{name: column.ravel() for name, column in values.items()},
            }
        )

    def totals(self) -> pd.DataFrame:
        """One row a role: n_paths, expected, z, p_value over all organizations."""
        return pd.DataFrame(
            {
                "role": ROLES,
                "n_paths": self.count.sum(axis=0),
                "expected": self.expected.sum(axis=0),
                "z": self.total_z,
                "p_value": self.total_p_value,
            }
        )

    def to_rates(self) -> RateTable:
        """Share of an organization's open two-paths that are of each role, for a release."""
        keys = pd.MultiIndex.from_product(
            [self.network.organizations, list(ROLES)], names=["organization_id", "role"]
        ).to_frame(index=False)
        return network_rates(
            self.network,
            "Brokerage roles",
            keys,
            self.count.ravel(),
            np.repeat(self.count.sum(axis=1), len(ROLES)),
            names=("open_two_paths_of_the_role", "open_two_paths"),
            unit="share of open two-paths through the organization",
            estimator="Gould-Fernandez brokerage",
            reference="Gould and Fernandez (1989), doi:10.2307/270949",
            kind="proportion",
        )

    def __repr__(self) -> str:
        return (
            f"<BrokerageTable {self.network.n} organizations in "
            f"{len(set(self.group))} groups, {int(self.count.sum())} open two-paths>"
        )


def brokerage_roles(
    network: OrganizationNetwork,
    group: Mapping[str, str] | pd.Series,
    *,
    n_permutations: int = 999,
    seed: int = 1,
) -> BrokerageTable:
    r"""Gould-Fernandez brokerage roles between groups of organizations.

    An organization brokers for each pair it connects, :math:`i \to j \to k` with no tie
    :math:`i \to k`; the groups of the three make the role. Tested against groups dealt anew over
    the organizations (ties stay): under it every open two-path is of a role with the same
    probability, e.g. :math:`\sum_a n_a (n_a - 1)(n_a - 2) / (n (n-1)(n-2))` for a coordinator, so
    the mean is exact; z and p come from the permutations, p counting the arrangement seen.

    Parameters
    ----------
    network : OrganizationNetwork
        With directions.
    group : mapping or Series by organization_id
        Group of each organization: its type, its county, or who leads it
        (``organization.set_index("organization_id")["leadership"]``). Others are ``"unknown"``.
    n_permutations : int
        0: counts and means only.
    seed : int

    Returns
    -------
    BrokerageTable

    Raises
    ------
    EstimationError
        The ties have no direction, or a group is given twice for an organization.

    References
    ----------
    Gould RV, Fernandez RM (1989). Structures of mediation: a formal approach to brokerage in
    transaction networks. Sociol Methodol 19:89-126. doi:10.2307/270949
    """
    if not network.is_directed:
        raise EstimationError(
            "brokerage_roles: the ties have no direction, and a broker stands between a sender "
            "and a receiver.\n  Use the network before undirected()."
        )
    labels = group_labels(network, group)
    code = pd.factorize(labels)[0]
    closed = closed_two_paths(network.ties)
    count = role_counts(closed, code)
    expected = count.sum(axis=1, keepdims=True) * _role_chances(np.bincount(code))
    if n_permutations:
        tests = _permuted(closed, code, count, expected, n_permutations, seed)
    else:
        untested = np.full_like(count, np.nan)
        tests = (untested, untested, np.full(5, np.nan), np.full(5, np.nan))
    return BrokerageTable(network, labels, count, expected, *tests, n_permutations)


def group_labels(network: OrganizationNetwork, group: Mapping[str, str] | pd.Series) -> np.ndarray:
    """Group of each organization of the network, ``"unknown"`` where none is given; (n,)."""
    of = pd.Series(group, dtype=object)
    of.index = pd.Index(as_text(of.index.to_series()), dtype=object)
    if of.index.has_duplicates:
        raise EstimationError(
            f"`group`: {int(of.index.duplicated().sum())} organizations are given more than "
            "once.\n  Give one group for each organization."
        )
    labels = of.reindex(network.organizations)
    return np.asarray(labels.where(labels.notna(), UNKNOWN), dtype=object)


def role_counts(closed: ClosedTwoPaths, code: np.ndarray) -> np.ndarray:
    """Open two-paths through each organization, by role in the order of `ROLES`; (n, 5).

    All two-paths through an organization less the closed ones (a tie from first to last) and
    those that return to where they began.
    """
    sender, receiver, n = closed.sender, closed.receiver, len(code)
    n_groups = int(code.max()) + 1 if n else 0
    into = _by_group(receiver, code[sender], n, n_groups)
    out = _by_group(sender, code[receiver], n, n_groups)
    own = np.arange(n), code
    in_same, out_same = into[own], out[own]
    in_other, out_other = into.sum(axis=1) - in_same, out.sum(axis=1) - out_same
    back_and_forth = (into * out).sum(axis=1) - in_same * out_same
    is_same = code[sender] == code[receiver]
    returns = _returns(closed, is_same, n)
    paths = np.column_stack(
        [
            in_same * out_same - returns[0],
            back_and_forth - returns[1],
            in_same * out_other,
            in_other * out_same,
            in_other * out_other - back_and_forth,
        ]
    )
    return np.asarray(paths - _closed(closed, is_same, n))


def _by_group(own: np.ndarray, partner_code: np.ndarray, n: int, n_groups: int) -> np.ndarray:
    """Partners of each organization in each group; (n, n_groups)."""
    flat = np.bincount(own * n_groups + partner_code, minlength=n * n_groups)
    return flat.reshape(n, n_groups).astype(float)


def _returns(closed: ClosedTwoPaths, is_same: np.ndarray, n: int) -> np.ndarray:
    """Returned ties of each organization, between groups and within; (2, n), within first."""
    sender, receiver = closed.sender, closed.receiver
    is_returned = np.isin(sender * n + receiver, receiver * n + sender)
    return np.array(
        [np.bincount(sender[is_returned & k], minlength=n) for k in (is_same, ~is_same)]
    )


def _closed(closed: ClosedTwoPaths, is_same: np.ndarray, n: int) -> np.ndarray:
    """Closed two-paths through each organization by role; (n, 5)."""
    kind = (4 * is_same).astype(np.int8)[closed.first]
    kind += (2 * is_same).astype(np.int8)[closed.second]
    kind += is_same.astype(np.int8)[closed.closing]
    broker = closed.receiver.astype(np.int32)[closed.first]
    counts = np.bincount(broker * 8 + kind, minlength=8 * n).reshape(n, 8)
    return counts[:, _KIND_OF_ROLE].astype(float)


def _role_chances(sizes: np.ndarray) -> np.ndarray:
    """Chance that three organizations drawn in order make each role; (5,)."""
    sizes = sizes.astype(float)
    n = sizes.sum()
    if n < 3:
        return np.full(5, np.nan)
    triples = n * (n - 1) * (n - 2)
    alike = (sizes * (sizes - 1) * (sizes - 2)).sum() / triples
    two = (sizes * (sizes - 1) * (n - sizes)).sum() / triples
    return np.array([alike, two, two, two, 1 - alike - 3 * two])


def _permuted(
    closed: ClosedTwoPaths,
    code: np.ndarray,
    count: np.ndarray,
    expected: np.ndarray,
    n_permutations: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distance and p of each organization and of the sums, over groups dealt anew."""
    rng = np.random.default_rng(seed)
    both = np.vstack([count, count.sum(axis=0)])
    mean = np.vstack([expected, expected.sum(axis=0)])
    squares, n_as_far = np.zeros_like(both), np.ones_like(both)
    distance = np.abs(both - mean) * (1 - _ROUNDING)
    for _ in range(n_permutations):
        drawn = role_counts(closed, rng.permutation(code))
        drawn = np.vstack([drawn, drawn.sum(axis=0)])
        squares += (drawn - mean) ** 2
        n_as_far += np.abs(drawn - mean) >= distance
    spread = np.sqrt(squares / n_permutations)
    varies = spread > 0
    z = np.divide(both - mean, spread, out=np.full_like(both, np.nan), where=varies)
    p = n_as_far / (n_permutations + 1)
    p[~varies] = np.nan
    return z[:-1], p[:-1], z[-1], p[-1]
