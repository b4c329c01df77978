from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from calaim_eval.integration import (
    contract_concentration,
    contracts_per_organization,
    network_cohesion,
    service_concentration,
    single_plan_dependence,
)
from calaim_eval.integration.bipartite import (
    bipartite_clustering,
    herfindahl_counts,
    incidence_matrix,
    mean_shared_partners,
    shared_partner_pairs,
)

from .frames import CONTRACT, ORGANIZATION, SERVICE, one_row

Q = "2024Q4"


def _ties(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"plan": rng.integers(0, 7, 40), "organization_id": rng.integers(0, 12, 40)}
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cycles_and_paths_equal_enumeration(seed):
    pairs = _ties(seed)
    ties = incidence_matrix(pairs["plan"], pairs["organization_id"])
    dense = ties.toarray().astype(bool)
    cycles = sum(
        dense[i, a] and dense[i, b] and dense[j, a] and dense[j, b]
        for i, j in combinations(range(dense.shape[0]), 2)
        for a, b in combinations(range(dense.shape[1]), 2)
    )
    paths = sum(
        dense[i, a] and dense[i, b] and dense[j, a]
        for i in range(dense.shape[0])
        for j in range(dense.shape[0])
        for a in range(dense.shape[1])
        for b in range(dense.shape[1])
        if i != j and a != b
    )
    assert bipartite_clustering(ties) == (cycles, paths)
    assert bipartite_clustering(ties) == bipartite_clustering(ties.T.tocsr())


def test_clustering_equals_networkx():
    pairs = _ties(9).drop_duplicates()
    ties = incidence_matrix(pairs["plan"], pairs["organization_id"])
    graph = nx.Graph((f"p{p}", f"o{o}") for p, o in pairs.itertuples(index=False))
    cycles, paths = bipartite_clustering(ties)
    expected = nx.bipartite.robins_alexander_clustering(graph)
    assert 4 * cycles / paths == pytest.approx(expected, abs=1e-12)


def test_pairs_that_share_a_partner():
    ties = incidence_matrix(pd.Series(["p", "p", "q", "r"]), pd.Series(["a", "b", "b", "c"]))
    assert shared_partner_pairs(ties) == (1, 3)  # p and q share b
    assert mean_shared_partners(ties) == pytest.approx(1 / 3)


def test_parallel_contracts_are_one_tie():
    ties = incidence_matrix(pd.Series(["p", "p"]), pd.Series(["a", "a"]))
    assert ties.toarray().tolist() == [[1.0]]


def test_concentration_runs_from_even_to_one():
    even, total = herfindahl_counts(np.array([5, 5, 5, 5]))
    assert even / total == 0.25
    alone, total = herfindahl_counts(np.array([7]))
    assert alone / total == 1


def test_contracts_and_plans_per_organization():
    frame = contracts_per_organization(CONTRACT, ORGANIZATION, quarter=Q).to_frame()
    contracts = one_row(frame, counted="contracts", organization_type="all")
    plans = one_row(frame, counted="plans", organization_type="all")
    assert tuple(contracts[["numerator", "denominator"]]) == (7, 5)
    assert tuple(plans[["numerator", "denominator"]]) == (6, 5)


def test_dependence_on_one_plan():
    table = single_plan_dependence(CONTRACT, ORGANIZATION, quarter=Q)
    frame = table.to_frame()
    assert tuple(one_row(frame, organization_type="all")[["numerator", "denominator"]]) == (4, 5)
    assert one_row(frame, organization_type="cbo")["numerator"] == 3
    parts = frame[frame["organization_type"] != "all"]
    assert parts["numerator"].sum() == 4
    assert table.margins == ("organization_type",)


def test_concentration_of_both_sides():
    frame = contract_concentration(CONTRACT, quarter=Q).to_frame()
    plans = one_row(frame, side="plans")
    assert plans["rate"] == pytest.approx((6**2 + 1**2) / 7**2)
    organizations = one_row(frame, side="organizations")
    assert organizations["rate"] == pytest.approx((2**2 + 1 + 1 + 1 + 2**2) / 7**2)


def test_concentration_of_members_served():
    frame = service_concentration(SERVICE, quarter=Q).to_frame()
    ecm = one_row(frame, service="ecm")
    assert ecm["rate"] == pytest.approx((1 + 2**2) / 3**2)  # o1: m1; o5: m1 and m2
    assert ecm["n_members"] == 2


def test_cohesion():
    frame = network_cohesion(CONTRACT, quarter=Q).to_frame()
    density = one_row(frame, cohesion="density")
    assert tuple(density[["numerator", "denominator"]]) == (6, 10)
    assert one_row(frame, cohesion="organizations_sharing_a_plan")["rate"] == 1
    assert one_row(frame, cohesion="plans_sharing_an_organization")["rate"] == 1
    assert one_row(frame, cohesion="clustering")["numerator"] == 0


def test_one_plan_and_one_organization_leave_pairs_undefined():
    frame = network_cohesion(CONTRACT.iloc[[0]], quarter=Q).to_frame()
    assert np.isnan(one_row(frame, cohesion="plans_sharing_an_organization")["rate"])
    assert np.isnan(one_row(frame, cohesion="clustering")["rate"])
