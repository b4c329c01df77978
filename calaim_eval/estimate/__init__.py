"""Effects from cell moments, one method a file."""

from calaim_eval.estimate.aggregate import aggregate
from calaim_eval.estimate.group_time import group_time_att
from calaim_eval.estimate.group_time_effects import GroupTimeEffects

__all__ = ["GroupTimeEffects", "aggregate", "group_time_att"]
