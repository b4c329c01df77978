"""A masked count does not follow from any other number that is shown with it."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from clean_tables import EXTRACT

from calaim_eval.quality import QualityReport, QualityRules
from calaim_eval.quality.completeness import COLUMNS, judge_completeness
from calaim_eval.quality.counts import KEYS, as_counts
from calaim_eval.quality.findings import Group, build_findings
from calaim_eval.quality.json_file import quality_content
from calaim_eval.quality.masking import Masking, Shown
from calaim_eval.quality.page import quality_page
from calaim_eval.quality.summary import summary_text
from calaim_eval.tables import RowLedger

NO_MEMBERS = pd.DataFrame(columns=[*KEYS["members"], "n_members"])


def report_of(counts, completeness=None, *, check="amounts_negative") -> QualityReport:
    """A report of counts by plan of one check on claim lines."""
    rows = as_counts(pd.DataFrame(counts), check=check, table="medical_claim")
    return QualityReport(
        findings=build_findings(rows, NO_MEMBERS, QualityRules()),
        completeness=pd.DataFrame(columns=COLUMNS) if completeness is None else completeness,
        run_out={},
        looked_at={check: int(rows["of"].sum())},
        ledger=RowLedger(),
        months=("2022-01", "2022-12"),
        analysed_until="2022-12",
        extract_date=EXTRACT,
        rules=QualityRules(),
    )


def test_the_share_of_a_large_plan_does_not_tell_a_masked_count():
    """9 of 2,000 lines of P1 are 0.45%, and warn although 9 of 20,000 are below the limit."""
    report = report_of({"plan": ["P1", "P2"], "n": [9, 0], "of": [2_000, 18_000]})
    assert report.findings[0].large_plan == Group("plan", "P1", 9, 2_000)
    page = quality_page(report, title="t", made_from={})
    for text in (summary_text(report), page):
        assert "0.45%" not in text
    # 11 of 2,000 is 0.55%.
    assert "1-10 lines (under 0.055%; P1 alone under 0.55%)" in summary_text(report)
    assert "P1 alone: under 0.55%" in page
    assert "P1 alone 0.45%" in summary_text(report, exact=True)


def test_the_total_and_the_other_plans_do_not_tell_a_masked_count():
    """Of 100 lines P1 has 60, P2 33: P3 would have 7."""
    report = report_of({"plan": ["P1", "P2", "P3"], "n": [60, 33, 7], "of": [2_000, 1_000, 1_000]})
    (finding,) = quality_content(report, made_from={})["findings"]
    shown = {group["name"]: group for group in finding["groups"]}
    assert (finding["n"], shown["P1"]["n"]) == (100, 60)
    assert (shown["P3"]["n"], shown["P3"]["n_shown"], shown["P3"]["share"]) == (None, "1-10", None)
    assert (shown["P2"]["n"], shown["P2"]["n_shown"], shown["P2"]["share"]) == (
        None,
        "not shown",
        None,
    )
    page = quality_page(report, title="t", made_from={})
    row = re.search(r"<tr><th scope='row'>P2</th>.*?</tr>", page).group()
    assert "33" not in row
    assert "3.3%" not in page
    assert "width:0%" in row
    exact = quality_content(report, made_from={}, exact=True)["findings"][0]
    assert sorted(group["n"] for group in exact["groups"]) == [7, 33, 60]


def test_months_that_must_not_be_told_are_not_drawn():
    """The two months beside a total of 40: 35 would tell the 5."""
    report = report_of({"month": ["2022-01", "2022-02"], "n": [35, 5], "of": [1_000, 900]})
    page = quality_page(report, title="t", made_from={})
    assert "3.5%" not in page
    assert "2022-01: " not in page


def _possible(shown: list, counts: list[int], total: int) -> list[set[int]]:
    """Values each hidden count can have, for somebody who knows the rule: by trying all."""
    top = max((n for n in counts if n > 10), default=11)
    smallest_shown = min((each.n for each in shown if each.n and each.n > 10), default=top + 40)
    choices = [
        [each.n]
        if each.n is not None
        else range(1, 11)
        if each.n_words == "1-10"
        else range(11, smallest_shown + 1)
        for each in shown
    ]
    fitting = [each for each in itertools.product(*choices) if sum(each) == total]
    return [set(values) for values in zip(*fitting, strict=True)]


@pytest.mark.parametrize(
    "counts",
    [
        [60, 33, 7],
        [60, 1, 1],
        [60, 10, 10],
        [60, 2, 1],
        [11, 1, 30],
        [12, 12, 10],
        [20, 20, 20, 10],
        [14, 13, 11, 1],
    ],
)
def test_no_masked_count_can_be_worked_out(counts):
    parts = [Group("plan", f"P{at}", n, 10 * n + 100) for at, n in enumerate(counts)]
    whole = Group("", "", sum(counts), sum(part.of for part in parts))
    shown = Masking().parts(parts, whole, of_people=True)
    possible = _possible(shown, counts, sum(counts))
    for n, values in zip(counts, possible, strict=True):
        if n <= 10:
            assert len(values) > 1, (counts, shown)


def _pairs(part: Group, each: Shown, least_n: float, least_of: float) -> list[tuple[int, int]]:
    """Values (n, of) a group can have; those covered end at the least larger number shown."""

    def values(words, value, least_shown, cap):
        if words == "1-10":
            return range(1, 11)
        return [value] if value is not None else range(11, int(min(least_shown, cap)) + 1)

    ofs = list(values(each.of_words, each.of, least_of, 90))
    return [
        (n, of) for of in ofs for n in values(each.n_words, each.n, least_n, max(ofs)) if n <= of
    ]


def _told_by_trying_all(parts: list[Group], whole: Group, shown: list[Shown]) -> list[str]:
    """Small counts with a single value that fits all that is shown."""
    least_n = min((each.n for each in shown if each.n and each.n > 10), default=90)
    least_of = min((each.of for each in shown if each.of and each.of > 10), default=90)
    pairs = [_pairs(p, e, least_n, least_of) for p, e in zip(parts, shown, strict=True)]
    totals = {
        (n, of)
        for n in (range(1, 11) if whole.n <= 10 else [whole.n])
        for of in (range(1, 11) if whole.of <= 10 else [whole.of])
    }
    told = []
    for at, part in enumerate(parts):
        others = {(0, 0)}
        for other in pairs[:at] + pairs[at + 1 :]:
            others = {
                (n + a, of + b)
                for n, of in others
                for a, b in other
                if n + a <= whole.n + 10 and of + b <= whole.of + 10
            }
        fitting = [
            (n, of)
            for n, of in pairs[at]
            if any((total_n - n, total_of - of) in others for total_n, total_of in totals)
        ]
        assert (part.n, part.of) in fitting
        told += [f"{at} n"] if part.n <= 10 and len({n for n, _ in fitting}) == 1 else []
        told += [f"{at} of"] if part.of <= 10 and len({of for _, of in fitting}) == 1 else []
    return told


@pytest.mark.parametrize("seed", range(150))
def test_no_masked_count_follows_from_counts_and_what_they_are_among(seed):
    """Up to four groups of 1 to 24 with problem among not many more, by trying all."""
    rng = np.random.default_rng(seed)
    n = rng.integers(1, rng.choice([3, 12, 25]), rng.integers(1, 5))
    of = n + rng.integers(0, rng.choice([1, 3, 15]), len(n))
    parts = [
        Group("plan", f"P{at}", int(a), int(b)) for at, (a, b) in enumerate(zip(n, of, strict=True))
    ]
    whole = Group("", "", int(n.sum()), int(of.sum()))
    shown = Masking().parts(parts, whole, of_people=True)
    if shown:
        assert _told_by_trying_all(parts, whole, shown) == [], (parts, shown)


@pytest.mark.parametrize("counts", [[10, 10], [1] * 12, [1, 11], [1] * 10])
def test_groups_are_not_listed_where_the_total_tells_them(counts):
    report = report_of(
        {"plan": [f"P{at}" for at in range(len(counts))], "n": counts, "of": [1_000] * len(counts)}
    )
    (finding,) = quality_content(report, made_from={})["findings"]
    assert finding["groups"] == []
    page = quality_page(report, title="t", made_from={})
    assert "By plan: not shown." in page
    assert "<th scope='row'>P1</th>" not in page
    exact = quality_content(report, made_from={}, exact=True)["findings"][0]
    assert len(exact["groups"]) == len(counts)


def test_a_count_that_can_only_be_all_it_is_among_tells_nothing():
    """Of 514, 500 shown would leave 14: 11 of 11 covered, and so 3."""
    pairs = [(3, 1_000), (11, 11), (500, 1_000)]
    parts = [Group("plan", f"P{at}", n, of) for at, (n, of) in enumerate(pairs)]
    shown = Masking().parts(parts, Group("", "", 514, 2_011), of_people=True)
    assert [each.n for each in shown] == [None, None, None]


def test_no_more_is_covered_than_needed_where_everything_has_the_problem():
    """Of 1,005 lines, all with the problem: covering 200 leaves 205 for two plans."""
    parts = [Group("plan", f"P{at}", n, n) for at, n in enumerate([500, 300, 200, 5])]
    shown = Masking().parts(parts, Group("", "", 1_005, 1_005), of_people=True)
    assert [each.n for each in shown] == [500, 300, None, None]
    assert [each.of for each in shown] == [500, 300, None, None]


def test_what_is_counted_among_is_masked_like_the_count():
    """Of 500 members 493 are of P1: 7 of P2."""
    parts = [Group("plan", "P1", 200, 493), Group("plan", "P2", 7, 7)]
    whole = Group("", "", 207, 500)
    first, second = Masking().parts(parts, whole, of_people=True)
    assert (first.of, first.of_words, first.share) == (None, "not shown", "not shown")
    assert (second.of, second.of_words) == (None, "1-10")


def test_nothing_more_is_masked_than_must_be():
    parts = [Group("plan", "P1", 60, 500), Group("plan", "P2", 4, 500), Group("plan", "P3", 5, 500)]
    whole = Group("", "", 69, 1_500)
    told = Masking().parts(parts, whole, of_people=True)
    assert [each.n for each in told] == [60, None, None]
    assert [each.of for each in told] == [500, 500, 500]
    for options in ({"exact": True}, {}):
        of_people = "exact" in options
        told = Masking(**options).parts(parts, whole, of_people=of_people)
        assert [(each.n, each.share) for each in told] == [(60, "12%"), (4, "0.8%"), (5, "1%")]


def test_rates_of_few_lines_or_member_months_are_not_written():
    """9 lines of a plan that has 400 a month; 2 lines of a plan with 4 member-months."""
    months = list(range(24_264, 24_276))
    lines = pd.DataFrame(
        {
            "feed": "professional",
            "plan": ["P1"] * 12 + ["P2"] * 12,
            "month": months * 2,
            "n_lines": [400] * 11 + [9] + [20] * 12,
        }
    )
    members = pd.DataFrame(
        {
            "plan": ["P1"] * 12 + ["P2"] * 12,
            "month": months * 2,
            "n_member_months": [1_000] * 12 + [4] * 12,
        }
    )
    judged = judge_completeness(lines, members, rules=QualityRules())
    report = report_of({"plan": ["P1"], "n": [20], "of": [1_000]}, judged)
    content = quality_content(report, made_from={})["completeness"]
    by_plan = pd.DataFrame(content).groupby("plan")["lines_per_1000_member_months"]
    assert by_plan.count().to_dict() == {"P1": 11, "P2": 0}
    # 9 of 400 are 2%; 11 of 400 are 2.75%.
    page = quality_page(report, title="t", made_from={})
    assert "&#9660;&lt;3</td>" in page
    assert "&#9660;2</td>" not in page
    assert "&#9660;2</td>" in quality_page(report, title="t", made_from={}, exact=True)
    exact = quality_content(report, made_from={}, exact=True)["completeness"]
    assert all(row["lines_per_1000_member_months"] is not None for row in exact)


@pytest.mark.parametrize("n_lines", [11, 40, 41, 60, 132, 500, 1_500, 20_000, 200_000])
def test_no_few_late_lines_follow_from_a_share_that_has_arrived(n_lines):
    shown: dict[float | None, set[int]] = {}
    for late in range(n_lines + 1):
        told = Masking().arrived(1 - late / n_lines, n_lines)
        assert told is None or told <= 1 - late / n_lines + 1e-9
        shown.setdefault(told, set()).add(late)
    for told, possible in shown.items():
        few = {late for late in possible if 1 <= late <= 10}
        # Nothing that is narrower than "1-10".
        assert not few or len(possible) >= 10, told


def test_shares_of_very_few_lines_are_not_shown():
    assert Masking().arrived(1.0, 40) is None
    assert Masking(exact=True).arrived(0.5, 4) == 0.5


@pytest.mark.parametrize(("n", "words"), [(1, "1 plan-month (9.1%)"), (2, "2 plan-months (18%)")])
def test_one_is_told_as_one(n, words):
    counts = {"plan": ["P1"], "n": [n], "of": [11]}
    assert f"encounter_gaps in medical_claim: {words}" in summary_text(
        report_of(counts, check="encounter_gaps")
    )
