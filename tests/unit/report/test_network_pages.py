"""The referral network as a reader sees it: places that stay, names that can be read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.integration import network_tables
from calaim_eval.report import Absent, tables
from calaim_eval.report.figures import network_map
from calaim_eval.report.figures.network_labels import place_labels
from calaim_eval.report.figures.network_layout import earlier_releases, network_positions
from calaim_eval.simulate import simulate_referral_network


def _released(referral: pd.DataFrame | None = None, **where):
    simulated = simulate_referral_network(counties=3)
    rows = simulated.referral if referral is None else referral
    made = network_tables(rows, simulated.organization, as_of="2024-12-31", person=simulated.person)
    return release(made, **where)


@pytest.fixture(scope="module")
def network():
    return _released()


def _changed(seed: int = 1) -> pd.DataFrame:
    """The year after: a tenth of the ties is gone, one new organization."""
    simulated = simulate_referral_network(counties=3)
    ends = simulated.referral[["from_organization_id", "to_organization_id"]]
    pairs = ends.drop_duplicates().sample(frac=0.1, random_state=seed)
    gone = set(map(tuple, pairs.to_numpy()))
    stays = [tuple(p) not in gone for p in ends.to_numpy()]
    new = simulated.referral.head(12).assign(
        referral_id=[f"N{k}" for k in range(12)],
        member_id=[f"M9{k}" for k in range(12)],
        from_organization_id="O00001",
        to_organization_id="O09999",
    )
    return pd.concat([simulated.referral[stays], new], ignore_index=True)


def test_the_same_release_gives_the_same_map(network):
    first, second = network_positions(network), network_positions(_released())
    pd.testing.assert_frame_equal(first, second)
    assert np.isfinite(first[["x", "y"]].to_numpy()).all()


def test_organizations_keep_their_places_between_quarters(network):
    before = network_positions(network).set_index("organization")
    later = _released(_changed())
    held = network_positions(later, earlier=[network]).set_index("organization")
    alone = network_positions(later).set_index("organization")
    both = before.index.intersection(held.index)
    size = np.ptp(before["x"])

    def moved(after: pd.DataFrame) -> float:
        return float(np.linalg.norm(after.loc[both] - before.loc[both], axis=1).mean() / size)

    assert moved(held) < 0.06
    assert moved(held) < moved(alone)
    assert "O09999" in held.index


def test_no_two_marks_lie_on_each_other(network):
    points = network_positions(network)[["x", "y"]].to_numpy()
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    gaps[np.diag_indices(len(gaps))] = np.inf
    assert gaps.min() > 0.01 * np.ptp(points[:, 0])


def test_names_cover_no_mark_and_no_other_name():
    rng = np.random.default_rng(3)
    places = pd.DataFrame(
        {"organization": [f"Org {k}" for k in range(40)], "x": rng.random(40), "y": rng.random(40)}
    )
    words = {f"Org {k}": f"Org {k}" for k in range(15)}
    set_down = place_labels(words, places, width=2.6, height=2.9)
    assert 3 <= len(set_down) <= 15
    gaps = np.abs(set_down[["y"]].to_numpy() - set_down["y"].to_numpy())
    near = np.abs(set_down[["x"]].to_numpy() - set_down["x"].to_numpy()) < 0.05
    np.fill_diagonal(near, val=False)
    assert not (near & (gaps < 0.03)).any()


@pytest.mark.parametrize("seed", range(20))
def test_words_are_nearest_to_the_mark_they_name(seed):
    """Letters taken as 0.061 by 0.135 inches: no other mark is as near to the box of a name."""
    rng = np.random.default_rng(seed)
    names = [f"organization {i}" for i in range(14)]
    places = pd.DataFrame(
        {"organization": names, "x": rng.uniform(0, 2.6, 14), "y": rng.uniform(0, 2.9, 14)}
    )
    size = places[["x", "y"]].max() - places[["x", "y"]].min()
    found = place_labels({n: n for n in names[:6]}, places, width=size["x"], height=size["y"])
    marks = places.set_index("organization")[["x", "y"]]
    for row in found.itertuples():
        half = np.array([0.061 * len(row.words), 0.135]) / 2
        away = np.maximum(np.abs(marks - [row.x, row.y]) - half, 0)
        assert np.hypot(away["x"], away["y"]).idxmin() == row.organization


def test_the_map_says_what_falls_apart(network):
    figure = network_map(network)
    assert "without it in 3 pieces" in figure.alt_text
    assert "Valley Care Coordination" in figure.caption
    assert "11 members or more" in figure.caption


def test_where_names_have_no_room_numbers_stand_for_them(network):
    simulated = simulate_referral_network(counties=3)
    long = simulated.organization["organization_name"] + " of the San Joaquin Valley and Hills"
    made = network_tables(
        simulated.referral,
        simulated.organization.assign(organization_name=long.str.repeat(2)),
        as_of="2024-12-31",
    )
    caption = network_map(release(made)).caption
    assert "Numbers on the map: 1: Valley Care Coordination of" in caption
    assert "Numbers on the map" not in network_map(network).caption


def test_tables_of_the_network(network):
    html = tables.network_table(network).to_html()
    assert "Without Valley Care Coordination" in html
    brokers = tables.brokers_table(network).to_html()
    assert "Valley Care Coordination" in brokers
    assert "Hispanic" in tables.networks_by_race_table(network).to_html()


def test_shares_of_ties_are_laid_out(released):
    for item in ("referral_network_mixing", "partner_network_stability"):
        html = tables.shares_table(released, item).to_html()
        assert "Kept" in html or "Hospital" in html
    reported = tables.survey_networks_table(released).to_html()
    assert "Confirmed by both ends" in reported
    assert "85%" in reported  # 17 of 20 answered


def test_what_is_absent_is_said():
    nothing = release({}, quarter="2024Q4")
    for make in (
        network_map,
        tables.network_table,
        tables.brokers_table,
        tables.networks_by_race_table,
        tables.survey_networks_table,
    ):
        assert isinstance(make(nothing), Absent)
    assert network_positions(nothing).empty


def test_earlier_releases_are_found_beside_one(tmp_path):
    for quarter in ("2024Q2", "2024Q3", "2024Q4"):
        _released(to=tmp_path, quarter=quarter)
    (tmp_path / "2024Q1").mkdir()
    found = earlier_releases(tmp_path / "2024Q4")
    assert len(found) == 2
    assert network_positions(found[0]).shape == (25, 3)
