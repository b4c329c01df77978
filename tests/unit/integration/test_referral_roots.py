from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.referral_roots import chain_places, root_referrals
from calaim_eval.tables import RowLedger

from .frames import table

CHAINS = table("""
    referral_id | root_referral_id | place
    ------------+------------------+-------
    a           | a                | root
    b           | a                | child
    c           | b                | child
    d           |                  | root
    e           | missing          | orphan
    f           | e                | orphan
    g           | h                | cycle
    h           | i                | cycle
    i           | g                | cycle
    j           | g                | cycle
""")


def test_place_in_a_chain():
    assert chain_places(CHAINS)[0].tolist() == CHAINS["place"].tolist()


def test_a_long_chain_and_a_long_circle():
    n = 5_000
    ids = pd.Series([f"r{i}" for i in range(n)])
    chain = pd.DataFrame({"referral_id": ids, "root_referral_id": ids.shift(1)})
    assert (chain_places(chain)[0] == "child").sum() == n - 1
    circle = pd.DataFrame({"referral_id": ids, "root_referral_id": np.roll(ids, 1)})
    assert set(chain_places(circle)[0]) == {"cycle"}


def _referrals() -> pd.DataFrame:
    return CHAINS.drop(columns="place").assign(
        member_id="m", service="ecm", referred_date="2024-01-15"
    )


def test_only_roots_are_kept_and_every_other_row_has_a_reason():
    ledger = RowLedger()
    roots = root_referrals(_referrals(), as_of="2024-12-31", ledger=ledger, stage="loop")
    assert roots["referral_id"].tolist() == ["a", "d"]
    ledger.check("referral", "loop", 10)
    counts = ledger.to_frame().set_index("reason")["n_rows"].to_dict()
    assert counts == {
        "not a root: part of a chain, counted with its root": 2,
        "root referral is not in the table": 2,
        "root referrals point at each other in a circle": 4,
        "used": 2,
    }


def test_the_future_has_not_happened():
    rows = (
        _referrals()
        .iloc[[0, 3]]
        .assign(
            service_started_date=["2024-02-01", "2024-06-01"],
            closed_date=["2024-03-01", "2024-07-01"],
            referral_status="closed",
            closure_reason="services_received",
        )
    )
    roots = root_referrals(rows, as_of="2024-04-30")
    assert roots["service_started_date"].notna().tolist() == [True, False]
    assert roots["is_closed_by_services"].tolist() == [True, False]


def test_closed_without_a_date_is_closed_and_a_date_without_status_too():
    rows = (
        _referrals()
        .iloc[[0, 3]]
        .assign(
            closed_date=[None, "2024-03-01"],
            referral_status=["closed", None],
            closure_reason="services_received",
        )
    )
    assert root_referrals(rows, as_of="2024-04-30")["is_closed_by_services"].all()


def test_another_reason_does_not_close_the_loop():
    rows = (
        _referrals()
        .iloc[[0]]
        .assign(
            closed_date="2024-03-01", referral_status="closed", closure_reason="unable_to_reach"
        )
    )
    assert not root_referrals(rows, as_of="2024-04-30")["is_closed_by_services"].any()


def test_impossible_and_incomplete_rows_are_counted():
    ledger = RowLedger()
    rows = pd.concat([_referrals().iloc[[0, 3]]] * 2, ignore_index=True)
    rows["referral_id"] = ["a", "b", "c", None]
    rows["root_referral_id"] = None
    rows["closed_date"] = ["2024-01-14", None, None, None]
    rows.loc[1, "member_id"] = None
    root_referrals(rows, as_of="2024-12-31", ledger=ledger, stage="loop")
    ledger.check("referral", "loop", 4)
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["closed before it was opened"] == 1
    assert counts["referral, member, service or referral date missing"] == 2


def test_the_window_includes_both_ends():
    rows = pd.concat([_referrals().iloc[[3]]] * 3, ignore_index=True)
    rows["referral_id"] = list("xyz")
    rows["referred_date"] = ["2024-01-01", "2024-01-31", "2024-02-01"]
    kept = root_referrals(
        rows, as_of="2024-12-31", referred_from="2024-01-01", referred_to="2024-01-31"
    )
    assert kept["referral_id"].tolist() == ["x", "y"]


def test_repeated_ids_are_refused():
    with pytest.raises(TableError, match="1 of 3 rows repeat the key"):
        root_referrals(_referrals().iloc[[0, 0, 3]], as_of="2024-12-31")


def test_nothing_left():
    with pytest.raises(EstimationError, match="none of 10 rows is a root referral"):
        root_referrals(_referrals(), as_of="2023-12-31")


def _chain() -> pd.DataFrame:
    """A root left as it was, forwarded twice, received at the second."""
    return pd.DataFrame(
        {
            "referral_id": ["root", "first", "second", "other"],
            "root_referral_id": ["root", "root", "first", "other"],
            "member_id": "m",
            "service": "ecm",
            "referred_date": ["2024-01-01", "2024-01-10", "2024-01-20", "2024-01-01"],
            "authorized_date": ["2024-01-05", None, "2024-01-25", None],
            "service_started_date": [None, None, "2024-02-01", None],
            "closed_date": [None, "2024-01-19", "2024-03-01", None],
            "referral_status": ["pending", "closed", "closed", "pending"],
            "closure_reason": [None, "no_capacity", "services_received", None],
        }
    )


def test_the_root_record_speaks_for_itself_unless_the_whole_chain_is_asked():
    own = root_referrals(_chain(), as_of="2024-12-31")
    assert own["is_closed_by_services"].tolist() == [False, False]
    chain = root_referrals(_chain(), as_of="2024-12-31", chain="whole_chain")
    assert chain["referral_id"].tolist() == ["root", "other"]
    assert chain["is_closed_by_services"].tolist() == [True, False]
    first = chain.iloc[0]
    assert first["authorized_date"] == pd.Timestamp("2024-01-05")
    assert first["service_started_date"] == pd.Timestamp("2024-02-01")
    assert first["closed_date"] == pd.Timestamp("2024-03-01")
    assert first["closure_reason"] == "services_received"


def test_the_chain_too_is_looked_at_on_the_day():
    chain = root_referrals(_chain(), as_of="2024-02-15", chain="whole_chain")
    assert chain["is_closed_by_services"].tolist() == [False, False]
    assert chain["service_started_date"].notna().tolist() == [True, False]
    assert chain["closed_date"].isna().all()


def test_a_chain_of_roots_only_changes_nothing():
    rows = _chain().iloc[[0, 3]]
    pd.testing.assert_frame_equal(
        root_referrals(rows, as_of="2024-12-31"),
        root_referrals(rows, as_of="2024-12-31", chain="whole_chain"),
    )


def test_an_unknown_chain_rule():
    with pytest.raises(EstimationError, match="`root_record`, `whole_chain`"):
        root_referrals(_chain(), as_of="2024-12-31", chain="last")  # type: ignore[arg-type]
