"""The findings as a few lines on the screen."""

from __future__ import annotations

from calaim_eval.quality.check import QualityReport
from calaim_eval.quality.findings import Finding
from calaim_eval.quality.masking import Masking, share_of_large_plan
from calaim_eval.quality.verdict import verdict_words

MOST_LINES = 12
_WORDS = {"stop": "STOP", "warn": "warning"}


def summary_text(report: QualityReport, *, exact: bool = False) -> str:
    """Verdict, and the findings that stop or warn, worst first."""
    masking = Masking(exact=exact)
    told = [*report.stops, *report.warnings]
    lines = [line for finding in told[:MOST_LINES] for line in _lines(finding, masking)]
    if len(told) > MOST_LINES:
        lines.append(f"  and {len(told) - MOST_LINES} more")
    return "\n".join([f"Data quality: {verdict_words(report)}", *lines])


def _alone(finding: Finding, masking: Masking) -> str:
    """The large plan that makes a finding a warning, if it is not the whole."""
    plan = finding.large_plan
    return f"; {plan.name} alone {share_of_large_plan(finding, masking)}" if plan else ""


def _lines(finding: Finding, masking: Masking) -> list[str]:
    """What was found, how much, and what to do."""
    of_people = finding.check.is_about_people
    count = masking.count(finding.n, of_people=of_people)
    share = masking.share(finding.n, finding.of, of_people=of_people)
    unit = finding.check.unit.removesuffix("s") if count == "1" else finding.check.unit
    head = f"  {_WORDS[finding.severity]:<8}{finding.check.id} in {finding.table}"
    return [
        f"{head}: {count} {unit} ({share}{_alone(finding, masking)})",
        f"          {finding.check.title}. {finding.check.next_step}",
    ]
