"""A column of identifiers that was mapped to `plan`: found, and not carried to the page."""

from __future__ import annotations

import pandas as pd
import pytest
from clean_tables import EXTRACT, WINDOW, clean_frames, put, visit

from calaim_eval.quality import check_quality
from calaim_eval.quality.crowded_names import MOST_NAMES, TOO_MANY
from calaim_eval.quality.json_file import quality_content
from calaim_eval.quality.page import quality_page
from calaim_eval.quality.summary import summary_text
from calaim_eval.tables import Tables

N = MOST_NAMES + 20


def spoiled(column: str) -> dict[str, pd.DataFrame]:
    """Many members, and in a column of each span what is theirs alone."""
    frames = clean_frames()
    spans = [dict(frames["eligibility"].iloc[0]) for _ in range(N)]
    for place, span in enumerate(spans):
        span |= {"member_id": f"person-{place:04d}", column: f"secret-{place:04d}"}
    frames["eligibility"] = pd.concat([frames["eligibility"], pd.DataFrame(spans)])
    persons = [dict(frames["person"].iloc[0]) for _ in range(N)]
    for place, person in enumerate(persons):
        person |= {"member_id": f"person-{place:04d}", "race_code": "unknown"}
    frames["person"] = pd.concat([frames["person"], pd.DataFrame(persons)])
    visits = [visit(f"v{place}", f"person-{place:04d}", "2022-02-10") for place in range(N)]
    mine = pd.DataFrame(visits).assign(plan=None)
    frames["medical_claim"] = pd.concat([frames["medical_claim"], mine])
    return frames


@pytest.mark.parametrize(
    ("column", "check"), [("plan", "plans_too_many"), ("county", "counties_too_many")]
)
def test_names_that_are_too_many_stop_and_are_not_shown(column, check):
    tables = Tables.from_frames(spoiled(column), n_buckets=2)
    report = check_quality(tables, **WINDOW, extract_date=EXTRACT)
    mine = [finding for finding in report.findings if finding.check.id == check]
    assert mine
    assert all(finding.stops and finding.n >= N for finding in mine)
    content = str(quality_content(report, made_from={}, exact=True))
    page = quality_page(report, title="A study", made_from={}, exact=True)
    for text in (content, page, summary_text(report, exact=True), repr(report)):
        assert "secret" not in text
    assert TOO_MANY in page
    assert "secret" not in report.completeness.to_string()
    (race,) = [finding for finding in report.findings if finding.check.id == "race_unknown"]
    assert (race.n, race.of) == (N, N + 4)


def test_names_that_are_few_are_told():
    frames = clean_frames()
    put(frames, "person", 0, race_code="unknown")
    report = check_quality(Tables.from_frames(frames), **WINDOW, extract_date=EXTRACT)
    (race,) = [finding for finding in report.findings if finding.check.id == "race_unknown"]
    assert {group.name for group in race.groups} == {"North Plan", "Alameda"}
    assert report.looked_at["plans_too_many"] >= 1
    assert not report.stops
