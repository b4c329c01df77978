"""The recipe of a member bucket: every question, written down once and run bucket by bucket."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from calaim_eval.engine import Recipe
from calaim_eval.panel.bucket import Bucket
from calaim_eval.panel.calendar import window_months
from calaim_eval.panel.claim_standing import with_standing
from calaim_eval.quality.adjustments import ask_adjustments
from calaim_eval.quality.claim_flags import final_lines
from calaim_eval.quality.claim_questions import ask_claims
from calaim_eval.quality.code_validity import ask_codes
from calaim_eval.quality.covered_months import ask_member_months, covered_months
from calaim_eval.quality.enrollment import ask_enrollment
from calaim_eval.quality.programs import ask_program_lines, ask_records
from calaim_eval.quality.questions import Questions

if TYPE_CHECKING:
    import pandas as pd

    from calaim_eval.panel.rules import PanelRules

CLAIM_TABLES = ("medical_claim", "pharmacy_claim")
TABLES_OF_MEMBERS = ("eligibility", "person", *CLAIM_TABLES, "program_service", "custody")


@lru_cache(maxsize=4)
def bucket_questions(
    names: tuple[str, ...],
    *,
    window: tuple[pd.Period, pd.Period],
    panel_rules: PanelRules,
    max_stay_days: int,
    max_ed_days: int,
) -> Questions:
    """Questions to one bucket; tables that were not given are not asked about.

    Writing them down takes longer than answering them for few members, so they are kept.
    """
    months = window_months(*window)
    questions = Questions(Bucket(Recipe(), frozenset(names), months, panel_rules))
    bucket = questions.bucket
    covered = covered_months(bucket)
    ask_enrollment(questions, covered)
    ask_member_months(questions, covered)
    for name in CLAIM_TABLES:
        if bucket.has(name):
            lines = final_lines(bucket, with_standing(bucket, name), covered)
            ask_claims(questions, name, lines, max_stay_days=max_stay_days, max_ed_days=max_ed_days)
            ask_adjustments(questions, name, questions.bucket.raw(name))
            ask_codes(questions, name, questions.bucket.raw(name))
            if name == "medical_claim":
                ask_program_lines(questions, lines)
    if bucket.has("program_service"):
        ask_records(questions, covered)
    return questions


def organization_questions(months: pd.PeriodIndex, panel_rules: PanelRules) -> Questions:
    """Questions to the table `organization`, which has no members."""
    questions = Questions(Bucket(Recipe(), frozenset({"organization"}), months, panel_rules))
    ask_codes(questions, "organization", questions.bucket.raw("organization"))
    return questions
