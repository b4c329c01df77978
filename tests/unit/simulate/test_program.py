"""Eligibility, enrollment and delivery: rules of the real program hold in the simulated one."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from calaim_eval.simulate import SimulatedStudy
from calaim_eval.simulate.parameters import load_parameters, read_codes

from .simulated_files import MEMBERS, raw


def within(share: float, expected: float, n: int, *, errors: float = 4.0) -> bool:
    """Whether an observed share is within so many standard errors."""
    return abs(share - expected) < errors * np.sqrt(expected * (1 - expected) / n)


def test_nobody_is_served_before_ecm_is_live_in_the_county(member: pd.DataFrame):
    served = member.dropna(subset=["service_month"])
    stayed = served.groupby("ecm_phase")["service_month"].min()
    assert stayed[1] == pd.Timestamp("2022-01-01")
    moved_free = served[served["ecm_phase"] == 2]["service_month"].min()
    assert moved_free >= pd.Timestamp("2022-02-01")


def test_service_is_at_least_a_month_after_listing(member: pd.DataFrame):
    served = member.dropna(subset=["service_month"])
    assert (served["service_month"] > served["eligibility_month"]).all()
    reached = member.dropna(subset=["outreach_month"])
    assert (reached["outreach_month"] >= reached["eligibility_month"]).all()


def test_carry_over_members_live_where_a_predecessor_ran(member: pd.DataFrame):
    carried = member[member["is_carry_over"]]
    rows = pd.DataFrame(read_codes("county"))
    ran = rows[(rows["ecm_phase"] == "1") & ((rows["wpc_pilot"] == "1") | (rows["hhp"] == "1"))]
    assert len(carried) > 10
    assert set(carried["county"]) <= set(ran["county"])
    assert (carried["service_month"] == pd.Timestamp("2022-01-01")).all()
    assert (carried["eligibility_month"] == pd.Timestamp("2021-12-01")).all()


def test_high_use_members_had_five_ed_visits_in_six_months(
    member: pd.DataFrame, identified: pd.DataFrame
):
    route = member[member["is_high_ed_use_route"]].dropna(subset=["eligibility_month"])
    rows = identified.merge(route[["member_id", "eligibility_month"]], on="member_id")
    start = rows["eligibility_month"] - pd.DateOffset(months=6)
    window = rows[(rows["month"] >= start) & (rows["month"] < rows["eligibility_month"])]
    visits = (
        window.groupby("member_id")["ed_visits"].sum().reindex(route["member_id"], fill_value=0)
    )
    assert len(route) > 40
    assert (visits >= 5).all()


def test_children_are_listed_only_when_their_populations_are_live(member: pd.DataFrame):
    children = member[member["population_of_focus"].isin(["7", "8"])].dropna(
        subset=["eligibility_month"]
    )
    assert (children["eligibility_month"] >= pd.Timestamp("2023-07-01")).all()


def test_use_falls_after_listing_without_any_program(
    member: pd.DataFrame, identified: pd.DataFrame
):
    """Regression to the mean: the trap a pre/post comparison falls into."""
    never = member[member["service_month"].isna()]
    rows = identified.merge(never[["member_id", "eligibility_month"]], on="member_id")
    gap = (rows["month"].dt.year - rows["eligibility_month"].dt.year) * 12
    gap = gap + rows["month"].dt.month - rows["eligibility_month"].dt.month
    before = rows.loc[gap.between(-6, -1), "ed_visits"].mean()
    after = rows.loc[gap.between(0, 5), "ed_visits"].mean()
    assert before > 1.5 * after


def test_enrolled_members_use_more_than_listed_members_who_are_not(member: pd.DataFrame):
    listed = member.dropna(subset=["eligibility_month"])
    listed = listed[~listed["is_carry_over"]]
    level = listed.groupby(listed["service_month"].notna())["persistent_use"].mean()
    assert level[True] > 1.15 * level[False]


def test_shares_are_within_monte_carlo_error(member: pd.DataFrame, person: pd.DataFrame):
    parameters = load_parameters()
    groups = parameters.groups("race_weight")
    for group, share in zip(groups, parameters.shares("race_weight"), strict=True):
        assert within((member["race_ethnicity"] == group).mean(), share, MEMBERS), group
    missing = member["recorded_race_ethnicity"].isin(["unknown", "declined"]).mean()
    assert within(missing, parameters.value("race_missing_share"), MEMBERS)
    people = person.drop_duplicates()
    assert within((people["sex"] == "female").mean(), parameters.value("female_share"), MEMBERS)
    listed = member["eligibility_month"].notna().mean()
    assert 0.11 < listed < 0.17


def test_race_is_missing_more_often_for_hispanic_and_low_contact_members(study: SimulatedStudy):
    big = study.truth_frame("member")
    missing = big["recorded_race_ethnicity"].isin(["unknown", "declined"])
    by_group = missing.groupby(big["race_ethnicity"] == "hispanic").mean()
    assert by_group[True] > by_group[False]
    low = big["persistent_use"] < big["persistent_use"].median()
    assert missing[low].mean() > missing[~low].mean()


def test_parameters_repeat_the_published_and_assumed_values():
    """The numbers taken from the code list are the code list's."""
    rows = {
        (r["parameter"], r["group_or_scope"]): r["value"] for r in read_codes("medi_cal_parameters")
    }
    parameters = load_parameters()
    text = next(g for (p, g) in rows if p == "ED visits per 1,000 member-months")
    names = {
        "Black": "black",
        "AI/AN": "aian",
        "White": "white",
        "Latino": "hispanic",
        "Asian": "asian",
    }
    for part in text.split("(")[0].split(","):
        label, value = part.strip().rsplit(" ", 1)
        if label in names:
            assert parameters.value("ed_visits_per_1000", names[label]) == float(value)
    assert parameters.value("female_share") == float(rows["sex", "female"])
    assert parameters.value("dual_share") == float(rows["dual", "share"])


def test_every_parameter_says_where_it_is_from():
    rows = load_parameters().rows
    assert {row["status"] for row in rows} == {"verified", "assumption"}
    assert all(row["unit"] for row in rows)
    verified = [row for row in rows if row["status"] == "verified"]
    assert all(row["source"] for row in verified)
    assert len({(row["parameter"], row["group"]) for row in rows}) == len(rows)


def test_modifiers_sit_in_every_slot_and_decide_the_service(claims: pd.DataFrame):
    ecm = claims[claims["hcpcs_code"].isin(["G9008", "G9012"])]
    for slot in range(1, 6):
        assert ecm[f"hcpcs_modifier_{slot}"].isin(["U1", "U2", "U8"]).any(), slot
    shared = claims[claims["hcpcs_code"].isin(["H0043", "S5165", "T2038"])]
    slots = [f"hcpcs_modifier_{i}" for i in range(1, 6)]
    marks = shared.melt("hcpcs_code", slots, value_name="mark")
    marks = marks[marks["mark"].isin(["U3", "U4", "U5", "U6"])]
    assert marks.groupby("hcpcs_code")["mark"].nunique().max() > 1
    assert (claims["hcpcs_code"] == "H0014").any()


def test_mileage_never_comes_without_its_trip(final_claims: pd.DataFrame):
    miles = final_claims[final_claims["hcpcs_code"] == "A0425"]
    base = final_claims[final_claims["hcpcs_code"].isin(["A0427", "A0429", "A0433"])]
    assert set(miles["claim_id"]) <= set(base["claim_id"])


def test_interim_bills_and_transfers_are_there(claims: pd.DataFrame):
    bills = set(claims["bill_type_code"].dropna())
    assert {"112", "113", "114", "111", "131", "0131", "771"} <= bills
    assert {"30", "02", "07"} <= set(claims["discharge_disposition_code"].dropna())


def test_referrals_have_chains_competing_endings_and_open_ones(study: SimulatedStudy):
    referrals = raw(study, "referral")
    is_root = referrals["referral_id"] == referrals["root_referral_id"]
    assert is_root.sum() == study.injected["referral_roots"]
    assert (~is_root).sum() == study.injected["referral_children"] > 0
    assert set(referrals["root_referral_id"]) <= set(referrals.loc[is_root, "referral_id"])
    closed = referrals["referral_status"] == "closed"
    assert (referrals["closed_date"].notna() == closed).all()
    assert (referrals["closure_reason"].notna() == closed).all()
    received = referrals["closure_reason"] == "services_received"
    assert referrals.loc[received, "service_started_date"].notna().all()
    assert referrals["closure_reason"].nunique() >= 5
    assert (~closed).any()
    steps = [
        "referred_date",
        "accepted_date",
        "reached_date",
        "service_started_date",
        "closed_date",
    ]
    for earlier, later in itertools.pairwise(steps):
        both = referrals.dropna(subset=[earlier, later])
        assert (both[earlier] <= both[later]).all(), (earlier, later)


def test_organizations_and_contracts(study: SimulatedStudy):
    organizations, contracts = raw(study, "organization"), raw(study, "contract")
    differs = (
        organizations["coder_1_organization_type"] != organizations["coder_2_organization_type"]
    )
    assert 0.02 < differs.mean() < 0.3
    assert "out_of_state" in set(organizations["headquarters_county"])
    assert organizations["npi"].str.match(r"^9\d{9}$").all()
    assert set(organizations["organization_type"]) == {
        "cbo",
        "clinic",
        "hospital",
        "county_agency",
        "tribal",
        "for_profit",
        "unknown",
    }
    cbos = organizations.loc[organizations["organization_type"] == "cbo", "organization_id"]
    ecm = contracts[(contracts["service"] == "ecm") & contracts["organization_id"].isin(cbos)]
    assert ecm["county"].nunique() == 58
    served = set(raw(study, "program_service")["organization_id"].dropna())
    assert (~contracts["organization_id"].isin(served)).any()


def test_plan_identities_change_in_2024_where_the_model_did(eligibility: pd.DataFrame):
    changed = {row["county"] for row in read_codes("county") if row["model_changed_2024"] == "1"}
    spans = eligibility[eligibility["payer_type"].fillna("medicaid") == "medicaid"]
    spans = spans[spans["county"].isin(changed)]
    old = spans[spans["enrollment_start_date"] < "2024-01-01"]
    new = spans[spans["enrollment_start_date"] >= "2024-01-01"]
    assert set(old["plan"]).isdisjoint(set(new["plan"]))
    ends = old["enrollment_end_date"].dropna()
    assert (ends[ends < pd.Timestamp("2100-01-01")] <= pd.Timestamp("2023-12-31")).mean() > 0.99
