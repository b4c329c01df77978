"""Effects from cell moments, one method a file."""

from calaim_eval.estimate.cohort_month.adjusted_effects import AdjustedGroupTimeEffects
from calaim_eval.estimate.cohort_month.adjusted_group_time import adjusted_group_time_att
from calaim_eval.estimate.cohort_month.aggregate import aggregate
from calaim_eval.estimate.cohort_month.group_time import group_time_att
from calaim_eval.estimate.cohort_month.group_time_effects import GroupTimeEffects
from calaim_eval.estimate.cohort_month.group_time_rates import group_time_rates
from calaim_eval.estimate.cohort_month.relative_effect import relative_effect
from calaim_eval.estimate.counts.count_effects import count_effects
from calaim_eval.estimate.counts.cross_product_ratio import cross_product_ratio
from calaim_eval.estimate.counts.two_way_poisson import two_way_poisson
from calaim_eval.estimate.detectable_effects.placebo import placebo_moments, power_before_exposure
from calaim_eval.estimate.detectable_effects.power import power
from calaim_eval.estimate.detectable_effects.power_from_rates import power_from_rates
from calaim_eval.estimate.detectable_effects.power_table import PowerTable
from calaim_eval.estimate.imputation.imputation_att import imputation_att
from calaim_eval.estimate.imputation.imputation_from_members import imputation_att_from_members
from calaim_eval.estimate.inference.cluster_intervals import cluster_intervals
from calaim_eval.estimate.inference.cluster_jackknife import cluster_jackknife
from calaim_eval.estimate.inference.leave_one_out import LeaveOneOut, leave_one_cluster_out
from calaim_eval.estimate.inference.multiway import multiway_clustered
from calaim_eval.estimate.inference.randomization import randomization_test
from calaim_eval.estimate.inference.randomization_interval import randomization_interval
from calaim_eval.estimate.inference.restricted_wild_bootstrap import restricted_wild_bootstrap
from calaim_eval.estimate.inference.simultaneous_bands import simultaneous_bands
from calaim_eval.estimate.inference.wild_bootstrap import wild_bootstrap_p_values
from calaim_eval.estimate.pre_post import pre_post
from calaim_eval.estimate.pre_post_rates import pre_post_rates
from calaim_eval.estimate.regressions.regression import regression
from calaim_eval.estimate.sensitivity.anticipation_scan import anticipation_scan
from calaim_eval.estimate.sensitivity.breakdown_value import breakdown_value
from calaim_eval.estimate.sensitivity.event_periods import event_periods
from calaim_eval.estimate.sensitivity.falsification import falsification_flags, joint_test
from calaim_eval.estimate.sensitivity.honest_did import honest_did
from calaim_eval.estimate.sensitivity.negative_control import negative_control
from calaim_eval.estimate.sensitivity.placebo_dates import placebo_dates
from calaim_eval.estimate.sensitivity.pre_trend import pre_trend_test
from calaim_eval.estimate.series.interrupted_series_effects import InterruptedSeriesEffects
from calaim_eval.estimate.series.interrupted_time_series import interrupted_time_series
from calaim_eval.estimate.synthetic.synthetic_did import synthetic_did
from calaim_eval.estimate.synthetic.synthetic_did_effects import SyntheticDidEffects
from calaim_eval.estimate.time_to_event.competing_hazards import competing_hazards
from calaim_eval.estimate.time_to_event.cumulative_incidence import cumulative_incidence
from calaim_eval.estimate.time_to_event.gray_test import gray_test
from calaim_eval.estimate.two_way.bacon import BaconDecomposition, bacon_decomposition
from calaim_eval.estimate.two_way.sun_abraham import sun_abraham
from calaim_eval.estimate.two_way.triple_difference import triple_difference
from calaim_eval.estimate.two_way.two_way_fixed_effects import two_way_fixed_effects
from calaim_eval.estimate.two_way.two_way_from_members import two_way_fixed_effects_from_members

__all__ = [
    "AdjustedGroupTimeEffects",
    "BaconDecomposition",
    "GroupTimeEffects",
    "InterruptedSeriesEffects",
    "LeaveOneOut",
    "PowerTable",
    "SyntheticDidEffects",
    "adjusted_group_time_att",
    "aggregate",
    "anticipation_scan",
    "bacon_decomposition",
    "breakdown_value",
    "cluster_intervals",
    "cluster_jackknife",
    "competing_hazards",
    "count_effects",
    "cross_product_ratio",
    "cumulative_incidence",
    "event_periods",
    "falsification_flags",
    "gray_test",
    "group_time_att",
    "group_time_rates",
    "honest_did",
    "imputation_att",
    "imputation_att_from_members",
    "interrupted_time_series",
    "joint_test",
    "leave_one_cluster_out",
    "multiway_clustered",
    "negative_control",
    "placebo_dates",
    "placebo_moments",
    "power",
    "power_before_exposure",
    "power_from_rates",
    "pre_post",
    "pre_post_rates",
    "pre_trend_test",
    "randomization_interval",
    "randomization_test",
    "regression",
    "relative_effect",
    "restricted_wild_bootstrap",
    "simultaneous_bands",
    "sun_abraham",
    "synthetic_did",
    "triple_difference",
    "two_way_fixed_effects",
    "two_way_fixed_effects_from_members",
    "two_way_poisson",
    "wild_bootstrap_p_values",
]
