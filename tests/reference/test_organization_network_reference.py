"""Network measures against R sna, igraph and published values.

Values come from ``../shared/reference/integration/reference_values.csv`` (R 4.2.2: sna 2.7-1,
igraph 1.3.5; Wasserman and Faust 1994), beside the data they were computed on.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from organization_networks import edges_network, rate

from calaim_eval.integration import (
    brokerage_roles,
    ei_index,
    network_centralization,
    network_correlation,
    network_density,
    network_hierarchy,
    network_reciprocity,
    network_transitivity,
    structural_holes,
    tie_stability,
    without_coordinator,
)
from calaim_eval.integration.bipartite import herfindahl_counts, incidence_matrix
from calaim_eval.integration.organization_network.paths import betweenness, weak_components

pytestmark = pytest.mark.shared

EVENTS = ("Cheyenne", "HurrFrederic", "LakePomona")


@pytest.fixture(scope="module")
def data(shared) -> Path:
    return shared / "reference" / "integration" / "data"


@pytest.fixture(scope="module")
def reference(data):
    rows = pd.read_csv(data.parent / "reference_values.csv")
    values = rows.set_index(["dataset", "measure"])[["value", "tol"]]

    def look_up(dataset: str, measure: str) -> tuple[str, float]:
        row = values.loc[(dataset, measure)]
        return str(row["value"]), float(row["tol"])

    return look_up


@pytest.fixture(scope="module")
def same(reference):
    """Assert that a number is the reference, at the tolerance listed."""

    def check(dataset: str, measure: str, value: float) -> None:
        expected, tol = reference(dataset, measure)
        assert value == pytest.approx(float(expected), abs=tol, rel=0)

    return check


@pytest.fixture(scope="module", params=EVENTS)
def emon(request, data):
    folder = data / "emon_drabek"
    nodes = pd.read_csv(folder / f"{request.param}_nodes.csv")
    edges = pd.read_csv(folder / f"{request.param}_edges.csv")
    network = edges_network(edges, list(nodes["name"]))
    return request.param, network, nodes.set_index("name")["sponsorship"], edges


def test_emergency_networks_equal_r_sna(same, reference, emon):
    event, network, _, edges = emon
    assert len(edges) == network.n_ties
    n, m = reference("emon_drabek", f"{event}: n;edges")[0].split(";")
    assert (network.n, network.n_ties) == (int(n), int(m))
    weak = network.undirected()
    of = "emon_drabek"
    same(of, f"{event}: density directed", rate(network_density(network)))
    returned = network_reciprocity(network)
    label = "reciprocity dyadic.nonnull (mutual/(mutual+asym))"
    same(of, f"{event}: {label}", rate(returned, counted="pairs"))
    same(of, f"{event}: reciprocity edgewise", rate(returned, counted="ties"))
    central = network_centralization(network)
    for name, row in (
        ("indegree centralization (Freeman)", "in_degree"),
        ("outdegree centralization (Freeman)", "out_degree"),
        ("betweenness centralization directed", "betweenness"),
    ):
        same(of, f"{event}: {name}", rate(central, centrality=row))
    same(of, f"{event}: undirected(weak) density", rate(network_density(weak)))
    same(
        of,
        f"{event}: undirected(weak) degree centralization",
        rate(network_centralization(weak), centrality="degree"),
    )
    dimensions = network_hierarchy(network)
    same(of, f"{event}: Krackhardt connectedness", rate(dimensions, dimension="connectedness"))
    transitivity = rate(network_transitivity(network))
    same(of, f"{event}: transitivity weak (sna gtrans)", transitivity)
    same(of, f"{event}: Krackhardt efficiency", rate(dimensions, dimension="efficiency"))


def test_brokerage_equals_r_sna(reference, emon):
    event, network, sponsorship, _ = emon
    table = brokerage_roles(network, sponsorship, n_permutations=0)
    label = f"{event}: Gould-Fernandez totals w_I;w_O;b_IO;b_OI;b_O;t"
    expected = [float(v) for v in reference("emon_drabek", label)[0].split(";")]
    assert [*table.count.sum(axis=0), table.count.sum()] == expected
    through = table.count.sum(axis=1)
    top = network.organizations[int(through.argmax())]
    (value, _) = reference("emon_drabek", f"{event}: top broker (t): {top}")
    assert through.max() == float(value)


def test_e_i_index_equals_hand_calculation(same, emon):
    event, network, sponsorship, _ = emon
    mixing = ei_index(network.undirected(), sponsorship, n_permutations=0)
    same("emon_drabek", f"{event}: E-I index sponsorship (undirected weak)", mixing.index[0])


@pytest.fixture(scope="module")
def florentine(data):
    folder = data / "florentine_marriage"
    nodes = pd.read_csv(folder / "nodes.csv")["name"]
    return edges_network(pd.read_csv(folder / "edges.csv"), list(nodes), is_directed=False)


def test_florentine_families(same, florentine):
    of = "florentine_marriage"
    same(of, "density (16 nodes)", rate(network_density(florentine)))
    central = network_centralization(florentine)
    same(of, "degree centralization (16 nodes)", rate(central, centrality="degree"))
    same(of, "betweenness centralization (16 nodes)", rate(central, centrality="betweenness"))
    assert np.isnan(rate(central, centrality="closeness"))  # Pucci is an isolate
    medici = florentine.positions(["Medici"])[0]
    same(of, "betweenness Medici raw", betweenness(florentine.ties)[medici] / 2)
    holes = structural_holes(florentine).set_index("organization_id")["constraint"]
    same(of, "Burt constraint Medici", holes["Medici"])
    same(of, "Burt constraint Strozzi", holes["Strozzi"])
    assert np.isnan(holes["Pucci"])
    same(of, "components", len(set(weak_components(florentine.ties))))


def test_what_falls_apart_without_the_medici(same, florentine):
    table = without_coordinator(florentine, "Medici")
    of = "florentine_marriage"
    here, gone = "with_coordinator", "without_coordinator"
    same(
        of,
        "connectedness (share of reachable pairs)",
        rate(table, network=here, measure="connectedness"),
    )
    same(
        of,
        "connectedness after removing Medici",
        rate(table, network=gone, measure="connectedness"),
    )


def test_two_waves_of_friendship(same, reference, data):
    folder = data / "coleman_waves"
    edges = {wave: pd.read_csv(folder / f"{wave}.csv").astype(str) for wave in ("fall", "spring")}
    boys = [str(k) for k in range(1, 74)]
    fall, spring = (edges_network(edges[wave], boys) for wave in ("fall", "spring"))
    same("coleman_waves", "density fall", rate(network_density(fall)))
    same("coleman_waves", "density spring", rate(network_density(spring)))
    stable = tie_stability(fall, spring)
    same("coleman_waves", "Jaccard tie stability fall-spring", rate(stable, tie="kept"))
    created, dissolved, kept = (
        float(v) for v in reference("coleman_waves", "ties created;dissolved;kept")[0].split(";")
    )
    counts = stable.to_frame().set_index("tie")["numerator"]
    assert (counts["created"], counts["dissolved"], counts["kept"]) == (created, dissolved, kept)
    correlation = network_correlation(fall, spring, n_permutations=0).correlation
    same("coleman_waves", "graph correlation gcor", correlation)


def test_share_of_events_each_woman_attended(reference, data):
    davis = pd.read_csv(data / "davis_southern_women" / "edges.csv")
    ties = incidence_matrix(davis["woman"], davis["event"])
    share = np.asarray(ties.sum(axis=1)) / ties.shape[1]
    label = (
        "2-mode degree centralization women mode, Borgatti-Everett: sum(max-d)/((n_o... raw "
        "normalised d/14)"
    )
    value, tol = reference("davis_southern_women", label)
    largest, mean = (float(v) for v in re.findall(r"\d\.\d+", value))
    assert share.max() == pytest.approx(largest, abs=tol)
    assert share.mean() == pytest.approx(mean, abs=tol)


def test_textbook_concentration(same):
    top, bottom = herfindahl_counts(np.array([30, 30, 20, 20]))
    same("hhi_textbook", "HHI shares 30,30,20,20 (0-10000)", 10_000 * top / bottom)
    top, bottom = herfindahl_counts(np.array([0.5, 0.3, 0.2]))
    same("hhi_textbook", "HHI shares 0.5,0.3,0.2", top / bottom)
