"""The rooms in order, one function per command; no logic of its own."""

from calaim_eval.pipeline.check import check_study, require_quality, stop_message
from calaim_eval.pipeline.custodian_log import write_custodian_log
from calaim_eval.pipeline.designs import MAIN_ANCHOR, build_moments
from calaim_eval.pipeline.effects import estimate_effects
from calaim_eval.pipeline.measures import measure_integration, measure_use
from calaim_eval.pipeline.panel import build_panel, read_study_tables
from calaim_eval.pipeline.quarter import (
    estimate_quarterless,
    measure_quarter,
    release_quarter,
    render_quarter,
    run_study,
)

__all__ = [
    "MAIN_ANCHOR",
    "build_moments",
    "build_panel",
    "check_study",
    "estimate_effects",
    "estimate_quarterless",
    "measure_integration",
    "measure_quarter",
    "measure_use",
    "read_study_tables",
    "release_quarter",
    "render_quarter",
    "require_quality",
    "run_study",
    "stop_message",
    "write_custodian_log",
]
