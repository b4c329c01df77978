"""The matched comparison and the checked county phase, as a report shows them."""

from __future__ import annotations

import re

import pytest

from calaim_eval.disclosure import release
from calaim_eval.report import Absent, figures, tables
from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK
from tests.unit.report.made_up_quarter import EFFECT, UNITS
from tests.unit.report.second_answers import second_answers


@pytest.fixture(scope="module")
def answers():
    return release(second_answers(EFFECT, UNITS), quarter="2024Q4")


def rows_of(table) -> dict[str, list[str]]:
    """Text of the cells of the body by the name of the row."""
    body = re.search(r"<tbody.*?</tbody>", table.to_html(), flags=re.S).group(0)
    rows = [
        [
            re.sub(r"<[^>]+>", "", cell).replace("\xa0", " ").strip()
            for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row, flags=re.S)
        ]
        for row in re.findall(r"<tr.*?</tr>", body, flags=re.S)
    ]
    return {name: cells for name, *cells in rows}


def test_the_county_phase_shows_both_intervals_the_range_and_the_p_value(answers):
    """ED visits: -28.4 * 0.004 = -0.114; 1.96 * 4.9 * 0.13 = 1.249, * 0.10 = 0.960 either side."""
    table = tables.county_phase_checks_table(answers)
    cells = next(c for name, c in rows_of(table).items() if name.startswith("Emergency"))
    assert cells == ["−0.11", "−1.36 to +1.13", "−1.07 to +0.85", "−0.36 to +0.18", "0.035"]
    assert "cluster jackknife" in table.to_html()


def test_a_withheld_effect_has_no_p_value_and_no_range(answers):
    cells = next(
        c
        for name, c in rows_of(tables.county_phase_checks_table(answers)).items()
        if name.startswith("Readmissions")
    )
    assert cells == [SUPPRESSED_MARK] * 5


def test_the_plain_table_of_the_county_phase_stands_where_nothing_was_checked(answers):
    assert tables.county_phase_table(answers).caption == (
        tables.county_phase_checks_table(answers).caption
    )
    assert isinstance(tables.county_phase_table(release({}, quarter="2024Q4")), Absent)


def test_the_other_methods_say_that_there_is_no_series(answers):
    html = tables.county_phase_methods_table(answers).to_html()
    assert "Synthetic difference-in-differences" in html
    assert "six months that can be compared are too few" in html


def test_balance_has_means_shares_and_both_differences(answers):
    rows = rows_of(tables.balance_table(answers))
    assert rows["Emergency department visits per month"] == ["0.59", "0.56", "+0.22", "+0.07"]
    assert rows["Age in years"] == ["44.4", "43.4", UNDEFINED_MARK, "+0.06"]
    assert rows["White"] == ["21%", "21%", "+0.09", "0.00"]
    assert rows["Native Hawaiian or Pacific Islander"] == [SUPPRESSED_MARK] * 4


def test_small_groups_are_not_in_the_love_plot(answers):
    figure = figures.love_plot(answers)
    assert set(figure.plot.data["level"]) == {"", "white", "black"}
    assert "2 rows are not shown (small numbers)" in figure.caption
    assert "Emergency department visits per month +0.22" in figure.alt_text


def test_the_matched_effect_stands_beside_the_main_one(released, answers):
    alone = tables.matched_table(answers).to_html()
    assert "Eligible in the same month" not in alone
    rows = rows_of(tables.matched_table(answers))
    cells = next(c for name, c in rows.items() if name.startswith("Emergency"))
    # -28.4 * 0.9 = -25.6; 1.96 * 4.9 * 1.4 = 13.4 either side
    assert cells == ["−25.6 (−39.0 to −12.1)"]
    both = tables.matched_table(released).to_html()
    assert "Eligible in the same month" in both
    assert figures.event_study(answers, item="matched_event_study").caption.startswith("Effect in")
