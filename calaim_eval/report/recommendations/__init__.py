"""What a release carries toward a recommendation, ranked, and what it does not."""

from calaim_eval.report.recommendations.finding import Finding, ranked
from calaim_eval.report.recommendations.page import (
    open_questions_words,
    recommendations_words,
    weights_words,
)
from calaim_eval.report.recommendations.rules import find_findings, open_questions

__all__ = [
    "Finding",
    "find_findings",
    "open_questions",
    "open_questions_words",
    "ranked",
    "recommendations_words",
    "weights_words",
]
