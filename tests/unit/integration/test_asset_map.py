from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.asset_map import asset_map_change, listed_on
from calaim_eval.tables.ledger import RowLedger

from .frames import CONTRACT, ORGANIZATION, one_row, table

BEFORE = table("""
    organization_id | county | service
    ----------------+--------+-----------------
    o1              | Kings  | ecm
    o1              | Kings  | housing_deposits
    o2              | Kings  | ecm
    o2              | Tulare | ecm
    o3              | Tulare | ecm
""")
AFTER = table("""
    organization_id | county | service
    ----------------+--------+-----------------
    o1              | Kings  | ecm
    o2              | Tulare | ecm
    o4              | Tulare | housing_deposits
    o5              | Kings  | ecm
""")


def _change(result, **keys: str) -> dict[str, float]:
    frame = result.to_frame()
    return {
        change: float(one_row(frame, change=change, **keys)["numerator"])
        for change in ("appeared", "stayed", "left", "all")
    }


def test_organizations_services_and_coverage_by_hand():
    whole = _change(asset_map_change(BEFORE, AFTER))
    assert whole == {"appeared": 2, "stayed": 2, "left": 1, "all": 5}
    services = _change(asset_map_change(BEFORE, AFTER, counted="services"))
    assert services == {"appeared": 2, "stayed": 2, "left": 3, "all": 7}
    coverage = _change(
        asset_map_change(BEFORE, AFTER, counted="coverage", by="service"), service="ecm"
    )
    assert coverage == {"appeared": 0, "stayed": 2, "left": 0, "all": 2}
    gone = asset_map_change(BEFORE, AFTER, counted="coverage", by=("county", "service"))
    assert _change(gone, county="Kings", service="housing_deposits")["left"] == 1
    assert _change(gone, county="Tulare", service="housing_deposits")["appeared"] == 1


def test_an_organization_that_stays_may_leave_a_county():
    by_county = asset_map_change(BEFORE, AFTER, by="county")
    assert _change(by_county, county="Kings") == {"appeared": 1, "stayed": 1, "left": 1, "all": 3}
    by_trait = asset_map_change(BEFORE, AFTER, by="leadership", organization=ORGANIZATION)
    assert _change(by_trait, leadership="black_led") == {
        "appeared": 0, "stayed": 1, "left": 0, "all": 1
    }  # fmt: skip
    assert by_trait.about == "organizations"


def test_the_contract_list_on_a_day():
    ledger = RowLedger()
    found = listed_on(CONTRACT, day="2024-10-01", ledger=ledger)
    assert set(found["organization_id"]) == {"o1", "o3", "o4", "o5"}
    counted = ledger.to_frame().set_index("reason")["n_rows"]
    assert counted["ended before the day"] == 1  # c8
    assert counted["starts after the day"] == 2  # c3, c9
    assert counted.sum() == len(CONTRACT)
    later = listed_on(CONTRACT, day="2025-01-02")
    change = _change(asset_map_change(found, later, days=("2024-10-01", "2025-01-02")))
    assert change == {"appeared": 2, "stayed": 4, "left": 0, "all": 6}


def test_bad_input():
    with pytest.raises(EstimationError, match="identifiers differ"):
        asset_map_change(BEFORE, AFTER.assign(organization_id=["x", "y", "z", "w"]))
    with pytest.raises(TableError, match="1 of 4 rows lack"):
        asset_map_change(BEFORE, AFTER.assign(county=["Kings", None, "Kings", "Kings"]))
    with pytest.raises(EstimationError, match="cannot break down coverage"):
        asset_map_change(
            BEFORE, AFTER, counted="coverage", by="leadership", organization=ORGANIZATION
        )
    with pytest.raises(EstimationError, match="cannot break down organizations"):
        asset_map_change(BEFORE, AFTER, by="leadership")
    with pytest.raises(EstimationError, match="`counted`"):
        asset_map_change(BEFORE, AFTER, counted="plans")
    with pytest.raises(EstimationError, match="does not follow"):
        asset_map_change(BEFORE, AFTER, days=("2024-10-01", "2024-10-01"))
    with pytest.raises(TableError, match="has no rows"):
        asset_map_change(BEFORE[:0], AFTER)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999))
def test_against_sets_and_backwards(seed):
    rng = np.random.default_rng(seed)
    lists = []
    for _ in range(2):
        n = int(rng.integers(1, 15))
        lists.append(
            pd.DataFrame(
                {
                    "organization_id": ["o0", *(f"o{i}" for i in rng.integers(0, 6, n))],
                    "county": rng.choice(["Kings", "Tulare"], n + 1),
                    "service": rng.choice(["ecm", "housing_deposits"], n + 1),
                }
            )
        )
    for counted, columns in (("organizations", 1), ("services", 3)):
        one, two = (set(f.iloc[:, :columns].itertuples(index=False)) for f in lists)
        forward = _change(asset_map_change(*lists, counted=counted))
        assert forward == {
            "appeared": len(two - one), "stayed": len(one & two), "left": len(one - two),
            "all": len(one | two),
        }  # fmt: skip
        backward = _change(asset_map_change(*lists[::-1], counted=counted))
        assert backward["left"] == forward["appeared"]
        assert backward["stayed"] == forward["stayed"]
