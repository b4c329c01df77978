"""Two networks of the same organizations: which ties stayed, and do the networks resemble."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.permutation import permutation_test
from calaim_eval.results import RateTable


@dataclass(frozen=True, slots=True)
class NetworkCorrelation:
    """Correlation of two networks over pairs of organizations, with its permutation test.

    Attributes
    ----------
    correlation : float
        Of the 0/1 ties of both over all ordered pairs; NaN where one has no tie or all of them.
    z, p_value : float
        Against organizations dealt anew in one of them (QAP); two-sided.
    n_organizations : int
        Organizations in both.
    """

    correlation: float
    z: float
    p_value: float
    n_organizations: int

    def to_frame(self) -> pd.DataFrame:
        """One row."""
        return pd.DataFrame(
            {
                "correlation": [self.correlation],
                "z": [self.z],
                "p_value": [self.p_value],
                "n_organizations": [self.n_organizations],
            }
        )


def tie_stability(earlier: OrganizationNetwork, later: OrganizationNetwork) -> RateTable:
    r"""Ties kept, created and dissolved between two waves, over ties seen in either.

    Parameters
    ----------
    earlier, later : OrganizationNetwork
        Organizations in both are compared; an organization that is in one only has neither kept
        nor lost its ties. In a survey that is so of the ties that an organization silent in one
        of the waves would have reported (without directions: of all its ties).

    Returns
    -------
    RateTable
        Key ``tie``: ``"kept"`` (its rate is the Jaccard index
        :math:`n_{11} / (n_{11} + n_{10} + n_{01})`), ``"created"``, ``"dissolved"``. Jaccard above
        about 0.3 is what longitudinal network models ask for.

    Raises
    ------
    EstimationError
        One is directed and the other is not, or they share fewer than two organizations.

    References
    ----------
    Snijders TAB, van de Bunt GG, Steglich CEG (2010). Soc Networks 32(1):44-60.
    doi:10.1016/j.socnet.2009.02.004
    """
    first, second = _known_in_both(*in_both(earlier, later))
    n_first, n_second, kept = _overlap(first, second)
    ties = np.array([kept, n_second - kept, n_first - kept])
    fewest = min((first, second), key=lambda w: np.nan_to_num(w.smallest_tie, nan=np.inf))
    return network_rates(
        fewest,
        "Stability of ties",
        pd.DataFrame({"tie": ["kept", "created", "dissolved"]}),
        ties,
        np.full(3, ties.sum()),
        names=("ties_by_change", "ties_in_either_wave"),
        unit="share of ties in either wave",
        estimator="Jaccard index of ties",
        reference="Snijders, van de Bunt and Steglich (2010), doi:10.1016/j.socnet.2009.02.004",
        kind="proportion",
    )


def network_correlation(
    first: OrganizationNetwork,
    second: OrganizationNetwork,
    *,
    n_permutations: int = 999,
    seed: int = 1,
) -> NetworkCorrelation:
    r"""Correlation of two networks, tested by dealing organizations anew (QAP).

    For 0/1 ties the correlation moves with the number of ties in both alone, whose mean under
    permutation is :math:`m_1 m_2 / M` with M ordered pairs; the mean is therefore exact.

    Parameters
    ----------
    first, second : OrganizationNetwork
        Two waves, or two types of tie; compared over the organizations in both, of a survey over
        those that answered both.
    n_permutations : int
        0: no test.
    seed : int

    Returns
    -------
    NetworkCorrelation

    References
    ----------
    Krackhardt D (1988). Predicting with networks: nonparametric multiple regression analysis of
    dyadic data. Soc Networks 10(4):359-381. doi:10.1016/0378-8733(88)90004-4
    """
    one, other = _answered_both(*in_both(first, second))
    n_one, n_other, shared = _overlap(one, other)
    n_pairs = float(one.n_possible)
    at = one.strength.tocoo()
    keys = np.sort(_pair_keys(other))

    def n_shared(order: np.ndarray) -> float:
        moved = order[at.row].astype(np.int64) * one.n + order[at.col]
        if not len(keys):
            return 0.0
        place = np.searchsorted(keys, moved)
        place[place == len(keys)] = 0
        return float((keys[place] == moved).sum()) / (1 if one.is_directed else 2)

    z, p_value = permutation_test(
        n_shared,
        one.n,
        mean=n_one * n_other / n_pairs,
        n_permutations=n_permutations,
        seed=seed,
    )
    shares = n_one / n_pairs, n_other / n_pairs
    spread = np.sqrt(np.prod([s * (1 - s) for s in shares]))
    correlation = (shared / n_pairs - shares[0] * shares[1]) / spread if spread else np.nan
    return NetworkCorrelation(float(correlation), z, p_value, one.n)


def in_both(
    first: OrganizationNetwork, second: OrganizationNetwork
) -> tuple[OrganizationNetwork, OrganizationNetwork]:
    """Both networks over the organizations that are in both."""
    if first.is_directed != second.is_directed:
        raise EstimationError(
            "one network has directions and the other has none.\n"
            "  Use undirected() on both, or on neither."
        )
    shared = np.intersect1d(first.organizations, second.organizations)
    if len(shared) < 2:
        raise EstimationError(
            f"the networks share {len(shared)} organizations of {first.n} and {second.n}; two at "
            "least are needed.\n  Check that both use the same `organization_id`."
        )
    return first.only(shared), second.only(shared)


def _known_in_both(
    first: OrganizationNetwork, second: OrganizationNetwork
) -> tuple[OrganizationNetwork, OrganizationNetwork]:
    """Both networks with the ties that would have been reported in both."""
    knows = _has_answered_both(first, second)
    return _only_known(first, knows), _only_known(second, knows)


def _answered_both(
    first: OrganizationNetwork, second: OrganizationNetwork
) -> tuple[OrganizationNetwork, OrganizationNetwork]:
    """Both networks over the organizations that answered both."""
    names = first.organizations[_has_answered_both(first, second)]
    if len(names) < 2:
        raise EstimationError(
            f"{len(names)} of {first.n} organizations answered both waves; two at least are "
            "needed.\n  Name those who answered in `answered` of survey_network()."
        )
    return first.only(names), second.only(names)


def _has_answered_both(first: OrganizationNetwork, second: OrganizationNetwork) -> np.ndarray:
    """Whether each organization answered both; true where nobody had to."""
    has = np.ones(first.n, dtype=bool)
    for wave in (first, second):
        if wave.has_answered is not None:
            has &= wave.has_answered
    return has


def _only_known(network: OrganizationNetwork, knows: np.ndarray) -> OrganizationNetwork:
    """Network with the ties that those who know report; without directions both ends do."""
    if knows.all():
        return network
    ties = network.strength.tocoo()
    stays = knows[ties.row] if network.is_directed else knows[ties.row] & knows[ties.col]
    return network.only_ties(stays)


def _overlap(first: OrganizationNetwork, second: OrganizationNetwork) -> tuple[float, float, float]:
    """Ties of both networks, and ties in both; a tie without direction counts once."""
    both = len(np.intersect1d(_pair_keys(first), _pair_keys(second)))
    return float(first.n_ties), float(second.n_ties), both / (1 if first.is_directed else 2)


def _pair_keys(network: OrganizationNetwork) -> np.ndarray:
    """One number a tie, the same for the same pair of positions."""
    ties = network.strength.tocoo()
    return np.asarray(ties.row.astype(np.int64) * network.n + ties.col)
