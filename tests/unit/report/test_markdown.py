"""Blocks that both engines read."""

import pytest

from calaim_eval.report import ReportError, block, figures, tables
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


def test_a_label_of_the_wrong_kind_is_refused(released):
    with pytest.raises(ReportError, match="starts with `tbl-`"):
        block(tables.members_table(released), label="fig-x")
