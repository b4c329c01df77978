"""How unequal use is and where gaps in access arise, as a reader sees it."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.equity import access_funnel_gap
from calaim_eval.report import Absent, tables
from calaim_eval.report.labels import race_label
from calaim_eval.report.numbers import SUPPRESSED_MARK
from calaim_eval.results import stack
from tests.unit.report.equity_tables import RACE, gaps, spreads
from tests.unit.report.made_up_quarter import proportions


def funnel(black: tuple[int, int, int] = (1000, 600, 300)):
    """Identified, reached, served; half of white members identified are served."""
    counts = {"black": black, "white": (2000, 1600, 1000)}
    keys = [(g, s) for g in counts for s in ("identified", "outreached", "served")]
    return proportions(
        "Access to ECM",
        pd.DataFrame(keys, columns=[RACE, "stage"]),
        [n for each in counts.values() for n in each],
        [each[0] for each in counts.values() for _ in range(3)],
        ("members_reaching_stage_of_ecm", "members_identified_for_ecm"),
    )


def cells_of(table) -> list[list[str]]:
    """Text of the rows of the body."""
    body = re.search(r"<tbody.*?</tbody>", table.to_html(), flags=re.S).group(0)
    return [
        [
            re.sub(r"<[^>]+>", "", cell).replace("\xa0", " ").strip()
            for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row, flags=re.S)
        ]
        for row in re.findall(r"<tr.*?</tr>", body, flags=re.S)
    ]


def test_the_absolute_spread_falls_and_the_relative_one_grows():
    """Half the difference: 15 and 13.5; of the mean of 65 and 46.5: 23.1 % and 29.0 %."""
    table = tables.disparity_table(release({"use_disparity": spreads()}))
    rows = {row[0]: row[1:] for row in cells_of(table) if len(row) > 1}
    absolute, relative = (
        rows[words]
        for words in ("Absolute, each group alike", "Percent of the average, each group alike")
    )
    assert [absolute[0].split()[0], absolute[3].split()[0]] == ["15.0", "13.5"]
    assert [relative[0].split()[0], relative[3].split()[0]] == ["23.1", "29.0"]
    assert rows["Absolute, by members"][0].startswith("15.0 (")
    html = table.to_html()
    assert "no interval of the change is given" in html
    assert "Year before the program" in html


def test_the_gap_in_access_and_the_stage_it_arises_at():
    """30 % against 50 %: reached 60 against 80 %, served of these 50 against 62.5 %.

    Outreach: (.6 - .8) * (.5 + .625) / 2 = -11.25 points; after it: (.5 - .625) * .7 = -8.75.
    """
    counts = funnel()
    released = release({"access_funnel": counts, **gaps(counts)})
    table = tables.access_gap_table(released)
    (row,) = cells_of(table)
    shown = [cell.split(" (")[0] for cell in row]
    assert shown[1] == "−20.0"
    assert float(shown[2].replace("−", "-")) == pytest.approx(-11.25, abs=0.0501)
    assert float(shown[3].replace("−", "-")) == pytest.approx(-8.75, abs=0.0501)
    assert shown[4] == "0.60"
    assert "each group minus White" in table.caption


def test_a_small_group_is_withheld_and_all_of_it_is_said_to_be_absent():
    counts = funnel(black=(100, 40, 5))
    released = release({"use_disparity": spreads(0.001), **gaps(counts)})
    for found in (tables.disparity_table(released), tables.access_gap_table(released)):
        assert isinstance(found, Absent)
        assert "a small number of members or events" in found.words
    assert "how unequal use of care is between groups" in tables.disparity_table(released).words


def test_a_withheld_group_among_others_is_marked():
    counts = funnel()
    more = access_funnel_gap(counts, reference="white")
    few = access_funnel_gap(funnel(black=(100, 40, 5)), reference="white")
    keys = few.keys.assign(**{RACE: "nhpi"})
    both = stack([more, replace(few, keys=keys)])
    (black, nhpi) = cells_of(tables.access_gap_table(release({"access_gap": both})))
    assert black[1].startswith("−20.0")
    assert nhpi[1:] == [SUPPRESSED_MARK] * 3


def test_what_is_not_released_is_said():
    released = release({"access_funnel": funnel()})
    for found in (tables.disparity_table(released), tables.access_gap_table(released)):
        assert isinstance(found, Absent)
        assert found.words.startswith("**Not in this release: ")


def test_a_spread_over_groups_goes_with_the_smallest_of_them(released):
    """The made-up quarter withholds use of care of its smallest group, and the spread with it."""
    baseline = released.tables["baseline_utilization"].frame
    mine = (baseline[RACE] == "mena") & (baseline["outcome"] == "ed_visits")
    assert baseline.loc[mine, "is_suppressed"].tolist() == [True]
    assert isinstance(tables.disparity_table(released), Absent)
    # Gaps in access are of one group each: those of large groups are shown.
    gap = {row[0]: row[1] for row in cells_of(tables.access_gap_table(released))}
    assert "(" in gap[race_label("hispanic")]
    assert gap[race_label("mena")] == SUPPRESSED_MARK


def test_an_outcome_of_which_nothing_is_shown_has_one_row():
    few, many = spreads(0.001), spreads()
    keys = few.keys.assign(outcome="jail_days")
    both = stack([many, replace(few, keys=keys)])
    rows = cells_of(tables.disparity_table(release({"use_disparity": both})))
    assert len([row for row in rows if len(row) > 1]) == 4 + 1
    assert rows[-2:] == [["Days in jail"], ["All of these", *[SUPPRESSED_MARK] * 6]]
