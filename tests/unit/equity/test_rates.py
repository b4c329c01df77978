from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.equity import byar_interval, proportion_by_group, rate_by_group
from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.panel import MemberMonths
from calaim_eval.results import stack_rates


def random_months(n_members: int = 80, seed: int = 7) -> pd.DataFrame:
    """Members with unequal coverage, some of them frequent visitors."""
    rng = np.random.default_rng(seed)
    months = pd.date_range("2022-01-01", periods=12, freq="MS")
    rows = [
        pd.DataFrame(
            {
                "member_id": f"m{i:03d}",
                "month": months[: rng.integers(1, 13)],
                "race_ethnicity": rng.choice(["black", "aian", "unknown"]),
                "level": rng.gamma(0.5, 0.6),
            }
        )
        for i in range(n_members)
    ]
    frame = pd.concat(rows, ignore_index=True)
    return frame.assign(ed_visits=rng.poisson(frame.pop("level")), covered_days=28)


def test_standard_error_is_that_of_a_regression_clustered_by_member():
    frame = random_months()
    table = rate_by_group(frame, outcome="ed_visits", by="race_ethnicity", per=1).to_frame()
    for row in table.itertuples():
        own = frame[frame["race_ethnicity"] == row.race_ethnicity]
        fit = sm.OLS(own["ed_visits"], np.ones(len(own))).fit(
            cov_type="cluster", cov_kwds={"groups": pd.factorize(own["member_id"])[0]}
        )
        low, high = byar_interval(row.numerator)
        width = fit.bse.iloc[0] / np.sqrt(row.numerator) * (high - low)
        assert row.rate == pytest.approx(fit.params.iloc[0])
        assert row.conf_high - row.conf_low == pytest.approx(width)


def test_repeat_visits_of_one_member_widen_the_interval_beyond_byar():
    frame = random_months()
    by = {"outcome": "ed_visits", "by": "race_ethnicity"}
    clustered = rate_by_group(frame, **by).to_frame()
    independent = rate_by_group(frame, **by, interval="byar").to_frame()
    assert (clustered["rate"] == independent["rate"]).all()
    assert (
        clustered["conf_high"] - clustered["conf_low"]
        > independent["conf_high"] - independent["conf_low"]
    ).all()


def test_panel_and_frame_give_the_same_and_all_adds_up():
    frame = random_months()
    panel = MemberMonths.from_frames(frame)
    options = {"outcome": "ed_visits", "by": "race_ethnicity", "margins": ("race_ethnicity",)}
    from_panel = rate_by_group(panel, **options).to_frame()
    pd.testing.assert_frame_equal(from_panel, rate_by_group(frame, **options).to_frame())
    groups, total = from_panel.iloc[:-1], from_panel.iloc[-1]
    assert total["race_ethnicity"] == "all"
    for column in ("numerator", "denominator", "n_members"):
        assert groups[column].sum() == total[column]
    assert total["denominator"] == len(frame)
    assert total["n_members"] == frame[frame["ed_visits"] > 0]["member_id"].nunique()


def test_a_member_in_two_groups_is_one_member_in_all():
    frame = pd.DataFrame(
        {"member_id": "a", "county": ["Kern", "Napa"], "ed_visits": [1, 2], "month": [1, 2]}
    )
    table = rate_by_group(frame, outcome="ed_visits", by="county", margins=("county",)).to_frame()
    assert table["n_members"].tolist() == [1, 1, 1]
    assert table["numerator"].tolist() == [1, 2, 3]


def test_groups_in_display_order_missing_as_unknown_and_all_last():
    frame = pd.DataFrame(
        {
            "member_id": list("abcde"),
            "race_ethnicity": ["white", None, "aian", "nhpi", "declined"],
            "ed_visits": [1, 1, 1, 1, 1],
        }
    )
    table = rate_by_group(
        frame, outcome="ed_visits", by="race_ethnicity", margins=("race_ethnicity",)
    )
    order = ["aian", "nhpi", "white", "declined", "unknown", "all"]
    assert table.keys["race_ethnicity"].tolist() == order
    assert frame["race_ethnicity"].isna().sum() == 1


def test_months_limit_numerator_and_denominator():
    frame = pd.DataFrame(
        {
            "member_id": "a",
            "month": pd.date_range("2022-01-01", periods=4, freq="MS"),
            "race_ethnicity": "black",
            "ed_visits": [9, 1, 2, 9],
        }
    )
    table = rate_by_group(
        frame, outcome="ed_visits", by="race_ethnicity", months=("2022-02", "2022-03")
    )
    assert (table.numerator[0], table.denominator[0], table.rate[0]) == (3, 2, 1500)
    assert table.unit == "ED visits per 1,000 member-months"


def test_months_with_an_unknown_outcome_are_counted_not_zero():
    frame = pd.DataFrame(
        {"member_id": list("aab"), "race_ethnicity": "black", "jail_days": [2, None, 0]}
    )
    table = rate_by_group(frame, outcome="jail_days", by="race_ethnicity", per=1)
    assert table.denominator[0] == 2
    assert "fewer than 11 member-months" in table.notes[0]


def test_amounts_are_not_counts():
    frame = pd.DataFrame(
        {"member_id": list("abcd"), "race_ethnicity": "black", "paid_usd": [0, 10.5, 99.9, 400.0]}
    )
    table = rate_by_group(frame, outcome="paid_usd", by="race_ethnicity")
    assert table.unit == "USD per member-month"
    mean, error = frame["paid_usd"].mean(), frame["paid_usd"].sem()
    assert table.conf_high[0] == pytest.approx(mean * np.exp(1.959963985 * error / mean))
    with pytest.raises(EstimationError, match="an amount, not a count"):
        rate_by_group(frame, outcome="paid_usd", by="race_ethnicity", interval="byar")


def test_a_group_without_events_keeps_its_row_with_byars_interval():
    frame = pd.DataFrame(
        {"member_id": list("ab"), "race_ethnicity": ["nhpi", "white"], "ed_visits": [0, 3]}
    )
    table = rate_by_group(frame, outcome="ed_visits", by="race_ethnicity", per=1)
    assert table.rate[0] == 0
    assert table.conf_low[0] == 0
    assert table.conf_high[0] == pytest.approx(byar_interval(0)[1])
    assert any("without an event" in note for note in table.notes)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"outcome": "falls"}, TableError, "the frame lacks `falls`"),
        ({"margins": ("county",)}, TableError, "`margins` names `county`"),
        ({"interval": "wald"}, DesignError, "`interval` is 'wald'"),
        ({"months": ("2030-01", "2030-02")}, EstimationError, "no member-month"),
        ({"months": ("soon", "2030-02")}, DesignError, "'soon' is not a month"),
    ],
)
def test_what_is_refused(options, error, message):
    settings = {"outcome": "ed_visits", "by": "race_ethnicity", **options}
    with pytest.raises(error, match=message):
        rate_by_group(random_months(5), **settings)


def test_repeated_member_months_are_refused():
    frame = random_months(5)
    with pytest.raises(TableError, match="repeat the key"):
        rate_by_group(pd.concat([frame, frame]), outcome="ed_visits", by="race_ethnicity")


def test_proportions_count_each_member_once():
    members = pd.DataFrame(
        {
            "member_id": list("abcd"),
            "race_ethnicity": ["black", "black", "declined", None],
            "is_served": [True, False, True, None],
        }
    )
    table = proportion_by_group(
        members, has="is_served", by="race_ethnicity", margins=("race_ethnicity",), per=100
    )
    assert table.to_frame()["rate"].tolist() == [50, 100, pytest.approx(200 / 3)]
    assert "fewer than 11 members" in table.notes[0]
    with pytest.raises(TableError, match="repeat a `member_id`"):
        proportion_by_group(pd.concat([members, members]), has="is_served", by="race_ethnicity")


def test_a_measure_unknown_in_some_months_keeps_its_own_denominator_when_stacked():
    frame = random_months(20).assign(readmissions_30d=0.0)
    frame.loc[frame["month"] == "2022-01-01", "readmissions_30d"] = np.nan
    tables = [
        rate_by_group(frame, outcome=outcome, by="race_ethnicity")
        for outcome in ("ed_visits", "readmissions_30d")
    ]
    stacked = stack_rates(tables, key="outcome", labels=["ed_visits", "readmissions_30d"])
    assert stacked.denominator_keys == ("outcome", "race_ethnicity")
    same = stack_rates(tables[:1] * 2, key="outcome", labels=["ed_visits", "again"])
    assert same.denominator_keys == ("race_ethnicity",)
