"""Tables: accessible, one mark for withheld cells, notes where marks occur."""

import dataclasses
import re

import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.panel.measures import MEASURES
from calaim_eval.report import Absent, figures, tables
from calaim_eval.report.labels import race_label
from calaim_eval.report.notes import collect_notes
from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK
from tests.unit.report.made_up_quarter import UNITS, effects, proportions

OPTIONAL = [
    "access_gap_table",
    "access_standardized_table",
    "access_table",
    "access_times_table",
    "agreement_table",
    "asset_map_table",
    "balance_table",
    "baseline_table",
    "brokers_table",
    "capacity_table",
    "closure_by_service_table",
    "closure_table",
    "controls_table",
    "county_phase_checks_table",
    "county_phase_methods_table",
    "county_phase_table",
    "coverage_table",
    "data_sharing_table",
    "delivery_table",
    "effects_by_race_table",
    "effects_table",
    "factor_fit_table",
    "false_dates_table",
    "gaps_table",
    "layouts_table",
    "losses_table",
    "matched_table",
    "members_table",
    "network_table",
    "networks_by_race_table",
    "policy_table",
    "pre_post_table",
    "ratios_table",
    "referral_table",
    "reliability_table",
    "row_ledger_table",
    "survey_networks_table",
    "trends_by_race_table",
    "trends_table",
]
QUALITY = ["encounter_completeness_table", "quality_table", "restatement_table"]
ALWAYS = [
    "contents_table",
    "definitions_table",
    "headline_table",
    "methods_table",
    "notes_table",
    "provenance_table",
    "suppression_table",
]


@pytest.fixture(scope="module")
def empty():
    return release({}, quarter="2024Q4")


def rows_of(table) -> list[list[str]]:
    """Text of the cells of the body, row by row."""
    body = re.search(r"<tbody.*?</tbody>", table.to_html(), flags=re.S).group(0)
    return [
        [
            re.sub(r"<[^>]+>", "", cell).replace("\xa0", " ").strip()
            for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row, flags=re.S)
        ]
        for row in re.findall(r"<tr.*?</tr>", body, flags=re.S)
    ]


def test_the_lists_above_name_every_table():
    others = {
        "DisplayTable",
        "adequacy_table",  # asked for by a study: test_plan_pages.py
        "crossed_columns",
        "crossed_table",  # asked for by a study: test_crossed_table.py
        "directory_table",  # of a feed few studies have: test_outside_feeds.py
        "disparity_table",  # withheld from the made-up quarter: test_equity_pages.py
        "effect_by_integration_table",  # asked for by a study: test_success_table.py
        "findings_table",
        "headline_outcome",
        "in_combination_table",  # asked for by a study: test_in_combination_table.py
        "other_outcomes",
        "quality_notes",
        "referral_times_table",  # test_referral_time_pages.py
        "shares_table",
        "statewide_series_table",  # asked for by a study: test_statewide_series.py
        "success_combinations_table",  # asked for by a study: test_success_table.py
        "success_table",  # asked for by a study: test_success_table.py
        "success_untenable_table",  # asked for by a study: test_success_table.py
    }
    assert set(tables.__all__) - others == {*OPTIONAL, *QUALITY, *ALWAYS}


@pytest.mark.parametrize("name", OPTIONAL + ALWAYS)
def test_tables_are_accessible_html(released, name):
    html = getattr(tables, name)(released).to_html()
    assert html.startswith("<table")
    assert 'scope="col"' in html
    assert 'scope="row"' in html
    assert " id=" not in html
    assert "style=" in html
    assert (f">{SUPPRESSED_MARK}<" in html) == ("Not shown: small numbers" in html)
    undefined = f">{UNDEFINED_MARK}<" in html or f"({UNDEFINED_MARK})" in html
    assert undefined == ("Not defined" in html)
    assert ">nan<" not in html.lower()


@pytest.mark.parametrize("name", OPTIONAL + QUALITY)
def test_optional_tables_are_absent_from_an_empty_release(empty, name):
    assert isinstance(getattr(tables, name)(empty), Absent)


@pytest.mark.parametrize("name", ALWAYS)
def test_documentation_tables_stand_without_items(empty, name):
    assert getattr(tables, name)(empty).to_html().startswith("<table")


def test_every_hidden_cell_of_the_access_table_is_the_mark(released):
    frame = released.tables["access_funnel"].frame
    rows = {row[0]: row[1:] for row in rows_of(tables.access_table(released))}
    stages = ["identified", "outreached", "served", "cbo_served"]
    for _, row in frame[frame["race_ethnicity"] != "all"].iterrows():
        cell = rows[race_label(row["race_ethnicity"])][stages.index(row["stage"])]
        assert (cell == SUPPRESSED_MARK) == row["is_suppressed"]


def test_effects_by_race_shows_estimates_with_intervals_or_the_mark(released):
    frame = released.tables["effect_by_race"].frame
    frame = frame[frame["outcome"] == "ed_visits"].set_index("race_ethnicity")
    rows = {row[0]: row[1] for row in rows_of(tables.effects_by_race_table(released))}
    for group, row in frame.iterrows():
        if row["is_suppressed"]:
            assert rows[race_label(group)] == SUPPRESSED_MARK
        else:
            size = f"{abs(row['estimate']):.1f}"
            assert rows[race_label(group)].lstrip("+−").startswith(size)


def test_effects_table_sets_before_change_and_effect_side_by_side(released):
    html = tables.effects_table(released).to_html()
    for heading in (
        "Before eligibility",
        "Change before to after (not causal)",
        "Comparison members",
        "From first service (as treated)",
    ):
        assert heading in html
    overall = released.tables["effect_overall"].frame
    assert len(rows_of(tables.effects_table(released))) == overall["outcome"].nunique()


def test_effects_table_leaves_out_what_was_not_released(quarter_results):
    only = release({"effect_overall": quarter_results["effect_overall"]}, quarter="2024Q4")
    html = tables.effects_table(only).to_html()
    assert "Before eligibility" not in html
    assert "Change before to after" not in html


def test_changes_by_group_are_those_of_members_served(released):
    frame = released.tables["pre_post"].frame
    is_served = (frame["side"] == "exposed") & (frame["outcome"] == "ed_visits")
    row = frame[is_served & (frame["race_ethnicity"] == "white")].iloc[0]
    rows = {r[0]: r[1] for r in rows_of(tables.pre_post_table(released))}
    assert rows["White"].lstrip("−+").startswith(f"{abs(row['estimate']):.0f}")


def test_gaps_leave_out_the_reference_and_give_intervals(released):
    rows = rows_of(tables.gaps_table(released, outcomes=["ed_visits"]))
    assert race_label("white") not in [row[0] for row in rows]
    signed = r"[+−]?[\d,.]+"
    assert all(re.fullmatch(rf"{signed} \({signed} to {signed}\)|†", row[1]) for row in rows)


def test_pre_post_caption_says_not_causal(released):
    assert tables.pre_post_table(released).caption.startswith("Not causal")


def test_suppression_summary_counts_what_the_release_withholds(released):
    total = sum(int(t.frame["is_suppressed"].sum()) for t in released.tables.values())
    last = rows_of(tables.suppression_table(released))[-1]
    assert last[0] == "All items"
    assert last[2] == f"{total:,}"


def test_row_ledger_keeps_every_reason_beside_the_rows_used(released):
    frame = released.tables["row_ledger"].frame
    rows = rows_of(tables.row_ledger_table(released))
    assert len(rows) == len(frame.drop_duplicates(["table", "stage"]))
    assert rows[0][:3] == ["Eligibility", "Reading", "311,402"]
    reasons = [reason for row in rows for reason in row[3].split("; ") if reason != "none"]
    set_aside = frame[frame["reason"] != "used"]
    assert len(reasons) == len(set_aside)
    assert "outside covered months: 33,219" in reasons
    hidden = int(set_aside["is_suppressed"].sum())
    assert sum(reason.endswith(SUPPRESSED_MARK) for reason in reasons) == hidden


def test_findings_that_did_not_occur_are_counted_not_listed():
    keys = pd.DataFrame({"finding": ["steps_out_of_order", "closed_before_opened", "no_status"]})
    findings = proportions(
        "Findings", keys, [104, 0, 0], [3361] * 3, ("records_with_finding", "records")
    )
    one = release({"referral_findings": findings}, quarter="2024Q4")
    table = tables.findings_table(one)
    assert rows_of(table) == [["Steps out of order", "104", "3,361"]]
    assert "2 further checks found nothing" in table.caption


def test_a_unit_that_all_outcomes_share_stands_in_the_caption(released):
    table = tables.effects_by_race_table(released)
    assert "per 1,000 member-months" in table.caption
    assert "per 1,000" not in table.to_html()
    mixed = tables.effects_by_race_table(released, outcomes=["ed_visits", "paid_usd"])
    assert "Amount paid, USD per member-month" in mixed.to_html()
    assert "Emergency department visits, per 1,000 member-months" in mixed.to_html()


def test_an_effect_without_an_interval_is_not_shown_as_zero():
    keys = pd.DataFrame(
        {
            "outcome": ["jail_days"] * 2,
            "unit": UNITS["jail_days"],
            "race_ethnicity": ["asian", "white"],
        }
    )
    table = effects(keys, [0.0, -2.0], [float("nan"), 1.0], [400, 900])
    one = release({"effect_by_race": table}, quarter="2024Q4")
    cells = dict(rows_of(tables.effects_by_race_table(one)))
    assert cells["Asian"] == UNDEFINED_MARK
    assert cells["White"].startswith("−2.00 (")


def test_contents_say_what_is_missing_and_why(quarter_results):
    part = release({"members_by_group": quarter_results["members_by_group"]}, quarter="2024Q4")
    rows = {row[0]: row[1:] for row in rows_of(tables.contents_table(part))}
    assert rows["Members by race and ethnicity"][0] == "yes"
    assert rows["Referrals step by step"] == ["no", "Usually: the table referral was not provided"]


def test_contents_give_the_reason_the_release_states(quarter_results):
    part = release(
        {"members_by_group": quarter_results["members_by_group"]},
        quarter="2024Q4",
        provenance={"left_out": {"coverage": "no `contract` rows in 2024Q4"}},
    )
    rows = {row[0]: row[1:] for row in rows_of(tables.contents_table(part))}
    assert rows["Active organizations by county and service"] == [
        "no",
        "No contract rows in 2024Q4",
    ]
    assert "Reason: no `contract` rows" in figures.coverage_maps(part)[0].words


def test_losses_put_steps_beside_each_other(released):
    cells = released.tables["referral_losses"].frame.set_index(["ending", "last_step"])
    rows = {row[0]: row[1:] for row in rows_of(tables.losses_table(released))}
    assert list(rows) == ["No capacity", "Unable to reach", "All without services"]
    for name, ending in (("No capacity", "no_capacity"), ("All without services", "all")):
        for position, step in enumerate(("authorized", "reached", "all")):
            cell = cells.loc[(ending, step)]
            expected = SUPPRESSED_MARK if cell["is_suppressed"] else f"{cell['numerator']:.0f}"
            assert rows[name][position] == expected
    assert rows["No capacity"][0] == SUPPRESSED_MARK
    assert rows["All without services"][2] == "170"


def test_shares_of_any_item_are_grouped_by_their_second_key(released):
    rows = rows_of(tables.shares_table(released, "payment_timeliness"))
    assert rows[0] == ["Within 30 days"]
    assert rows[1][:4] == ["Community-based organization (non-profit)", "65", "98", "66.3%"]
    assert isinstance(tables.shares_table(released, "payment_denials"), Absent)


def test_coverage_table_sets_two_or_more_beside_one_or_more(released):
    assert "2 or more" in tables.coverage_table(released).to_html()


def test_notes_are_said_once_with_labels_for_codes(released):
    rows = rows_of(tables.notes_table(released))
    text = " | ".join(cell for row in rows for cell in row)
    assert text.count("214 of 3,120 members were set aside") == 1
    assert "| Emergency department visits; Days in jail: Break in 2022-05." in text
    assert "Cohorts set aside: Asian: 3 cohorts; White: 2 cohorts." in text


def test_notes_that_name_many_groups_or_speak_to_analysts_are_cut():
    keys = pd.DataFrame({"outcome": ["ed_visits"], "unit": UNITS["ed_visits"], "anchor": "x"})
    many = "; ".join(f"{group} 3 cohorts" for group in ("asian", "black", "nhpi", "white"))
    table = dataclasses.replace(
        effects(keys, [-2.0], [1.0], [900]),
        notes=(
            f"Cohorts set aside: {many}.",
            "1.86 % are left out. See support_by(design, ...); a coarser cell keeps more.",
            "6 groups have no event; their interval is Byar's for a count of zero.",
            "1 groups have no event; their interval is Byar's for a count of zero.",
        ),
    )
    notes = collect_notes(release({"effect_overall": table}, quarter="2024Q4"))["note"].tolist()
    assert notes == [
        "Cohorts set aside: in 4 groups, with the amounts in the release's manifest.",
        "1.86 % are left out.",
        "Where a group has no event, the interval is Byar's for a count of zero.",
    ]


def test_methods_are_listed_once_with_their_items(released):
    rows = rows_of(tables.methods_table(released))
    methods = [row[0] for row in rows]
    did = rows[methods.index("Group-time difference-in-differences")]
    assert "Overall effects" in did[1]
    assert [row[2] for row in rows if "Change among members served" in row[1]] == ["Not causal"]


def test_definitions_are_those_of_the_outcomes_with_their_confirmation(quarter_results):
    one = quarter_results["effect_overall"]
    one = one.select(one.keys["outcome"] == "jail_days")
    rows = rows_of(tables.definitions_table(release({"effect_overall": one}, quarter="2024Q4")))
    assert rows[0] == ["Days in jail"]
    assert {row[2] for row in rows[1:]} <= {"yes", "partial", "no"}


@pytest.mark.parametrize("outcome", sorted(MEASURES))
def test_every_outcome_has_its_definition_in_the_report(quarter_results, outcome):
    one = quarter_results["effect_overall"]
    one = one.select(one.keys["outcome"] == "jail_days")
    one = dataclasses.replace(one, keys=one.keys.assign(outcome=outcome))
    rows = rows_of(tables.definitions_table(release({"effect_overall": one}, quarter="2024Q4")))
    assert rows[0] == [MEASURES[outcome].title]
    assert len(rows) > 1


def test_provenance_names_study_policy_and_inputs(released):
    html = tables.provenance_table(released).to_html()
    for text in ("5f2c9a", "eligibility.parquet", "calhhs_ddg_2", "2024Q4", "Number of rows"):
        assert text in html


def test_headline_has_five_fixed_questions(released, empty):
    assert len(rows_of(tables.headline_table(released))) == 5
    rows = rows_of(tables.headline_table(empty))
    assert [row[1] for row in rows] == ["not released"] * 5


def test_text_cells_are_escaped():
    from calaim_eval.report.tables.layout import lay_out

    html = lay_out(
        pd.DataFrame({"a": ["<b>"], "p": ["<0.001"]}), caption="", row_name="a"
    ).to_html()
    assert "&lt;b&gt;" in html
    assert "&lt;0.001" in html


def test_ratios_have_two_digits_and_hide_small_groups(released):
    table = tables.ratios_table(released)
    shown = {row[0]: row[1:] for row in rows_of(table)}
    frame = released.tables["effect_ratio"].frame
    hidden = set(frame.loc[frame["is_suppressed"], "race_ethnicity"])
    assert hidden
    cells = [cell for row in shown.values() for cell in row]
    assert any(cell.startswith("0.90 (0.8") and " to 0.9" in cell for cell in cells)
    assert all("0.90 (" in cell or cell in ("†", "–") for cell in cells)


def test_notes_that_differ_in_amounts_only_are_one_and_codes_have_labels():
    keys = pd.DataFrame({"outcome": ["ed_visits"], "unit": UNITS["ed_visits"], "anchor": "x"})
    lost = "Share of the member-months without comparison, set aside"
    table = dataclasses.replace(
        effects(keys, [-2.0], [1.0], [900]),
        notes=(
            f"`ed_visits`: {lost}: asian less than a quarter; mena half or more.",
            f"`jail_days`: {lost}: less than a quarter.",
            "Strata left out: asian; mena.",
            "Cohorts set aside because they reach outside: (about 60 members).",
            "Estimates by `race_ethnicity` leave out few. A coarser `eligibility_cell` keeps more.",
            "Break in 2024-01: one law.",
            "Break in 2024-01: another law.",
        ),
    )
    notes = collect_notes(release({"effect_overall": table}, quarter="2024Q4"))["note"].tolist()
    assert notes == [
        f"{lost}, in some estimates, with the amounts in the release's manifest.",
        "Strata left out: Asian; Middle Eastern or North African.",
        "Cohorts set aside because they reach outside: about 60 members.",
        "Estimates by race and ethnicity leave out few.",
        "Break in 2024-01: one law.",
        "Break in 2024-01: another law.",
    ]


def test_the_note_under_ratios_says_how_use_is_taken_to_move(released):
    keys = pd.DataFrame(
        {"outcome": ["ed_visits"], "unit": UNITS["ed_visits"], "race_ethnicity": ["all"]}
    )
    table = effects(keys, [0.8], [0.1], [900], name="Rate ratio")
    by_link = {
        words: dataclasses.replace(
            table, method=dataclasses.replace(table.method, options={"link": link})
        )
        for link, words in ((None, "by the same amount as"), ("log", "by the same percentage as"))
    }
    for words, own in by_link.items():
        found = tables.ratios_table(release({"effect_ratio": own}, quarter="2024Q4"))
        assert words in found.to_html()
    assert "by the same amount as" in tables.ratios_table(released).to_html()
