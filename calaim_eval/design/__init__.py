"""Who is compared with whom, and why the comparison is identified."""

from calaim_eval.design.balance import balance
from calaim_eval.design.county_phase import design_county_phase
from calaim_eval.design.design import Design
from calaim_eval.design.exposure import design_exposure
from calaim_eval.design.matched import design_matched
from calaim_eval.design.policy_calendar import policy_calendar, policy_notes
from calaim_eval.design.support import support_by

__all__ = [
    "Design",
    "balance",
    "design_county_phase",
    "design_exposure",
    "design_matched",
    "policy_calendar",
    "policy_notes",
    "support_by",
]
