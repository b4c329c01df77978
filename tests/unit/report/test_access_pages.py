"""How long access takes and where its gaps arise, as a reader sees it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.report import Absent, access_words, figures, tables
from calaim_eval.report.access_counts import stage_counts
from calaim_eval.report.numbers import SUPPRESSED_MARK
from tests.unit.report.access_tables import COUNTS, made_up_times, standardized
from tests.unit.report.equity_tables import RACE, gaps
from tests.unit.report.made_up_quarter import proportions


def cells_of(table) -> dict[str, list[str]]:
    """Text of the rows of the body by their first cell."""
    body = re.search(r"<tbody.*?</tbody>", table.to_html(), flags=re.S).group(0)
    found = {}
    for row in re.findall(r"<tr.*?</tr>", body, flags=re.S):
        cells = [
            re.sub(r"<[^>]+>", "", cell).replace("\xa0", " ").strip()
            for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row, flags=re.S)
        ]
        if len(cells) > 1:
            found[cells[0]] = cells[1:]
    return found


def test_the_table_adds_up_months_and_leaves_endings_apart():
    rows = cells_of(tables.access_times_table(release({"access_times": made_up_times()})))
    assert rows["Black or African American"] == ["200", "60%", "80% (74 to 85)", "10%", "10%"]
    assert rows["All members"][:2] == ["1,400", "49%"]


def test_a_withheld_month_hides_sums_that_would_need_it():
    counts = {**COUNTS, "asian": (60, 5, 25, 110)}
    released = release({"access_times": made_up_times(counts)})
    row = cells_of(tables.access_times_table(released))["Asian"]
    assert row[1] == SUPPRESSED_MARK or row[2].startswith(SUPPRESSED_MARK)
    asian = stage_counts(released)["identified"]["asian"]
    assert np.isnan(asian.within["2-6"])


def test_sentences_say_how_soon_and_between_which_groups():
    text = access_words.access_times_sentence(release({"access_times": made_up_times()}))
    assert text == (
        "Of members identified as eligible, 49% by month 1 and 71% by month 6 were reached by "
        "outreach. By month 1 the groups shown lie between 30% (Asian) and 60% (Black or African "
        "American)."
    )
    assert "Not in this release" in access_words.access_times_sentence(release({}))


def test_the_bars_are_the_shares_and_withheld_parts_are_empty():
    counts = {**COUNTS, "asian": (60, 5, 25, 110)}
    figure = figures.access_times(release({"access_times": made_up_times(counts)}))
    drawn = figure.plot.data
    black = drawn[(drawn[RACE] == "black") & (drawn["width"] > 0)].set_index("part")
    assert black.loc["Within 1 month", ["low", "high"]].tolist() == pytest.approx([0, 0.6])
    assert black.loc["Still waiting", ["low", "high"]].tolist() == pytest.approx([0.8, 0.9])
    assert black.loc["Coverage ended, or died", "high"] == pytest.approx(1)
    asian = drawn[(drawn[RACE] == "asian") & (drawn["width"] > 0)]
    assert "In months 2 to 6" not in set(asian["part"])
    assert "not shown (small numbers)" in figure.caption
    assert "within 1 month" in figure.alt_text


def test_a_waterfall_goes_from_nothing_to_the_gap():
    """30 % against 50 % served: reached 60 against 80 %, served of these 50 against 62.5 %."""
    keys = [
        (g, s) for g in ("black", "nhpi", "white") for s in ("identified", "outreached", "served")
    ]
    funnel = proportions(
        "Access to ECM",
        pd.DataFrame(keys, columns=[RACE, "stage"]),
        [1000, 600, 300, 60, 30, 4, 2000, 1600, 1000],
        [1000] * 3 + [60] * 3 + [2000] * 3,
        ("members_reaching_stage_of_ecm", "members_identified_for_ecm"),
    )
    figure = figures.access_waterfall(release({"access_funnel": funnel, **gaps(funnel)}))
    bars = figure.plot.data
    assert set(bars[RACE]) == {"black"}
    at = bars.set_index("component")
    assert at.loc["outreached", "start"] == 0
    assert at.loc["outreached", "end"] == at.loc["served", "start"]
    assert at.loc["served", "end"] == pytest.approx(at.loc["gap", "end"], abs=0.11)
    assert at.loc["gap", "end"] == pytest.approx(-20, abs=0.1)
    assert "Native Hawaiian or Pacific Islander" in figure.caption
    assert "Native Hawaiian or Pacific Islander" in figure.alt_text
    assert "−20.0" in figure.alt_text


def test_a_waterfall_that_comes_back_to_zero_has_all_its_numbers():
    """More are reached, fewer of these are served: no gap is left."""
    keys = [(g, s) for g in ("black", "white") for s in ("identified", "outreached", "served")]
    funnel = proportions(
        "Access to ECM",
        pd.DataFrame(keys, columns=[RACE, "stage"]),
        [1000, 920, 560, 1000, 800, 560],
        [1000] * 6,
        ("members_reaching_stage_of_ecm", "members_identified_for_ecm"),
    )
    figure = figures.access_waterfall(release({"access_funnel": funnel, **gaps(funnel)}))
    axis = figure.plot.draw().axes[0]
    written = {text.get_text() for text in axis.texts}
    assert "0.0" in written
    assert len([word for word in written if word.startswith(("+", "−"))]) == 2
    low, high = axis.get_xlim()
    ticks = [
        (place, text.get_text())
        for place, text in zip(axis.get_xticks(), axis.get_xticklabels(), strict=True)
        if low <= place <= high
    ]
    assert len(ticks) > 2
    for place, text in ticks:
        assert float(text.replace("−", "-")) == pytest.approx(place)


def test_standardized_shares_stand_beside_the_crude_ones_inside_0_to_100():
    funnel = proportions(
        "Access to ECM",
        pd.DataFrame(
            [("black", s) for s in ("identified", "outreached", "served")], columns=[RACE, "stage"]
        ),
        [1000, 600, 300],
        [1000] * 3,
        ("members_reaching_stage_of_ecm", "members_identified_for_ecm"),
    )
    shown = release({"access_funnel": funnel, "access_standardized": standardized(20)})
    row = cells_of(tables.access_standardized_table(shown))["Black or African American"]
    assert row == ["60%", "62% (58 to 66)", "30%", "2% (0 to 5)"]
    hidden = release({"access_funnel": funnel, "access_standardized": standardized(5)})
    row = cells_of(tables.access_standardized_table(hidden))["Black or African American"]
    assert row[3] == SUPPRESSED_MARK


PAGE = (
    figures.access_times,
    figures.access_waterfall,
    tables.access_times_table,
    tables.access_standardized_table,
)


@pytest.mark.parametrize("make", PAGE)
def test_what_is_not_released_is_absent(make):
    assert isinstance(make(release({})), Absent)
