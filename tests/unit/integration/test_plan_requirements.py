from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.plan_requirements import (
    distinct_layouts,
    plan_similarity,
    requirement_burden,
    requirement_standardization,
)
from calaim_eval.integration.requirement_settings import requirements_on
from calaim_eval.tables.ledger import RowLedger

from .frames import one_row, table

DAY = "2024-12-31"

REQUIREMENT = table("""
    plan | requirement | requirement_value | effective_date
    -----+-------------+-------------------+---------------
    A    | portal      | own               | 2022-01-01
    A    | days        | 3                 |
    A    | fields      | name; dob         | 2022-01-01
    B    | portal      | own               | 2022-01-01
    B    | portal      | exchange          | 2024-07-01
    B    | days        | 5                 | 2022-01-01
    B    | fields      | name; cin; dob    | 2022-01-01
    C    | portal      | exchange          | 2022-01-01
    C    | portal      | email             | 2025-01-01
    C    | days        | 13                | 2022-01-01
""")

CONTRACT = table("""
    plan | organization_id | county | service | contract_start_date
    -----+-----------------+--------+---------+--------------------
    A    | o1              | Kings  | ecm     | 2022-01-01
    B    | o1              | Kings  | ecm     | 2022-01-01
    C    | o1              | Tulare | ecm     | 2022-01-01
    B    | o2              | Kings  | ecm     | 2022-01-01
    C    | o2              | Kings  | ecm     | 2022-01-01
    B    | o3              | Kings  | ecm     | 2022-01-01
    D    | o4              | Kings  | ecm     | 2022-01-01
""")
ORGANIZATION = pd.DataFrame(
    {
        "organization_id": ["o1", "o2", "o3", "o4"],
        "organization_type": ["cbo", "cbo", "clinic", "cbo"],
        "leadership": ["black_led", "white_led", None, None],
    }
)


def test_the_latest_setting_in_force_counts():
    ledger = RowLedger()
    found = requirements_on(REQUIREMENT, as_of=DAY, ledger=ledger)
    assert found.loc["B", "portal"] == "exchange"
    assert found.loc["C", "portal"] == "exchange"
    assert requirements_on(REQUIREMENT, as_of="2024-06-30").loc["B", "portal"] == "own"
    counted = ledger.to_frame().set_index("reason")["n_rows"]
    assert counted["replaced by a later row"] == 1
    assert counted["not yet in force"] == 1
    assert counted.sum() == len(REQUIREMENT)


def test_similarity_by_hand():
    frame = plan_similarity(REQUIREMENT, as_of=DAY).to_frame()
    # portal 0, days 1 - 2 / 10, fields 2 of 3
    assert one_row(frame, plan="A", other_plan="B")["rate"] == pytest.approx((0.8 + 2 / 3) / 3)
    # portal 1, days 1 - 8 / 10, fields of C not recorded
    assert one_row(frame, plan="B", other_plan="C")["rate"] == pytest.approx((1 + 0.2) / 2)
    assert one_row(frame, plan="A", other_plan="C")["rate"] == pytest.approx(0.0)
    assert len(frame) == 3


def test_standardization_by_element_adds_up():
    days = ["2024-06-30", DAY]
    result = requirement_standardization(REQUIREMENT, as_of=days)
    frame = result.to_frame()
    portal = frame[frame["requirement"] == "portal"].set_index("as_of")["rate"]
    assert portal.tolist() == pytest.approx([1 / 3, 1 / 3])
    for _, rows in frame.groupby("as_of"):
        for column in ("numerator", "denominator"):
            total = rows.loc[rows["requirement"] == "all", column].iloc[0]
            assert rows.loc[rows["requirement"] != "all", column].sum() == pytest.approx(total)
    assert frame.loc[frame["requirement"] == "fields", "denominator"].tolist() == [1, 1]


def test_burden_counts_versions_beyond_the_first():
    options = {"quarter": "2024Q4"}
    frame = requirement_burden(REQUIREMENT, CONTRACT, ORGANIZATION, **options).to_frame()
    # o1 meets portals own, exchange, exchange; days 3, 5, 13; two sets of fields: 1 + 2 + 1.
    # o2 meets one portal, two days, one recorded set of fields: 1. o3 has one plan; o4's plan D
    # has no recorded requirements.
    total = one_row(frame, organization_type="all", requirement="all")
    assert [total["numerator"], total["denominator"]] == [5, 3]
    cbo = one_row(frame, organization_type="cbo", requirement="days")
    assert [cbo["numerator"], cbo["denominator"], cbo["rate"]] == [3, 2, 1.5]
    for (_, rows), column in itertools.product(frame.groupby("organization_type"), ["numerator"]):
        assert rows[column].iloc[1:].sum() == rows[column].iloc[0]
    led = requirement_burden(
        REQUIREMENT, CONTRACT, ORGANIZATION, by="leadership", **options
    ).to_frame()
    assert one_row(led, leadership="black_led", requirement="all")["rate"] == 4
    layouts = distinct_layouts(REQUIREMENT, CONTRACT, ORGANIZATION, **options).to_frame()
    assert one_row(layouts, organization_type="all")["numerator"] == 3 + 2 + 1


def test_the_same_setting_written_otherwise_is_no_further_version():
    same = table("""
        plan | requirement | requirement_value
        -----+-------------+------------------
        B    | fields      | name; dob
        B    | days        | 3
        B    | portal      | own
        C    | fields      | dob;name
        C    | days        | 3.0
        C    | portal      | own
    """)
    assert plan_similarity(same, as_of=DAY).rate.tolist() == [1.0]
    options = {"quarter": "2024Q4"}
    burden = requirement_burden(same, CONTRACT, ORGANIZATION, **options).to_frame()
    assert (burden["numerator"] == 0).all()
    layouts = distinct_layouts(same, CONTRACT, ORGANIZATION, **options).to_frame()
    assert one_row(layouts, organization_type="all")["rate"] == 1.0


def test_plans_that_draw_nearer_in_a_number_grow_alike():
    rows = [("A", "5", "2022-01-01"), ("B", "15", "2022-01-01"), ("B", "7", "2024-07-01")]
    frame = pd.DataFrame(rows, columns=["plan", "requirement_value", "effective_date"])
    frame["requirement"] = "days"
    result = requirement_standardization(frame, as_of=["2023-12-31", DAY]).to_frame()
    days = result[result["requirement"] == "days"].set_index("as_of")["rate"]
    assert days.tolist() == pytest.approx([0.0, 1 - 2 / 10])  # the range is 5 to 15 on both days


def test_weights_and_kinds_are_declared_for_elements_there_are():
    days_only = plan_similarity(REQUIREMENT, as_of=DAY, weights={"portal": 0, "fields": 0})
    np.testing.assert_allclose(days_only.rate, [0.8, 0.0, 0.2])
    as_text = plan_similarity(
        REQUIREMENT, as_of=DAY, kinds={"days": "category"}, weights={"portal": 0, "fields": 0}
    )
    assert as_text.rate.tolist() == [0, 0, 0]
    with pytest.raises(EstimationError, match="`weights`"):
        plan_similarity(REQUIREMENT, as_of=DAY, weights={"fax": 1})
    with pytest.raises(EstimationError, match="`weights`"):
        plan_similarity(REQUIREMENT, as_of=DAY, weights={"portal": -1})
    with pytest.raises(EstimationError, match="`kinds`"):
        plan_similarity(REQUIREMENT, as_of=DAY, kinds={"fax": "set"})
    with pytest.raises(EstimationError, match="declared a number"):
        plan_similarity(REQUIREMENT, as_of=DAY, kinds={"portal": "number"})


def test_what_cannot_be_compared():
    with pytest.raises(EstimationError, match="fewer than two plans"):
        plan_similarity(REQUIREMENT[:3], as_of=DAY)
    with pytest.raises(EstimationError, match="none of 2 rows is in force"):
        plan_similarity(REQUIREMENT[7:9].assign(effective_date="2026-01-01"), as_of=DAY)
    double = pd.concat([REQUIREMENT, REQUIREMENT[:1].assign(requirement_value="fax")])
    with pytest.raises(TableError, match="1 times a plan has two settings"):
        plan_similarity(double, as_of=DAY)
    assert len(plan_similarity(pd.concat([REQUIREMENT] * 2), as_of=DAY)) == 3
    with pytest.raises(EstimationError, match="written alike"):
        requirement_burden(REQUIREMENT, CONTRACT.assign(plan="Z"), ORGANIZATION, quarter="2024Q4")


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 9999), n_plans=st.integers(2, 6), n_elements=st.integers(1, 4))
def test_similarity_against_brute_force(seed, n_plans, n_elements):
    rng = np.random.default_rng(seed)
    rows = [
        (f"p{p}", f"e{e}", str(rng.integers(1, 5)) if e % 2 else rng.choice(["x", "y", "z"]))
        for p in range(n_plans)
        for e in range(n_elements)
        if rng.random() < 0.85
    ]
    frame = pd.DataFrame(rows, columns=["plan", "requirement", "requirement_value"])
    if frame["plan"].nunique() < 2:
        return
    found = plan_similarity(frame, as_of=DAY).to_frame()
    value = {(p, e): v for p, e, v in rows}
    for _, row in found.iterrows():
        scores = []
        for e in range(n_elements):
            pair = [value.get((row[k], f"e{e}")) for k in ("plan", "other_plan")]
            if None in pair:
                continue
            if e % 2:
                every = [int(v) for (_, name), v in value.items() if name == f"e{e}"]
                span = max(every) - min(every) or 1
                scores.append(1 - abs(int(pair[0]) - int(pair[1])) / span)
            else:
                scores.append(float(pair[0] == pair[1]))
        if scores:
            assert row["rate"] == pytest.approx(np.mean(scores))
            assert 0 <= row["rate"] <= 1
        else:
            assert np.isnan(row["rate"])
    shuffled = plan_similarity(frame.sample(frac=1, random_state=seed), as_of=DAY).to_frame()
    pd.testing.assert_frame_equal(found, shuffled)
