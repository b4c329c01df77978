"""What goes with closed referrals, as a reader sees it."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.report import figures, tables
from calaim_eval.results import EffectTable, Estimand, Method


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    terms = ["cbo_share", "plan_model_2024=Two-Plan", "coordinator", "rare"]
    table = EffectTable(
        keys=pd.DataFrame({"term": terms}),
        estimate=np.array([0.12, -0.034, 0.2, 0.1]),
        covariance=np.diag([0.0004, 0.0009, np.nan, 0.0004]),
        support=pd.DataFrame(
            {"n_members": [900.0, 300.0, 40.0, 5.0], "n_events": 0.0, "member_months": 0.0}
        ),
        estimand=Estimand("Association", "a difference", "share", is_causal=False),
        method=Method("Linear regression, jackknife over clusters"),
    )
    folder = tmp_path_factory.mktemp("success")
    return tables.success_table(release({"success_factors": table}, quarter="2024Q4", to=folder))


def test_differences_are_percentage_points_with_names_a_reader_knows(page):
    cells = page.gt._tbl_data.set_index("Factor")["Difference (95% interval)"]
    assert cells["Referrals to community-based organizations (all against none)"].startswith(
        "+12.0"
    )
    assert "Plan model of 2024: Two-Plan" in cells.index


def test_a_term_without_an_interval_is_undefined_and_a_small_one_is_hidden(page):
    cells = page.gt._tbl_data.set_index("Factor")["Difference (95% interval)"]
    assert "0" not in cells["Coordinator"]
    assert "0" not in cells["Rare"]
    assert cells["Coordinator"] != cells["Rare"]
    assert "not effects" in page.gt.as_raw_html()


@pytest.fixture(scope="module")
def more(tmp_path_factory):
    """Dominance of two factors, one of few members, and two solutions."""

    def table(keys, values, n_members):
        k = len(values)
        support = {"n_members": n_members, "n_events": 0.0, "member_months": np.nan}
        return EffectTable(
            keys=pd.DataFrame(keys),
            estimate=np.array(values, dtype=float),
            covariance=np.full((k, k), np.nan),
            support=pd.DataFrame(support, index=range(k)),
            estimand=Estimand("Association", "a share", "share", is_causal=False),
            method=Method("General dominance"),
            notes=("Outcome: closes_well.", "Expected: cbo_led present, urban absent."),
        )

    statistics = ["share", "conf_low", "conf_high", "noise", "first"]
    factors = ["wpc_pilot", "cbo_share", "rare"]
    dominance = table(
        {"factor": np.repeat(factors, 5), "statistic": statistics * 3},
        [0.3, 0.1, 0.45, 0.02, 0.9, 0.05, 0.01, 0.2, 0.02, 0.1, 0.2, 0.1, 0.3, 0.02, 0.0],
        np.repeat([900.0, 300.0, 5.0], 5),
    )
    parts = ["consistency", "pri", "coverage", "unique_coverage", "n_cases"]
    combinations = table(
        {
            "solution": ["conservative"] * 5 + ["parsimonious"] * 10,
            "model": ["1"] * 10 + ["2"] * 5,
            "term": np.repeat(["funded*~urban", "funded", "~urban"], 5),
            "statistic": parts * 3,
        },
        [0.91, 0.8, 0.5, 0.5, 6, 0.85, 0.7, 0.6, 0.6, 9, 0.8, 0.6, 0.7, 0.7, 11],
        np.repeat(400.0, 15),
    )
    untenable = table(
        {
            "combination": ["~funded*urban", "funded*urban"],
            "reason": ["impossible", "supposed for the outcome and for its absence"],
            "statistic": "is_observed",
        },
        [0, 1],
        np.repeat(400.0, 2),
    )
    results = {
        "success_dominance": dominance,
        "success_combinations": combinations,
        "success_untenable": untenable,
    }
    folder = tmp_path_factory.mktemp("more")
    return release(results, quarter="2024Q4", to=folder)


def test_dominance_is_drawn_beside_chance_without_the_factor_of_few(more, tmp_path):
    figure = figures.success_dominance(more)
    assert "30% (10% to 45%, by chance 2%)" in figure.alt_text
    assert "Rare" not in figure.alt_text
    assert "1 factor is not shown" in figure.caption
    assert "not effects" in figure.caption
    assert figure.save(tmp_path / "dominance.png").stat().st_size > 10_000


def test_combinations_are_written_in_words_by_solution_and_model(more):
    page = tables.success_combinations_table(more)
    cells = page.gt._tbl_data
    assert cells["Combination"].tolist() == ["funded and not urban", "funded", "not urban"]
    assert cells["Consistency"].tolist() == ["0.91", "0.85", "0.80"]
    assert cells["Units in it"].tolist() == ["6", "9", "11"]
    assert cells["Solution"].str.contains("model").tolist() == [False, True, True]
    assert "closes well" in page.caption


def test_what_was_expected_stands_under_the_combinations(more):
    page = tables.success_combinations_table(more)
    assert "Expected to help: CBO led present, urban absent." in page.gt.as_raw_html()


def test_combinations_that_must_not_be_supposed_have_their_reason(more):
    page = tables.success_untenable_table(more)
    cells = page.gt._tbl_data
    assert cells["Combination"].tolist() == ["not funded and urban", "funded and urban"]
    assert cells["Units have it"].tolist() == ["No", "Yes"]
    reason = page.to_html().rpartition("Impossible")[0].rpartition("<td")[2]
    assert "text-align: left" in reason
    assert cells["Why not"].tolist() == [
        "Impossible",
        "Supposed for the outcome and for its absence",
    ]


@pytest.fixture(scope="module")
def by_level(tmp_path_factory):
    """Effects of an outcome in counties of either level; a second outcome of few members."""
    levels = ["lower", "higher", "higher minus lower"]
    table = EffectTable(
        keys=pd.DataFrame(
            {"outcome": np.repeat(["ed_visits", "jail_days"], 3), "integration": levels * 2}
        ),
        estimate=np.array([-10.0, -30.0, -20.0, 1.0, 2.0, 1.0]),
        covariance=np.diag([16.0, 25.0, 41.0, 1.0, 1.0, 2.0]),
        support=pd.DataFrame(
            {"n_members": np.repeat([400.0, 5.0], 3), "n_events": np.repeat([300.0, 5.0], 3),
             "member_months": np.repeat([4000.0, 50.0], 3)}
        ),
        estimand=Estimand(
            "Effect by integration", "a contrast", "per 1,000 member-months", is_causal=False
        ),
        method=Method("Difference-in-differences"),
        notes=(
            "Level of a county: share of its referrals closed.",
            "Counties of lower integration: 5, of higher: 4; each left out in turn.",
            "Counties of lower integration: 5, of higher: 3; each left out in turn. In neither, "
            "and left out: 2.",
        ),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("by_level")
    return release({"effect_by_integration": table}, quarter="2024Q4", to=folder)


def test_effects_by_level_stand_beside_their_difference(by_level):
    page = tables.effect_by_integration_table(by_level)
    cells = page.gt._tbl_data.set_index("Outcome")
    assert list(cells.columns) == ["Lower integration", "Higher integration", "Difference"]
    row = cells.loc["Emergency department visits"]
    assert [c.split()[0] for c in row] == ["\u221210.0", "\u221230.0", "\u221220.0"]
    # Normal intervals: 1.96 standard errors of 4, 5 and the root of 41.
    assert "\u221217.8 to \u22122.2" in row["Lower integration"].replace("\u00a0", " ")
    assert not any(c.isdigit() for c in "".join(cells.iloc[1]))


def test_the_difference_is_called_an_association(by_level):
    words = tables.effect_by_integration_table(by_level).gt.as_raw_html()
    assert "not the effect of integration" in words
    # An outcome that rests on one county less has its own number.
    assert "Counties of lower integration: 5, of higher: 3 to 4, by outcome." in words
    assert "Level of a county: share of its referrals closed." in words
