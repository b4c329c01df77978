"""Brokerage roles, the E-I index and the correlation of networks: counts, exact means, honest p."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from organization_networks import network_of, random_network
from scipy.stats import kstest

from calaim_eval.errors import EstimationError
from calaim_eval.integration import brokerage_roles, ei_index, network_correlation
from calaim_eval.integration.organization_network.brokerage import ROLES
from calaim_eval.integration.organization_network.two_paths import closed_two_paths

SEEDS = range(1, 6)


def _groups(network, seed: int, k: int = 3) -> pd.Series:
    rng = np.random.default_rng(seed + 100)
    return pd.Series(rng.choice(list("ABCDEF")[:k], network.n), index=network.organizations)


def _roles_by_enumeration(dense: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Count every i > j > k without i > k by comparing three groups."""
    counts = np.zeros((len(dense), 5))
    for i, j, k in permutations(range(len(dense)), 3):
        if dense[i, j] and dense[j, k] and not dense[i, k]:
            a, b, c = group[i], group[j], group[k]
            role = 0 if a == b == c else 1 if a == c else 2 if a == b else 3 if b == c else 4
            counts[j, role] += 1
    return counts


@pytest.mark.parametrize("seed", SEEDS)
def test_roles_equal_enumeration(seed):
    network = random_network(seed)
    group = _groups(network, seed)
    table = brokerage_roles(network, group, n_permutations=0)
    expected = _roles_by_enumeration(network.ties.toarray(), group.to_numpy())
    assert np.array_equal(table.count, expected)
    assert table.count.sum() > 0


@pytest.mark.parametrize(
    ("groups", "role"),
    [("AAA", "coordinator"), ("ABA", "itinerant"), ("AAB", "representative"),
     ("ABB", "gatekeeper"), ("ABC", "liaison")],
)  # fmt: skip
def test_each_role_by_its_smallest_case(groups, role):
    chain = np.zeros((3, 3))
    chain[0, 1] = chain[1, 2] = 1
    network = network_of(chain)
    table = brokerage_roles(
        network, dict(zip(network.organizations, groups, strict=True)), n_permutations=0
    )
    assert table.count[1].tolist() == [float(r == role) for r in ROLES]
    chain[0, 2] = 1
    closed = brokerage_roles(network_of(chain), {}, n_permutations=0)
    assert closed.count.sum() == 0
    assert set(closed.group) == {"unknown"}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mean_is_exact_over_all_arrangements(seed):
    network = random_network(seed, n=6, share=0.4)
    group = np.array(list("AABBBC"), dtype=object)
    dense = network.ties.toarray()
    arrangements = sorted(set(permutations(group)))
    mean = np.mean([_roles_by_enumeration(dense, np.array(g)) for g in arrangements], axis=0)
    table = brokerage_roles(
        network, pd.Series(group, index=network.organizations), n_permutations=0
    )
    assert table.expected == pytest.approx(mean)


def test_p_values_are_uniform_when_groups_mean_nothing():
    """Sums over a network with many paths are nearly continuous; single organizations are not."""
    p_total, p_one, p_mixing, p_qap = [], [], [], []
    for seed in range(100):
        network = random_network(seed, n=40, share=0.15)
        group = _groups(network, seed, k=2)
        table = brokerage_roles(network, group, n_permutations=99, seed=seed)
        p_total.append(table.total_p_value[1])
        p_one.append(table.p_value[3, 0])
        p_mixing.append(ei_index(network, group, n_permutations=99, seed=seed).p_value[0])
        other = random_network(seed + 10_000, n=40, share=0.15)
        p_qap.append(network_correlation(network, other, n_permutations=99, seed=seed).p_value)
    for p in (p_total, p_mixing, p_qap):
        assert kstest(p, "uniform").pvalue > 0.001
    for p in (p_total, p_one, p_mixing, p_qap):
        for level in (0.05, 0.1, 0.2):
            share = np.mean(np.array(p) <= level)
            assert share <= level + 3 * np.sqrt(level * (1 - level) / 100)


def test_a_planted_broker_is_found():
    """Two groups that refer among themselves, joined by one organization only."""
    rng = np.random.default_rng(5)
    dense = np.zeros((31, 31))
    for block in (slice(0, 15), slice(15, 30)):
        dense[block, block] = rng.random((15, 15)) < 0.3
    dense[:15, 30] = dense[30, 15:30] = 1
    np.fill_diagonal(dense, 0)
    network = network_of(dense)
    group = pd.Series(["A"] * 15 + ["B"] * 15 + ["C"], index=network.organizations)
    frame = brokerage_roles(network, group, n_permutations=199).to_frame()
    liaisons = frame[frame["role"] == "liaison"].set_index("organization_id")
    assert liaisons["n_paths"].idxmax() == "o030"
    assert liaisons.loc["o030", "p_value"] <= 0.05
    mixing = ei_index(network, group, n_permutations=199).to_frame().iloc[0]
    assert mixing["z"] < -3
    assert mixing["ei_index"] < mixing["expected"]


@pytest.mark.parametrize("seed", SEEDS)
def test_e_i_index_and_its_mean_by_enumeration(seed):
    network = random_network(seed, n=6, share=0.4, is_directed=bool(seed % 2))
    group = np.array(list("AABBBC"), dtype=object)
    ties = [
        (i, j)
        for i, j in zip(*np.nonzero(network.ties.toarray()), strict=True)
        if network.is_directed or i < j
    ]

    def index(labels) -> float:
        external = sum(labels[i] != labels[j] for i, j in ties)
        return (2 * external - len(ties)) / len(ties)

    made = ei_index(network, pd.Series(group, index=network.organizations), n_permutations=19)
    assert made.index[0] == pytest.approx(index(group))
    assert made.expected[0] == pytest.approx(
        np.mean([index(g) for g in sorted(set(permutations(group)))])
    )
    of_a = sum("A" in (group[i], group[j]) and group[i] != group[j] for i, j in ties)
    assert made.n_external[1] == of_a
    assert made.to_rates().rate[0] == pytest.approx((made.index[0] + 1) / 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_correlation_is_numpys_over_pairs(seed):
    first, second = random_network(seed), random_network(seed + 30)
    off = ~np.eye(first.n, dtype=bool)
    expected = np.corrcoef(first.ties.toarray()[off], second.ties.toarray()[off])[0, 1]
    assert network_correlation(first, second, n_permutations=0).correlation == pytest.approx(
        expected
    )


def test_the_same_network_correlates_beyond_chance():
    network = random_network(2, n=20)
    made = network_correlation(network, network, n_permutations=199)
    assert made.correlation == pytest.approx(1)
    assert made.p_value == pytest.approx(1 / 200)  # the order seen, among 200
    empty = network_of(np.zeros((5, 5)))
    nothing = network_correlation(empty, empty, n_permutations=9)
    assert np.isnan([nothing.correlation, nothing.z, nothing.p_value]).all()


def test_closed_two_paths_found_in_parts(monkeypatch):
    from calaim_eval.integration.organization_network import two_paths

    network = random_network(7, n=40, share=0.2)
    whole = closed_two_paths(network.ties)
    monkeypatch.setattr(two_paths, "_PATHS_AT_ONCE", 13)
    parts = closed_two_paths(network.ties)
    dense = network.ties.toarray()
    assert len(whole.first) == (dense * (dense @ dense)).sum()
    assert np.array_equal(np.sort(parts.closing), np.sort(whole.closing))


def test_brokers_need_a_direction_and_one_group_each():
    network = random_network(1)
    with pytest.raises(EstimationError, match="no direction"):
        brokerage_roles(network.undirected(), {})
    twice = pd.Series(["A", "B"], index=["o000", "o000"])
    with pytest.raises(EstimationError, match="more than once"):
        brokerage_roles(network, twice)
