"""What the quarterly report carries of the findings on data quality, for disclosure control.

Findings that state a number the report states elsewhere (rows set aside, members of unknown race,
lines outside coverage) are carried in words only: a count shown twice could undo its suppression.
So are those whose number of members is not known. All others carry their count, with the members
behind it as support. Denominators are never carried; a share is given as a band.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.quality import Finding, QualityReport
from calaim_eval.quality.checks import GROUPS
from calaim_eval.quality.completeness import ABSENT, DROP, GAP, SURGE, TOO_SMALL
from calaim_eval.quality.findings import ACCEPTED_NOTE, NOT_RECORDED
from calaim_eval.quality.masking import MOST_OF_FEW
from calaim_eval.results import Method, RateTable

_HEADINGS_STATED_ELSEWHERE = ("Reading the files", "Members and enrollment")
_STATED_ELSEWHERE = frozenset(
    check.id
    for heading, checks in GROUPS
    for check in checks
    if heading in _HEADINGS_STATED_ELSEWHERE or check.id == "claims_outside_coverage"
)
_BANDS = (
    (0.01, "under 1%"),
    (0.05, "1% to 5%"),
    (0.1, "5% to 10%"),
    (0.25, "10% to 25%"),
    (0.5, "25% to 50%"),
)
_WORDS = {"stop": "stops the study", "warn": "warning"}


def quality_results(report: QualityReport) -> dict[str, RateTable]:
    """Results to release: `data_quality` and, where claims can be judged, `encounter_completeness`.

    Notes, findings below every limit, are not carried, accepted or not.
    """
    results = {"data_quality": _findings(report)}
    completeness = _completeness(report)
    return results | ({"encounter_completeness": completeness} if completeness else {})


def _findings(report: QualityReport) -> RateTable:
    """Findings that stop, warn or are accepted; the severity says which.

    `release_quarter` refuses while one stops, so that a release holds the others only.
    """
    told = [finding for finding in report.findings if finding.severity != "note"]
    counted = [finding for finding in told if _carries_count(finding)]
    in_words = [finding for finding in told if not _carries_count(finding)]
    keys = pd.DataFrame(
        [(f.check.id, f.check.title, f.table, _severity(f), _share_words(f)) for f in counted],
        columns=["finding", "title", "table", "severity", "share"],
        dtype="str",
    )
    n = np.array([finding.n for finding in counted], dtype=float)
    members = np.array([_members(finding) for finding in counted], dtype=float)
    unknown = np.full(len(counted), np.nan)
    return RateTable(
        measure="Findings on data quality",
        keys=keys,
        numerator=n,
        denominator=unknown,
        conf_low=unknown,
        conf_high=unknown,
        n_members=members,
        numerator_name="data_quality_units",
        denominator_name="",
        unit="rows, lines or members",
        kind="count",
        method=Method("count of rows with a problem, by check"),
        notes=(
            *(_in_words(finding) for finding in in_words if finding.accepted is None),
            *_accepted([finding for finding in told if finding.accepted is not None]),
        ),
    )


def _carries_count(finding: Finding) -> bool:
    """Whether a finding's count may go to disclosure control."""
    return finding.check.id not in _STATED_ELSEWHERE and _members(finding) is not None


def _members(finding: Finding) -> int | None:
    """Members behind a count; places and times have none to protect."""
    if not finding.check.is_about_people:
        return None
    return finding.n_members


def _severity(finding: Finding) -> str:
    return "accepted" if finding.accepted is not None else _WORDS[finding.severity]


def band(share: float) -> str:
    """A share as one of six bands.

    Examples
    --------
    >>> band(0.012), band(0.9)
    ('1% to 5%', 'over 50%')
    """
    return next((words for limit, words in _BANDS if share < limit), "over 50%")


def _share_words(finding: Finding) -> str:
    """The share as a band; nothing where it would speak of few people."""
    sizes = [finding.n, *([] if finding.n_members is None else [finding.n_members])]
    rest = finding.of - finding.n
    if finding.check.is_about_people and (min(sizes) <= MOST_OF_FEW or 0 < rest <= MOST_OF_FEW):
        return "share not stated"
    return f"{band(finding.share)} of {finding.check.of}"


def _in_words(finding: Finding) -> str:
    """A finding without its count."""
    return (
        f"{finding.check.title} ({finding.table.replace('_', ' ')}): {_share_words(finding)}; "
        f"{_severity(finding)}."
    )


def _accepted(findings: Sequence[Finding]) -> list[str]:
    """Accepted findings with the reason of the study file, one line a check."""
    checks = dict.fromkeys(finding.check.id for finding in findings)
    return [_accepted_check([f for f in findings if f.check.id == check]) for check in checks]


def _accepted_check(findings: Sequence[Finding]) -> str:
    """What one check found in each table, and why that is accepted."""
    check, reason = findings[0].check, str(findings[0].accepted).rstrip(".")
    tables = "; ".join(dict.fromkeys(_accepted_in(finding) for finding in findings))
    return f"{ACCEPTED_NOTE}{check.id}): {check.title} ({tables}). Reason: {reason}."


def _accepted_in(finding: Finding) -> str:
    """Table of an accepted finding, with the share where no row of the results has it."""
    table = finding.table.replace("_", " ")
    return table if _carries_count(finding) else f"{table}: {_share_words(finding)}"


def _completeness(report: QualityReport) -> RateTable | None:
    """Months of each plan whose claims are missing, far too few or far too many."""
    frame = report.completeness
    if frame.empty:
        return None
    has_reference = frame["reference"].notna() & (frame["flag"] != TOO_SMALL)
    judged = frame[has_reference | (frame["flag"] == ABSENT)]
    if judged.empty:
        return None
    flagged = judged["flag"].isin([GAP, DROP, SURGE, ABSENT])
    by_plan = (
        judged.assign(plan=judged["plan"].replace("", NOT_RECORDED), n=flagged, of=1)
        .groupby(["feed", "plan"], as_index=False)[["n", "of"]]
        .sum()
    )
    unknown = np.full(len(by_plan), np.nan)
    return RateTable(
        measure="Months of a plan in which claims look incomplete or doubled",
        keys=by_plan[["feed", "plan"]].astype("str"),
        numerator=by_plan["n"].to_numpy(dtype=float),
        denominator=by_plan["of"].to_numpy(dtype=float),
        conf_low=unknown,
        conf_high=unknown,
        n_members=by_plan["n"].to_numpy(dtype=float),
        numerator_name="plan_months_flagged",
        denominator_name="plan_months_judged",
        unit="share of the plan's months",
        kind="proportion",
        about="organizations",
        method=Method("lines per 1,000 member-months against the plan's own running median"),
    )
