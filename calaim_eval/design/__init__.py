"""Who is compared with whom, and why the comparison is identified."""

from calaim_eval.design.balance import balance
from calaim_eval.design.balance_plots import love_plot, overlap_plot
from calaim_eval.design.county_phase import design_county_phase
from calaim_eval.design.covariate_frame import covariate_frame
from calaim_eval.design.design import Design
from calaim_eval.design.entropy_balance import entropy_balance
from calaim_eval.design.exposure import design_exposure
from calaim_eval.design.matched import design_matched
from calaim_eval.design.policy_calendar import policy_calendar, policy_notes
from calaim_eval.design.propensity import propensity_weights
from calaim_eval.design.support import support_by
from calaim_eval.design.weights import MemberWeights

__all__ = [
    "Design",
    "MemberWeights",
    "balance",
    "covariate_frame",
    "design_county_phase",
    "design_exposure",
    "design_matched",
    "entropy_balance",
    "love_plot",
    "overlap_plot",
    "policy_calendar",
    "policy_notes",
    "propensity_weights",
    "support_by",
]
