from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.data_sharing import data_sharing_level
from calaim_eval.tables.ledger import RowLedger

from .frames import one_row, table

QUARTER = "2024Q4"
SHARING = table("""
    plan | organization_id | data_sharing_level | effective_date
    -----+-----------------+--------------------+---------------
    A    | o1              | 1                  | 2022-01-01
    A    | o1              | 4                  | 2024-10-15
    A    | o2              | 0                  |
    B    | o2              | 2                  | 2025-01-01
""")
SERVICE = table("""
    member_id | plan | organization_id | county
    ----------+------+-----------------+-------
    m1        | A    | o1              | Kings
    m1        | A    | o1              | Kings
    m1        | A    | o2              | Tulare
    m2        | A    | o2              | Kings
    m3        | B    | o2              | Kings
    m4        |      | o1              | Kings
""").assign(service="ecm", record_type="service", record_date="2024-11-01")
PERSON = pd.DataFrame(
    {
        "member_id": ["m1", "m2", "m3", "m4"],
        "race_ethnicity": ["black", "black", "white", "asian"],
    }
)


def _at(result, level: str, **keys: str) -> float:
    return float(one_row(result.to_frame(), data_sharing_level=level, **keys)["numerator"])


def test_a_member_counts_at_the_highest_level_and_unrecorded_is_not_zero():
    ledger = RowLedger()
    found = data_sharing_level(SHARING, SERVICE, quarter=QUARTER, ledger=ledger)
    expected = {"0": 1, "1": 0, "2": 0, "3": 0, "4": 1, "not_recorded": 2, "all": 4}
    assert {level: _at(found, level) for level in expected} == expected
    lowest = data_sharing_level(SHARING, SERVICE, quarter=QUARTER, of_several="lowest")
    assert _at(lowest, "0") == 2
    counted = ledger.to_frame()
    counted = counted[counted["table"] == "data_sharing"].set_index("reason")["n_rows"]
    assert counted["replaced by a later row"] == 1
    assert counted["not yet in force"] == 1
    assert counted.sum() == len(SHARING)


def test_groups_of_members_add_up_and_places_overlap():
    by_race = data_sharing_level(
        SHARING, SERVICE, quarter=QUARTER, by="race_ethnicity", person=PERSON
    )
    assert _at(by_race, "all", race_ethnicity="black") == 2
    assert _at(by_race, "4", race_ethnicity="black") == 1
    assert by_race.margins == ("data_sharing_level", "race_ethnicity")
    by_county = data_sharing_level(SHARING, SERVICE, quarter=QUARTER, by="county")
    assert _at(by_county, "all", county="Tulare") == 1
    assert _at(by_county, "0", county="Tulare") == 1
    assert _at(by_county, "all", county="Kings") == 4
    assert by_county.margins == ("data_sharing_level",)
    roster = pd.DataFrame({"organization_id": ["o1", "o2"], "leadership": ["black_led", None]})
    by_leader = data_sharing_level(
        SHARING, SERVICE, quarter=QUARTER, by="leadership", organization=roster
    )
    assert _at(by_leader, "all", leadership="black_led") == 2
    assert _at(by_leader, "all", leadership="unknown") == 3


def test_small_groups_are_hidden_in_a_release():
    rng = np.random.default_rng(1)
    n = 400
    service = pd.DataFrame(
        {
            "member_id": [f"m{i}" for i in range(n)],
            "plan": "A",
            "organization_id": rng.choice(["o1", "o2", "o3"], n),
            "service": "ecm",
            "record_type": "service",
            "record_date": "2024-11-01",
        }
    )
    person = pd.DataFrame(
        {
            "member_id": service["member_id"],
            "race_ethnicity": np.where(np.arange(n) < 20, "nhpi", "white"),
        }
    )
    found = data_sharing_level(
        SHARING, service, quarter=QUARTER, by="race_ethnicity", person=person
    )
    small = (found.numerator > 0) & (found.numerator < 11)
    assert small.any()
    shown = release({"data_sharing_level": found}).tables["data_sharing_level"].frame
    assert shown.loc[small, "is_suppressed"].all()


def test_bad_input():
    with pytest.raises(TableError, match="1 of 4 levels are not whole numbers from 0 to 4"):
        data_sharing_level(
            SHARING.assign(data_sharing_level=["1", "2", "5", "0"]), SERVICE, quarter=QUARTER
        )
    with pytest.raises(TableError, match="repeat the key"):
        data_sharing_level(pd.concat([SHARING, SHARING[2:3]]), SERVICE, quarter=QUARTER)
    with pytest.raises(EstimationError, match="its table was not given"):
        data_sharing_level(SHARING, SERVICE, quarter=QUARTER, by="race_ethnicity")
    with pytest.raises(EstimationError, match="`mood` cannot be made"):
        data_sharing_level(SHARING, SERVICE, quarter=QUARTER, by="mood")
    with pytest.raises(EstimationError, match="of_several"):
        data_sharing_level(SHARING, SERVICE, quarter=QUARTER, of_several="mean")


def test_a_group_that_is_not_in_the_code_list_is_no_lost_member():
    odd = PERSON.assign(race_ethnicity=["latinx", *PERSON["race_ethnicity"][1:]])
    with pytest.raises(TableError, match="have a group that is not in the code list"):
        data_sharing_level(SHARING, SERVICE, quarter=QUARTER, by="race_ethnicity", person=odd)
