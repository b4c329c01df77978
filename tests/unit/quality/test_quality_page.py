"""The page and the JSON file: readable, masked, complete, and without a member."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from clean_tables import MEMBERS, add, checked, clean_frames, fill, put, visit

from calaim_eval.quality import CHECKS, QualityRules
from calaim_eval.quality.checks import GROUPS
from calaim_eval.quality.counts import as_counts
from calaim_eval.quality.findings import build_findings
from calaim_eval.quality.json_file import quality_content
from calaim_eval.quality.masking import Masking, percent
from calaim_eval.quality.page import quality_page
from calaim_eval.quality.page_charts import month_bars
from calaim_eval.quality.summary import summary_text
from calaim_eval.quality.verdict import verdict_words
from calaim_eval.schema.tables import TABLES

DOC = Path(__file__).resolve().parents[3] / "docs" / "data_quality.md"
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"}


class Page(HTMLParser):
    """Headings, ids, links and whether every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.levels: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.cells_without_scope = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        self.outside += [v for k, v in attrs if k in ("src", "srcset", "data") and v]
        self.cells_without_scope += tag == "th" and "scope" not in given
        assert tag != "script"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def frames():
    """Clean tables with a few defects and names that would be recognized anywhere."""
    frames = clean_frames()
    put(frames, "medical_claim", 0, paid_amount=0.0, hcpcs_code="9921")
    put(frames, "person", 0, race_code="unknown")
    add(
        frames,
        "medical_claim",
        *(
            visit(f"zero-{i}", MEMBERS[1], f"2022-08-{i:02d}", paid_amount=0.0)
            for i in range(1, 13)
        ),
    )
    put(frames, "eligibility", 0, enrollment_end_date="2022-10-31")
    add(frames, "pharmacy_claim", fill("fill-again", MEMBERS[2], "2022-03-05"))
    return frames


@pytest.fixture(scope="module")
def report(frames):
    rules = QualityRules(
        stop_above={"claims_outside_coverage": 0.0},
        warn_above={"race_unknown": 0.0},
        accepted={"amounts_zero": "capitated <clinic> & agreed"},
    )
    return checked(frames, rules=rules)


@pytest.fixture(scope="module")
def page(report):
    return quality_page(report, title="A study of <care> & more", made_from={"study file": "ab12"})


def test_the_page_parses_and_stands_alone(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.outside == []
    assert all(link.startswith("#") for link in parsed.links)
    assert "http" not in page
    assert "url(" not in page
    assert '<html lang="en">' in page


def test_headings_come_in_order_and_every_link_leads_somewhere(page):
    parsed = Page(page)
    assert parsed.levels[0] == 1
    assert parsed.levels.count(1) == 1
    steps = [b - a for a, b in zip(parsed.levels, parsed.levels[1:], strict=False)]
    assert max(steps) <= 1
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert {link[1:] for link in parsed.links} == set(parsed.ids)
    assert parsed.cells_without_scope == 0


def test_text_of_the_study_is_escaped(page):
    assert "A study of &lt;care&gt; &amp; more" in page
    assert "capitated &lt;clinic&gt; &amp; agreed" in page


def test_the_verdict_is_on_top_and_worst_comes_first(report, page):
    # Outside coverage: the two last visits of a member. Accepted: thirteen lines without an amount.
    assert [f.check.id for f in report.stops] == ["claims_outside_coverage"]
    assert verdict_words(report) == (
        f"Do not use these data yet: 1 finding stops the study, {len(report.warnings)} more need "
        "a look. 1 finding accepted in the study file."
    )
    body = page[page.index("<body>") :]
    assert body.index("Do not use these data yet") < body.index("<h2>")
    contents = body[: body.index("What was found, and what to do")]
    badges = re.findall(r'class="badge (\w+)"', contents)
    order = ["stop", "warn", "note", "accepted"]
    assert badges == sorted(badges, key=order.index)
    assert badges[0] == "stop"
    assert badges[-1] == "accepted"


def test_counts_of_few_people_are_masked_unless_asked_for(report, page):
    # 13 lines without an amount, 1 member of unknown race.
    zero = next(f for f in report.findings if f.check.id == "amounts_zero")
    race = next(f for f in report.findings if f.check.id == "race_unknown")
    assert (zero.n, race.n, race.of) == (13, 1, 4)
    content = quality_content(report, made_from={})
    told = {f["id"]: f for f in content["findings"]}
    assert told["amounts_zero"]["n"] == 13
    masked = told["race_unknown"]
    assert (masked["n"], masked["n_shown"], masked["share"]) == (None, "1-10", None)
    assert masked["of_shown"] == "1-10"
    exact = quality_content(report, made_from={}, exact=True)
    shown = next(f for f in exact["findings"] if f["id"] == "race_unknown")
    assert (shown["n"], shown["of"], shown["share"]) == (1, 4, 0.25)
    part = page[page.index(">race_unknown<") :]
    assert "1-10 of 1-10 members covered in the window (not shown)" in part
    whole = quality_page(report, title="t", made_from={}, exact=True)
    assert "1 of 4 members covered in the window (25%)" in whole


def test_nothing_that_is_written_holds_a_member_or_a_value(frames, report, page):
    names = {"member_id", "claim_id", "record_id", "birth_date", "original_claim_id"}
    held = {
        str(value)
        for frame in frames.values()
        for column in names & set(frame.columns)
        for value in frame[column].dropna()
    }
    assert len(held) > 50
    written = [
        page,
        quality_page(report, title="t", made_from={}, exact=True),
        json.dumps(quality_content(report, made_from={}, exact=True)),
        summary_text(report, exact=True),
        repr(report),
    ]
    for text in written:
        assert [value for value in held if value in text] == []


def test_every_check_is_on_the_page(report, page):
    found = {finding.check.id for finding in report.findings}
    text = page.replace("<code>", "`").replace("</code>", "`")
    for check in CHECKS.values():
        assert check.title.replace("'", "&#x27;") in text, check.id
    assert found


def test_the_json_file_says_what_its_page_says(report):
    content = json.loads(json.dumps(quality_content(report, made_from={"study": "s"})))
    fields = set(re.findall(r"`(\w+)(?:\[\])?`", DOC.read_text(encoding="utf-8")))
    assert set(content) <= fields
    for finding in content["findings"]:
        assert set(finding) <= fields
        for group in finding["groups"]:
            assert set(group) <= fields
    assert set(content["checks"][0]) <= fields
    assert [c["id"] for c in content["checks"]] == list(CHECKS)
    assert content["verdict"]["level"] == "stop"
    assert content["verdict"]["stops"] == ["claims_outside_coverage"] * len(report.stops)
    assert content["schema_version"] == 1


def test_a_finding_names_columns_of_its_table(report):
    assert {finding.table for finding in report.findings} >= {"medical_claim", "pharmacy_claim"}
    for finding in report.findings:
        known = {*TABLES[finding.table].fields, *TABLES["person"].fields}
        assert set(finding.columns) <= known, (finding.check.id, finding.table)


@pytest.mark.parametrize("check", [*dict(GROUPS)["Claims"][:3], *dict(GROUPS)["Completeness"]])
def test_what_is_asked_of_fills_names_their_columns(check):
    known = {*TABLES["pharmacy_claim"].fields, *TABLES["person"].fields}
    if check.id != "claims_of_other_plan":
        assert set(check.columns_of("pharmacy_claim")) <= known
    assert set(check.columns_of("medical_claim")) <= {
        *TABLES["medical_claim"].fields,
        *TABLES["person"].fields,
    }


def test_bars_by_month_say_which_months_are_worst():
    rows = [(f"2022-{month:02d}", int(month in (2, 4, 8, 9)), 1) for month in range(1, 13)]
    counts = as_counts(
        pd.DataFrame(rows, columns=["month", "n", "of"]),
        check="encounter_gaps",
        table="medical_claim",
    )
    members = pd.DataFrame(columns=["check", "table", "n_members"])
    (finding,) = build_findings(counts, members, QualityRules())
    drawn = month_bars(finding, Masking())
    assert "; largest 100%, in 2022-02, 2022-04, 2022-08 and 1 more</figcaption>" in drawn


def test_the_documentation_has_every_check_with_its_limits():
    text = DOC.read_text(encoding="utf-8")
    for check in CHECKS.values():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{check.id}` |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1] == check.title
        for cell, limit in zip(cells[3:], (check.warn_above, check.stop_above), strict=True):
            expected = "never" if limit is None else "any" if limit == 0 else f"{100 * limit:g}%"
            assert cell == expected, check.id


def test_the_screen_names_what_stops_and_what_to_do(report):
    text = summary_text(report)
    first = text.splitlines()[0]
    assert first.startswith("Data quality: Do not use these data yet")
    assert "STOP    claims_outside_coverage in medical_claim: 1-10 lines" in text
    assert CHECKS["claims_outside_coverage"].next_step in text
    assert "amounts_zero" not in text


@pytest.mark.parametrize(
    ("n", "of", "count", "share"),
    [
        (0, 500, "0", "0%"),
        (1, 500, "1-10", "under 2.2%"),
        (10, 500, "1-10", "under 2.2%"),
        (11, 500, "11", "2.2%"),
        (3, 8, "1-10", "not shown"),
        (5, 12, "1-10", "under 92%"),
        (499, 500, "499", "over 99%"),
        (1_234_567, 2_000_000, "1,234,567", "62%"),
    ],
)
def test_masked_numbers(n, of, count, share):
    masking = Masking()
    assert masking.count(n, of_people=True) == count
    assert masking.share(n, of, of_people=True) == share
    assert Masking(exact=True).count(n, of_people=True) == f"{n:,}"
    assert masking.count(n, of_people=False) == f"{n:,}"


def test_a_masked_share_is_the_same_for_every_masked_count():
    for of in (11, 37, 500, 123_456):
        assert len({Masking().share(n, of, of_people=True) for n in range(1, 11)}) == 1


def test_percentages_do_not_round_to_nothing_or_to_everything():
    assert percent(0.0000001) == "under 0.001%"
    assert percent(0.99999) == "over 99%"
    assert percent(1.0) == "100%"
    assert pd.Series([percent(x / 1000) for x in range(1001)]).ne("").all()
