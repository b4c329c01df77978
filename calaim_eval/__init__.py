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
    adjusted_group_time_att,
    aggregate,
    group_time_att,
    pre_post,
    pre_trend_test,
    simultaneous_bands,
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
    "MemberMonths",
    "Method",
    "MissingExtraError",
    "OutputError",
    "PanelRules",
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
    "design_county_phase",
    "design_exposure",
    "effect_gap",
    "effect_homogeneity",
    "group_time_att",
    "init_study",
    "integration_measures",
    "load_codes",
    "load_moments",
    "members_by_group",
    "open_release",
    "pre_post",
    "pre_trend_test",
    "rate_by_group",
    "rate_gap",
    "read_study",
    "read_tables",
    "reduce_panel",
    "release",
    "render_report",
    "simultaneous_bands",
]
