from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.capacity import capacity_adequacy, capacity_use

from .frames import CONTRACT, ORGANIZATION, SERVICE, one_row

PLACES = CONTRACT.assign(capacity_members=["10", "4", "6", None, "20", None, "5", "3", "9", "9"])


def test_members_over_places_by_hand():
    frame = capacity_use(PLACES, SERVICE, quarter="2024Q4").to_frame()
    # In force and stated: o1 Kings ecm 10 + 6, housing 4; o3 Tulare 20; o5 Kings 5, Tulare 3.
    # Served there: m1 by o1 and o5 in Kings, m2 by o5 in Tulare; o6 states none in force.
    ecm = one_row(frame, service="ecm")
    assert [ecm["numerator"], ecm["denominator"]] == [2, 44]
    assert one_row(frame, service="housing_deposits")["denominator"] == 4
    assert one_row(frame, service="all")["denominator"] == 48
    by_type = capacity_use(
        PLACES, SERVICE, quarter="2024Q4", by="organization_type", organization=ORGANIZATION
    ).to_frame()
    profit = one_row(by_type, organization_type="for_profit")
    assert [profit["numerator"], profit["denominator"]] == [2, 8]


def test_what_states_no_capacity_is_said():
    found = capacity_use(PLACES, SERVICE, quarter="2024Q4")
    assert found.notes == ("2 of 8 contracted services state no capacity and do not enter.",)


def test_a_renewal_does_not_count_twice():
    doubled = pd.concat(
        [PLACES, PLACES[:1].assign(contract_start_date="2024-11-01", capacity_members="12")]
    )
    frame = capacity_use(doubled, SERVICE, quarter="2024Q4").to_frame()
    assert one_row(frame, service="ecm")["denominator"] == 46


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
