"""Figures: withheld points are absent, captions count them, words are computed."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.report import Absent, figures
from calaim_eval.report.figures import coverage_maps, event_study
from calaim_eval.report.figures.forest import effects_by_race, with_axis_ends
from calaim_eval.report.figures.trend import program_starts

ONE_FIGURE = [name for name in figures.__all__ if name not in ("Figure", "coverage_maps")]
ELSEWHERE = (
    "plan_similarity",
    "rank_ranges",
    "referral_times",
    "statewide_series",
    "success_dominance",
)
"""Tested in test_plan_pages.py, test_partner_pages.py, test_referral_time_pages.py,
test_statewide_series.py, test_success_table.py."""
OF_THE_QUARTER = [name for name in ONE_FIGURE if name not in ELSEWHERE]


@pytest.fixture(scope="module")
def empty():
    return release({}, quarter="2024Q4")


@pytest.mark.parametrize("name", OF_THE_QUARTER)
def test_every_figure_has_words_and_fits_a_page(released, name):
    figure = getattr(figures, name)(released)
    assert isinstance(figure, figures.Figure)
    assert 60 < len(figure.alt_text) < 1400
    assert figure.caption.endswith(".")
    assert figure.width <= 7.2
    assert figure.height <= 9.3


@pytest.mark.parametrize("name", ONE_FIGURE)
def test_every_figure_is_absent_from_an_empty_release(empty, name):
    assert isinstance(getattr(figures, name)(empty), Absent)


@pytest.mark.parametrize("name", ["effects_by_race", "access_funnel", "utilization_trend"])
def test_figures_are_drawn(released, name, tmp_path):
    figure = getattr(figures, name)(released)
    path = figure.save(tmp_path / "figure.png")
    height, width = plt.imread(path).shape[:2]
    assert (width, height) == (round(figure.width * 200), round(figure.height * 200))


def test_withheld_points_are_not_in_the_plot(released):
    frame = released.tables["effect_by_race"].frame
    hidden = frame[frame["is_suppressed"] & (frame["outcome"] == "ed_visits")]
    figure = effects_by_race(released, outcomes=["ed_visits"])
    assert len(hidden) >= 1
    drawn = figure.plot.data
    assert not set(hidden["race_ethnicity"]) & set(drawn["race_ethnicity"])
    assert drawn["estimate"].notna().all()
    assert f"{len(hidden)} estimates are not shown (small numbers)" in figure.caption
    assert f"{len(hidden)} groups not shown" in figure.alt_text


def test_the_overall_effect_stands_beside_the_groups(released):
    overall = released.tables["effect_overall"].frame
    row = overall[(overall["outcome"] == "ed_visits") & (overall["anchor"] == "first_service")]
    drawn = effects_by_race(released, outcomes=["ed_visits"]).plot.data
    assert drawn.loc[drawn["is_all"], "estimate"].tolist() == row["estimate"].tolist()


def test_an_interval_far_wider_than_the_others_is_cut_and_said_to_be():
    panel = pd.Categorical(["a"] * 4)
    frame = pd.DataFrame(
        {
            "panel": panel,
            "estimate": [0.0, -2.0, 1.0, -30.0],
            "conf_low": [-5.0, -8.0, -4.0, -400.0],
            "conf_high": [5.0, 4.0, 6.0, 340.0],
        }
    )
    drawn = with_axis_ends(frame)
    assert drawn["runs_on_left"].tolist() == [False, False, False, True]
    assert drawn["runs_on_right"].tolist() == [False, False, False, True]
    assert drawn["drawn_low"].min() <= frame["estimate"].min()
    assert drawn["drawn_low"].min() > -40
    assert drawn["drawn_high"].max() < 10
    assert drawn["drawn_low"].tolist()[:3] == frame["conf_low"].tolist()[:3]


def test_intervals_of_like_width_are_drawn_whole(released):
    frame = released.tables["effect_overall"].frame.iloc[:3]
    alike = frame.assign(
        panel=pd.Categorical(["a"] * 3), conf_low=-1.0, conf_high=2.0, estimate=0.5
    )
    drawn = with_axis_ends(alike)
    assert not drawn[["runs_on_left", "runs_on_right"]].to_numpy().any()


def test_changes_without_comparison_are_marked_as_not_causal(released):
    figure = figures.pre_post_by_race(released)
    assert figure.caption.startswith("Not causal")
    assert figure.alt_text.startswith("Not causal")
    assert "Not causal" in figure.plot.labels.subtitle


def test_event_study_leaves_overall_rows_to_the_tables(released):
    figure = event_study(released, item="county_phase")
    assert figure.plot.data["event_time"].between(0, 5).all()


def test_gaps_leave_out_the_reference_group(released):
    assert "white" not in set(figures.gaps_by_race(released).plot.data["race_ethnicity"])


def test_alt_text_of_the_funnel_holds_the_released_shares(released):
    frame = released.tables["referral_funnel"].frame
    row = frame[(frame["race_ethnicity"] == "all") & (frame["step"] == "closed")].iloc[0]
    words = f"Closed {100 * row['numerator'] / row['denominator']:.0f}% ({row['numerator']:,.0f})"
    assert words in figures.referral_funnel(released).alt_text


def test_coverage_maps_hold_every_county_once(released):
    parts = coverage_maps(released)
    counties = [c for part in parts for c in part.plot.data["county"].unique()]
    assert len(parts) == 2
    assert len(counties) == len(set(counties)) == 58
    for part in parts:
        assert part.height <= 9.3


def test_coverage_states_tell_contracted_from_active(released):
    frame = released.tables["coverage"].frame
    drawn = coverage_maps(released)[0].plot.data
    idle = drawn[drawn["state"] == "Contracted, none active"]
    assert (idle["numerator"] == 0).all()
    assert (idle["denominator"] > 0).all()
    expected = ((frame["numerator"] >= 2) & frame["county"].isin(drawn["county"])).sum()
    assert (drawn["state"] == "2 or more active").sum() == expected


def test_program_dates_come_from_the_county_list():
    assert program_starts() == {"2022Q1": "25 counties start", "2022Q3": "33 counties start"}
