"""One small simulated study for all tests of the room."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.simulate import SimulatedStudy, simulate_medi_cal

from .simulated_files import MEMBERS, raw


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> SimulatedStudy:
    """A study large enough for every kind of row to appear."""
    return simulate_medi_cal(tmp_path_factory.mktemp("simulated"), members=MEMBERS, seed=7)


@pytest.fixture(scope="session")
def member(study: SimulatedStudy) -> pd.DataFrame:
    return study.truth_frame("member")


@pytest.fixture(scope="session")
def identified(study: SimulatedStudy) -> pd.DataFrame:
    return study.truth_frame("identified_member_month")


@pytest.fixture(scope="session")
def eligibility(study: SimulatedStudy) -> pd.DataFrame:
    return raw(study, "eligibility")


@pytest.fixture(scope="session")
def person(study: SimulatedStudy) -> pd.DataFrame:
    return raw(study, "person")


@pytest.fixture(scope="session")
def claims(study: SimulatedStudy) -> pd.DataFrame:
    return raw(study, "medical_claim")


@pytest.fixture(scope="session")
def final_claims(claims: pd.DataFrame) -> pd.DataFrame:
    """Lines that stand, by a plain rule written only here."""
    lines = claims.drop_duplicates().copy()
    for column in (
        "hcpcs_code",
        "hcpcs_modifier_1",
        "revenue_center_code",
        "place_of_service_code",
    ):
        lines[column] = lines[column].str.strip().str.upper()
    bill = lines["bill_type_code"].fillna("")
    is_void = (lines["claim_status"] == "void") | bill.str.endswith("8")
    cancelled = set(
        lines.loc[is_void | (lines["claim_status"] == "replacement"), "original_claim_id"]
    )
    gone = is_void | (lines["claim_status"] == "denied") | lines["claim_id"].isin(cancelled)
    return lines[~gone]


@pytest.fixture(scope="session")
def covered_months(eligibility: pd.DataFrame, person: pd.DataFrame) -> pd.DataFrame:
    """Member, month, covered days and flags, from spans day by day."""
    spans = eligibility[eligibility["payer_type"].fillna("medicaid") == "medicaid"]
    death = person.drop_duplicates("member_id").set_index("member_id")["death_date"]
    first, last = pd.Timestamp("2021-01-01"), pd.Timestamp("2024-12-31")
    days = pd.date_range(first, last)
    names = sorted(set(spans["member_id"]))
    row_of = {name: row for row, name in enumerate(names)}
    covered = np.zeros((len(names), len(days)), dtype=bool)
    is_full, is_dual = np.zeros_like(covered), np.zeros_like(covered)
    for span in spans.itertuples():
        end = last if pd.isna(span.enrollment_end_date) else span.enrollment_end_date
        end = min(pd.Timestamp(end), last)
        end = end if pd.isna(death[span.member_id]) else min(end, death[span.member_id])
        start = max(pd.Timestamp(span.enrollment_start_date), first)
        here = slice((start - first).days, max((end - first).days + 1, 0))
        row = row_of[span.member_id]
        covered[row, here] = True
        is_full[row, here] |= span.benefit_scope != "limited"
        is_dual[row, here] |= span.dual_status_code != "00"
    row, day = np.nonzero(covered)
    frame = pd.DataFrame(
        {
            "member_id": np.array(names, dtype=object)[row],
            "month": days.to_period("M").to_timestamp()[day],
            "covered_days": 1,
            "is_full_scope": is_full[row, day],
            "is_dual": is_dual[row, day],
        }
    )
    how = {"covered_days": "sum", "is_full_scope": "max", "is_dual": "max"}
    return frame.groupby(["member_id", "month"]).agg(how).reset_index()
