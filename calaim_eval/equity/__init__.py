"""Rates by group, gaps between groups, and where members are lost on the way to a service."""

from calaim_eval.equity.access_funnel import access_funnel
from calaim_eval.equity.design_rates import baseline_utilization, utilization_trend
from calaim_eval.equity.effect_gap import effect_gap, effect_homogeneity
from calaim_eval.equity.members import members_by_group
from calaim_eval.equity.multiplicity import adjust_p_values
from calaim_eval.equity.rate_gap import rate_gap
from calaim_eval.equity.rates import proportion_by_group, rate_by_group
from calaim_eval.equity.standardize import direct_standardized_rate, indirect_standardized_ratio
from calaim_eval.results.intervals import (
    byar_interval,
    dobson_interval,
    exact_poisson_interval,
    wilson_interval,
)

__all__ = [
    "access_funnel",
    "adjust_p_values",
    "baseline_utilization",
    "byar_interval",
    "direct_standardized_rate",
    "dobson_interval",
    "effect_gap",
    "effect_homogeneity",
    "exact_poisson_interval",
    "indirect_standardized_ratio",
    "members_by_group",
    "proportion_by_group",
    "rate_by_group",
    "rate_gap",
    "utilization_trend",
    "wilson_interval",
]
