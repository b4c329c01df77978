"""Member months, stays, visits and measures from checked tables."""

from calaim_eval.panel.build import build_member_months
from calaim_eval.panel.columns import declared_tables
from calaim_eval.panel.continuity import continuous_enrollment
from calaim_eval.panel.count_care import count_care
from calaim_eval.panel.measure import Measure
from calaim_eval.panel.measures import EXPOSURES, MEASURES
from calaim_eval.panel.member_months import MemberMonths
from calaim_eval.panel.population_counts import members_by_population
from calaim_eval.panel.restatement import Restatement, completeness_factors, restate
from calaim_eval.panel.rules import PanelRules

__all__ = [
    "EXPOSURES",
    "MEASURES",
    "Measure",
    "MemberMonths",
    "PanelRules",
    "Restatement",
    "build_member_months",
    "completeness_factors",
    "continuous_enrollment",
    "count_care",
    "declared_tables",
    "members_by_population",
    "restate",
]
