"""How far a network hangs on its most central organization."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.about_organizations import two_columns
from calaim_eval.integration.organization_network.degree import partner_counts
from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.paths import betweenness, distances
from calaim_eval.results import RateTable

LEAST_RESPONSE = 0.7
"""Response rate below which centralization is stated as bounds only."""


def network_centralization(network: OrganizationNetwork) -> RateTable:
    r"""Freeman centralization: 0 where all organizations are alike, 1 the most central there is.

    :math:`C = \sum_i (\max_j c_j - c_i) / \max \sum_i (\max_j c_j - c_i)`, the denominator over
    all networks of n organizations.

    Parameters
    ----------
    network : OrganizationNetwork

    Returns
    -------
    RateTable
        Key ``centrality``: ``"in_degree"``, ``"out_degree"``, ``"betweenness"``, ``"closeness"``;
        without directions ``"degree"``, ``"betweenness"``, ``"closeness"``. Numerator and
        denominator are those of the formula. A star is 1, with directions of in- or out-degree the
        star of ties in or out. Closeness is missing where an organization cannot be reached from
        another, its distance not being defined; with directions it is 1 where one reaches all in
        one step and they reach it through one another. Missing below three organizations.

    Raises
    ------
    EstimationError
        Fewer than 70 % of the organizations asked answered: use `network_bounds`.

    References
    ----------
    Freeman LC (1978). Centrality in social networks. Soc Networks 1(3):215-239.
    doi:10.1016/0378-8733(78)90021-7
    """
    if network.response_rate < LEAST_RESPONSE:
        raise EstimationError(
            f"centralization: {network.response_rate:.0%} of {network.n} organizations answered, "
            f"fewer than {LEAST_RESPONSE:.0%}; missing ties can move it anywhere.\n"
            "  Use network_bounds(network), which says how far."
        )
    sums = _degree_sums(network)
    sums["betweenness"] = betweenness_sums(network)
    sums["closeness"] = _closeness_sums(network)
    if network.n < 3:
        sums = dict.fromkeys(sums, (np.nan, np.nan))
    return network_rates(
        network,
        "Centralization",
        pd.DataFrame({"centrality": list(sums)}),
        *two_columns(sums.values()),
        names=("sum_of_differences_to_the_most_central", "largest_possible_sum"),
        unit="index, 0 (all alike) to 1 (star)",
        estimator="Freeman centralization",
        reference="Freeman (1978), doi:10.1016/0378-8733(78)90021-7",
    )


def largest_degree_sum(n: int, *, is_directed: bool) -> float:
    """Sum of differences of degrees in a star of n organizations."""
    return float((n - 1) ** 2 if is_directed else (n - 1) * (n - 2))


def _degree_sums(network: OrganizationNetwork) -> dict[str, tuple[float, float]]:
    """Sums of differences of degrees, and the largest possible."""
    counts = partner_counts(network)
    largest = largest_degree_sum(network.n, is_directed=network.is_directed)
    if not network.is_directed:
        return {"degree": (_differences(counts["any"]), largest)}
    return {
        "in_degree": (_differences(counts["in"]), largest),
        "out_degree": (_differences(counts["out"]), largest),
    }


def betweenness_sums(network: OrganizationNetwork) -> tuple[float, float]:
    """Sum over ordered pairs; without direction numerator and denominator are both halved."""
    n, half = network.n, 1.0 if network.is_directed else 0.5
    between = half * betweenness(network.ties)
    return _differences(between), half * float((n - 1) ** 2 * (n - 2))


def _closeness_sums(network: OrganizationNetwork) -> tuple[float, float]:
    """Closeness is (n - 1) over the sum of distances; undefined where one is infinite."""
    n = network.n
    steps = distances(network.ties)
    if n < 3 or not np.isfinite(steps).all():
        return np.nan, np.nan
    close = (n - 1) / steps.sum(axis=1)
    if network.is_directed:
        return _differences(close), _largest_directed_closeness_sum(n)
    return _differences(close), (n - 2) * (n - 1) / (2 * n - 3)


def _largest_directed_closeness_sum(n: int) -> float:
    """Of networks with a way between any two: one organization reaches all in one step, and the
    only way back is a chain. The k-th of the chain has k steps to it, 1 to k - 1 to those before
    and k + 1 to those behind.
    """
    k = np.arange(1, n)
    steps = k + k * (k - 1) / 2 + (n - 1 - k) * (k + 1)
    return float((1 - (n - 1) / steps).sum())


def _differences(values: np.ndarray) -> float:
    """Sum of differences to the largest value."""
    return float((values.max() - values).sum()) if len(values) else float("nan")
