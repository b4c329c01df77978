"""Effects from cell moments, one method a file."""

from calaim_eval.estimate.adjusted_effects import AdjustedGroupTimeEffects
from calaim_eval.estimate.adjusted_group_time import adjusted_group_time_att
from calaim_eval.estimate.aggregate import aggregate
from calaim_eval.estimate.anticipation_scan import anticipation_scan
from calaim_eval.estimate.bacon import BaconDecomposition, bacon_decomposition
from calaim_eval.estimate.breakdown_value import breakdown_value
from calaim_eval.estimate.cluster_intervals import cluster_intervals
from calaim_eval.estimate.cluster_jackknife import cluster_jackknife
from calaim_eval.estimate.count_effects import count_effects
from calaim_eval.estimate.falsification import falsification_flags, joint_test
from calaim_eval.estimate.group_time import group_time_att
from calaim_eval.estimate.group_time_effects import GroupTimeEffects
from calaim_eval.estimate.honest_did import honest_did
from calaim_eval.estimate.imputation_att import imputation_att
from calaim_eval.estimate.imputation_from_members import imputation_att_from_members
from calaim_eval.estimate.interrupted_series_effects import InterruptedSeriesEffects
from calaim_eval.estimate.interrupted_time_series import interrupted_time_series
from calaim_eval.estimate.leave_one_out import LeaveOneOut, leave_one_cluster_out
from calaim_eval.estimate.multiway import multiway_clustered
from calaim_eval.estimate.negative_control import negative_control
from calaim_eval.estimate.placebo import placebo_moments, power_before_exposure
from calaim_eval.estimate.placebo_dates import placebo_dates
from calaim_eval.estimate.power import power
from calaim_eval.estimate.power_from_rates import power_from_rates
from calaim_eval.estimate.power_table import PowerTable
from calaim_eval.estimate.pre_post import pre_post
from calaim_eval.estimate.pre_trend import pre_trend_test
from calaim_eval.estimate.randomization import randomization_test
from calaim_eval.estimate.randomization_interval import randomization_interval
from calaim_eval.estimate.regression import regression
from calaim_eval.estimate.simultaneous_bands import simultaneous_bands
from calaim_eval.estimate.sun_abraham import sun_abraham
from calaim_eval.estimate.synthetic_did import synthetic_did
from calaim_eval.estimate.synthetic_did_effects import SyntheticDidEffects
from calaim_eval.estimate.triple_difference import triple_difference
from calaim_eval.estimate.two_way_fixed_effects import two_way_fixed_effects
from calaim_eval.estimate.two_way_from_members import two_way_fixed_effects_from_members
from calaim_eval.estimate.two_way_poisson import two_way_poisson
from calaim_eval.estimate.wild_bootstrap import wild_bootstrap_p_values

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
    "count_effects",
    "falsification_flags",
    "group_time_att",
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
    "pre_trend_test",
    "randomization_interval",
    "randomization_test",
    "regression",
    "simultaneous_bands",
    "sun_abraham",
    "synthetic_did",
    "triple_difference",
    "two_way_fixed_effects",
    "two_way_fixed_effects_from_members",
    "two_way_poisson",
    "wild_bootstrap_p_values",
]
