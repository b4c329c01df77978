"""Panel of a simulated Medi-Cal against the truth written beside it."""

from __future__ import annotations

import pandas as pd
import panel_oracle as oracle
import pytest

from calaim_eval.panel import build_member_months
from calaim_eval.simulate import simulate_medi_cal
from calaim_eval.tables import read_tables

MEMBERS = 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    simulate_medi_cal(folder, members=MEMBERS, seed=7)
    return folder


@pytest.fixture(scope="module")
def tables(folder, tmp_path_factory):
    work = tmp_path_factory.mktemp("tables")
    return read_tables(folder / "raw", work_dir=work, extract_date="2025-06-30")


@pytest.fixture(scope="module")
def panel(tables):
    return build_member_months(tables, first_month="2021-01", last_month="2024-12")


@pytest.fixture(scope="module")
def truth(folder):
    """True use by month of full-scope members without Medicare, as far as it is in the extract."""
    use = pd.read_parquet(folder / "truth" / "use_by_month.parquet")
    return use[use["is_full_scope"] & ~use["is_dual"]].set_index("month").sort_index()


@pytest.fixture(scope="module")
def by_month(panel):
    frame = panel.to_frame().sort_values("month")
    months = frame.groupby("month").sum(numeric_only=True)
    return months.assign(n_members=frame.groupby("month").size())


def test_coverage_is_read_back_through_every_overlap_gap_and_repeat(by_month, truth):
    for column in ("n_members", "covered_days"):
        assert by_month[column].tolist() == truth[column].tolist()


@pytest.mark.parametrize(
    "measure",
    ["inpatient_stays", "inpatient_days", "outpatient_visits", "ambulance_trips", "jail_days"],
)
def test_use_is_read_back_through_voids_replacements_and_denials(by_month, truth, measure):
    assert by_month[measure].tolist() == truth[f"{measure}_in_extract"].tolist()
    assert by_month[measure].sum() > 0


def test_dollars_are_read_back_to_the_cent(by_month, truth):
    assert by_month["paid_usd"].to_numpy() == pytest.approx(
        truth["paid_usd_in_extract"].to_numpy(), abs=0.005
    )


def test_exposure_months_are_read_back(panel, folder):
    members = pd.read_parquet(folder / "truth" / "member.parquet").set_index("member_id")
    found = panel.exposure_frame("ecm").set_index("member_id").reindex(members.index)
    pairs = {
        "eligibility_month": "identified_month",
        "outreach_month": "outreach_month",
        "service_month": "service_month",
    }
    for true, ours in pairs.items():
        expected = members[true].astype("datetime64[s]")
        assert expected.notna().sum() > 10
        pd.testing.assert_series_equal(found[ours], expected, check_names=False)
    assert found["organization_type"].fillna("").tolist() == (
        members["organization_type"].fillna("").tolist()
    )


def test_emergency_visits_are_what_the_rules_make_of_the_claims(panel, tables):
    claims = _final_lines(tables.frame("medical_claim"))
    members = {who: oracle.Member(spans=[]) for who in claims["member_id"].unique()}
    bill = claims["bill_type_code"].fillna("").str.removeprefix("0")
    is_emergency = claims["revenue_center_code"].isin(["0450", "0981"])
    facility = claims[bill.str.startswith("13") & is_emergency]
    for (who, _, place), lines in facility.groupby(["member_id", "claim_id", "facility_npi"]):
        days = [day.date() for day in lines["claim_start_date"]]
        members[who].ed_claims.append(oracle.EdClaim(place, days))
    doctor = claims[claims["place_of_service_code"].eq("23")]
    for row in doctor.itertuples():
        members[row.member_id].ed_doctor_days.append(row.claim_start_date.date())
    inpatient = claims[bill.str.startswith("11")].drop_duplicates("claim_id")
    for row in inpatient.itertuples():
        end = row.claim_end_date if pd.isna(row.discharge_date) else row.discharge_date
        start = row.claim_start_date if pd.isna(row.admission_date) else row.admission_date
        members[row.member_id].stays.append(
            oracle.Stay(row.facility_npi, start.date(), end.date(), row.discharge_disposition_code)
        )
    expected = sum(sum(oracle.ed_visits(member).values()) for member in members.values())
    assert panel.ledger.total("ed_visits", stage="events") == expected > 500


def _final_lines(claims):
    """Lines that stand, by sets of claim numbers."""
    bill = claims["bill_type_code"].fillna("").str.removeprefix("0")
    status = claims["claim_status"].fillna("original")
    is_denied = status == "denied"
    is_void = ~is_denied & ((status == "void") | bill.str.endswith("8"))
    is_new = ~is_denied & ~is_void & ((status == "replacement") | (bill.str[2:3] == "7"))
    gone = set(claims.loc[is_void | is_new, "original_claim_id"].dropna())
    # Of several replacements of one claim the last stands.
    news = claims[is_new].sort_values(["paid_date", "claim_id"])
    last = news.groupby("original_claim_id")["claim_id"].last()
    superseded = set(news["claim_id"]) - set(last)
    return claims[~is_denied & ~is_void & ~claims["claim_id"].isin(gone | superseded)]


def test_the_ledger_knows_what_was_injected(panel, folder):
    injected = pd.read_json(folder / "truth" / "injected.json", typ="series")
    ledger = panel.ledger.to_frame().set_index(["table", "stage", "reason"])["n_rows"]
    claims = ledger["medical_claim"]
    assert claims["panel", "denied"] == injected["claim_lines_denied"]
    assert claims["panel", "replaced"] == injected["claim_lines_replaced"]
    assert claims["panel", "voided"] == injected["claim_lines_voided"]
    assert claims["panel", "void record"] == (
        injected["claim_lines_void"] + injected["claim_lines_void_without_original"]
    )
    assert ledger["pharmacy_claim", "panel", "voided"] == injected["pharmacy_fills_reversed"]
