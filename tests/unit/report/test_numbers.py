"""How numbers are written."""

import math

import pytest

from calaim_eval.report.numbers import (
    UNDEFINED_MARK,
    decimals_for,
    interval,
    number,
    p_value,
    percent,
    plural,
    signed,
)


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([1234.5, 3.0], 0), ([-45.2], 1), ([6.07, 0.2], 2), ([0.02], 3), ([math.nan], 2), ([], 2)],
)
def test_decimals_follow_the_largest_value(values, decimals):
    assert decimals_for(values) == decimals


def test_numbers_have_a_true_minus_sign_and_separators():
    assert number(-1234.56, decimals=1) == "−1,234.6"
    assert number(-0.04, decimals=1) == "0.0"
    assert number(math.nan) == UNDEFINED_MARK


def test_differences_always_show_their_sign():
    assert signed(3.14159, decimals=2) == "+3.14"
    assert signed(-3.14159, decimals=2) == "−3.14"
    assert signed(0.001, decimals=2) == "0.00"


def test_intervals_shares_and_p_values():
    assert interval(-12.1, 3.4, decimals=1, is_signed=True) == "−12.1 to +3.4"
    assert interval(math.nan, 3.4, decimals=1, is_signed=True) == UNDEFINED_MARK
    assert percent(0.4177) == "42%"
    assert percent(0.4177, decimals=1) == "41.8%"
    assert p_value(0.00001) == "<0.001"
    assert p_value(0.0496) == "0.050"


def test_plural():
    assert plural(1, "county", "counties") == "1 county"
    assert plural(1200, "group") == "1,200 groups"
