"""Members by every category named, as a reader sees them."""

from __future__ import annotations

import pandas as pd

from calaim_eval.disclosure import release
from calaim_eval.report import Absent, tables
from calaim_eval.report.notes import collect_notes
from calaim_eval.report.numbers import SUPPRESSED_MARK
from calaim_eval.schema.overlapping import IN_COMBINATION
from calaim_eval.schema.race_displays import display_words
from tests.unit.report.made_up_quarter import proportions
from tests.unit.report.test_equity_pages import cells_of

NOTE = display_words("in_combination", schema="OMB 2024")


def members(**options):
    groups = ["aian", "black", "white", "unknown", "all"]
    return proportions(
        "Members in the panel",
        pd.DataFrame({IN_COMBINATION: groups}),
        [7, 400, 900, 50, 1000],
        [1000] * 5,
        ("members_in_panel", "all_members_in_panel"),
        denominator_keys=(),
        overlaps=(IN_COMBINATION,),
        notes=(NOTE,),
        **options,
    )


def access():
    keys = [(g, s) for g in ("black", "white", "all") for s in ("identified", "served")]
    return proportions(
        "Access to ECM",
        pd.DataFrame(keys, columns=[IN_COMBINATION, "stage"]),
        [100, 40, 200, 100, 250, 120],
        [100, 100, 200, 200, 250, 250],
        ("members_reaching_stage_of_ecm", "members_identified_for_ecm"),
        overlaps=(IN_COMBINATION,),
        denominator_keys=(IN_COMBINATION,),
    )


def test_rows_overlap_and_say_so():
    table = tables.in_combination_table(
        release({"members_in_combination": members(), "access_in_combination": access()})
    )
    rows = {row[0]: row[1:] for row in cells_of(table) if len(row) > 1}
    assert rows["Black or African American"] == ["400 (40.0%)", "100", "40 (40.0%)"]
    assert rows["White"] == ["900 (90.0%)", "200", "100 (50.0%)"]
    assert rows["American Indian or Alaska Native"][0] == SUPPRESSED_MARK
    assert list(rows)[-1] == "All members"
    assert "not to be added up" in table.caption


def test_without_access_only_members_are_shown_and_without_members_nothing():
    table = tables.in_combination_table(release({"members_in_combination": members()}))
    assert {len(row) for row in cells_of(table) if len(row) > 1} == {2}
    other = release({"access_in_combination": access()})
    assert isinstance(tables.in_combination_table(other), Absent)


def test_the_display_is_among_the_notes_of_the_report():
    notes = collect_notes(release({"members_in_combination": members()}))
    row = notes[notes["note"].str.contains("alone or in combination")].iloc[0]
    assert row["part"] == "Members"
    assert "never added up" in row["note"]
