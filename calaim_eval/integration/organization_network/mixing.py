"""Do organizations keep to their own kind: the E-I index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.integration.organization_network.brokerage import group_labels
from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.permutation import permutation_test
from calaim_eval.results import ALL, RateTable


@dataclass(frozen=True, slots=True, eq=False)
class MixingTable:
    """Ties between and within groups, in all and of each group's organizations.

    Attributes
    ----------
    network : OrganizationNetwork
    group : np.ndarray
        ``"all"`` first, then the groups in rising order; (k,).
    n_external, n_internal : np.ndarray
        Ties between groups and within; a tie between two groups counts for both; (k,).
    expected : np.ndarray
        Exact mean of the number of external ties of the whole network when groups are dealt
        anew, as an E-I index; NaN for single groups; (k,).
    z, p_value : np.ndarray
        Of the index of the whole network, from the permutations, two-sided; NaN else; (k,).
    """

    network: OrganizationNetwork
    group: np.ndarray
    n_external: np.ndarray
    n_internal: np.ndarray
    expected: np.ndarray
    z: np.ndarray
    p_value: np.ndarray

    @property
    def index(self) -> np.ndarray:
        """External less internal over all ties: -1 closed, 1 open; (k,)."""
        n_ties = self.n_external + self.n_internal
        difference = self.n_external - self.n_internal
        return np.asarray(difference / np.where(n_ties > 0, n_ties, np.nan))

    def to_frame(self) -> pd.DataFrame:
        """One row a group: n_external, n_internal, ei_index, expected, z, p_value."""
        return pd.DataFrame(
            {
                "group": self.group,
                "n_external": self.n_external,
                "n_internal": self.n_internal,
                "ei_index": self.index,
                "expected": self.expected,
                "z": self.z,
                "p_value": self.p_value,
            }
        )

    def to_rates(self) -> RateTable:
        """Share of ties that go to another group, for a release; the index is twice it less 1."""
        return network_rates(
            self.network,
            "Ties to another group",
            pd.DataFrame({"group": self.group}),
            self.n_external,
            self.n_external + self.n_internal,
            names=("ties_between_groups", "ties"),
            unit="share of ties",
            estimator="E-I index",
            reference="Krackhardt and Stern (1988), doi:10.2307/2786835",
            kind="proportion",
        )


def ei_index(
    network: OrganizationNetwork,
    group: Mapping[str, str] | pd.Series,
    *,
    n_permutations: int = 999,
    seed: int = 1,
) -> MixingTable:
    r"""E-I index, :math:`(E - I) / (E + I)` with E ties between groups and I within.

    The index depends on the sizes of groups: many small groups have mostly external ties by
    chance. It is read against its mean over groups dealt anew.

    Parameters
    ----------
    network : OrganizationNetwork
        With or without directions; see `OrganizationNetwork.undirected`.
    group : mapping or Series by organization_id
        Others are ``"unknown"``, a group of its own.
    n_permutations : int
        0: no z and p.
    seed : int

    Returns
    -------
    MixingTable

    References
    ----------
    Krackhardt D, Stern RN (1988). Informal networks and organizational crises: an experimental
    simulation. Soc Psychol Q 51(2):123-140. doi:10.2307/2786835
    """
    labels = group_labels(network, group)
    code, names = pd.factorize(labels, sort=True)
    rows, columns = _ends(network)
    is_external = code[rows] != code[columns]
    n_ties = len(rows)
    external = np.bincount(code[rows[is_external]], minlength=len(names)) + np.bincount(
        code[columns[is_external]], minlength=len(names)
    )
    internal = np.bincount(code[rows[~is_external]], minlength=len(names))
    sizes = np.bincount(code, minlength=len(names)).astype(float)
    chance = 1 - (sizes * (sizes - 1)).sum() / max(network.n * (network.n - 1), 1)

    def n_external(order: np.ndarray) -> float:
        dealt = code[order]
        return float((dealt[rows] != dealt[columns]).sum())

    z, p_value = permutation_test(
        n_external, network.n, mean=n_ties * chance, n_permutations=n_permutations, seed=seed
    )
    empty = np.full(len(names), np.nan)
    return MixingTable(
        network,
        np.array([ALL, *names], dtype=object),
        np.array([is_external.sum(), *external], dtype=float),
        np.array([(~is_external).sum(), *internal], dtype=float),
        np.array([2 * chance - 1, *empty]),
        np.array([z, *empty]),
        np.array([p_value, *empty]),
    )


def _ends(network: OrganizationNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Positions of both ends of every tie; a tie without direction once."""
    ties = network.strength.tocoo()
    keep = np.ones(ties.nnz, dtype=bool) if network.is_directed else ties.row < ties.col
    return ties.row[keep], ties.col[keep]
