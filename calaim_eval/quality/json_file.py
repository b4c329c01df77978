"""The findings as a JSON file that programs can read; `docs/data_quality.md` has its fields."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from calaim_eval.quality.check import QualityReport
from calaim_eval.quality.checks import CHECKS
from calaim_eval.quality.counts import month_text
from calaim_eval.quality.findings import DIMENSIONS, Finding, Group
from calaim_eval.quality.masking import Masking, Shown
from calaim_eval.quality.verdict import verdict_level, verdict_words
from calaim_eval.version import __version__

if TYPE_CHECKING:
    from calaim_eval.quality.run_out import RunOut

SCHEMA_NAME = "calaim_eval data quality"
SCHEMA_VERSION = 1
"""Raised whenever a field changes its meaning or goes away."""


def quality_content(
    report: QualityReport, *, made_from: Mapping[str, str], exact: bool = False
) -> dict[str, Any]:
    """Content of the JSON file.

    Parameters
    ----------
    report : QualityReport
    made_from : mapping of str to str
        Name and hash of the study and its files.
    exact : bool
        Show counts of 1 to 10 people as they are, not as "1-10".
    """
    masking = Masking(exact=exact)
    return {
        "schema": SCHEMA_NAME,
        "schema_version": SCHEMA_VERSION,
        "package_version": __version__,
        "made_from": dict(made_from),
        "exact": exact,
        "first_month": report.months[0],
        "last_month": report.months[1],
        "analysed_until": report.analysed_until,
        "extract_date": report.extract_date.isoformat(),
        "verdict": {
            "level": verdict_level(report),
            "words": verdict_words(report),
            "stops": [finding.check.id for finding in report.stops],
        },
        "findings": [_finding(finding, masking) for finding in report.findings],
        "checks": [_check(check_id, report) for check_id in CHECKS],
        "completeness": _completeness(report, masking),
        "run_out": [_run_out(table, each, masking) for table, each in report.run_out.items()],
    }


def _finding(finding: Finding, masking: Masking) -> dict[str, Any]:
    """One finding."""
    return {
        "id": finding.check.id,
        "table": finding.table,
        "columns": list(finding.columns),
        "severity": finding.severity,
        "accepted": finding.accepted,
        "title": finding.check.title,
        "unit": finding.check.unit,
        "of_what": finding.check.of,
        **_numbers(finding, masking.part(finding, of_people=finding.check.is_about_people)),
        "warn_above": finding.warn_above,
        "stop_above": finding.stop_above,
        "next_step": finding.check.next_step,
        "groups": [
            {"dimension": dimension, "name": group.name, **_numbers(group, shown)}
            for dimension in DIMENSIONS
            for group, shown in _groups(finding, dimension, masking)
        ],
    }


def _groups(finding: Finding, dimension: str, masking: Masking) -> Iterator[tuple[Group, Shown]]:
    """Groups of a dimension, and what of them is shown; nothing where the total would tell."""
    groups = finding.by(dimension)
    told = masking.parts(groups, finding, of_people=finding.check.is_about_people)
    return zip(groups if told else (), told, strict=True)


def _numbers(part: Finding | Group, shown: Shown) -> dict[str, Any]:
    """Counts and share; null where they are not shown, with the words that stand for them."""
    is_hidden = shown.n is None or shown.of is None
    return {
        "n": shown.n,
        "n_shown": shown.n_words,
        "of": shown.of,
        "of_shown": shown.of_words,
        "share": None if is_hidden else round(part.share, 6),
    }


def _check(check_id: str, report: QualityReport) -> dict[str, Any]:
    """One check: whether it had anything to look at, and in how many tables it found something."""
    return {
        "id": check_id,
        "title": CHECKS[check_id].title,
        "had_something_to_look_at": report.looked_at.get(check_id, 0) > 0,
        "n_findings": sum(finding.check.id == check_id for finding in report.findings),
    }


def _completeness(report: QualityReport, masking: Masking) -> list[dict[str, Any]]:
    """Flags by kind of claim, plan and month; no rate of few lines or few member-months."""
    return [
        {
            "feed": row.feed,
            "plan": row.plan,
            "month": month_text(row.month),
            "lines_per_1000_member_months": None
            if masking.hides(row.n_lines, of_people=True)
            or masking.hides(row.n_member_months, of_people=True)
            else _rounded(row.per_1000),
            "running_median": _rounded(row.reference),
            "flag": row.flag,
        }
        for row in report.completeness.itertuples(index=False)
    ]


def _run_out(table: str, each: RunOut, masking: Masking) -> dict[str, Any]:
    """Completeness by months since service, and of each month; null where few lines would show."""

    def shown(share: float) -> float | None:
        told = masking.arrived(float(share), each.n_lines)
        return None if told is None else round(told, 6)

    return {
        "table": table,
        "as_of": month_text(each.as_of),
        "arrived_within_months": [shown(share) for share in each.factors],
        "months": [
            {"month": month_text(row.month), "complete": shown(row.complete)}
            for row in each.months.itertuples(index=False)
        ],
    }


def _rounded(value: float) -> float | None:
    """Three significant digits; nothing for what is not known."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.3g}")
