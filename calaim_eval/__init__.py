"""Evaluate CalAIM: panels, effects, equity, CBO integration and safe quarterly reports.

The public names, by room; see ``ARCHITECTURE.md``. What is not listed in ``__all__`` may change
unannounced. The simulated Medi-Cal is `calaim_eval.simulate.simulate_medi_cal`.
"""

from calaim_eval.design import Design, design_county_phase, design_exposure
from calaim_eval.disclosure import Released, release
from calaim_eval.equity import (
    access_funnel,
    effect_gap,
    effect_homogeneity,
    members_by_group,
    rate_by_group,
    rate_gap,
)
from calaim_eval.errors import (
    CalaimEvalError,
    DesignError,
    DisclosureError,
    EstimationError,
    MissingExtraError,
    OutputError,
    StudyFileError,
    TableError,
)
from calaim_eval.estimate import (
    AdjustedGroupTimeEffects,
    GroupTimeEffects,
    LeaveOneOut,
    PowerTable,
    adjusted_group_time_att,
    aggregate,
    cluster_intervals,
    cluster_jackknife,
    group_time_att,
    interrupted_time_series,
    leave_one_cluster_out,
    multiway_clustered,
    placebo_moments,
    power,
    power_before_exposure,
    power_from_rates,
    pre_post,
    pre_trend_test,
    randomization_test,
    regression,
    simultaneous_bands,
    synthetic_did,
    wild_bootstrap_p_values,
)
from calaim_eval.integration import integration_measures
from calaim_eval.moments import CellMoments, load_moments, reduce_panel
from calaim_eval.panel import MemberMonths, PanelRules, build_member_months
from calaim_eval.report import open_release, render_report
from calaim_eval.results import EffectTable, Estimand, Method, RateTable
from calaim_eval.schema import FIELDS, TABLES, load_codes
from calaim_eval.study import Study, init_study, read_study
from calaim_eval.tables import InputMap, RowLedger, Tables, read_tables
from calaim_eval.version import __version__

__all__ = [
    "FIELDS",
    "TABLES",
    "AdjustedGroupTimeEffects",
    "CalaimEvalError",
    "CellMoments",
    "Design",
    "DesignError",
    "DisclosureError",
    "EffectTable",
    "Estimand",
    "EstimationError",
    "GroupTimeEffects",
    "InputMap",
    "LeaveOneOut",
    "MemberMonths",
    "Method",
    "MissingExtraError",
    "OutputError",
    "PanelRules",
    "PowerTable",
    "RateTable",
    "Released",
    "RowLedger",
    "Study",
    "StudyFileError",
    "TableError",
    "Tables",
    "__version__",
    "access_funnel",
    "adjusted_group_time_att",
    "aggregate",
    "build_member_months",
    "cluster_intervals",
    "cluster_jackknife",
    "design_county_phase",
    "design_exposure",
    "effect_gap",
    "effect_homogeneity",
    "group_time_att",
    "init_study",
    "integration_measures",
    "interrupted_time_series",
    "leave_one_cluster_out",
    "load_codes",
    "load_moments",
    "members_by_group",
    "multiway_clustered",
    "open_release",
    "placebo_moments",
    "power",
    "power_before_exposure",
    "power_from_rates",
    "pre_post",
    "pre_trend_test",
    "randomization_test",
    "rate_by_group",
    "rate_gap",
    "read_study",
    "read_tables",
    "reduce_panel",
    "regression",
    "release",
    "render_report",
    "simultaneous_bands",
    "synthetic_did",
    "wild_bootstrap_p_values",
]
