"""Counties with a coordinator: whom it serves, what it asks for, and who notices nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.integration import network_tables
from calaim_eval.simulate import SimulatedStudy, simulate_medi_cal
from calaim_eval.simulate.parameters import load_parameters, read_codes

from .simulated_files import raw


@pytest.fixture(scope="module")
def organization(study: SimulatedStudy) -> pd.DataFrame:
    return raw(study, "organization")


@pytest.fixture(scope="module")
def coordinators(organization: pd.DataFrame) -> pd.DataFrame:
    """Agencies in the market since Whole Person Care, by county."""
    entered = pd.to_datetime(organization["market_entry_date"])
    is_one = (organization["organization_type"] == "county_agency") & (entered == "2016-11-01")
    return organization[is_one].set_index("headquarters_county")


@pytest.fixture(scope="module")
def roots(study: SimulatedStudy) -> pd.DataFrame:
    referral = raw(study, "referral")
    return referral[referral["referral_id"] == referral["root_referral_id"]]


def within(share: float, expected: float, n: int) -> bool:
    """Whether an observed share is within four standard errors."""
    return abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / n)


def test_there_is_one_where_a_predecessor_of_ecm_ran(coordinators: pd.DataFrame):
    counties = pd.DataFrame(read_codes("county"))
    ran = (counties["wpc_pilot"] == "1") | (counties["hhp"] == "1")
    expected = set(counties.loc[ran & (counties["ecm_phase"] == "1"), "county"])
    assert set(coordinators.index) == expected
    assert coordinators.index.is_unique


def test_it_serves_its_share_of_members_whom_no_cbo_serves(
    study: SimulatedStudy,
    roots: pd.DataFrame,
    organization: pd.DataFrame,
    coordinators: pd.DataFrame,
):
    kinds = organization.set_index("organization_id")["organization_type"]
    ecm = roots[(roots["service"] == "ecm") & roots["county"].isin(coordinators.index)]
    others = ecm[ecm["to_organization_id"].map(kinds) != "cbo"]
    own = others["county"].map(coordinators["organization_id"]) == others["to_organization_id"]
    # It is one of the county's other providers too, so its share is a little larger.
    share = load_parameters().value("coordinator_ecm_share")
    assert len(others) > 40
    assert share - 4 * np.sqrt(share * (1 - share) / len(others)) < own.mean() < share + 0.2


def test_it_makes_its_share_of_the_requests_for_supports(
    roots: pd.DataFrame, coordinators: pd.DataFrame
):
    requests = roots[(roots["service"] != "ecm") & roots["county"].isin(coordinators.index)]
    elsewhere = roots[~roots["county"].isin(coordinators.index)]
    served = roots[roots["service"] == "ecm"].set_index("member_id")["to_organization_id"]
    coordinator = requests["county"].map(coordinators["organization_id"])
    is_elsewhere_served = requests["member_id"].map(served) != coordinator
    rest = requests[is_elsewhere_served.to_numpy()]
    own = rest["from_organization_id"] == coordinator[rest.index]
    share = load_parameters().value("coordinator_request_share")
    assert len(rest) > 200
    assert within(own.mean(), share, len(rest))
    ids = set(coordinators["organization_id"])
    moved = elsewhere[elsewhere["from_organization_id"].isin(ids)]
    assert len(moved) < 0.05 * len(elsewhere)  # of members who moved after their ECM began


def test_it_offers_ecm_only_and_to_its_own_county(
    study: SimulatedStudy, coordinators: pd.DataFrame
):
    contract = raw(study, "contract")
    own = contract[contract["organization_id"].isin(coordinators["organization_id"])]
    assert set(own["service"]) == {"ecm"}
    home = coordinators.reset_index().set_index("organization_id")["headquarters_county"]
    assert (own["organization_id"].map(home) == own["county"]).all()


def test_requests_go_on_after_the_first_months(
    study: SimulatedStudy, member: pd.DataFrame, roots: pd.DataFrame
):
    """Further requests a year of members listed: those that find a provider while covered."""
    listed = member.set_index("member_id")["eligibility_month"]
    asked = roots[roots["service"] != "ecm"]
    start = asked["member_id"].map(listed).clip(lower=pd.Timestamp("2022-01-01"))
    months = (pd.to_datetime(asked["referred_date"]).dt.to_period("M").astype("int64")) - (
        start.dt.to_period("M").astype("int64")
    )
    assert (months >= 0).all()
    first = listed.dropna().clip(lower=pd.Timestamp("2022-01-01")).dt.to_period("M")
    years = np.maximum(pd.Period("2024-12").ordinal + 1 - first.astype("int64") - 3, 0).sum() / 12
    expected = years * load_parameters().value("community_support_later_requests_per_year")
    n_later = int((months >= 3).sum())
    assert 0.6 * expected < n_later < expected + 4 * np.sqrt(expected)


@pytest.mark.slow
def test_the_network_of_the_demonstration_has_ties_that_may_be_shown(tmp_path):
    study = simulate_medi_cal(tmp_path / "demo", members=20_000)
    tables = network_tables(raw(study, "referral"), raw(study, "organization"), as_of="2024-12-31")
    ties = tables["referral_network_ties"].to_frame()
    assert len(ties) >= 8
    senders = ties["from_organization"].value_counts()
    assert senders.iloc[0] >= 4  # a coordinator with several partners
