"""Data quality: what is wrong with the tables of a study, how much, where, and what to do."""

from calaim_eval.quality.check import QualityReport, check_quality
from calaim_eval.quality.checks import CHECKS, Check
from calaim_eval.quality.findings import Finding, Group
from calaim_eval.quality.rules import QualityRules

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "Group",
    "QualityReport",
    "QualityRules",
    "check_quality",
]
