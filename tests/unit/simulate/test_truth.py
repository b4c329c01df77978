"""The truth against the files, by rules short enough to read and written only here."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from calaim_eval.simulate import SimulatedStudy
from calaim_eval.simulate.parameters import load_parameters

from .simulated_files import raw

MONTHS = pd.period_range("2021-01", "2024-12", freq="M").to_timestamp()


@pytest.fixture(scope="module")
def by_month(study: SimulatedStudy) -> pd.DataFrame:
    """Use by month over all scopes."""
    return study.truth_frame("use_by_month").groupby("month").sum(numeric_only=True)


def monthly(
    events: pd.DataFrame, covered: pd.DataFrame, date: str, value: str | None = None
) -> pd.Series:
    """Events of covered months by month."""
    month = pd.to_datetime(events[date]).dt.to_period("M").dt.to_timestamp()
    kept = events.assign(month=month).merge(
        covered[["member_id", "month"]], on=["member_id", "month"]
    )
    grouped = kept.groupby("month")
    counts = grouped.size() if value is None else grouped[value].sum()
    return counts.reindex(MONTHS, fill_value=0)


def test_member_months_and_covered_days(study: SimulatedStudy, covered_months: pd.DataFrame):
    keys = ["month", "is_full_scope", "is_dual"]
    grouped = covered_months.groupby(keys)
    ours = pd.DataFrame(
        {"n_members": grouped.size(), "covered_days": grouped["covered_days"].sum()}
    )
    truth = study.truth_frame("use_by_month").set_index(keys)[["n_members", "covered_days"]]
    truth = truth[truth["n_members"] > 0]
    pd.testing.assert_frame_equal(ours, truth, check_dtype=False, check_index_type=False)


def test_ed_visits(
    by_month: pd.DataFrame, final_claims: pd.DataFrame, covered_months: pd.DataFrame
):
    lines = final_claims
    facility = lines["revenue_center_code"].isin(["0450", "0981"]) & lines["admission_date"].isna()
    has_facility = lines[facility].drop_duplicates(["member_id", "claim_start_date"])
    doctor = lines[lines["place_of_service_code"] == "23"]
    known = set(zip(has_facility["member_id"], has_facility["claim_start_date"], strict=True))
    day = pd.Timedelta(days=1)
    alone = [
        (member, start) not in known and (member, start - day) not in known
        for member, start in zip(doctor["member_id"], doctor["claim_start_date"], strict=True)
    ]
    visits = pd.concat([has_facility, doctor[alone]]).drop_duplicates(
        ["member_id", "claim_start_date"]
    )
    ours = monthly(visits, covered_months, "claim_start_date")
    assert ours.tolist() == by_month["ed_visits_in_extract"].tolist()


def test_stays_and_days(
    by_month: pd.DataFrame, final_claims: pd.DataFrame, covered_months: pd.DataFrame
):
    bills = final_claims[final_claims["admission_date"].notna()]
    stays, nights = [], []
    for member, rows in bills.sort_values("claim_start_date").groupby("member_id"):
        episodes: list[list[pd.Timestamp]] = []
        for start, end in zip(rows["claim_start_date"], rows["claim_end_date"], strict=True):
            if episodes and start <= episodes[-1][1] + pd.Timedelta(days=1):
                episodes[-1][1] = max(episodes[-1][1], end)
            else:
                episodes.append([start, end])
        for start, end in episodes:
            stays.append((member, start))
            last = max(end - pd.Timedelta(days=1), start)
            nights += [(member, day) for day in pd.date_range(start, last)]
    for rows, name in ((stays, "inpatient_stays"), (nights, "inpatient_days")):
        events = pd.DataFrame(rows, columns=["member_id", "day"])
        ours = monthly(events, covered_months, "day")
        assert ours.tolist() == by_month[f"{name}_in_extract"].tolist()


def test_outpatient_visits_trips_and_payments(
    by_month: pd.DataFrame, final_claims: pd.DataFrame, covered_months: pd.DataFrame
):
    code, revenue = final_claims["hcpcs_code"], final_claims["revenue_center_code"]
    clinic = code.str.match(r"^(9920[2-5]|9921[1-5]|T1015)$", na=False) | (revenue == "0521")
    visits = final_claims[clinic].drop_duplicates(
        ["member_id", "rendering_npi", "claim_start_date"]
    )
    trips = final_claims[code.isin(["A0427", "A0429", "A0433"])]
    trips = trips.drop_duplicates(["member_id", "claim_start_date"])
    ours = monthly(visits, covered_months, "claim_start_date")
    assert ours.tolist() == by_month["outpatient_visits_in_extract"].tolist()
    ours = monthly(trips, covered_months, "claim_start_date")
    assert ours.tolist() == by_month["ambulance_trips_in_extract"].tolist()
    paid = monthly(final_claims, covered_months, "claim_line_start_date", "paid_amount")
    np.testing.assert_allclose(paid, by_month["paid_usd_in_extract"], atol=0.005)


def test_jail_days(study: SimulatedStudy, by_month: pd.DataFrame, covered_months: pd.DataFrame):
    spells = raw(study, "custody").drop_duplicates()
    release = spells["release_date"].fillna(pd.Timestamp("2024-12-31"))
    days = [
        (member, day)
        for member, start, end in zip(
            spells["member_id"], spells["booking_date"], release, strict=True
        )
        for day in pd.date_range(start, end)
    ]
    ours = monthly(pd.DataFrame(days, columns=["member_id", "day"]), covered_months, "day")
    assert ours.tolist() == by_month["jail_days"].tolist()


def test_pharmacy_payments(
    study: SimulatedStudy, by_month: pd.DataFrame, covered_months: pd.DataFrame
):
    fills = raw(study, "pharmacy_claim")
    paid = monthly(fills, covered_months, "dispensing_date", "paid_amount")
    np.testing.assert_allclose(paid, by_month["pharmacy_usd_in_extract"], atol=0.005)


def test_injected_claims_add_up(study: SimulatedStudy, claims: pd.DataFrame):
    counts = study.injected
    extra = (
        "claim_lines_replaced",
        "claim_lines_voided",
        "claim_lines_void",
        "claim_lines_denied",
        "claim_lines_outside_coverage",
        "claim_lines_before_window",
        "claim_lines_of_unknown_member",
        "claim_lines_void_without_original",
        "claim_lines_duplicated",
    )
    total = counts["claim_lines_true_in_extract"] + sum(counts[name] for name in extra)
    assert total == counts["claim_lines_written"] == len(claims)
    assert all(counts[name] > 0 for name in (*extra, "claim_lines_paid_after_extract"))
    lost = counts["claim_lines_true"] - counts["claim_lines_true_in_extract"]
    assert lost == counts["claim_lines_paid_after_extract"]


def test_injected_counts_are_seen_in_the_files(
    study: SimulatedStudy, claims: pd.DataFrame, eligibility: pd.DataFrame, member: pd.DataFrame
):
    counts, lines = study.injected, claims.drop_duplicates()
    assert (lines["claim_status"] == "denied").sum() == counts["claim_lines_denied"]
    by_bill = lines["claim_status"].isna() & lines["bill_type_code"].fillna("").str.endswith("8")
    voids = (lines["claim_status"] == "void") | by_bill
    expected = counts["claim_lines_void"] + counts["claim_lines_void_without_original"]
    assert voids.sum() == expected
    assert by_bill.sum() > 0
    strangers = ~lines["member_id"].isin(member["member_id"])
    assert strangers.sum() == counts["claim_lines_of_unknown_member"]
    assert eligibility.duplicated().sum() == counts["span_duplicated"]
    ends = eligibility[eligibility["payer_type"].fillna("medicaid") == "medicaid"].drop_duplicates()
    assert (
        (ends["enrollment_end_date"] == pd.Timestamp("9999-12-31")).sum()
        >= counts["span_open_9999"]
        > 0
    )
    recorded_late = (
        eligibility["recorded_date"] - eligibility["enrollment_start_date"]
    ).dt.days > 31
    assert recorded_late.sum() >= counts["span_retroactive"] > 0


def test_months_of_the_course_are_the_first_records(study: SimulatedStudy, member: pd.DataFrame):
    records = raw(study, "program_service")
    records = records[records["program"] == "ecm"].assign(
        month=lambda r: r["record_date"].dt.to_period("M").dt.to_timestamp()
    )
    first = records.groupby(["record_type", "member_id"])["month"].min()
    truth = member.set_index("member_id")
    listed = truth["eligibility_month"].dropna().sort_index()
    assert first["identified"].sort_index().tolist() == listed.tolist()
    reached = truth["outreach_month"].dropna().sort_index()
    assert first["outreach"].sort_index().tolist() == reached.tolist()
    served = first["service"]
    assert (truth.loc[served.index, "service_month"] == served).all()
    assert served.size >= 0.85 * truth["service_month"].notna().sum()


def test_members_without_a_service_record_are_seen_in_claims(
    study: SimulatedStudy, member: pd.DataFrame, final_claims: pd.DataFrame
):
    modifiers = final_claims[[f"hcpcs_modifier_{i}" for i in range(1, 6)]]
    is_ecm = final_claims["hcpcs_code"].isin(["G9008", "G9012"])
    is_service = modifiers.apply(lambda c: c.str.strip().str.upper()).isin(["U1", "U2"]).any(axis=1)
    contacts = final_claims[is_ecm & is_service]
    month = contacts["claim_start_date"].dt.to_period("M").dt.to_timestamp()
    first = month.groupby(contacts["member_id"]).min()
    truth = member.set_index("member_id")["service_month"].dropna()
    assert first.sort_index().tolist() == truth.sort_index().tolist()
    npi = contacts.drop_duplicates("member_id").set_index("member_id")["rendering_npi"]
    kinds = raw(study, "organization").set_index("npi")["organization_type"]
    served = member.set_index("member_id").loc[npi.index, "organization_type"]
    assert (npi.map(kinds) == served).all()


def test_effects_are_the_ratios_of_the_parameters(member: pd.DataFrame, identified: pd.DataFrame):
    parameters = load_parameters()
    rows = identified.merge(member, on="member_id").dropna(subset=["service_month"])
    rows = rows[~rows["is_carry_over"]]
    since = (rows["month"].dt.year - rows["service_month"].dt.year) * 12
    since = since + rows["month"].dt.month - rows["service_month"].dt.month
    before, steady = rows[since < 0], rows[since >= 3]
    for outcome in ("ed_visits", "inpatient_stays", "outpatient_visits"):
        with_ecm, without = f"expected_{outcome}", f"expected_{outcome}_without_ecm"
        np.testing.assert_allclose(before[with_ecm], before[without])
        ratio = steady[with_ecm] / steady[without]
        strength = steady["race_ethnicity"].map(
            lambda g: parameters.value("effect_strength_by_race", g)
        )
        cbo, other = (
            parameters.value(f"rate_ratio_{kind}", outcome) for kind in ("cbo", "not_cbo")
        )
        full = np.where(steady["is_cbo_served"], cbo, other)
        np.testing.assert_allclose(ratio, full**strength, rtol=1e-12)


def test_realized_effect_is_within_monte_carlo_error_of_the_expected_one(study: SimulatedStudy):
    effects = study.truth_frame("effects")
    row = effects[(effects["by"] == "overall") & (effects["population"] == "onset")]
    for outcome in ("ed_visits", "inpatient_stays", "outpatient_visits"):
        one = row[row["outcome"] == outcome].iloc[0]
        gap = one["realized_with"] - one["expected_with"]
        assert abs(gap) < 4 * np.sqrt(one["expected_with"]) + 1
        removed = one["realized_without"] - one["realized_with"]
        expected = one["expected_without"] - one["expected_with"]
        assert abs(removed - expected) < 4 * np.sqrt(abs(expected)) + 1


def test_strata_of_the_effects_add_up_to_the_whole(study: SimulatedStudy):
    effects = study.truth_frame("effects")
    sums = effects.groupby(["by", "population", "outcome"])[
        ["realized_with", "member_months"]
    ].sum()
    for _, group in sums.groupby(["population", "outcome"]):
        assert np.ptp(group["member_months"]) == 0
        assert np.ptp(group["realized_with"]) == pytest.approx(0, abs=1e-6)


def test_changes_without_ecm_do_not_depend_on_enrollment(
    member: pd.DataFrame, identified: pd.DataFrame
):
    """Difference-in-differences on the rates without ECM: nothing to find after listing."""
    rows = identified.merge(member, on="member_id")
    rows = rows[~rows["is_carry_over"] & rows["is_full_scope"] & ~rows["is_dual"]]
    number = lambda dates: dates.dt.year * 12 + dates.dt.month  # noqa: E731
    rows = rows.assign(
        t=number(rows["month"]),
        e=number(rows["eligibility_month"]),
        g=number(rows["service_month"]).fillna(10**6).astype(int),
    )
    for outcome, effect in (("ed_visits", 0.05), ("outpatient_visits", 0.12)):
        column = f"expected_{outcome}_without_ecm"
        found, weight = [], []
        for _, cell in rows.groupby("e"):
            for g, later in itertools.product(sorted(set(cell["g"]) - {10**6}), (1, 4, 8)):
                sides = [cell[cell["g"] == g], cell[cell["g"] > g + later]]
                means = [
                    [side.loc[side["t"] == t, column].mean() for t in (g - 1, g + later)]
                    for side in sides
                ]
                change = (means[0][1] - means[0][0]) - (means[1][1] - means[1][0])
                if not np.isnan(change):
                    found.append(change)
                    weight.append((sides[0]["t"] == g).sum())
        assert sum(weight) > 200
        assert abs(np.average(found, weights=weight)) < 0.1 * effect
