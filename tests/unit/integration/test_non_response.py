"""Bounds for organizations that did not answer: every completion by enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from organization_networks import network_of, random_network

from calaim_eval.errors import EstimationError
from calaim_eval.integration import network_bounds


def _central(degree: np.ndarray, n: int, *, is_directed: bool) -> float:
    largest = (n - 1) ** 2 if is_directed else (n - 1) * (n - 2)
    return (degree.max() - degree).sum() / largest


def _all_reports(dense: np.ndarray, answered: np.ndarray):
    """Every matrix of reports that the silent organizations could have sent."""
    n = len(dense)
    unseen = [(i, j) for i in range(n) if not answered[i] for j in range(n) if i != j]
    unseen = [(i, j) for i, j in unseen if not dense[i, j]]
    for values in product((0, 1), repeat=len(unseen)):
        full = dense.copy()
        for (i, j), value in zip(unseen, values, strict=True):
            full[i, j] = value
        yield full


def _ranges(dense: np.ndarray, answered: np.ndarray) -> dict[tuple[str, str], tuple[float, float]]:
    n = len(dense)
    seen: dict[tuple[str, str], list[float]] = {}
    for full in _all_reports(dense, answered):
        either, both = np.maximum(full, full.T), np.minimum(full, full.T)
        values = {
            ("density", "reported"): full.sum() / (n * (n - 1)),
            ("in_degree_centralization", "reported"): _central(
                full.sum(axis=0), n, is_directed=True
            ),
            ("out_degree_centralization", "reported"): _central(
                full.sum(axis=1), n, is_directed=True
            ),
        }
        for rule, ties in (("either", either), ("both", both)):
            values[("density", rule)] = ties.sum() / (n * (n - 1))
            values[("degree_centralization", rule)] = _central(
                ties.sum(axis=1), n, is_directed=False
            )
        for key, value in values.items():
            seen.setdefault(key, []).append(value)
    return {key: (min(values), max(values)) for key, values in seen.items()}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("silent", [[0], [1, 4]])
def test_bounds_are_the_extremes_of_every_completion(seed, silent):
    dense = random_network(seed, n=5, share=0.4).ties.toarray()
    dense[silent] = 0
    answered = np.ones(5, dtype=bool)
    answered[silent] = False
    made = network_bounds(network_of(dense, has_answered=answered)).to_frame()
    expected = _ranges(dense, answered)
    assert len(made) == len(expected) == 7
    for _, row in made.iterrows():
        extremes = expected[(row["measure"], row["rule"])]
        assert (row["low"], row["high"]) == pytest.approx(extremes), row.to_dict()


def test_everybody_answered_leaves_no_range():
    made = network_bounds(random_network(3)).to_frame()
    assert (made["low"] == made["high"]).all()
    assert (made["low"] == made["reported"]).all()
    assert (made["n_unknown"] == 0).all()


def test_centralization_is_bounds_only_below_seventy_percent():
    answered = np.array([True] * 6 + [False] * 4)
    network = random_network(2, n=10)
    dense = network.ties.toarray()
    dense[6:] = 0
    few = network_bounds(network_of(dense, has_answered=answered)).to_frame()
    is_central = few["measure"].str.contains("centralization")
    assert few.loc[is_central, "reported"].isna().all()
    assert few.loc[~is_central, "reported"].notna().all()
    assert few["response_rate"].eq(0.6).all()
    answered[6] = True
    enough = network_bounds(network_of(dense, has_answered=answered)).to_frame()
    assert enough["reported"].notna().all()


def test_a_tie_confirmed_by_none_of_two_who_answered_is_known_to_be_absent():
    dense = np.zeros((3, 3))
    made = network_bounds(network_of(dense, has_answered=np.array([True, True, False])))
    frame = made.to_frame().set_index(["measure", "rule"])
    assert frame.loc[("density", "both"), "high"] == 0
    assert frame.loc[("density", "either"), "high"] == pytest.approx(2 / 3)


def test_bounds_need_reports():
    with pytest.raises(EstimationError, match="no direction"):
        network_bounds(random_network(1).undirected())
    with pytest.raises(EstimationError, match="three at least"):
        network_bounds(network_of(np.zeros((2, 2))))
