"""Completeness by months since service: factors by hand, and against a loop over single lines."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.quality import QualityRules
from calaim_eval.quality.check import _run_out_counts
from calaim_eval.quality.run_out import extract_month_of, run_out, shares_arrived

FIRST = 24_264  # January 2022


def frame(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["month", "lag", "n_lines"])


def test_factors_of_a_triangle_by_hand():
    # Service months 0 to 3, followed for 3, 2, 1 and 0 months.
    arrived = np.array(
        [[60.0, 90.0, 96.0, 100.0], [50.0, 80.0, 84.0, 84.0], [70.0, 100.0, 100.0, 100.0], [30] * 4]
    )
    # 1: (90+80+100)/(60+50+70) = 1.5; 2: (96+84)/(90+80) = 18/17; 3: 100/96.
    whole = 1.5 * 18 / 17 * 100 / 96
    expected = [1 / whole, 1.5 / whole, 1.5 * 18 / 17 / whole, 1.0]
    np.testing.assert_allclose(shares_arrived(arrived, np.array([3, 2, 1, 0])), expected)


def test_completeness_is_what_share_of_each_month_had_arrived():
    """A known pattern, cut off at a day: the factors recover it exactly where nothing is random."""
    pattern = {0: 40, 1: 40, 2: 15, 3: 5}
    extract = FIRST + 12
    rows = [(FIRST + s, lag, n) for s in range(12) for lag, n in pattern.items() if s + lag <= 12]
    found = run_out(
        frame(rows),
        table="medical_claim",
        extract_month=extract,
        first_month=FIRST,
        last_month=FIRST + 11,
        min_expected_lines=50,
    )
    np.testing.assert_allclose(found.factors[:4], [0.40, 0.80, 0.95, 1.0])
    complete = dict(zip(found.months["month"] - FIRST, found.months["complete"], strict=True))
    assert [round(complete[s], 6) for s in (11, 10, 9, 8)] == [0.8, 0.95, 1.0, 1.0]
    assert found.payments_end_early == 0


def test_months_below_the_limit_are_counted_up_to_what_is_analysed():
    rows = [(FIRST + s, lag, 50) for s in range(12) for lag in (0, 1, 2) if s + lag <= 11]
    found = run_out(
        frame(rows),
        table="medical_claim",
        extract_month=FIRST + 11,
        first_month=FIRST,
        last_month=FIRST + 11,
        min_expected_lines=50,
    )
    # One third has arrived of the last month, two thirds of the one before.
    for analysed, n in ((FIRST + 11, 2), (FIRST + 10, 1), (FIRST + 9, 0)):
        months, early = _run_out_counts({"medical_claim": found}, FIRST, analysed, QualityRules())
        assert (months["n"].sum(), months["of"].sum()) == (n, analysed - FIRST + 1)
        assert early["n"].sum() == 0


def test_payments_that_stop_before_the_extract_are_told_from_services_that_stop():
    def found(last_service: int, last_paid: int, extract: int):
        rows = [
            (FIRST + s, lag, 100)
            for s in range(last_service + 1)
            for lag in (0, 1, 2)
            if s + lag <= last_paid
        ]
        return run_out(
            frame(rows),
            table="medical_claim",
            extract_month=FIRST + extract,
            first_month=FIRST,
            last_month=FIRST + 11,
            min_expected_lines=50,
        )

    # Everything is paid within two months, so nothing is missing in the four months after.
    stopped_services = found(11, 13, 17)
    assert (stopped_services.payments_end_early, stopped_services.as_of) == (0, FIRST + 17)
    stopped_payments = found(11, 11, 14)
    assert (stopped_payments.payments_end_early, stopped_payments.as_of) == (3, FIRST + 11)


def test_payments_after_the_last_whole_month_are_left_out():
    rows = [(FIRST, 0, 10), (FIRST, 1, 10), (FIRST + 1, 0, 10), (FIRST + 1, 1, 3)]
    found = run_out(
        frame(rows),
        table="medical_claim",
        extract_month=FIRST + 1,
        first_month=FIRST,
        last_month=FIRST + 1,
        min_expected_lines=50,
    )
    assert found.months["n_lines"].tolist() == [20, 10]
    np.testing.assert_allclose(found.months["complete"], [1.0, 0.5])


def test_the_month_of_the_extract_counts_only_when_it_is_over():
    assert extract_month_of(pd.Timestamp("2022-01-31")) == FIRST
    assert extract_month_of(pd.Timestamp("2022-01-30")) == FIRST - 1


def test_without_payments_nothing_can_be_said():
    found = run_out(
        frame([]),
        table="medical_claim",
        extract_month=FIRST,
        first_month=FIRST,
        last_month=FIRST,
        min_expected_lines=50,
    )
    assert found is None
