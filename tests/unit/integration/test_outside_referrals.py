"""Referrals outside the program: each is counted once, or the table is refused."""

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.integration.outside_referrals import outside_referrals
from calaim_eval.tables.ledger import RowLedger

from .frames import table

SOCIAL_REFERRAL = table("""
    referral_id | member_id | referred_date | referral_status
    ------------+-----------+---------------+----------------
    s1          | m1        | 2024-01-10    | accepted
    s2          | m2        | 2024-01-10    | pending
    s3          | m3        | 2024-12-20    | pending
                | m4        | 2024-01-10    | pending
                | m5        | 2024-01-10    | pending
""")


def test_referrals_by_hand_and_rows_without_an_id_repeat_nothing():
    ledger = RowLedger()
    found = outside_referrals(SOCIAL_REFERRAL, as_of="2024-12-31", ledger=ledger)
    of_all = found.to_frame().query("kind == 'all'").set_index("result")["numerator"]
    assert of_all["all"] == 2
    assert of_all["accepted"] == of_all["open"] == 1
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["referral, member or referral date missing"] == 2
    assert counts["younger than 90 days"] == 1


@pytest.mark.parametrize("again", [["s1"], ["s1", "s3"]])
def test_referrals_that_are_there_twice_are_refused_and_not_counted_twice(again):
    twice = SOCIAL_REFERRAL[SOCIAL_REFERRAL["referral_id"].isin(again)]
    rows = pd.concat([SOCIAL_REFERRAL, twice.assign(referral_status="closed")])
    with_id = 3 + len(again)
    repeated = rf"`social_referral`: {len(again)} of {with_id} rows repeat .*`referral_id`"
    with pytest.raises(TableError, match=repeated):
        outside_referrals(rows, as_of="2024-12-31")
