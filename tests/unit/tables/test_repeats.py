import numpy as np
import pandas as pd
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from calaim_eval.schema import TABLES
from calaim_eval.tables import Tables
from calaim_eval.tables.repeats import EXACT, key_reason

COLUMNS = [
    "claim_id",
    "claim_line_number",
    "member_id",
    "paid_date",
    "claim_status",
    "paid_amount",
]
KEY = key_reason(TABLES["medical_claim"])


def claims(rows):
    columns = [
        "claim_id",
        "claim_line_number",
        "member_id",
        "paid_date",
        "claim_status",
        "paid_amount",
    ]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(claim_type="professional", claim_start_date="2022-01-01")


def settle(rows, **options):
    tables = Tables.from_frames({"medical_claim": claims(rows)}, **options)
    ledger = tables.ledger.to_frame().set_index("reason")["n_rows"].to_dict()
    return tables.frame("medical_claim"), ledger


def test_exact_copies_are_dropped_and_counted():
    row = ["c1", 1, "a", "2022-02-01", "original", 5.0]
    kept, ledger = settle([row, row, row, ["c1", 2, "a", "2022-02-01", "original", 5.0]])
    assert len(kept) == 2
    assert ledger == {EXACT: 2, "used": 2}


def test_the_latest_paid_row_of_a_key_is_kept():
    kept, ledger = settle(
        [
            ["c1", 1, "a", "2022-02-01", "original", 5.0],
            ["c1", 1, "a", "2022-03-01", "replacement", 7.0],
            ["c1", 1, "a", None, "original", 9.0],
            ["c1", 1, "a", "2022-02-01", "original", 5.0],
        ]
    )
    assert kept["paid_amount"].tolist() == [7.0]
    assert ledger == {EXACT: 1, KEY: 2, "used": 1}


def test_with_the_same_date_the_standing_decides():
    kept, _ = settle(
        [
            ["c1", 1, "a", "2022-02-01", "original", 5.0],
            ["c1", 1, "a", "2022-02-01", "void", 5.0],
            ["c1", 1, "a", "2022-02-01", "replacement", 5.0],
        ]
    )
    assert kept["claim_status"].tolist() == ["void"]


def test_a_row_without_a_whole_key_has_no_key():
    kept, ledger = settle(
        [
            ["c1", None, "a", "2022-02-01", "original", 5.0],
            ["c1", None, "a", "2022-02-01", "original", 6.0],
            ["c1", None, "a", "2022-02-01", "original", 6.0],
        ]
    )
    assert sorted(kept["paid_amount"]) == [5.0, 6.0]
    assert ledger == {EXACT: 1, "used": 2}


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["c1", "c2"]),
        st.sampled_from([1, 2, None]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["2022-02-01", "2022-03-01", None]),
        st.sampled_from(["original", "void", None]),
        st.sampled_from([1.0, 2.0, None]),
    ),
    min_size=2,
    max_size=15,
)


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(rows=ROWS, seed=st.integers(0, 99), n_buckets=st.sampled_from([1, 3]))
def test_row_order_does_not_matter_and_counts_agree_with_brute_force(rows, seed, n_buckets):
    # Claim numbers of different members are made different, for keys are looked for by member.
    rows = [
        (f"{claim}-{member}", *rest[:1], member, *rest[2:])
        for claim, *rest in rows
        for member in rest[1:2]
    ]
    kept, ledger = settle(rows, n_buckets=n_buckets)
    shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    again, _ = settle(shuffled)
    order = list(kept.columns)
    pd.testing.assert_frame_equal(
        kept.sort_values(order, ignore_index=True), again.sort_values(order, ignore_index=True)
    )
    distinct = set(rows)
    keyed = {row[:2] for row in distinct if row[1] is not None}
    unkeyed = [row for row in distinct if row[1] is None]
    assert ledger["used"] == len(keyed) + len(unkeyed)
    assert ledger.get(EXACT, 0) == len(rows) - len(distinct)
    assert ledger.get(KEY, 0) == len(distinct) - len(keyed) - len(unkeyed)
