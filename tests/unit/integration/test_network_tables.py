"""What leaves of a referral network says nothing of ties of a few members."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError
from calaim_eval.integration import (
    brokerage_roles,
    main_broker,
    network_degree,
    network_density,
    network_tables,
    referral_network,
    survey_network,
)
from calaim_eval.simulate import simulate_referral_network

DAY = "2024-12-31"


@pytest.fixture(scope="module")
def simulated():
    return simulate_referral_network(seed=3)


def _sizes(referral: pd.DataFrame) -> pd.Series:
    ends = ["from_organization_id", "to_organization_id"]
    return referral.groupby(ends)["member_id"].nunique()


def _tables(simulated, referral: pd.DataFrame, **options):
    return network_tables(
        referral, simulated.organization, as_of=DAY, person=simulated.person, **options
    )


def _without_small(simulated) -> pd.DataFrame:
    """Referrals of large ties only."""
    ends = simulated.referral[["from_organization_id", "to_organization_id"]]
    is_large = [tuple(pair) in simulated.large_ties for pair in ends.to_numpy()]
    return simulated.referral[is_large]


def _with_others(simulated, seed: int) -> pd.DataFrame:
    """Large ties as they are, and other small ones: of 1 to 10 members, between anybody."""
    rng = np.random.default_rng(seed)
    ids = [*simulated.organization["organization_id"], "O99998", "O99999"]
    rows = []
    for _ in range(60):
        a, b = (str(o) for o in rng.choice(ids, 2, replace=False))
        if (a, b) in simulated.large_ties or any(r[:2] == (a, b) for r in rows):
            continue
        members = rng.choice(simulated.person["member_id"], rng.integers(1, 11), replace=False)
        rows += [(a, b, str(m)) for m in members]
    more = pd.DataFrame(rows, columns=["from_organization_id", "to_organization_id", "member_id"])
    more = more.assign(
        referral_id=[f"X{seed}{k:06d}" for k in range(len(more))],
        service="ecm",
        referred_date=pd.Timestamp("2024-11-01"),
    )
    return pd.concat([_without_small(simulated), more], ignore_index=True)


def test_ties_listed_are_the_large_ones(simulated):
    tables = _tables(simulated, simulated.referral)
    names = simulated.organization.set_index("organization_id")["organization_name"]
    listed = tables["referral_network_ties"].keys
    pairs = set(zip(listed["from_organization"], listed["to_organization"], strict=True))
    assert pairs == {(names[a], names[b]) for a, b in simulated.large_ties}
    assert _sizes(simulated.referral).min() < 11


@pytest.fixture(scope="module")
def seen(simulated):
    return _tables(simulated, _without_small(simulated))


@pytest.mark.parametrize("seed", range(4))
def test_no_number_depends_on_a_small_tie(simulated, seen, seed):
    """Whatever small ties there are, or none: every table is the same, so none can be read."""
    other = _tables(simulated, _with_others(simulated, seed))
    assert seen.keys() == other.keys()
    for name, table in seen.items():
        assert_frame_equal(table.to_frame(), other[name].to_frame())
        assert table.notes == other[name].notes


def test_numbers_of_members_are_in_no_table(simulated):
    tables = _tables(simulated, simulated.referral)
    bands = set(tables["referral_network_ties"].keys["members_in_band"])
    assert bands <= {"11 to 49", "50 to 199", "200 or more"}
    assert all(np.isnan(t.n_members).all() for t in tables.values())
    assert all(t.about == "organizations" for t in tables.values())


def test_every_table_passes_the_door_whole(simulated):
    tables = _tables(simulated, simulated.referral)
    released = release(tables)
    assert released.certificate["n_suppressed_rows"] == 0
    assert set(released.tables) == set(tables)


def test_measures_of_a_network_with_small_ties_are_hidden_whole(simulated):
    network = referral_network(simulated.referral, as_of=DAY)
    roster = simulated.organization.set_index("organization_id")["organization_type"]
    released = release(
        {
            "density": network_density(network),
            "degree": network_degree(network),
            "roles": brokerage_roles(network, roster, n_permutations=0).to_rates(),
        }
    )
    for table in released.tables.values():
        assert table.frame["is_suppressed"].all()
        assert table.frame[["numerator", "denominator", "rate"]].isna().all(axis=None)


def test_the_threshold_cannot_be_lowered(simulated):
    with pytest.raises(EstimationError, match="below 11"):
        _tables(simulated, simulated.referral, minimum_members=10)
    with pytest.raises(EstimationError, match="no tie between two organizations"):
        _tables(simulated, simulated.referral, minimum_members=100_000)


def test_the_planted_coordinator_is_found_and_its_counties_fall_apart(simulated):
    network = referral_network(simulated.referral, as_of=DAY, minimum_members=11)
    assert main_broker(network) == simulated.coordinator
    whole = _tables(simulated, simulated.referral)["referral_network"].to_frame()
    cells = whole.set_index(["network", "measure"])["numerator"]
    assert cells[("with_coordinator", "components")] == 1
    assert cells[("without_coordinator", "components")] == simulated.n_counties
    per_county = 8 * 7 / 2
    assert cells[("without_coordinator", "others_connected")] == simulated.n_counties * per_county
    assert set(whole["taken_out"]) == {"nobody", "Valley Care Coordination"}


def test_a_coordinator_named_by_the_study_is_taken_out(simulated):
    tables = _tables(simulated, simulated.referral, coordinator="O00001")
    assert "named by the study" in tables["referral_network"].notes[0]
    with pytest.raises(EstimationError, match="`coordinator`"):
        _tables(simulated, simulated.referral, coordinator="nobody")


def test_plans_are_a_type_of_their_own_and_shared_names_carry_their_id(simulated):
    organization = simulated.organization.assign(organization_name="Same Name")
    listed = organization[organization["organization_id"] != "O00001"]
    tables = network_tables(simulated.referral, listed, as_of=DAY)
    keys = tables["referral_network_organizations"].keys
    assert set(keys.loc[keys["organization"] == "O00001", "organization_type"]) == {"plan"}
    assert "Same Name (O00000)" in set(keys["organization"])
    assert "referral_network_by_race" not in tables


def test_ties_are_held_against_the_year_before(simulated):
    ends = ["from_organization_id", "to_organization_id"]
    earlier = _without_small(simulated)
    dropped = earlier[ends].drop_duplicates().iloc[0]
    is_dropped = (earlier[ends] == dropped).all(axis=1)
    earlier = earlier[~is_dropped].assign(
        referral_id=lambda f: "E" + f["referral_id"],
        referred_date=lambda f: f["referred_date"] - pd.DateOffset(years=1),
    )
    both = pd.concat([simulated.referral, earlier], ignore_index=True)
    tables = _tables(simulated, both)
    counts = tables["referral_network_stability"].to_frame().set_index("tie")["numerator"]
    n = len(simulated.large_ties)
    assert counts.to_dict() == {"kept": n - 1, "created": 1, "dissolved": 0}


def test_each_groups_network_is_of_ties_with_eleven_of_its_members(simulated):
    by_race = _tables(simulated, simulated.referral)["referral_network_by_race"].to_frame()
    race = simulated.person.set_index("member_id")["race_ethnicity"]
    of = simulated.referral.assign(group=simulated.referral["member_id"].map(race))
    for group in ("hispanic", "asian"):
        expected = (_sizes(of[of["group"] == group]) >= 11).sum()
        row = by_race[(by_race["race_ethnicity"] == group) & (by_race["measure"] == "ties")]
        assert row["numerator"].to_list() == [expected]
        assert row["denominator"].to_list() == [len(simulated.large_ties)]


def test_numbers_for_ids_change_no_table(simulated):
    ids = sorted(simulated.organization["organization_id"])
    number = {name: k for k, name in enumerate(ids)}
    ends = ["from_organization_id", "to_organization_id"]
    text = simulated.referral[simulated.referral[ends].isin(ids).all(axis=1)]
    roster = simulated.organization
    whole = text.assign(**{c: text[c].map(number) for c in ends})
    coded = roster.assign(organization_id=roster["organization_id"].map(number))
    here = network_tables(text, roster, as_of="2024-12-31")["referral_network_mixing"]
    there = network_tables(whole, coded, as_of="2024-12-31")["referral_network_mixing"]
    cells = [t.to_frame().set_index(["grouping", "group"])["numerator"] for t in (here, there)]
    pd.testing.assert_series_equal(*cells)
    assert "plan" not in set(there.keys["group"])


def test_numbers_for_ids_find_their_group_and_their_answer():
    tie = pd.DataFrame(
        {
            "wave_date": "2024-07-01",
            "from_organization_id": [1, 2, 3],
            "to_organization_id": [2, 3, 1],
            "tie_type": "data",
        }
    )
    network = survey_network(tie, wave="2024-07-01", tie_type="data", answered=[1, 2])
    assert network.has_answered.tolist() == [True, True, False]
    assert brokerage_roles(network, {1: "a", 2: "a", 3: "b"}).group.tolist() == ["a", "a", "b"]
    assert network.without(2).organizations.tolist() == ["1", "3"]
