"""The whole report in one line."""

from __future__ import annotations

from typing import Literal

from calaim_eval.quality.check import QualityReport


def verdict_level(report: QualityReport) -> Literal["stop", "warn", "ok"]:
    """The most serious thing there is."""
    return "stop" if report.stops else "warn" if report.warnings else "ok"


def verdict_words(report: QualityReport) -> str:
    """One sentence for the head of the page and the console."""
    warn, accepted = len(report.warnings), len(report.accepted)
    known = f" {_findings(accepted)} accepted in the study file." if accepted else ""
    if report.stops:
        also = f", {warn} more need a look" if warn else ""
        n_stops = len(report.stops)
        return f"Do not use these data yet: {_findings(n_stops)} the study{also}.{known}".replace(
            "finding the study", "finding stops the study"
        ).replace("findings the study", "findings stop the study")
    if warn:
        needs = "needs" if warn == 1 else "need"
        return f"The study can run; {_findings(warn)} {needs} somebody to look.{known}"
    return f"Nothing was found that needs attention.{known}"


def _findings(n: int) -> str:
    return f"{n} finding" if n == 1 else f"{n} findings"
