"""What a release says of a restatement: rounded changes, never totals, nothing of few members."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.panel import MemberMonths
from calaim_eval.panel.members_behind import members_behind
from calaim_eval.panel.restatement import Restatement, restate
from calaim_eval.pipeline.restatement_results import STEPS, restatement_results
from calaim_eval.report import tables

FIRST, SECOND = date(2025, 3, 31), date(2025, 6, 30)


def made(rows):
    """A restatement and the members behind it: measure, month, earlier, later, members."""
    frame = pd.DataFrame(rows, columns=["measure", "month", "earlier", "later", "n_members"])
    frame["month"] = pd.to_datetime(frame["month"])
    frame["ratio"] = frame["later"] / frame["earlier"].where(frame["earlier"] != 0)
    told = Restatement(frame.drop(columns="n_members"), ("month",), None, None, 3)
    return told, frame[["month", "measure", "n_members"]]


def results(rows, outcomes=("ed_visits",)):
    told, behind = made(rows)
    return restatement_results(
        told, behind, outcomes=outcomes, earlier=FIRST, later=SECOND, min_count=11
    )


def words(rows, **options):
    keys = results(rows, **options)["restatement"].keys
    return list(zip(keys["change"], keys["rounded_to"], strict=True))


def test_changes_are_rounded_to_whole_percent_of_the_earlier_total():
    rows = [
        ("ed_visits", "2024-11", 10_000.0, 10_040.0, 5000),
        ("ed_visits", "2024-12", 10_000.0, 10_640.0, 5000),
        ("member_months", "2024-12", 50_000.0, 48_600.0, 48_600),
        ("paid_usd", "2024-12", 10.0, 20.0, 5000),
    ]
    # By hand: 0.4, 6.4 and -2.8 percent; an outcome of no interest to the study is not told.
    assert words(rows) == [("0%", "1%"), ("+6%", "1%"), ("-3%", "1%")]


@pytest.mark.parametrize(
    ("n_members", "told"),
    [
        (2200, ("+13%", "1%")),
        (2199, ("+12%", "2%")),
        (440, ("+15%", "5%")),
        (220, ("+10%", "10%")),
        (219, ("not stated", "")),
    ],
)
def test_the_fewer_members_the_wider_the_rounding(n_members, told):
    # 13 % of the earlier total; a half step of the members behind it is 11 or more.
    assert words([("ed_visits", "2024-12", 100_000.0, 113_000.0, n_members * 1.13)]) == [told]


@pytest.mark.parametrize("step", STEPS)
def test_no_change_and_the_smallest_count_look_alike(step):
    n = 200 * 11 // step + 1
    both = [
        words([("ed_visits", "2024-12", float(n), n + change, n + max(change, 0))])
        for change in (-10, 0, 10)
    ]
    assert both[0] == both[1] == both[2] == [("0%", f"{step}%")]


def test_few_members_behind_the_earlier_total_are_not_told_by_many_behind_the_later():
    assert words([("ed_visits", "2024-12", 5.0, 4000.0, 3000)]) == [("not stated", "")]


def test_a_measure_has_the_rounding_of_its_month_of_fewest_members():
    rows = [
        ("ed_visits", "2024-10", 5000.0, 5000.0, 40),
        ("ed_visits", "2024-11", 5000.0, 5150.0, 3000),
        ("ed_visits", "2024-12", 5000.0, 5350.0, 500),
    ]
    assert words(rows) == [("not stated", ""), ("+5%", "5%"), ("+5%", "5%")]


def test_totals_of_nothing_and_unknown_ones_are_not_told():
    rows = [
        ("ed_visits", "2024-10", 0.0, 400.0, 3000),
        ("ed_visits", "2024-11", np.nan, np.nan, 0),
        ("ed_visits", "2024-12", 5000.0, 5000.0, 3000),
    ]
    assert words(rows) == [("not stated", ""), ("0%", "1%")]


def test_the_last_24_months_are_told():
    months = pd.period_range("2022-01", "2024-12", freq="M").astype(str)
    rows = [("ed_visits", month, 9000.0, 9000.0, 5000) for month in months]
    keys = results(rows)["restatement"].keys
    assert keys["month"].tolist() == months[-24:].tolist()


def test_no_total_is_in_the_release(tmp_path):
    rows = [("ed_visits", "2024-12", 98_765.0, 104_321.0, 54_321)]
    released = release(results(rows), to=tmp_path / "release", quarter="2024Q4")
    written = [p.read_text(encoding="utf-8") for p in (tmp_path / "release").rglob("*.*")]
    assert not [t for t in written for number in ("98765", "104321", "54321") if number in t]
    frame = released.tables["restatement"].frame
    assert frame["numerator"].isna().all()
    assert frame["change"].tolist() == ["+6%"]


def test_from_two_panels_to_the_page():
    def panel(visits):
        ids = [f"m{i}" for i in range(2500)]
        months = pd.DataFrame({"member_id": ids * 2, "covered_days": 30})
        months["month"] = ["2024-11-01"] * 2500 + ["2024-12-01"] * 2500
        return MemberMonths.from_frames(months.assign(ed_visits=[1] * 2500 + visits))

    # December: 2,000 visits become 2,400; of 2,400 and 2,500 members, so to the nearest 2 percent.
    earlier, later = panel([1] * 2000 + [0] * 500), panel([1] * 2400 + [0] * 100)
    kept = restatement_results(
        restate(earlier, later),
        members_behind(later),
        outcomes=["ed_visits"],
        earlier=FIRST,
        later=SECOND,
        min_count=11,
    )
    html = tables.restatement_table(release(kept, quarter="2024Q4")).to_html()
    assert ">+20%<" in html
    assert ">2%<" in html
    assert html.count(">0%<") == 3
    assert "December 2024" in html.replace("Dec 2024", "December 2024")
