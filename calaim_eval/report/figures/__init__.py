"""Figures of a release. Each takes a `Released` and returns a `Figure`, or `Absent`."""

from calaim_eval.report.figures.access_time import access_times
from calaim_eval.report.figures.access_waterfall import access_waterfall
from calaim_eval.report.figures.balance import love_plot
from calaim_eval.report.figures.coverage import coverage_maps
from calaim_eval.report.figures.delivery import delivery_shares
from calaim_eval.report.figures.event_study import event_study
from calaim_eval.report.figures.forest import effects_by_race, gaps_by_race, pre_post_by_race
from calaim_eval.report.figures.group_shares import (
    access_funnel,
    closure_by_race,
    referral_steps_by_race,
)
from calaim_eval.report.figures.network_map import network_map
from calaim_eval.report.figures.partner_survey import survey_score_groups
from calaim_eval.report.figures.plan_requirements import requirement_similarity
from calaim_eval.report.figures.plan_similarity import plan_similarity
from calaim_eval.report.figures.rank_ranges import rank_ranges
from calaim_eval.report.figures.referral_funnel import referral_funnel
from calaim_eval.report.figures.referral_time import referral_times
from calaim_eval.report.figures.statewide_series import statewide_series
from calaim_eval.report.figures.success import success_dominance
from calaim_eval.report.figures.theme import Figure
from calaim_eval.report.figures.trend import utilization_trend
from calaim_eval.report.figures.trends import trend_bounds

__all__ = [
    "Figure",
    "access_funnel",
    "access_times",
    "access_waterfall",
    "closure_by_race",
    "coverage_maps",
    "delivery_shares",
    "effects_by_race",
    "event_study",
    "gaps_by_race",
    "love_plot",
    "network_map",
    "plan_similarity",
    "pre_post_by_race",
    "rank_ranges",
    "referral_funnel",
    "referral_steps_by_race",
    "referral_times",
    "requirement_similarity",
    "statewide_series",
    "success_dominance",
    "survey_score_groups",
    "trend_bounds",
    "utilization_trend",
]
