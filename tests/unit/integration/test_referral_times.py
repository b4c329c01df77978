"""Referrals by what became of them within some days: counts that stand for the curves."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError
from calaim_eval.integration import referral_closure, time_to_service
from calaim_eval.integration.referral_times import referral_times

AS_OF = "2024-12-31"


def referrals(rows):
    """One referral a row: days to start, days to closing, closed how; member m0, m1 ..."""
    frame = pd.DataFrame(rows, columns=["start", "close", "reason"])
    referred = pd.Timestamp("2024-06-01")
    add = {c: referred + pd.to_timedelta(frame[c], unit="D") for c in ("start", "close")}
    return pd.DataFrame(
        {
            "referral_id": [f"r{i}" for i in range(len(frame))],
            "member_id": [f"m{i}" for i in range(len(frame))],
            "service": "ecm",
            "to_organization_id": ["o1", "o2"] * (len(frame) // 2) + ["o1"] * (len(frame) % 2),
            "referred_date": referred,
            "service_started_date": add["start"],
            "closed_date": add["close"],
            "referral_status": np.where(frame["reason"].notna(), "closed", "accepted"),
            "closure_reason": frame["reason"],
        }
    )


ORGANIZATION = pd.DataFrame(
    {"organization_id": ["o1", "o2"], "organization_type": ["cbo", "clinic"]}
)
ROWS = [
    (5, None, None),
    (30, 40, "services_received"),
    (31, None, None),
    (90, None, None),
    (91, None, None),
    (None, 12, "member_declined"),
    (None, 95, "member_declined"),
    (None, 20, "services_received"),
    (None, None, "services_received"),
    (-3, None, None),
    (None, None, None),
]


def counts(table, group="all"):
    frame = table.to_frame()
    mine = frame[frame.iloc[:, 0] == group].set_index(["state", "days"])
    return mine["numerator"].astype(int).to_dict()


def test_every_referral_is_in_one_state_by_the_last_day():
    table = referral_times(
        referrals(ROWS), as_of=AS_OF, by="organization_type", organization=ORGANIZATION
    )
    assert counts(table) == {
        ("all", "all"): 11,
        ("service_started", "all"): 5,
        ("ended_without_service", "all"): 1,
        ("waiting", "all"): 3,
        ("service_started", "0-30"): 3,
        ("service_started", "31-60"): 1,
        ("service_started", "61-90"): 1,
        ("no_usable_day", "all"): 2,
    }
    whole = counts(table)
    parts = [counts(table, group) for group in ("cbo", "clinic")]
    assert {k: sum(p[k] for p in parts) for k in whole} == whole


def test_shares_are_the_cumulative_incidence_where_all_are_followed():
    rng = np.random.default_rng(3)
    start, end = rng.integers(0, 200, 300), rng.integers(0, 200, 300)
    rows = [
        (s, None, None) if s < e else (None, e, "unable_to_reach")
        for s, e in zip(start.tolist(), end.tolist(), strict=True)
    ]
    table = referral_times(
        referrals(rows), as_of=AS_OF, by="organization_type", organization=ORGANIZATION
    )
    curve = time_to_service(referrals(rows), as_of=AS_OF)
    n = counts(table)
    at = curve.keys["outcome"].eq("service_started")
    bins = [n["service_started", b] for b in ("0-30", "31-60", "61-90")]
    np.testing.assert_allclose(np.cumsum(bins) / 300, curve.estimate[at])
    without = curve.estimate[~at][-1]
    assert n["ended_without_service", "all"] / 300 == pytest.approx(without)


def test_denominators_are_those_of_the_closed_loop():
    rows = referrals(ROWS)
    times = referral_times(rows, as_of=AS_OF, by="organization_type", organization=ORGANIZATION)
    closure = referral_closure(
        rows, as_of=AS_OF, by="organization_type", organization=ORGANIZATION, exempt_services=()
    )
    assert times.denominator_name == closure.denominator_name
    whole = times.keys["state"].eq("all")
    assert times.numerator[whole].tolist() == closure.denominator.tolist()


def test_a_small_ending_cannot_be_worked_out_of_what_is_released():
    rows = referrals([ROWS[0]] * 60 + [ROWS[5]] * 4 + [ROWS[10]] * 40)
    table = referral_times(rows, as_of=AS_OF, by="organization_type", organization=ORGANIZATION)
    closure = referral_closure(
        rows, as_of=AS_OF, by="organization_type", organization=ORGANIZATION, exempt_services=()
    )
    frame = release({"times": table, "closure": closure}).tables["times"].frame
    whole = frame[frame["organization_type"] == "all"].set_index(["state", "days"])
    hidden = whole["is_suppressed"]
    assert hidden["ended_without_service", "all"]
    # One more ending has to go with it, for they add up to all.
    assert hidden.drop(("ended_without_service", "all")).any()


@pytest.mark.parametrize("days", [(), (0, 30), (30, 30), (60, 30)])
def test_days_that_do_not_rise_are_refused(days):
    with pytest.raises(EstimationError, match="not rising days"):
        referral_times(referrals(ROWS), as_of=AS_OF, by="service", days=days)


def test_young_referrals_are_not_followed():
    with pytest.raises(EstimationError, match="none has matured"):
        referral_times(referrals(ROWS), as_of="2024-06-30", by="service")
