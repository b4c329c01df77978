from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.capacity import capacity_adequacy, capacity_use
from calaim_eval.integration.delivery import delivery_members
from calaim_eval.tables.ledger import RowLedger

from .frames import CONTRACT, ORGANIZATION, SERVICE, one_row

PLACES = CONTRACT.assign(capacity_members=["10", "4", "6", None, "20", None, "5", "3", "9", "9"])


def test_members_over_places_by_hand():
    frame = capacity_use(PLACES, SERVICE, quarter="2024Q4").to_frame()
    # In force and stated: o1 Kings ecm 10 + 6, housing 4; o3 Tulare 20; o5 Kings 5, Tulare 3.
    # Served there: m1 by o1 and o5 in Kings, m2 by o5 in Tulare. m3 is served by o6, which has no
    # contract in force, m4 by nobody known.
    ecm = one_row(frame, service="ecm", capacity="stated")
    assert [ecm["numerator"], ecm["denominator"]] == [2, 44]
    assert ecm["rate"] == pytest.approx(2 / 44)
    others = one_row(frame, service="ecm", capacity="not_stated")
    assert others["numerator"] == 1
    assert np.isnan(others["rate"])
    housing = one_row(frame, service="housing_deposits", capacity="stated")
    assert [housing["numerator"], housing["denominator"]] == [0, 4]
    whole = frame[frame["service"] == "all"].set_index("capacity")
    assert whole["numerator"].to_dict() == {"all": 4, "stated": 2, "not_stated": 2}
    assert whole.loc["stated", "denominator"] == 48
    by_type = capacity_use(
        PLACES, SERVICE, quarter="2024Q4", by="organization_type", organization=ORGANIZATION
    ).to_frame()
    profit = one_row(by_type, organization_type="for_profit", capacity="stated")
    assert [profit["numerator"], profit["denominator"]] == [2, 8]
    assert one_row(by_type, organization_type="unknown", capacity="not_stated")["numerator"] == 1


def test_few_members_without_stated_places_are_not_left_between_two_tables():
    """63 members served, 60 of them where places are stated: the 3 must not follow."""
    n = 63
    service = pd.DataFrame(
        {
            "member_id": [f"m{i}" for i in range(n)],
            "service": "ecm",
            "record_type": "service",
            "record_date": "2024-11-01",
            "organization_id": ["o1"] * 60 + ["o4"] * 3,
            "county": ["Kings"] * 60 + ["Tulare"] * 3,
        }
    )
    results = {
        "delivery_members": delivery_members(service, ORGANIZATION, quarter="2024Q4"),
        "capacity_use": capacity_use(PLACES, service, quarter="2024Q4"),
    }
    released = release(results)
    total = released.tables["delivery_members"].frame
    assert total.loc[total["organization_type"] == "cbo", "numerator"].tolist() == [n]
    frame = released.tables["capacity_use"].frame
    parts = frame[frame["capacity"] != "all"]
    with_members = parts[results["capacity_use"].numerator[parts.index] > 0]
    assert with_members["is_suppressed"].all()


def test_what_states_no_capacity_is_said():
    found = capacity_use(PLACES, SERVICE, quarter="2024Q4")
    assert found.notes == ("2 of 8 contracted services state no capacity and do not enter.",)


def test_a_renewal_does_not_count_twice():
    doubled = pd.concat(
        [PLACES, PLACES[:1].assign(contract_start_date="2024-11-01", capacity_members="12")]
    )
    frame = capacity_use(doubled, SERVICE, quarter="2024Q4").to_frame()
    assert one_row(frame, service="ecm", capacity="stated")["denominator"] == 46


def test_adequacy_has_both_ends_of_the_eligible():
    eligible = pd.DataFrame(
        {
            "county": ["Kings", "Tulare", "Fresno"],
            "service": "ecm",
            "eligible_low": [100, 50, 10],
            "eligible_high": [200, 80, 10],
        }
    )
    found = capacity_adequacy(PLACES, eligible, quarter="2024Q4")
    frame = found.to_frame()
    assert one_row(frame, county="Kings", eligible="low")["rate"] == pytest.approx(21 / 100)
    assert one_row(frame, county="Kings", eligible="high")["rate"] == pytest.approx(21 / 200)
    assert one_row(frame, county="Fresno", eligible="low")["rate"] == 0
    assert found.notes[1] == "4 places are in cells without an estimate of those eligible."
    few = frame["denominator"] < 11
    shown = release({"capacity_adequacy": found}).tables["capacity_adequacy"].frame
    assert shown.loc[few, "is_suppressed"].all()


def test_bad_input():
    with pytest.raises(TableError, match="lacks column `capacity_members`"):
        capacity_use(CONTRACT, SERVICE, quarter="2024Q4")
    with pytest.raises(TableError, match="1 rows are below 0"):
        capacity_use(PLACES.assign(capacity_members=[-1.0] + [1.0] * 9), SERVICE, quarter="2024Q4")
    with pytest.raises(EstimationError, match="states `capacity_members`"):
        capacity_use(PLACES.assign(capacity_members=np.nan), SERVICE, quarter="2024Q4")
    with pytest.raises(EstimationError, match="`by`: `mood`"):
        capacity_use(PLACES, SERVICE, quarter="2024Q4", by="mood")
    with pytest.raises(TableError, match="`eligible` lacks `eligible_low`"):
        capacity_adequacy(PLACES, PLACES, quarter="2024Q4")
    wrong = pd.DataFrame(
        {"county": ["Kings"], "service": ["ecm"], "eligible_low": [9], "eligible_high": [5]}
    )
    with pytest.raises(TableError, match="1 of 1 rows are not 0 < low <= high"):
        capacity_adequacy(PLACES, wrong, quarter="2024Q4")
    with pytest.raises(TableError, match="repeat the key"):
        capacity_adequacy(PLACES, pd.concat([wrong, wrong]), quarter="2024Q4")


def test_contract_rows_without_places_are_counted_with_their_reason():
    contract = pd.DataFrame(
        [
            ("2023-01-01", "2024-10-31", "ecm", 10),
            ("2024-11-01", None, "ecm", 20),
            ("2023-01-01", None, "housing_deposits", None),
            ("2023-01-01", None, "no_service", 5),
        ],
        columns=["contract_start_date", "contract_end_date", "service", "capacity_members"],
    ).assign(plan="A", organization_id="o1", county="Kings")
    ledger = RowLedger()
    use = capacity_use(contract, SERVICE, quarter="2024Q4", ledger=ledger).to_frame()
    assert one_row(use, service="all", capacity="stated")["denominator"] == 20
    counted = ledger.to_frame().query("table == 'contract'")
    counted = counted.set_index(["stage", "reason"])["n_rows"].to_dict()
    assert counted == {
        ("capacity", "used"): 4,
        ("capacity: latest rows", "replaced by a later row of the contract"): 1,
        ("capacity: latest rows", "used"): 3,
        ("capacity: places stated", "service not in the code list"): 1,
        ("capacity: places stated", "states no capacity"): 1,
        ("capacity: places stated", "used"): 1,
    }
