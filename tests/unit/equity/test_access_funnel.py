from __future__ import annotations

import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.equity import access_funnel, members_by_group
from calaim_eval.errors import DesignError, EstimationError

FUNNEL = """
    member | race    | covered          | listed  | outreach | service | org
    -------+---------+------------------+---------+----------+---------+--------
    a      | black   | 2022-01..2022-12 | 2022-02 | 2022-03  | 2022-04 | cbo
    b      | black   | 2022-01..2022-12 | 2022-02 | 2022-03  |         |
    c      | black   | 2022-01..2022-12 | 2022-02 |          |         |
    d      | white   | 2022-01..2022-12 | 2022-02 |          | 2022-06 | clinic
    e      | white   | 2022-01..2022-12 |         | 2022-05  |         |
    f      | unknown | 2022-01..2022-12 |         |          | 2022-07 |
    g      | nhpi    | 2022-01..2022-12 |         |          |         |
"""


def counts(table, race: str) -> dict[str, float]:
    rows = table.to_frame()
    rows = rows[rows["race_ethnicity"] == race]
    return dict(zip(rows["stage"], rows["numerator"], strict=True))


def test_a_later_stage_implies_the_earlier_ones():
    table = access_funnel(hand_panel(FUNNEL))
    assert counts(table, "black") == {
        "identified": 3, "outreached": 2, "served": 1, "cbo_served": 1,
    }  # fmt: skip
    assert counts(table, "white") == {
        "identified": 2, "outreached": 2, "served": 1, "cbo_served": 0,
    }  # fmt: skip
    assert counts(table, "unknown")["identified"] == 1
    assert counts(table, "nhpi") == {}
    assert counts(table, "all") == {
        "identified": 6, "outreached": 5, "served": 3, "cbo_served": 1,
    }  # fmt: skip


def test_every_stage_is_over_members_identified():
    table = access_funnel(hand_panel(FUNNEL)).to_frame()
    everyone = table[table["race_ethnicity"] == "all"]
    assert everyone["denominator"].tolist() == [6, 6, 6, 6]
    assert everyone["rate"].tolist() == pytest.approx([1, 5 / 6, 3 / 6, 1 / 6])
    assert everyone["conf_low"].isna().tolist() == [True, False, False, False]
    assert everyone["stage"].tolist() == ["identified", "outreached", "served", "cbo_served"]


def test_records_that_skip_a_stage_are_noted_without_small_counts():
    notes = " ".join(access_funnel(hand_panel(FUNNEL)).notes)
    assert "without being on the list" in notes
    assert "without an outreach record" in notes
    assert "not classified" in notes
    assert notes.count("fewer than 11") == 3


def test_only_what_happened_by_the_month_counts():
    table = access_funnel(hand_panel(FUNNEL), through="2022-04")
    assert counts(table, "all") == {
        "identified": 4, "outreached": 2, "served": 1, "cbo_served": 1,
    }  # fmt: skip
    assert counts(table, "white") == {
        "identified": 1, "outreached": 0, "served": 0, "cbo_served": 0,
    }  # fmt: skip


def test_without_classified_organizations_the_cbo_stage_is_absent_not_zero():
    table = access_funnel(hand_panel(FUNNEL.replace("cbo", "   ").replace("clinic", "")))
    assert set(table.keys["stage"]) == {"identified", "outreached", "served"}
    assert any("`cbo_served` is left out" in note for note in table.notes)


def test_what_is_refused():
    panel = hand_panel(FUNNEL)
    with pytest.raises(EstimationError, match="none of 6 members"):
        access_funnel(panel, through="2021-01")
    with pytest.raises(DesignError, match="`service` is 'yoga'"):
        access_funnel(panel, service="yoga")
    with pytest.raises(DesignError, match="`strata` names `age_years`"):
        access_funnel(panel, by="age_years")


def test_members_by_group_adds_up_with_unknown_as_a_row():
    table = members_by_group(hand_panel(FUNNEL)).to_frame()
    assert table["race_ethnicity"].tolist() == ["black", "nhpi", "white", "unknown", "all"]
    assert table["numerator"].tolist() == [3, 1, 2, 1, 7]
    assert (table["denominator"] == 7).all()
    assert table["rate"].iloc[:-1].sum() == pytest.approx(1)


def test_members_of_a_month():
    text = FUNNEL.replace("nhpi    | 2022-01..2022-12", "nhpi    | 2022-01..2022-03")
    table = members_by_group(hand_panel(text), month="2022-12").to_frame()
    assert "nhpi" not in set(table["race_ethnicity"])
    assert table["numerator"].iloc[-1] == 6


def test_the_last_covered_month_decides_a_group_that_changes():
    text = """
        member | county | covered
        -------+--------+---------
        a      | Kern   | 2022-01
    """
    panel = hand_panel(text)
    moved = panel.to_frame()
    later = moved.assign(month="2022-02-01", county="Napa")
    both = type(panel).from_frames(pd.concat([moved.assign(month="2022-01-01"), later]))
    assert members_by_group(both, by="county").keys["county"].tolist() == ["Napa", "all"]
