"""Released estimates carry no digits from which counts could be worked out."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
from disclosure_tables import effect_table

from calaim_eval.disclosure import release
from calaim_eval.estimate.support import support_frame


def one_effect(estimate, std_error):
    table = effect_table(pd.DataFrame({"outcome": ["inpatient_stays"]}), [42])
    return replace(table, estimate=np.array([estimate]), covariance=np.array([[std_error**2]]))


def test_a_change_of_rates_is_no_fraction_that_gives_its_events():
    # 13 stays in 502 member-months after, 3 in 252 before: all digits give 252, 502, 13 and 3.
    change = 1000 * (13 / 502 - 3 / 252)
    exact = Fraction(change / 1000).limit_denominator(100_000)
    assert exact == Fraction(13, 502) - Fraction(3, 252)
    shown = release({"pre_post": one_effect(change, 9.87)}).tables["pre_post"].frame.iloc[0]
    assert shown["estimate"] == 14.0
    assert shown["std_error"] == 9.9
    others = {
        (a, b)
        for a in range(40)
        for b in range(11)
        for before in range(240, 260)
        for after in range(490, 510)
        if abs(1000 * (a / after - b / before) - shown["estimate"]) <= 0.05
    }
    assert len({b for _, b in others}) == 11


def test_bounds_and_p_value_are_rounded_with_the_estimate():
    shown = release({"t": one_effect(-123.456, 12.3456)}).tables["t"].frame.iloc[0]
    numbers = shown[["estimate", "std_error", "conf_low", "conf_high"]].tolist()
    assert numbers == [-123.0, 12.0, -148.0, -99.0]
    assert len(f"{shown['p_value']:e}".rstrip("0").split("e")[0].replace("0", "")) <= 4


def test_an_estimate_without_a_standard_error_keeps_three_digits():
    shown = release({"t": one_effect(-123.456, 0.0)}).tables["t"].frame.iloc[0]
    assert shown["estimate"] == -123.0
    assert np.isnan(shown["std_error"])


def test_covariance_and_cluster_influence_do_not_leave(tmp_path):
    influence = pd.DataFrame({0: [0.123456789, -0.123456789]}, index=["Kern", "Yolo"])
    table = replace(one_effect(3.0, 1.0), cluster_influence=influence)
    released = release({"t": table}, to=tmp_path, quarter="2024Q4").tables["t"]
    assert set(released.frame) == {
        "outcome", "estimate", "std_error", "conf_low", "conf_high", "p_value", "is_suppressed",
    }  # fmt: skip
    files = [p.read_text(encoding="utf-8") for p in tmp_path.rglob("*") if p.is_file()]
    assert not any("0.123456789" in text or "Kern" in text for text in files)


def test_events_on_one_side_alone_count_as_the_smaller_side():
    exposed_none = np.array([[40.0, 0.0, 400.0], [90.0, 3.0, 900.0]])
    neither = np.array([[40.0, 0.0, 400.0], [90.0, 0.0, 900.0]])
    assert support_frame([exposed_none, neither])["n_events"].tolist() == [3, 0]


def test_free_text_carries_no_small_count(tmp_path):
    table = replace(one_effect(3.0, 1.0), notes=("4 members are outside.", "Of 58 members 12.5 %."))
    reasons = {"effect_by_race": "none of the 7 exposed members has a comparison (6 of 9 members)"}
    reasons["survey_reliability"] = "scale `use`: 2 respondents can be used; 4 organizations."
    reasons["outside_referrals"] = "table `social_referral`: none of 7 rows is a root referral"
    released = release({"t": table}, provenance={"left_out": reasons, "n": 3})
    assert released.tables["t"].meta["notes"] == [
        "fewer than 11 members are outside.",
        "Of 58 members 12.5 %.",
    ]
    assert released.provenance["n"] == 3
    assert released.provenance["left_out"]["effect_by_race"] == (
        "none of the fewer than 11 exposed members has a comparison "
        "(fewer than 11 of fewer than 11 members)"
    )
    assert released.provenance["left_out"]["survey_reliability"] == (
        "scale `use`: fewer than 11 respondents can be used; 4 organizations."
    )
    assert released.provenance["left_out"]["outside_referrals"] == (
        "table `social_referral`: none of fewer than 11 rows is a root referral"
    )
