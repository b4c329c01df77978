from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.equity import (
    DISPARITY_FORMULAS,
    direct_standardized_rate,
    disparity_measures,
    proportion_by_group,
    rate_by_group,
    rate_gap,
)
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.results import EffectTable, Estimand, Method

UNIT = "ED visits per 1,000 member-months"
COUNTS = pd.DataFrame(
    {
        "race_ethnicity": ["aian", "black", "white"],
        "events": [30, 160, 50],
        "member_months": [500, 2000, 1000],
        "n_members": [20, 100, 40],
    }
)
# Rates 60, 80 and 50; shares 1/7, 4/7, 2/7; mean 240 / 3.5.
MEAN = 480 / 7


def measured(frame=COUNTS, *, reference="white", weights="population", favourable=False, **options):
    return disparity_measures(
        frame,
        reference=reference,
        favourable=favourable,
        weights=weights,
        **{"per": 1000, "unit": UNIT, **options},
    )


def one(found, measure: str, group: str = "all") -> pd.Series:
    frame = found.to_frame()
    rows = frame[(frame["measure"] == measure) & (frame["race_ethnicity"] == group)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_absolute_and_relative_gaps_by_hand():
    found = measured()
    gap, ratio = one(found, "rate_difference", "black"), one(found, "rate_ratio", "black")
    assert gap["estimate"] == pytest.approx(30)
    assert gap["std_error"] == pytest.approx(1000 * np.sqrt(160 / 2000**2 + 50 / 1000**2))
    assert ratio["estimate"] == pytest.approx(1.6)
    assert ratio["std_error"] / 1.6 == pytest.approx(np.sqrt(1 / 160 + 1 / 50))
    assert {gap["kind"], ratio["kind"]} == {"absolute", "relative"}
    assert gap["unit"] == UNIT
    assert gap["reference"] == "white"


def test_measures_over_all_groups_by_hand():
    found = measured()
    distances = np.array([10, 30, 0])
    share = np.array([1, 4, 2]) / 7
    rates = np.array([60.0, 80, 50])
    assert found.value("mean_difference") == pytest.approx(distances @ share)
    assert found.value("index_of_disparity") == pytest.approx(100 * distances @ share / 50)
    assert found.value("range_difference") == pytest.approx(30)
    assert found.value("range_ratio") == pytest.approx(1.6)
    assert found.value("population_attributable_risk") == pytest.approx(MEAN - 50)
    assert found.value("population_attributable_fraction") == pytest.approx(100 * (1 - 50 / MEAN))
    variance = share @ (rates - MEAN) ** 2
    assert found.value("between_group_variance") == pytest.approx(variance)
    assert found.value("between_group_sd") == pytest.approx(np.sqrt(variance))
    assert found.value("coefficient_of_variation") == pytest.approx(100 * np.sqrt(variance) / MEAN)
    x = rates / MEAN
    assert found.value("theil") == pytest.approx(share @ (x * np.log(x)))
    assert found.value("mean_log_deviation") == pytest.approx(-share @ np.log(x))


def test_rest_and_mean_as_the_reference():
    rest, mean = measured(reference="rest"), measured(reference="mean")
    assert one(rest, "rate_difference", "aian")["estimate"] == pytest.approx(60 - 210 / 3)
    assert one(mean, "rate_difference", "aian")["estimate"] == pytest.approx(60 - MEAN)
    assert one(mean, "rate_ratio", "white")["estimate"] == pytest.approx(50 / MEAN)
    # The group is part of the mean: its own rate counts on both sides.
    share = np.array([1, 4, 2]) / 7
    variance = np.array([30 / 500**2, 160 / 2000**2, 50 / 1000**2]) * 1e6
    gradient = -share + np.array([1, 0, 0])
    assert one(mean, "rate_difference", "aian")["std_error"] == pytest.approx(
        np.sqrt(gradient**2 @ variance)
    )


def test_framing_turns_the_best_group_around():
    adverse, favourable = measured(reference="best"), measured(reference="best", favourable=True)
    assert one(adverse, "population_attributable_risk")["reference"] == "best (white)"
    assert one(favourable, "population_attributable_risk")["reference"] == "best (black)"
    assert favourable.value("population_attributable_risk") == pytest.approx(80 - MEAN)
    for found in (adverse, favourable):
        assert one(found, "population_attributable_risk")["if_equal"] > 0


def test_equal_weights_and_weights_given_agree_where_they_are_the_same():
    equal = measured(weights="equal")
    given = measured(weights=pd.Series(1 / 3, index=["white", "black", "aian"]))
    assert equal.value("between_group_variance") == pytest.approx(np.var([60, 80, 50]))
    assert given.value("theil") == pytest.approx(equal.value("theil"))
    assert one(given, "theil")["weights"] == "given"


def test_covariance_between_groups_is_used():
    """A common error moves all rates together: it cancels in a difference."""
    rate = np.array([10.0, 14, 12])
    covariance = np.diag([1.0, 1, 1]) + 5
    table = EffectTable(
        keys=pd.DataFrame({"race_ethnicity": ["aian", "black", "white"]}),
        estimate=rate,
        covariance=covariance,
        support=pd.DataFrame({"n_members": [50] * 3, "n_events": 50, "member_months": 900.0}),
        estimand=Estimand("rate", "adjusted rate", UNIT),
        method=Method("model"),
    )
    found = disparity_measures(
        table,
        reference="white",
        favourable=False,
        weights="equal",
        population=pd.Series([1, 1, 1], index=["aian", "black", "white"]),
    )
    assert one(found, "rate_difference", "aian")["std_error"] == pytest.approx(np.sqrt(2))
    independent = one(found, "between_group_variance")
    centred = rate - rate.mean()
    a = np.eye(3) / 3 - 1 / 9
    exact = 4 * (centred / 3) @ covariance @ (centred / 3) + 2 * np.trace(
        a @ covariance @ a @ covariance
    )
    assert independent["std_error"] == pytest.approx(np.sqrt(exact))
    with pytest.raises(EstimationError, match="population is not known"):
        disparity_measures(table, reference="white", favourable=False, weights="equal")


def test_bias_of_the_between_group_variance_is_what_theory_says():
    found = measured()
    share = np.array([1, 4, 2]) / 7
    variance = np.array([30 / 500**2, 160 / 2000**2, 50 / 1000**2]) * 1e6
    row = one(found, "between_group_variance")
    assert row["estimate"] - row["bias_corrected"] == pytest.approx(
        np.sum(share * (1 - share) * variance)
    )
    # If all shared one rate, a Poisson count has variance mean / member-months * 1,000.
    expected = np.sum(share * (1 - share) * MEAN * 1000 / np.array([500, 2000, 1000]))
    assert row["if_equal"] == pytest.approx(expected, rel=0.08)


def test_smooth_bias_is_half_the_trace_of_curvature():
    """Ratio: the second-order bias is R v_0 / r_0 squared where groups are independent."""
    row = one(measured(), "rate_ratio", "black")
    assert row["estimate"] - row["bias_corrected"] == pytest.approx(1.6 / 50, rel=1e-5)


def test_a_reference_picked_from_the_data_says_so_and_is_corrected():
    picked, fixed = measured(reference="best"), measured(reference="best", selection="ignored")
    assert any("partly luck" in note for note in picked.notes)
    assert one(picked, "rate_difference", "aian")["bias_corrected"] < 10
    assert one(fixed, "rate_difference", "aian")["std_error"] == pytest.approx(np.sqrt(120 + 50))


def test_a_group_without_events_stays_a_row():
    frame = COUNTS.assign(events=[0, 160, 50], n_members=[0, 100, 40])
    found = measured(frame)
    gap = one(found, "rate_difference", "aian")
    assert gap["estimate"] == pytest.approx(-50)
    assert np.isnan(gap["std_error"])
    assert one(found, "rate_ratio", "aian")["estimate"] == 0
    assert np.isfinite(one(found, "between_group_variance")["std_error"])
    assert np.isnan(one(found, "mean_log_deviation")["estimate"])
    assert any("1 of 3 groups have no spread" in note for note in found.notes)
    assert any("`mean_log_deviation`" in note and "not defined" in note for note in found.notes)


def months(seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat([f"m{i}" for i in range(120)], 6),
            "race_ethnicity": np.repeat(["aian", "black", "unknown", "white"], 180),
        }
    )
    return frame.assign(ed_visits=rng.poisson(np.repeat(rng.gamma(1, 0.4, 120), 6)))


def test_a_rate_table_brings_its_clustered_errors():
    table = rate_by_group(
        months(), outcome="ed_visits", by="race_ethnicity", margins=["race_ethnicity"]
    )
    found = disparity_measures(table, reference="white", favourable=False, weights="population")
    gap = rate_gap(table, reference="white").to_frame().set_index("race_ethnicity")
    for group in ("aian", "black", "unknown"):
        row = one(found, "rate_difference", group)
        assert row["estimate"] == pytest.approx(gap.loc[group, "estimate"])
        assert row["std_error"] == pytest.approx(gap.loc[group, "std_error"])
        assert row["n_members"] == gap.loc[group, "n_members"]
    # Visits of a member cluster: chance alone gives more than independent visits would.
    rows = table.select(table.keys["race_ethnicity"] != "all")
    independent = measured(
        pd.DataFrame(
            {
                "race_ethnicity": rows.keys["race_ethnicity"],
                "events": rows.numerator,
                "member_months": rows.denominator,
            }
        )
    )
    clustered = one(found, "between_group_variance")["if_equal"]
    assert clustered > 1.5 * one(independent, "between_group_variance")["if_equal"]


def test_proportions_and_several_plans():
    members = pd.DataFrame(
        {
            "member_id": [f"m{i}" for i in range(400)],
            "plan": ["x", "y"] * 200,
            "race_ethnicity": ["black"] * 200 + ["white"] * 200,
            "is_served": np.tile([True, False, False, True, True], 80),
        }
    )
    table = proportion_by_group(members, has="is_served", by=["plan", "race_ethnicity"])
    found = disparity_measures(table, reference="white", favourable=True, weights="equal")
    assert found.to_frame().groupby("plan").size().tolist() == [13, 13]
    between = found.differences.covariance[0, -1]
    assert np.isnan(between)


def test_tables_can_be_released_and_small_groups_hide_what_holds_them(tmp_path):
    released = release(
        {f"ed_{k}": t for k, t in measured().tables().items()}, policy="calhhs_ddg_2"
    )
    frame = released.tables["ed_differences"].frame
    assert not frame["is_suppressed"].any()
    assert set(frame["version"]) == {"plug_in", "bias_corrected", "if_equal"}
    small = measured(COUNTS.assign(n_members=[5, 100, 40])).tables()
    hidden = release({f"ed_{k}": t for k, t in small.items()}, policy="calhhs_ddg_2")
    frame = hidden.tables["ed_differences"].frame
    is_shown = ~frame["is_suppressed"]
    assert set(frame.loc[is_shown, "race_ethnicity"]) == {"black"}
    assert frame.loc[~is_shown, "estimate"].isna().all()


def test_every_measure_has_a_pair_and_a_floor():
    assert {m.kind for m in DISPARITY_FORMULAS.values()} == {"absolute", "relative"}
    frame = measured(reference="mean").to_frame()
    summary = frame[frame["race_ethnicity"] == "all"]
    assert (summary["conf_low"].dropna() >= 0).all()
    assert summary.loc[summary["measure"] == "theil", "p_value"].isna().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "asian"}, "`reference` is 'asian'; the groups: 'aian', 'black', 'white'"),
        ({"weights": "people"}, "`weights` is 'people', not one of"),
        (
            {"weights": pd.Series([0.5, 0.5, 0.5], index=["aian", "black", "white"])},
            "`weights` sum to 1.5",
        ),
        (
            {"weights": pd.Series([0.5, 0.5], index=["aian", "black"])},
            "`weights` lacks 1 of 3 groups: `white`",
        ),
        ({"measures": ["gini"]}, "1 of 1 measures are not known: `gini`"),
        (
            {"measures": ["population_attributable_risk"], "reference": "mean"},
            "compare with one rate",
        ),
        ({"stratum": "language"}, "lacks `language`"),
        ({"unit": None}, "give `unit`"),
        ({"per": None}, "give `per`"),
        ({"draws": 10}, "`draws` is 10"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(Exception, match=message):
        measured(**options)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (COUNTS.assign(member_months=[0, 1, 1]), "1 of 3 groups have a denominator of 0: `aian`"),
        (COUNTS.iloc[:1], "1 groups are there"),
        (pd.concat([COUNTS, COUNTS.iloc[:1]]), "1 of 4 rows repeat a group"),
        (COUNTS.assign(events=[-1, 2, 3]), "negative or missing numerator: `aian`"),
        (COUNTS.drop(columns="events"), "none of the sets of columns"),
    ],
)
def test_frames_that_are_refused(frame, message):
    with pytest.raises(EstimationError, match=message):
        measured(frame)


def test_a_share_above_one_and_an_option_that_is_none():
    frame = pd.DataFrame({"race_ethnicity": ["a", "b"], "count": [5, 1], "members": [4, 4]})
    with pytest.raises(EstimationError, match="1 of 2 groups have a share above 1: `a`"):
        measured(frame, reference="b")
    with pytest.raises(DesignError, match="`selection` is 'maybe'"):
        measured(selection="maybe")


def test_standardized_rates_are_measured_as_such_and_not_by_their_counts():
    cells = pd.DataFrame(
        {
            "race_ethnicity": ["black", "black", "white", "white"],
            "age_band": ["child", "adult"] * 2,
            "events": [10, 90, 40, 60],
            "member_months": [1000, 3000, 4000, 2000],
        }
    )
    rates = direct_standardized_rate(
        cells, by="race_ethnicity", weights=pd.Series({"child": 1, "adult": 1})
    )
    found = measured(rates)
    # (10 + 30) / 2 against (10 + 30) / 2: no gap at equal ages, 25 against 16.7 without.
    row = one(found, "rate_difference", "black")
    assert row["estimate"] == pytest.approx(0)
    assert row["std_error"] == pytest.approx(np.sqrt((rates["std_error"] ** 2).sum()))
    assert row["n_events"] == 100
    crude = measured(rates[["race_ethnicity", "events", "member_months"]])
    assert one(crude, "rate_difference", "black")["estimate"] == pytest.approx(25 - 100 / 6)
