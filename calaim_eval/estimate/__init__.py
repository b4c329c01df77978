"""Effects from cell moments, one method a file."""

from calaim_eval.estimate.adjusted_effects import AdjustedGroupTimeEffects
from calaim_eval.estimate.adjusted_group_time import adjusted_group_time_att
from calaim_eval.estimate.aggregate import aggregate
from calaim_eval.estimate.group_time import group_time_att
from calaim_eval.estimate.group_time_effects import GroupTimeEffects
from calaim_eval.estimate.pre_post import pre_post
from calaim_eval.estimate.pre_trend import pre_trend_test
from calaim_eval.estimate.simultaneous_bands import simultaneous_bands
from calaim_eval.estimate.two_way_fixed_effects import two_way_fixed_effects
from calaim_eval.estimate.two_way_from_members import two_way_fixed_effects_from_members
from calaim_eval.estimate.wild_bootstrap import wild_bootstrap_p_values

__all__ = [
    "AdjustedGroupTimeEffects",
    "GroupTimeEffects",
    "adjusted_group_time_att",
    "aggregate",
    "group_time_att",
    "pre_post",
    "pre_trend_test",
    "simultaneous_bands",
    "two_way_fixed_effects",
    "two_way_fixed_effects_from_members",
    "wild_bootstrap_p_values",
]
