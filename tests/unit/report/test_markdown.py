"""Blocks that both engines read."""

import pytest

from calaim_eval.disclosure import release
from calaim_eval.report import (
    ReportError,
    absences,
    block,
    figures,
    section,
    simulated_notice,
    tables,
)
from calaim_eval.report.release_items import Absent


def test_a_figure_is_written_and_described(released, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = block(figures.referral_funnel(released), label="fig-x", lead="@fig-x shows it.")
    assert (tmp_path / "figures" / "fig-x.png").read_bytes().startswith(b"\x89PNG")
    assert text.strip().startswith("@fig-x shows it.")
    assert '(figures/fig-x.png){#fig-x fig-alt="Referrals by step reached:' in text


def test_a_table_stands_in_a_block_with_its_caption_last(released):
    text = block(tables.members_table(released), label="tbl-x").strip()
    assert text.startswith("::: {#tbl-x}")
    assert "```{=html}\n<table" in text
    assert text.splitlines()[-3:] == [tables.members_table(released).caption, "", ":::"]


def test_an_absent_item_is_a_note_without_its_lead():
    text = block(Absent("coverage"), label="fig-x", lead="@fig-x shows it.")
    assert "callout-note" in text
    assert "@fig-x" not in text


def test_a_section_leaves_out_words_about_what_is_absent(released):
    shown = tables.members_table(released)
    text = section(
        "About coverage.",
        (Absent("coverage"), "tbl-a"),
        "About members.",
        (shown, "tbl-b"),
        heading="## Both",
    )
    assert text.strip().startswith("## Both")
    assert "About members." in text
    assert "About coverage." not in text
    assert "tbl-a" not in text
    assert section("About coverage.", (Absent("coverage"), "tbl-a"), heading="## None") == ""


def test_absences_say_each_reason_once(released):
    part = release(
        {},
        quarter="2024Q4",
        provenance={"left_out": dict.fromkeys(["coverage", "coverage_summary"], "no contracts")},
    )
    text = absences(part, ["coverage_summary", "coverage", "effect_gap"])
    assert text.count("Reason: no contracts.") == 1
    assert text.count("usual reason") == 1
    assert "counties with an active organization; active organizations by county" in text
    assert absences(released, ["coverage"]) == ""


@pytest.mark.parametrize("stated", [None, False, "no"])
def test_only_a_release_that_says_so_is_simulated(stated):
    provenance = {} if stated is None else {"is_simulated": stated}
    assert simulated_notice(release({}, quarter="2024Q4", provenance=provenance)) == ""
    simulated = release({}, quarter="2024Q4", provenance={"is_simulated": True})
    assert "Simulated data: a demonstration, not findings" in simulated_notice(simulated)


def test_a_label_of_the_wrong_kind_is_refused(released):
    with pytest.raises(ReportError, match="starts with `tbl-`"):
        block(tables.members_table(released), label="fig-x")
