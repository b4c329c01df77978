from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight

from calaim_eval.errors import EstimationError
from calaim_eval.integration import time_to_service
from calaim_eval.tables import RowLedger

AS_OF = pd.Timestamp("2024-12-31")


def _referrals(n: int = 400, seed: int = 1, per_member: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    referred = pd.Timestamp("2024-07-01") + pd.to_timedelta(rng.integers(0, 180, n), "D")
    start = pd.Series(referred + pd.to_timedelta(rng.integers(0, 150, n), "D"))
    exit_ = pd.Series(referred + pd.to_timedelta(rng.integers(1, 150, n), "D"))
    is_start, is_exit = (start < exit_) & (start <= AS_OF), (exit_ <= start) & (exit_ <= AS_OF)
    return pd.DataFrame(
        {
            "referral_id": [f"r{i}" for i in range(n)],
            "member_id": [f"m{i // per_member}" for i in range(n)],
            "service": "ecm",
            "referred_date": referred,
            "service_started_date": start.where(is_start),
            "closed_date": exit_.where(is_exit),
            "referral_status": np.where(is_exit, "closed", "accepted"),
            "closure_reason": np.where(is_exit, "unable_to_reach", None),
        }
    )


def _person(rows: pd.DataFrame) -> pd.DataFrame:
    members = rows["member_id"].unique()
    return pd.DataFrame(
        {
            "member_id": members,
            "race_ethnicity": np.where(np.arange(len(members)) % 3 == 0, "black", "white"),
        }
    )


def test_points_and_standard_errors_equal_statsmodels():
    rows = _referrals()
    table = time_to_service(rows, as_of=AS_OF)
    end = rows["service_started_date"].fillna(rows["closed_date"]).fillna(AS_OF)
    duration = (end - rows["referred_date"]).dt.days.to_numpy(dtype=float)
    cause = np.select(
        [rows["service_started_date"].notna(), rows["closed_date"].notna()], [1, 2], default=0
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        other = CumIncidenceRight(duration, cause)
    at = np.searchsorted(other.times, [30, 60, 90], side="right") - 1
    np.testing.assert_allclose(table.estimate[:3], other.cinc[0][at], atol=1e-12)
    np.testing.assert_allclose(table.estimate[3:], other.cinc[1][at], atol=1e-12)
    np.testing.assert_allclose(table.std_error[:3], other.cinc_se[0][at], rtol=1e-6)
    assert list(table.keys.columns) == ["outcome", "days"]
    assert not table.estimand.is_causal


def test_copies_of_a_members_referral_do_not_narrow_the_error():
    rows = _referrals(60)
    copies = pd.concat([rows.assign(referral_id=rows["referral_id"] + f"-{k}") for k in range(4)])
    np.testing.assert_allclose(
        time_to_service(copies, as_of=AS_OF).covariance,
        time_to_service(rows, as_of=AS_OF).covariance,
        atol=1e-14,
    )


def test_groups_alone_and_jointly_are_the_same_and_independent():
    rows = _referrals()
    person = _person(rows)
    joint = time_to_service(rows, as_of=AS_OF, by="race_ethnicity", person=person)
    black_ids = person.loc[person["race_ethnicity"] == "black", "member_id"]
    alone = time_to_service(rows[rows["member_id"].isin(black_ids)], as_of=AS_OF)
    is_black = (joint.keys["race_ethnicity"] == "black").to_numpy()
    is_white = (joint.keys["race_ethnicity"] == "white").to_numpy()
    np.testing.assert_allclose(joint.estimate[is_black], alone.estimate)
    np.testing.assert_allclose(
        joint.covariance[np.ix_(is_black, is_black)], alone.covariance, atol=1e-15
    )
    assert not joint.covariance[np.ix_(is_black, is_white)].any()


def test_groups_of_services_share_members_and_covary():
    rows = _referrals(per_member=2)
    rows["service"] = np.where(np.arange(len(rows)) % 2, "ecm", "housing_deposits")
    joint = time_to_service(rows, as_of=AS_OF, by="service")
    of = {s: (joint.keys["service"] == s).to_numpy() for s in ("ecm", "housing_deposits")}
    assert joint.covariance[np.ix_(of["ecm"], of["housing_deposits"])].any()


def test_an_empty_group_is_a_row_without_a_value():
    rows = _referrals()
    person = _person(rows)
    person.loc[len(person)] = ["nobody", "nhpi"]
    table = time_to_service(rows, as_of=AS_OF, by="race_ethnicity", person=person)
    nhpi = (table.keys["race_ethnicity"] == "nhpi").to_numpy()
    assert np.isnan(table.estimate[nhpi]).all()
    assert (table.support.loc[nhpi, "n_members"] == 0).all()
    assert table.notes
    others = table.keys["race_ethnicity"].isin(["all", "black", "white"]).to_numpy()
    assert np.isfinite(table.covariance[np.ix_(others, others)]).all()


def test_a_group_without_events_has_no_error_and_no_contrast():
    rows = _referrals(60)
    person = _person(rows)
    is_black = rows["member_id"].map(person.set_index("member_id")["race_ethnicity"]) == "black"
    rows.loc[is_black, ["service_started_date", "closed_date"]] = pd.NaT
    table = time_to_service(rows, as_of=AS_OF, by="race_ethnicity", person=person)
    start = table.select(
        ((table.keys["outcome"] == "service_started") & (table.keys["days"] == 30)).to_numpy()
    )
    groups = start.keys["race_ethnicity"].tolist()
    black, white = groups.index("black"), groups.index("white")
    assert start.estimate[black] == 0
    assert np.isnan(start.std_error[black])
    assert np.isfinite(start.std_error[white])
    weights = np.zeros((1, len(groups)))
    weights[0, [black, white]] = 1, -1
    gap = start.combine(weights, keys=pd.DataFrame({"gap": ["black - white"]}))
    assert np.isfinite(gap.estimate).all()
    assert np.isnan(gap.std_error).all()
    assert any("ended alike" in note for note in table.notes)


def test_support_counts_members_events_and_months():
    rows = pd.DataFrame(
        {
            "referral_id": ["a", "b", "c"],
            "member_id": ["m1", "m1", "m2"],
            "service": "ecm",
            "referred_date": "2024-01-01",
            "service_started_date": ["2024-01-11", None, None],
            "closed_date": [None, "2024-01-21", None],
            "referral_status": ["accepted", "closed", "pending"],
            "closure_reason": [None, "died", None],
        }
    )
    table = time_to_service(rows, as_of="2024-12-31", horizon_days=[30])
    assert table.support["n_members"].tolist() == [2, 2]
    assert table.support["n_events"].tolist() == [1, 1]
    np.testing.assert_allclose(table.support["member_months"], (10 + 20 + 30) / (365.25 / 12))
    np.testing.assert_allclose(table.estimate, [1 / 3, 1 / 3])


def test_received_without_a_start_counts_at_the_day_it_closed():
    rows = _referrals(1).assign(
        referred_date="2024-07-01",
        service_started_date=None,
        closed_date="2024-08-15",
        referral_status="closed",
        closure_reason="services_received",
    )
    table = time_to_service(rows, as_of=AS_OF)
    assert table.estimate[:3].tolist() == [0, 1, 1]


def test_unusable_dates_are_counted():
    rows = _referrals(3).assign(
        referred_date="2024-07-01",
        service_started_date=["2024-06-30", "2024-07-09", None],
        closed_date=None,
        referral_status=["accepted", "accepted", "closed"],
        closure_reason=None,
    )
    ledger = RowLedger()
    time_to_service(rows, as_of=AS_OF, ledger=ledger)
    ledger.check("referral", "time_to_service", 3)
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["service started before the referral"] == 1
    assert counts["closed on a day that was not recorded"] == 1
    assert counts["used"] == 1


def test_wrong_horizons():
    for days in ([], [0], [30, -1]):
        with pytest.raises(EstimationError, match="`horizon_days`"):
            time_to_service(_referrals(3), as_of=AS_OF, horizon_days=days)
