import json

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables import RowLedger


def test_counts_add_up_and_zero_reasons_are_not_listed():
    ledger = RowLedger()
    ledger.add("person", "used", 5, stage="read")
    ledger.add("person", "used", 2, stage="read")
    ledger.add("person", "exact duplicate", 1, stage="read")
    ledger.add("person", "too old", 0, stage="read")
    ledger.note("person", "odd", 3)
    assert ledger.to_frame().values.tolist() == [
        ["person", "read", "used", 7],
        ["person", "read", "exact duplicate", 1],
        ["person", "notice", "odd", 3],
    ]
    assert ledger.used("person", stage="read") == 7
    ledger.check("person", "read", 8)


def test_a_table_without_used_rows_still_says_zero():
    ledger = RowLedger()
    ledger.add("person", "used", 0, stage="read")
    assert ledger.to_frame()["n_rows"].tolist() == [0]


def test_lost_and_doubled_rows_are_an_error():
    ledger = RowLedger()
    ledger.add("person", "used", 5, stage="read")
    with pytest.raises(TableError, match="6 rows went in and 5 are accounted for; 1 were lost"):
        ledger.check("person", "read", 6)
    with pytest.raises(TableError, match="1 were counted twice"):
        ledger.check("person", "read", 4)


def test_negative_counts_are_an_error():
    with pytest.raises(TableError, match="-1 rows counted for 'used'"):
        RowLedger().add("person", "used", -1, stage="read")


def test_there_and_back():
    ledger = RowLedger()
    ledger.add("person", "used", 5, stage="read")
    ledger.note("person", "odd", 3)
    back = RowLedger.from_frame(ledger.to_frame())
    pd.testing.assert_frame_equal(back.to_frame(), ledger.to_frame())
    back.extend(ledger)
    assert back.used("person", stage="read") == 10
    assert repr(ledger) == "RowLedger(1 tables, 2 reasons)"


def test_records_are_plain_and_give_the_same_ledger_back():
    ledger = RowLedger()
    ledger.add("eligibility", "used", 9, stage="read")
    ledger.add("eligibility", "exact duplicate", 1, stage="read")
    ledger.note("person", "read as missing", 2)
    records = json.loads(json.dumps(ledger.to_records()))
    assert records[1] == {
        "table": "eligibility",
        "stage": "read",
        "reason": "exact duplicate",
        "n_rows": 1,
    }
    again = RowLedger.from_records(records)
    assert again.to_records() == records
    assert again.used("eligibility", stage="read") == 9
    assert RowLedger.from_records([]).to_records() == []
