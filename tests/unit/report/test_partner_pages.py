"""What partners say and what plans ask, as a reader sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.integration import (
    IndexComponents,
    IndexRule,
    composite_index,
    requirement_standardization,
)
from calaim_eval.report import Absent, figures, partner_words, tables
from tests.unit.report.partner_tables import plan_results, survey_results


@pytest.fixture(scope="module")
def survey_release():
    return release(survey_results())


@pytest.fixture(scope="module")
def plan_release():
    return release(plan_results())


def test_scores_are_drawn_with_their_words(survey_release, tmp_path):
    figure = figures.survey_score_groups(survey_release)
    assert figure.save(tmp_path / "scores.png").stat().st_size > 10_000
    frame = survey_release.tables["survey_scores_by_role"].frame
    best = frame[frame["respondent_role"] == "frontline"].iloc[0]
    assert f"Frontline {best['estimate']:.2f} (" in figure.alt_text
    assert "NHPI-led not shown" in figure.alt_text
    assert figure.alt_text.count("All respondents") == 1
    assert "not shown (small numbers)" in figure.caption


def test_reliability_says_whether_colleagues_may_be_averaged(survey_release):
    html = tables.reliability_table(survey_release).to_html()
    alpha = survey_release.tables["survey_reliability"].frame.iloc[0]
    assert f"{alpha['estimate']:.2f} ({alpha['conf_low']:.2f} to {alpha['conf_high']:.2f})" in html
    assert "not supported" in html


def test_agreement_by_role_in_one_row_an_item(survey_release):
    html = tables.agreement_table(survey_release).to_html()
    frame = survey_release.tables["survey_agreement"].frame
    row = frame[(frame["item"] == "helps") & (frame["respondent_role"] == "frontline")].iloc[0]
    assert f"{100 * row['numerator'] / row['denominator']:.0f}% (" in html
    assert "answers of 4 or more" in tables.agreement_table(survey_release).caption
    assert "Not recorded" not in html


def test_who_answered_in_a_sentence(survey_release):
    words = partner_words.response_sentence(survey_release)
    assert "80 of 100 organizations (80%) answered the survey." in words
    assert "staff." in words


def test_requirements_drawn_least_alike_first(plan_release, tmp_path):
    figure = figures.requirement_similarity(plan_release)
    assert figure.save(tmp_path / "requirements.png").stat().st_size > 10_000
    assert "All requirements 0% to 50%; Days 0% to 0%; Portal 0% to 100%" in figure.alt_text
    assert "open points 2023-12-31, filled points 2024-12-31" in figure.caption
    words = partner_words.requirement_sentence(plan_release)
    assert "Of 2 requirements, plans differ most in days (similarity 0%)." in words
    assert "1.3 different sets of requirements" in words


def test_one_date_is_drawn_without_a_second_point():
    table = requirement_standardization(
        pd.DataFrame(
            {"plan": ["A", "B"], "requirement": "portal", "requirement_value": ["own", "own"]}
        ),
        as_of="2024-12-31",
    )
    figure = figures.requirement_similarity(release({"requirement_standardization": table}))
    assert figure.alt_text == (
        "Similarity of two plans' requirements on 2024-12-31: All requirements 100%; Portal 100%."
    )


def test_layouts_data_sharing_and_asset_map_in_tables(plan_release):
    layouts = tables.layouts_table(plan_release).to_html()
    assert "NHPI-led" in layouts
    assert "Clinic" in layouts
    assert "Hospital" not in layouts  # none under contract
    sharing = tables.data_sharing_table(plan_release).to_html()
    assert "44%" in sharing  # 40 of 90 with systems that read and write
    assert "22%" in sharing  # not recorded
    capacity = tables.capacity_table(plan_release).to_html()
    assert ">133.3<" in capacity  # 60 members, 45 places of o1 and o3
    assert ">30<" in capacity  # of o2, which states none
    asset_map = tables.asset_map_table(plan_release)
    assert "between 2023-12-31 and 2024-12-31" in asset_map.caption


def _ranked(min_support: int = 11, few: Sequence[int] = (1,)):
    values = np.random.default_rng(3).normal(size=(8, 2))
    support = np.full((8, 2), 90.0)
    support[list(few)] = 7
    components = IndexComponents(
        unit_name="county",
        units=np.array(list("ABCDEFGH"), dtype=object),
        names=np.array(["closure", "coverage"], dtype=object),
        values=values,
        std_errors=np.full((8, 2), 0.2),
        support=support,
    )
    rule = IndexRule(weights={"closure": 0.5, "coverage": 0.5}, min_support=min_support)
    return composite_index(components, rule=rule, rng=np.random.default_rng(1)).to_bounds()


def test_ranges_of_ranks_are_drawn_without_ranks(tmp_path):
    released = release({"integration_rank": _ranked(min_support=5)})
    figure = figures.rank_ranges(released)
    assert figure.save(tmp_path / "ranks.png").stat().st_size > 10_000
    assert "Weights: closure 0.5, coverage 0.5" in figure.caption
    assert "1 range is not shown" in figure.caption
    frame = released.tables["integration_rank"].frame.set_index("county")
    for county, row in frame[~frame["is_suppressed"]].iterrows():
        assert f"{county} {row['conf_low']:.0f} to {row['conf_high']:.0f}" in figure.alt_text
    assert "B " not in figure.alt_text.split("best first:")[1]


def test_ranges_that_are_all_withheld_are_said_to_be():
    found = figures.rank_ranges(release({"integration_rank": _ranked(few=range(8), min_support=5)}))
    assert "every range rests on too few people" in found.words


def test_what_is_absent_is_said():
    nothing = release({"integration_rank": _ranked()})
    for make in (
        figures.survey_score_groups,
        figures.requirement_similarity,
        tables.agreement_table,
        tables.reliability_table,
        tables.layouts_table,
        tables.data_sharing_table,
        tables.asset_map_table,
        tables.capacity_table,
    ):
        assert isinstance(make(nothing), Absent)
    assert partner_words.response_sentence(nothing) == ""
    assert partner_words.requirement_sentence(nothing) == ""
