"""What effects survive, as a reader sees it: sentences, tables and the figure."""

import re
from dataclasses import replace

import numpy as np
import pytest

from calaim_eval.disclosure import release
from calaim_eval.report import Absent, figures, tables, trend_words
from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK
from tests.unit.report.made_up_quarter import PROVENANCE


def rows_of(table) -> dict[str, list[str]]:
    """Cells of the body by the name of their row."""
    body = re.search(r"<tbody.*?</tbody>", table.to_html(), flags=re.S).group(0)
    rows = [
        [
            re.sub(r"<[^>]+>", "", cell).replace("\xa0", " ").strip()
            for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row, flags=re.S)
        ]
        for row in re.findall(r"<tr.*?</tr>", body, flags=re.S)
    ]
    return {row[0]: row[1:] for row in rows}


def with_breakdown(results, value: float):
    """Only the bounds, with another breakdown value for all."""
    table = results["effect_bounds"]
    changed = replace(table, breakdown=np.full(len(table), value))
    return release({"effect_bounds": changed}, quarter="2024Q4")


def test_a_sentence_for_each_headline_outcome(released):
    """ED visits: (28.4 - 1.96 * 4.9) / (4 * 4.9) = 0.96 times."""
    lines = trend_words.trends_sentences(released).splitlines()
    assert len(lines) == 4
    assert lines[0] == (
        "- Emergency department visits: clearly below zero if trends are parallel, and as long as "
        "they differ from one quarter to the next by no more than 0.96 times their largest such "
        "difference before."
    )
    assert lines[2].startswith("- Outpatient visits: clearly above zero")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "no clear effect even if trends are parallel"),
        (np.inf, "clearly below zero if trends are parallel, and however much they differ."),
        (1.26, "no more than 1.3 times their largest"),
        (31.0, "no more than 31 times their largest"),
    ],
)
def test_what_survives_in_words(quarter_results, value, words):
    first = trend_words.trends_sentences(with_breakdown(quarter_results, value)).splitlines()[0]
    assert words in first


def test_intervals_by_bound_and_the_bound_that_is_survived(released):
    """ED visits: -28.4 and 1.96 + 4 * bound standard errors of 4.9 on either side."""
    rows = rows_of(tables.trends_table(released))
    assert rows["Emergency department visits, per 1,000 member-months"] == [
        "−38.0 to −18.8",
        "−47.8 to −9.0",
        "−57.6 to +0.8",
        "−77.2 to +20.4",
        "0.96 times",
    ]
    assert rows["Hospital days, per 1,000 member-months"][-1] == "no clear effect"
    assert "the first 6 months from the first service on" in tables.trends_table(released).caption


def test_an_interval_without_an_end_says_so(quarter_results):
    table = quarter_results["effect_bounds"]
    low, high = table.conf_low.copy(), table.conf_high.copy()
    wide = (table.keys["bound"] == 2).to_numpy()
    low[wide], high[wide] = -np.inf, np.inf
    changed = release({"effect_bounds": replace(table, conf_low=low, conf_high=high)})
    cells = next(iter(rows_of(tables.trends_table(changed)).values()))
    assert cells[3] == "no end to no end"
    assert figures.trend_bounds(changed).plot.data["bound"].max() == 1


def test_groups_whose_effect_is_hidden_have_the_mark(released):
    frame = released.tables["effect_by_race"].frame
    ed_visits = frame[frame["outcome"] == "ed_visits"]
    rows = rows_of(tables.trends_by_race_table(released))
    hidden = set(ed_visits.loc[ed_visits["is_suppressed"], "race_ethnicity"])
    assert {"nhpi", "mena"} & hidden
    n_marked = sum(cells[0] == SUPPRESSED_MARK for cells in rows.values())
    assert n_marked >= len(hidden)
    assert rows["Native Hawaiian or Pacific Islander"][0] == SUPPRESSED_MARK
    assert rows["All members"][0] == "0.96 times"


def test_a_group_without_bounds_is_undefined_not_hidden(quarter_results):
    table = quarter_results["effect_bounds"]
    white = (table.keys["race_ethnicity"] == "white").to_numpy()
    empty = {name: np.where(white, np.nan, getattr(table, name)) for name in table.arrays}
    rows = rows_of(tables.trends_by_race_table(release({"effect_bounds": replace(table, **empty)})))
    assert set(rows["White"]) == {UNDEFINED_MARK}


@pytest.mark.parametrize(("value", "last"), [(0.2, 1.0), (np.nan, 1.0), (1.4, 2.0), (7.0, 2.0)])
def test_the_figure_ends_where_the_last_sign_is_lost(quarter_results, value, last):
    figure = figures.trend_bounds(with_breakdown(quarter_results, value))
    assert figure.plot.data["bound"].max() == last
    assert ("larger bounds" in figure.caption) == (last == 1.0)
    assert set(figure.plot.data["race_ethnicity"]) == {"all"}


def test_the_figure_in_words(released):
    text = figures.trend_bounds(released).alt_text
    assert "differ from one quarter to the next" in text
    assert (
        "Emergency department visits, per 1,000 member-months: 0 times: −38.0 to −18.8; "
        "0.5 times: −47.8 to −9.0;"
    ) in text
    assert "the sign holds up to 0.96 times" in text


def test_an_outcome_that_is_hidden_is_not_drawn(quarter_results):
    table = quarter_results["effect_bounds"]
    is_ed = (table.keys["outcome"] == "ed_visits").to_numpy()
    support = table.support.copy()
    support.loc[is_ed, "n_members"] = 4
    few = release({"effect_bounds": replace(table, support=support)})
    figure = figures.trend_bounds(few)
    assert "ed_visits" not in set(figure.plot.data["outcome"])
    assert figure.caption.endswith("1 outcome is not shown (small numbers).")
    assert "Emergency department visits, per 1,000 member-months: not shown" in figure.alt_text
    assert "not shown (small numbers)" in trend_words.trends_sentences(few).splitlines()[0]
    everything = release({"effect_bounds": replace(table, support=support * 0 + 4)})
    assert isinstance(figures.trend_bounds(everything), Absent)


def test_false_dates_whose_interval_leaves_out_zero_are_marked(released):
    """ED visits twelve months earlier: 2.2 standard errors of 4.9."""
    table = tables.false_dates_table(released)
    rows = rows_of(table)
    three, twelve = rows["Emergency department visits, per 1,000 member-months"]
    assert three == "+2.0 (−7.6 to +11.6)"
    assert twelve == "+10.8 (+1.2 to +20.4)*"
    assert "The interval leaves out zero" in table.to_html()
    sentence = trend_words.false_dates_sentence(released)
    frame = released.tables["placebo_dates"].frame
    n_shown = int((~frame["is_suppressed"]).sum())
    assert sentence.startswith(f"Of {n_shown} estimates at false dates for all members, 1 has an")


def test_a_negative_control_carries_its_reason(released):
    (cells,) = rows_of(tables.controls_table(released)).values()
    assert cells == ["+1.20 (−0.56 to +2.96)", "billed by another program"]


def test_policies_of_the_window_are_those_of_the_calendar(quarter_results, released):
    text = tables.policy_table(released).to_html()
    assert "Continuous-coverage unwinding" in text
    assert "Medi-Cal Rx" in text
    assert "COVID" not in text
    effects = {"effect_overall": quarter_results["effect_overall"]}
    between = PROVENANCE | {"first_month": "2022-08", "last_month": "2022-12"}
    quiet = tables.policy_table(release(effects, provenance=between))
    assert isinstance(quiet, Absent)
    assert "no event of the calendar" in quiet.words
    assert isinstance(tables.policy_table(release(effects)), Absent)
