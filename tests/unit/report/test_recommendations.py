"""Findings are listed only where released numbers carry them, in the order of their weights."""

from dataclasses import replace

import pandas as pd
import pytest

from calaim_eval.report.recommendations import (
    Finding,
    find_findings,
    open_questions,
    open_questions_words,
    ranked,
    recommendations_words,
    rules,
    weights_words,
)


def frames(monkeypatch, tables):
    """Let the rules read made-up released tables."""
    found = {name: pd.DataFrame(rows).assign(is_suppressed=False) for name, rows in tables.items()}
    monkeypatch.setattr(rules, "_item_frame", lambda released, name: found.get(name))
    return found


def effect(outcome, estimate, error, p_value):
    return {
        "outcome": outcome,
        "anchor": "first_service",
        "estimate": estimate,
        "conf_low": estimate - 1.96 * error,
        "conf_high": estimate + 1.96 * error,
        "p_value": p_value,
    }


BASE = [{"outcome": "ed_visits", "race_ethnicity": "all", "rate": 200.0}]


def test_weights_order_and_equal_ones_share_a_rank():
    base = Finding("a", "", "", (), effect=1, reach=1, equity=0, certainty=2)
    findings = [
        base,
        replace(base, title="b", equity=3),
        replace(base, title="c", effect=2, reach=0),
    ]
    assert [(rank, f.title) for rank, f in ranked(findings)] == [(1, "b"), (2, "a"), (2, "c")]


def test_certainty_goes_first_among_equals():
    base = Finding("a", "", "", (), effect=2, reach=1, equity=0, certainty=1)
    sure = replace(base, title="z", effect=1, certainty=2)
    assert [f.title for _, f in ranked([base, sure])] == ["z", "a"]


@pytest.mark.parametrize(
    ("p_values", "n_listed"),
    [((0.04, 0.6), 0), ((0.02, 0.6), 1), ((0.04, 0.03), 0), ((0.024, 0.049), 2)],
)
def test_outcomes_count_after_holm(monkeypatch, released, p_values, n_listed):
    rows = [effect(n, -30, 5, p) for n, p in zip(("ed_visits", "paid_usd"), p_values, strict=True)]
    frames(monkeypatch, {"effect_overall": rows, "baseline_utilization": BASE})
    assert len(rules._effects(released)) == n_listed


@pytest.mark.parametrize(
    ("outcome", "estimate", "title"),
    [
        ("ed_visits", -30, "Keep what lowers emergency department visits"),
        ("ed_visits", 30, "Find out why emergency department visits rise"),
        ("outpatient_visits", 30, "Keep what raises outpatient visits"),
        ("outpatient_visits", -30, "Find out why outpatient visits fall"),
    ],
)
def test_a_title_follows_direction_and_what_is_better(
    monkeypatch, released, outcome, estimate, title
):
    frames(monkeypatch, {"effect_overall": [effect(outcome, estimate, 5, 1e-6)]})
    assert [f.title for f in rules._effects(released)] == [title]


@pytest.mark.parametrize(("away", "certainty"), [(False, 3), (True, 2)])
def test_false_dates_lower_certainty(monkeypatch, released, away, certainty):
    false = {"outcome": "ed_visits", "race_ethnicity": "all", "conf_low": 1.0 if away else -1.0}
    tables = {
        "effect_overall": [effect("ed_visits", -30, 5, 1e-6)],
        "baseline_utilization": BASE,
        "placebo_dates": [false | {"conf_high": 9.0}],
    }
    frames(monkeypatch, tables)
    (finding,) = rules._effects(released)
    assert finding.certainty == certainty
    assert finding.effect == 2  # 30 of 200 is between a tenth and a quarter


def gap_row(group, component, estimate, p_value):
    return {
        "race_ethnicity": group,
        "reference": "white",
        "component": component,
        "estimate": estimate,
        "p_value": p_value,
    }


def test_access_gaps_name_groups_by_stage_and_leave_out_rows_of_records(monkeypatch, released):
    rows = [
        gap_row("black", "outreached", -0.2, 1e-6),
        gap_row("asian", "outreached", -0.1, 1e-6),
        gap_row("unknown", "outreached", -0.3, 1e-6),
        gap_row("black", "served", 0.1, 1e-6),
        gap_row("asian", "served", -0.1, 0.5),
        gap_row("black", "gap", -0.1, 1e-6),
    ]
    sizes = {"all": 100.0, "black": 30.0, "asian": 25.0}
    funnel = [
        {"race_ethnicity": g, "stage": "identified", "numerator": n, "rate": 1.0}
        for g, n in sizes.items()
    ]
    frames(monkeypatch, {"access_gap": rows, "access_funnel": funnel})
    (finding,) = rules._access_gaps(released)
    assert "Black or African American, Asian" in finding.title
    assert "20.0 percentage points" in finding.says
    assert (finding.reach, finding.equity) == (3, 3)


def test_a_hidden_row_is_not_read(monkeypatch, released):
    found = frames(monkeypatch, {"effect_overall": [effect("ed_visits", -30, 5, 1e-6)]})
    found["effect_overall"]["is_suppressed"] = True
    assert rules._effects(released) == []


def test_an_open_referral_is_no_ending(monkeypatch, released):
    rows = [
        {"last_step": "all", "ending": ending, "rate": rate}
        for ending, rate in (("all", 0.6), ("still_open", 0.3), ("unable_to_reach", 0.2))
    ]
    frames(monkeypatch, {"referral_losses": rows})
    (finding,) = rules._referral_losses(released)
    assert finding.title == 'Begin with referrals that end as "unable to reach"'
    # Of 60 % half are open and have not ended.
    assert "60% of referrals old enough to judge are not closed" in finding.says
    assert "those still open among them" in finding.says


def test_a_service_keeps_its_name(monkeypatch, released):
    rows = [{"service": "ecm", "rate": 0.4}, {"service": "day_habilitation", "rate": 0.9}]
    frames(monkeypatch, {"coverage_summary": rows})
    (finding,) = rules._coverage(released)
    assert "the fewest: Enhanced Care Management (40%)" in finding.says


@pytest.mark.parametrize(("on_time", "n_listed"), [(0.95, 0), (0.8, 1)])
def test_payment_is_a_finding_from_a_tenth_on(monkeypatch, released, on_time, n_listed):
    row = {"organization_type": "cbo", "within_days": 30, "rate": on_time}
    frames(monkeypatch, {"payment_timeliness": [row]})
    assert len(rules._late_payment(released)) == n_listed


def test_without_a_firm_number_nothing_is_recommended(monkeypatch, released):
    frames(monkeypatch, {})
    assert find_findings(released) == []
    assert "No released number is firm enough" in recommendations_words(released)


def test_the_made_up_quarter_reads_from_tables_it_holds(released):
    findings = find_findings(released)
    assert findings
    for finding in findings:
        assert finding.items[0] in released.tables
        assert 1 <= finding.effect <= 3
        assert 1 <= finding.reach <= 3
    words = recommendations_words(released)
    assert words.startswith("**1. ")
    assert words.count("*Not said:*") == words.count("*Read from:*") == len(findings)
    assert "nan" not in words.lower().split()


def test_what_is_not_answered_is_listed(released):
    questions = open_questions(released)
    assert questions
    assert all(question.endswith(".") for question in questions)
    assert open_questions_words(released).count("\n- ") == len(questions) - 1


def test_only_a_release_is_read(quarter_results):
    with pytest.raises(TypeError, match="takes a `Released`"):
        recommendations_words(quarter_results)
    with pytest.raises(TypeError, match="takes a `Released`"):
        open_questions_words(quarter_results)


def test_the_weights_are_told():
    assert all(words in weights_words() for words in ("Effect", "Reach", "Equity", "Certainty"))
