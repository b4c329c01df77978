"""Rates by group, gaps between groups, and where members are lost on the way to a service."""

from calaim_eval.equity.access_funnel import access_funnel
from calaim_eval.equity.access_funnel_gap import access_funnel_gap
from calaim_eval.equity.access_times import access_times
from calaim_eval.equity.das_gupta import das_gupta
from calaim_eval.equity.design_rates import baseline_utilization, utilization_trend
from calaim_eval.equity.disparity_change import disparity_change
from calaim_eval.equity.disparity_change_table import DisparityChange
from calaim_eval.equity.disparity_formulas import DISPARITY_FORMULAS
from calaim_eval.equity.disparity_measures import disparity_measures
from calaim_eval.equity.disparity_table import DisparityTable
from calaim_eval.equity.effect_gap import effect_gap, effect_homogeneity
from calaim_eval.equity.family_of_tests import FamilyOfTests, adjust_family
from calaim_eval.equity.funnel_plot import funnel_limits, funnel_plot
from calaim_eval.equity.group_figure import GroupFigure
from calaim_eval.equity.group_plots import equiplot, gap_over_time_plot, shrinkage_plot
from calaim_eval.equity.group_probabilities import GroupProbabilities, bisg_probabilities
from calaim_eval.equity.imputed_groups import ImputedGroups, impute_groups
from calaim_eval.equity.intersections import intersect_groups, merge_groups
from calaim_eval.equity.kitagawa import kitagawa
from calaim_eval.equity.marshall_rates import marshall_rates
from calaim_eval.equity.members import members_by_group
from calaim_eval.equity.missing_race_bounds import missing_race_bounds
from calaim_eval.equity.missing_race_effect_bounds import missing_race_effect_bounds
from calaim_eval.equity.multiplicity import adjust_p_values
from calaim_eval.equity.oaxaca_blinder import oaxaca_blinder
from calaim_eval.equity.ordered_disparity import ordered_disparity
from calaim_eval.equity.ordered_disparity_of_members import ordered_disparity_of_members
from calaim_eval.equity.overlapping_groups import rates_in_combination
from calaim_eval.equity.probability_weighting import (
    probability_weighted_gap,
    probability_weighting_bias,
    weighted_by_group_probability,
)
from calaim_eval.equity.race_groups import (
    person_categories,
    with_age_bands,
    with_populations,
    with_race_ethnicity,
)
from calaim_eval.equity.rate_gap import rate_gap
from calaim_eval.equity.rates import proportion_by_group, rate_by_group
from calaim_eval.equity.reliability import reliability_flags
from calaim_eval.equity.rubin import missing_information, rubin_pool
from calaim_eval.equity.shrinkage import shrink_estimates
from calaim_eval.equity.shrunken_table import ShrunkenTable
from calaim_eval.equity.stage_times import StageTimes
from calaim_eval.equity.standardize import direct_standardized_rate, indirect_standardized_ratio
from calaim_eval.equity.standardize_members import (
    direct_standardized_rate_by_group,
    indirect_standardized_ratio_by_group,
)
from calaim_eval.equity.standardized_funnel import standardized_funnel
from calaim_eval.equity.standardized_rates import standardized_rates, standardized_ratios
from calaim_eval.equity.tipping_point import tipping_point
from calaim_eval.results.gamma_interval import fay_feuer_interval
from calaim_eval.results.intervals import (
    byar_half_interval,
    byar_interval,
    dobson_interval,
    exact_poisson_interval,
    wilson_interval,
)

__all__ = [
    "DISPARITY_FORMULAS",
    "DisparityChange",
    "DisparityTable",
    "FamilyOfTests",
    "GroupFigure",
    "GroupProbabilities",
    "ImputedGroups",
    "ShrunkenTable",
    "StageTimes",
    "access_funnel",
    "access_funnel_gap",
    "access_times",
    "adjust_family",
    "adjust_p_values",
    "baseline_utilization",
    "bisg_probabilities",
    "byar_half_interval",
    "byar_interval",
    "das_gupta",
    "direct_standardized_rate",
    "direct_standardized_rate_by_group",
    "disparity_change",
    "disparity_measures",
    "dobson_interval",
    "effect_gap",
    "effect_homogeneity",
    "equiplot",
    "exact_poisson_interval",
    "fay_feuer_interval",
    "funnel_limits",
    "funnel_plot",
    "gap_over_time_plot",
    "impute_groups",
    "indirect_standardized_ratio",
    "indirect_standardized_ratio_by_group",
    "intersect_groups",
    "kitagawa",
    "marshall_rates",
    "members_by_group",
    "merge_groups",
    "missing_information",
    "missing_race_bounds",
    "missing_race_effect_bounds",
    "oaxaca_blinder",
    "ordered_disparity",
    "ordered_disparity_of_members",
    "person_categories",
    "probability_weighted_gap",
    "probability_weighting_bias",
    "proportion_by_group",
    "rate_by_group",
    "rate_gap",
    "rates_in_combination",
    "reliability_flags",
    "rubin_pool",
    "shrink_estimates",
    "shrinkage_plot",
    "standardized_funnel",
    "standardized_rates",
    "standardized_ratios",
    "tipping_point",
    "utilization_trend",
    "weighted_by_group_probability",
    "wilson_interval",
    "with_age_bands",
    "with_populations",
    "with_race_ethnicity",
]
