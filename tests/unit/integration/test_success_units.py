"""Units of referrals: by hand, and from a simulated study to factors."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration import integration_factors, integration_level, success_units
from calaim_eval.tables.ledger import RowLedger

COUNTIES = ["Inyo", "Kern", "Kings"]

ORGANIZATION = pd.DataFrame(
    {"organization_id": ["o1", "o2"], "organization_type": ["cbo", "clinic"]}
)


def referrals(n, *, county="Alameda", plan="p", to="o1", closed=0, start=0):
    """`n` root referrals of as many members, the first `closed` of them closed by services."""
    ids = [f"r{county}{plan}{to}{start + i}" for i in range(n)]
    is_closed = np.arange(n) < closed
    return pd.DataFrame(
        {
            "referral_id": ids,
            "root_referral_id": ids,
            "member_id": [f"m{start + i}" for i in range(n)],
            "from_organization_id": "x",
            "to_organization_id": to,
            "plan": plan,
            "service": "ecm",
            "county": county,
            "referred_date": "2024-01-10",
            "authorized_date": None,
            "accepted_date": None,
            "reached_date": None,
            "service_started_date": None,
            "closed_date": np.where(is_closed, "2024-02-01", None),
            "referral_status": np.where(is_closed, "closed", "accepted"),
            "closure_reason": np.where(is_closed, "services_received", None),
        }
    )


def test_units_by_hand():
    rows = pd.concat(
        [
            referrals(12, closed=6),
            referrals(12, to="o2", closed=0),
            referrals(10, plan="q", closed=10),
            referrals(10, plan="q", to="o2", closed=10),
            referrals(11, county="Kings", closed=11),
        ]
    )
    units = success_units(rows, ORGANIZATION, as_of="2024-12-31")
    assert units.attrs["left_out"] == 1  # twenty referrals of ten members: one too few
    found = units.set_index("county")
    assert found.loc["Alameda", ["n_referrals", "n_members"]].tolist() == [24, 12]
    assert found.loc["Alameda", "closure"] == pytest.approx(6 / 24)
    assert found.loc["Alameda", "cbo_share"] == pytest.approx(1 / 2)
    assert found.loc["Kings", "closure"] == 1
    assert found.loc["Alameda", "wpc_pilot"] == 1


def test_every_referral_is_in_a_unit_or_counted():
    rows = pd.concat(
        [referrals(12, closed=3), referrals(4, plan="q"), referrals(3, county=None, start=50)]
    )
    ledger = RowLedger()
    success_units(rows, ORGANIZATION, as_of="2024-12-31", ledger=ledger)
    counted = ledger.to_frame().set_index("reason")["n_rows"]
    assert counted["used"] == 12
    assert counted["in a unit of too few members"] == 4
    assert counted["county or plan or service missing"] == 3
    assert counted.sum() == len(rows)


def test_a_county_without_weight_has_no_level():
    """Nor has one that is only a category of the column."""
    counties = pd.Categorical(["Kern", "Kings", "Inyo"], categories=["Alpine", *COUNTIES])
    units = pd.DataFrame(
        {"county": counties, "closure": [0.2, 0.8, 0.9], "n_referrals": [20, 20, 0]}
    )
    level = integration_level(units, cut=0.5)
    assert level.to_dict() == {"Kern": "lower", "Kings": "higher"}
    with pytest.raises(EstimationError, match="no county has"):
        integration_level(units.assign(n_referrals=0), cut=0.5)


def test_larger_units_hold_what_smaller_ones_lack():
    rows = pd.concat([referrals(6, closed=3), referrals(6, plan="q", closed=0, start=6)])
    units = success_units(rows, ORGANIZATION, as_of="2024-12-31", by=["county"])
    assert units["closure"].tolist() == [0.25]
    with pytest.raises(EstimationError, match="none of 2 units has 11 members"):
        success_units(rows, ORGANIZATION, as_of="2024-12-31")


def test_facts_of_the_study_come_by_county():
    facts = pd.DataFrame({"county": ["Kings", "Tulare"], "coordinator": [1, 1]})
    rows = pd.concat([referrals(11), referrals(11, county="Kings")])
    units = success_units(rows, ORGANIZATION, as_of="2024-12-31", county_factors=facts)
    assert units.set_index("county")["coordinator"].to_dict() == pytest.approx(
        {"Alameda": np.nan, "Kings": 1.0}, nan_ok=True
    )


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"county": ["Kings", "Kings"]}, "repeats 1 counties"),
        ({"county": ["Atlantis"]}, "has 1 that are not"),
        ({"place": ["Kings"]}, "lacks `county`"),
        ({"county": ["Kings"], "closure": [1]}, "has `closure`"),
    ],
)
def test_facts_that_fit_no_county_are_refused(facts, message):
    with pytest.raises(TableError, match=message):
        success_units(
            referrals(11), ORGANIZATION, as_of="2024-12-31", county_factors=pd.DataFrame(facts)
        )


def test_other_units_are_refused():
    with pytest.raises(EstimationError, match="units are made of"):
        success_units(referrals(11), ORGANIZATION, as_of="2024-12-31", by=["region"])


def test_a_factor_of_counties_is_found_again():
    """Closure is 0.3, and 0.25 more where a coordinator is: known truth, many units."""
    rng = np.random.default_rng(11)
    counties = ["Alameda", "Kings", "Tulare", "Fresno", "Orange", "Marin", "Napa", "Yolo"]
    parts = [
        referrals(60, county=c, plan=p, closed=rng.binomial(60, 0.3 + 0.25 * (j < 4)))
        for j, c in enumerate(counties)
        for p in ("p", "q")
    ]
    facts = pd.DataFrame({"county": counties, "coordinator": [1] * 4 + [0] * 4})
    units = success_units(pd.concat(parts), ORGANIZATION, as_of="2024-12-31", county_factors=facts)
    table = integration_factors(
        units, outcome="closure", factors=["coordinator"], members="n_members"
    )
    row = table.to_frame().iloc[0]
    assert row["conf_low"] < 0.25 < row["conf_high"]
    assert row["conf_low"] > 0
    assert row["n_members"] == 8 * 60
