"""Networks from referrals and from a survey, and each measure against another way to get it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from organization_networks import as_networkx, network_of, random_network, rate

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration import (
    main_broker,
    network_centralization,
    network_correlation,
    network_degree,
    network_density,
    network_hierarchy,
    network_multiplexity,
    network_reciprocity,
    network_strength,
    network_transitivity,
    referral_network,
    structural_holes,
    survey_network,
    tie_stability,
    without_coordinator,
)
from calaim_eval.integration.organization_network.brokerage import group_labels
from calaim_eval.integration.organization_network.paths import betweenness
from calaim_eval.tables.ledger import RowLedger

from .frames import table

REFERRAL = table(
    """
    referral_id | root | member_id | sender   | receiver | referred_date
    ------------+------+-----------+----------+----------+--------------
    r1          |      | m1        | hospital | shelter  | 2024-10-01
    r2          | r2   | m1        | hospital | shelter  | 2024-10-20
    r3          | r1   | m1        | shelter  | clinic   | 2024-11-01
    r4          |      | m2        | shelter  | clinic   | 2024-11-01
    r5          |      | m3        | clinic   | clinic   | 2024-11-01
    r6          |      | m3        |          | clinic   | 2024-11-01
    r7          |      | m3        | hospital | clinic   | 2024-07-01
    r8          |      | m3        | plan A   | shelter  | 2024-12-31
    """,
    service="ecm",
).rename(
    columns={
        "root": "root_referral_id",
        "sender": "from_organization_id",
        "receiver": "to_organization_id",
    }
)
QUARTER = {"as_of": "2024-12-31", "referred_from": "2024-10-01", "referred_to": "2024-12-31"}

SEEDS = range(1, 7)


def test_ties_are_root_referrals_of_the_window_between_two_organizations():
    ledger = RowLedger()
    network = referral_network(REFERRAL, **QUARTER, ledger=ledger)
    assert list(network.organizations) == ["clinic", "hospital", "plan A", "shelter"]
    frame = network.to_frame().set_index(["from_organization_id", "to_organization_id"])
    assert frame["strength"].to_dict() == {
        ("hospital", "shelter"): 2,
        ("plan A", "shelter"): 1,
        ("shelter", "clinic"): 1,
    }
    assert frame["n_members"].to_list() == [1, 1, 1]
    counted = ledger.to_frame()
    stage = counted[counted["stage"] == "ties of the referral network"]
    assert stage["n_rows"].sum() == 6
    assert set(stage.loc[stage["n_rows"] > 0, "n_rows"]) == {1, 4}


def test_small_ties_are_left_out_and_their_organizations_stay():
    network = referral_network(REFERRAL, **QUARTER, minimum_referrals=2)
    assert network.n_ties == 1
    assert network.n == 4
    assert referral_network(REFERRAL, **QUARTER, minimum_members=2).n_ties == 0


def test_network_of_one_group_keeps_the_organizations_of_all():
    person = pd.DataFrame(
        {"member_id": ["m1", "m2", "m3"], "race_ethnicity": ["black"] * 2 + [None]}
    )
    of_black = referral_network(REFERRAL, **QUARTER, race_ethnicity="black", person=person)
    unknown = referral_network(REFERRAL, **QUARTER, race_ethnicity="unknown", person=person)
    assert (of_black.n_ties, unknown.n_ties) == (2, 1)
    assert of_black.n == unknown.n == 4
    with pytest.raises(EstimationError, match="not in the code list"):
        referral_network(REFERRAL, **QUARTER, race_ethnicity="blue", person=person)


def test_named_organizations_make_isolates_and_set_others_aside():
    network = referral_network(REFERRAL, **QUARTER, organizations=["hospital", "shelter", "idle"])
    assert list(network.organizations) == ["hospital", "idle", "shelter"]
    assert network.n_ties == 1
    with pytest.raises(EstimationError, match="none of"):
        referral_network(REFERRAL, **QUARTER, organizations=["hospital", "idle"])


def test_removal_keeps_the_rest_as_it_was():
    network = referral_network(REFERRAL, **QUARTER)
    rest = network.without("shelter")
    assert (rest.n, rest.n_ties) == (3, 0)
    with pytest.raises(EstimationError, match=r"1 of 1 organizations are not in the network"):
        network.without("nobody")


TIE = table("""
    wave_date  | from_organization_id | to_organization_id | tie_type | tie_strength
    -----------+----------------------+--------------------+----------+-------------
    2024-07-01 | a                    | b                  | referral | 3
    2024-07-01 | b                    | a                  | referral | 1
    2024-07-01 | a                    | c                  | referral |
    2024-07-01 | a                    | d                  | referral | 0
    2024-07-01 | a                    | a                  | referral | 2
    2024-07-01 | a                    | c                  | data     | 2
    2023-07-01 | c                    | a                  | referral | 2
""")


def test_survey_ties_of_one_wave_and_type():
    network = survey_network(TIE, wave="2024-07-01", tie_type="referral")
    assert list(network.organizations) == ["a", "b", "c", "d"]
    assert network.strength.toarray()[0].tolist() == [0, 3, 1, 0]
    assert network.has_answered.tolist() == [True, True, False, False]
    assert network.response_rate == 0.5
    assert network.undirected(rule="both").n_ties == 1
    assert network.undirected(rule="either").n_ties == 2
    strong = survey_network(TIE, wave="2024-07-01", tie_type="referral", minimum_strength=2)
    assert strong.n_ties == 2  # one of strength 3, one without a strength


def test_a_tie_of_strength_0_is_none_and_is_counted():
    ledger = RowLedger()
    network = survey_network(
        TIE, wave="2024-07-01", tie_type="referral", minimum_strength=0, ledger=ledger
    )
    assert network.n_ties == 3
    counted = ledger.to_frame().set_index("reason")["n_rows"]
    assert counted["a strength of 0 is no tie"] == 1
    assert counted.sum() == len(TIE)


def test_organizations_that_are_numbers_are_the_same_with_and_without_a_point():
    ends = ["from_organization_id", "to_organization_id"]
    numbers = {"a": 1, "b": 2, "c": 3, "d": 4}
    whole = TIE.assign(**{end: TIE[end].map(numbers) for end in ends})
    beside_a_gap = pd.Series([1, 2, 3, 5, None])
    network = survey_network(
        whole,
        wave="2024-07-01",
        tie_type="referral",
        organizations=beside_a_gap,
        answered=beside_a_gap[:2],
    )
    assert list(network.organizations) == ["1", "2", "3", "5"]
    assert network.n_ties == 3
    assert network.has_answered.tolist() == [True, True, False, False]
    assert network.positions([2.0, 1]).tolist() == [1, 0]
    groups = pd.Series(["x", "y"], index=[1.0, 2.0])
    assert group_labels(network, groups).tolist() == ["x", "y", "unknown", "unknown"]


def test_named_organizations_of_referrals_may_be_numbers():
    numbers = {"hospital": 1, "shelter": 2, "clinic": 3, "plan A": 4}
    ends = ["from_organization_id", "to_organization_id"]
    rows = REFERRAL.assign(**{end: REFERRAL[end].map(numbers) for end in ends})
    network = referral_network(rows, **QUARTER, organizations=[1, 2.0, "9"])
    assert list(network.organizations) == ["1", "2", "9"]
    assert network.n_ties == 1


def test_an_organization_without_a_tie_answered_where_it_is_said_to_have():
    network = survey_network(TIE, wave="2024-07-01", tie_type="referral", answered=["a", "b", "e"])
    assert dict(zip(network.organizations, network.has_answered, strict=True)) == {
        "a": True, "b": True, "c": False, "d": False, "e": True,
    }  # fmt: skip


def test_absent_waves_types_and_columns_are_named():
    with pytest.raises(EstimationError, match="It has 2023-07-01, 2024-07-01"):
        survey_network(TIE, wave="2022-07-01", tie_type="referral")
    with pytest.raises(EstimationError, match="no row of table `tie` is of type 'money'"):
        survey_network(TIE, wave="2024-07-01", tie_type="money")
    with pytest.raises(TableError, match="code list"):
        survey_network(TIE.assign(tie_type="gossip"), wave="2024-07-01", tie_type="referral")
    with pytest.raises(TableError, match="lacks column `tie_type`"):
        survey_network(TIE.drop(columns="tie_type"), wave="2024-07-01", tie_type="referral")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("is_directed", [True, False])
def test_centrality_equals_networkx(seed, is_directed):
    network = random_network(seed, is_directed=is_directed)
    graph = as_networkx(network)
    theirs = nx.betweenness_centrality(graph, normalized=False)
    mine = betweenness(network.ties) / (1 if is_directed else 2)
    assert mine == pytest.approx(np.array([theirs[o] for o in network.organizations]), abs=1e-9)
    assert rate(network_density(network)) == pytest.approx(nx.density(graph))
    degree = network_degree(network).to_frame().set_index(["organization_id", "direction"])
    first = network.organizations[0]
    side = "in" if is_directed else "any"
    expected = graph.in_degree(first) if is_directed else graph.degree(first)
    assert degree.loc[(first, side), "numerator"] == expected
    if not is_directed:
        assert rate(network_transitivity(network)) == pytest.approx(nx.transitivity(graph))
    else:
        assert rate(network_reciprocity(network), counted="ties") == pytest.approx(
            nx.overall_reciprocity(graph)
        )


def test_many_sources_go_in_parts_and_give_the_same():
    network = random_network(3, n=300, share=0.01)
    theirs = nx.betweenness_centrality(as_networkx(network), normalized=False)
    expected = np.array([theirs[o] for o in network.organizations])
    assert betweenness(network.ties) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("is_directed", [True, False])
def test_structural_holes_equal_networkx(seed, is_directed):
    network = random_network(seed, is_directed=is_directed, share=0.15, weighted=True)
    graph = as_networkx(network)
    holes = structural_holes(network, weighted=True).set_index("organization_id")
    constraint = pd.Series(nx.constraint(graph, weight="weight"))
    assert holes["constraint"].to_numpy() == pytest.approx(
        constraint[holes.index].to_numpy(), nan_ok=True
    )
    # networkx follows the definition for organizations asked for by name that send a tie; its
    # route for all of them scales the wrong side of a directed network.
    senders = [o for o in network.organizations if graph[o]]
    size = pd.Series(nx.effective_size(graph, nodes=senders, weight="weight"))
    mine = holes.loc[senders, "effective_size"].to_numpy()
    assert mine == pytest.approx(size[senders].to_numpy())


@pytest.mark.parametrize("is_directed", [True, False])
def test_a_star_is_centralization_one(is_directed):
    star = np.zeros((7, 7))
    star[0, 1:] = 1
    if not is_directed:
        star[1:, 0] = 1
    central = network_centralization(network_of(star, is_directed=is_directed))
    assert rate(central, centrality="out_degree" if is_directed else "degree") == 1
    if not is_directed:
        assert rate(central, centrality="betweenness") == 1
        assert rate(central, centrality="closeness") == pytest.approx(1)


def test_a_ring_is_centralization_zero():
    ring = np.roll(np.eye(6), 1, axis=1)
    central = network_centralization(network_of(ring))
    assert central.rate.tolist() == [0, 0, 0, 0]


def test_no_centralization_where_too_few_answered():
    tie = TIE[TIE["wave_date"] == "2024-07-01"]
    network = survey_network(tie, wave="2024-07-01", tie_type="referral")
    with pytest.raises(EstimationError, match=r"50% of 4 organizations answered"):
        network_centralization(network)


def _reach(dense: np.ndarray) -> np.ndarray:
    """Who can be reached, by repeated multiplication."""
    reached = dense > 0
    for _ in range(len(dense)):
        reached = reached | ((reached.astype(int) @ reached.astype(int)) > 0)
    return reached


@pytest.mark.parametrize("seed", SEEDS)
def test_krackhardt_dimensions_by_enumeration(seed):
    network = random_network(seed, share=0.1)
    dense = network.ties.toarray()
    along, any_way = _reach(dense), _reach(dense + dense.T)
    pairs = list(combinations(range(network.n), 2))
    joined = sum(any_way[i, j] for i, j in pairs)
    one_way = sum(along[i, j] != along[j, i] for i, j in pairs)
    reached = sum(along[i, j] or along[j, i] for i, j in pairs)
    table_ = network_hierarchy(network)
    assert rate(table_, dimension="connectedness") == pytest.approx(joined / len(pairs))
    assert rate(table_, dimension="hierarchy") == pytest.approx(one_way / reached)
    components = list(nx.weakly_connected_components(as_networkx(network)))
    least = sum(len(c) - 1 for c in components)
    most = sum(len(c) * (len(c) - 1) for c in components)
    assert rate(table_, dimension="efficiency") == pytest.approx(
        1 - (network.n_ties - least) / (most - least)
    )


def test_a_tree_from_the_top_is_hierarchical_and_efficient():
    tree = np.zeros((7, 7))
    for child in range(1, 7):
        tree[(child - 1) // 2, child] = 1
    table_ = network_hierarchy(network_of(tree))
    assert table_.rate.tolist() == [1, 1, 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_coordinator_by_enumeration(seed):
    network = random_network(seed, share=0.12)
    broker = main_broker(network)
    graph = as_networkx(network)
    rest = graph.copy()
    rest.remove_node(broker)
    others = [o for o in network.organizations if o != broker]
    made = without_coordinator(network, broker)

    def of(name: str, measure: str) -> tuple[float, float]:
        keys = made.keys
        at = int(np.flatnonzero((keys["network"] == name) & (keys["measure"] == measure))[0])
        return made.numerator[at], made.denominator[at]

    for name, g in (("with_coordinator", graph), ("without_coordinator", rest)):
        parts = list(nx.weakly_connected_components(g))
        reach = sum(len(nx.descendants(g, o)) for o in g)
        n = len(g)
        assert of(name, "components") == (len(parts), n)
        assert of(name, "isolates") == (sum(len(p) == 1 for p in parts), n)
        assert of(name, "largest_component") == (max(map(len, parts)), n)
        assert of(name, "reachability") == (reach, n * (n - 1))
        linked = sum(any({a, b} <= part for part in parts) for a, b in combinations(others, 2))
        assert of(name, "others_connected") == (linked, len(others) * (len(others) - 1) / 2)


def test_a_hub_holds_everything_together():
    star = np.zeros((6, 6))
    star[0, 1:] = 1
    table_ = without_coordinator(network_of(star), "o000")
    assert rate(table_, network="with_coordinator", measure="others_connected") == 1
    assert rate(table_, network="without_coordinator", measure="others_connected") == 0
    assert rate(table_, network="without_coordinator", measure="isolates") == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_stability_is_set_arithmetic(seed):
    first, second = random_network(seed), random_network(seed + 50)
    sets = [set(map(tuple, np.argwhere(w.ties.toarray()))) for w in (first, second)]
    counts = tie_stability(first, second).to_frame().set_index("tie")["numerator"]
    assert counts.to_dict() == {
        "kept": len(sets[0] & sets[1]),
        "created": len(sets[1] - sets[0]),
        "dissolved": len(sets[0] - sets[1]),
    }


def test_stability_compares_organizations_in_both_only():
    first = random_network(1)
    second = first.without("o000")
    counts = tie_stability(first, second).to_frame().set_index("tie")["numerator"]
    assert counts["created"] == counts["dissolved"] == 0
    with pytest.raises(EstimationError, match="one network has directions"):
        tie_stability(first, second.undirected())
    with pytest.raises(EstimationError, match="share 1 organizations"):
        tie_stability(first, first.only(["o000"]))


@pytest.mark.parametrize("seed", SEEDS[:3])
@pytest.mark.parametrize("is_directed", [True, False])
def test_silence_in_one_wave_neither_makes_nor_ends_a_tie(seed, is_directed):
    rng = np.random.default_rng(seed)
    waves = [random_network(seed + k, is_directed=is_directed) for k in (0, 50)]
    answered = [rng.random(12) < 0.7 for _ in waves]
    counts = tie_stability(
        *(replace(w, has_answered=a) for w, a in zip(waves, answered, strict=True))
    ).to_frame()
    knows = answered[0] & answered[1]
    sets = [
        {
            (i, j)
            for i, j in np.argwhere(w.ties.toarray())
            if knows[i] and (is_directed or (knows[j] and i < j))
        }
        for w in waves
    ]
    assert counts.set_index("tie")["numerator"].to_dict() == {
        "kept": len(sets[0] & sets[1]),
        "created": len(sets[1] - sets[0]),
        "dissolved": len(sets[0] - sets[1]),
    }


def test_networks_correlate_over_those_who_answered_both():
    waves = [random_network(k) for k in (3, 53)]
    answered = [np.arange(12) != 2, np.arange(12) != 7]
    asked = [replace(w, has_answered=a) for w, a in zip(waves, answered, strict=True)]
    both = [w.without("o002", "o007") for w in waves]
    cells = [w.ties.toarray()[~np.eye(10, dtype=bool)] for w in both]
    found = network_correlation(*asked, n_permutations=0)
    assert found.correlation == pytest.approx(np.corrcoef(*cells)[0, 1], abs=1e-12)
    assert found.n_organizations == 10
    silent = replace(waves[0], has_answered=np.arange(12) == 2)
    with pytest.raises(EstimationError, match="answered both"):
        network_correlation(silent, waves[1])


def test_kinds_of_tie_between_two_organizations():
    one, two, three = (np.zeros((4, 4)) for _ in range(3))
    one[0, 1] = two[1, 0] = three[0, 1] = 1
    one[1, 2] = one[2, 3] = two[2, 3] = 1
    made = network_multiplexity(
        {"referral": network_of(one), "data": network_of(two), "money": network_of(three)}
    )
    assert made.numerator.tolist() == [1, 1, 1, 2]
    assert set(made.denominator) == {3}
    with pytest.raises(EstimationError, match="1 kind of tie"):
        network_multiplexity({"referral": network_of(one)})
    with pytest.raises(EstimationError, match="different organizations"):
        network_multiplexity({"a": network_of(one), "b": network_of(np.zeros((3, 3)))})


def test_strength_adds_up_both_ways():
    network = random_network(4, weighted=True)
    sums = network_strength(network)
    assert sums["in_strength"].sum() == sums["out_strength"].sum() == network.strength.sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_names_in_another_order_change_nothing(seed):
    network = random_network(seed)
    order = np.random.default_rng(seed).permutation(network.n)
    moved = network_of(network.ties.toarray()[order][:, order])
    for measure in (network_density, network_reciprocity, network_centralization,
                    network_hierarchy, network_transitivity):  # fmt: skip
        assert measure(moved).rate == pytest.approx(measure(network).rate, nan_ok=True)


def test_largest_closeness_sum_is_the_star_among_all_connected_networks_of_five():
    pairs = list(combinations(range(5), 2))
    largest = 0.0
    for code in range(2 ** len(pairs)):
        dense = np.zeros((5, 5))
        for bit, (i, j) in enumerate(pairs):
            dense[i, j] = dense[j, i] = code >> bit & 1
        value = rate(
            network_centralization(network_of(dense, is_directed=False)), centrality="closeness"
        )
        largest = max(largest, np.nan_to_num(value))
    assert largest == pytest.approx(1)


def _closeness(dense: np.ndarray) -> float:
    return rate(network_centralization(network_of(dense)), centrality="closeness")


def test_largest_directed_closeness_sum_is_reached_and_never_passed():
    largest = 0.0
    for code in range(64):  # every directed network of three
        dense = np.zeros((3, 3))
        dense[~np.eye(3, dtype=bool)] = [code >> bit & 1 for bit in range(6)]
        largest = max(largest, np.nan_to_num(_closeness(dense)))
    assert largest == pytest.approx(1)
    rng = np.random.default_rng(6)
    for n in (4, 5, 6):
        chain = np.zeros((n, n))
        chain[0, 1:] = 1
        chain[np.arange(1, n), np.arange(n - 1)] = 1
        assert _closeness(chain) == pytest.approx(1)
        for _ in range(60):
            dense = np.maximum(chain * (rng.random((n, n)) < 0.9), rng.random((n, n)) < 0.25)
            np.fill_diagonal(dense, 0)
            assert not _closeness(dense) > 1 + 1e-12
