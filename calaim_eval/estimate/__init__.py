"""Effects from cell moments, one method a file."""

from calaim_eval.estimate.adjusted_effects import AdjustedGroupTimeEffects
from calaim_eval.estimate.adjusted_group_time import adjusted_group_time_att
from calaim_eval.estimate.aggregate import aggregate
from calaim_eval.estimate.cluster_intervals import cluster_intervals
from calaim_eval.estimate.cluster_jackknife import cluster_jackknife
from calaim_eval.estimate.group_time import group_time_att
from calaim_eval.estimate.group_time_effects import GroupTimeEffects
from calaim_eval.estimate.imputation_att import imputation_att
from calaim_eval.estimate.imputation_from_members import imputation_att_from_members
from calaim_eval.estimate.leave_one_out import LeaveOneOut, leave_one_cluster_out
from calaim_eval.estimate.multiway import multiway_clustered
from calaim_eval.estimate.placebo import placebo_moments, power_before_exposure
from calaim_eval.estimate.power import power
from calaim_eval.estimate.power_from_rates import power_from_rates
from calaim_eval.estimate.power_table import PowerTable
from calaim_eval.estimate.pre_post import pre_post
from calaim_eval.estimate.pre_trend import pre_trend_test
from calaim_eval.estimate.randomization import randomization_test
from calaim_eval.estimate.simultaneous_bands import simultaneous_bands
from calaim_eval.estimate.two_way_fixed_effects import two_way_fixed_effects
from calaim_eval.estimate.two_way_from_members import two_way_fixed_effects_from_members
from calaim_eval.estimate.wild_bootstrap import wild_bootstrap_p_values

__all__ = [
    "AdjustedGroupTimeEffects",
    "GroupTimeEffects",
    "LeaveOneOut",
    "PowerTable",
    "adjusted_group_time_att",
    "aggregate",
    "cluster_intervals",
    "cluster_jackknife",
    "group_time_att",
    "leave_one_cluster_out",
    "multiway_clustered",
    "placebo_moments",
    "power",
    "power_before_exposure",
    "power_from_rates",
    "pre_post",
    "pre_trend_test",
    "randomization_test",
    "simultaneous_bands",
    "two_way_fixed_effects",
    "two_way_fixed_effects_from_members",
    "wild_bootstrap_p_values",
    "imputation_att",
    "imputation_att_from_members",
]
