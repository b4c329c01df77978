"""Released tables to figures, tables, sentences and pages."""

from calaim_eval.report import access_words, figures, phrases, recommendations, tables, trend_words
from calaim_eval.report.completeness import Completeness, completeness
from calaim_eval.report.errors import ReportError
from calaim_eval.report.markdown import absences, block, section, simulated_notice
from calaim_eval.report.release_items import EXPECTED_ITEMS, Absent, open_release
from calaim_eval.report.render import render_report

__all__ = [
    "EXPECTED_ITEMS",
    "Absent",
    "Completeness",
    "ReportError",
    "absences",
    "access_words",
    "block",
    "completeness",
    "figures",
    "open_release",
    "phrases",
    "recommendations",
    "render_report",
    "section",
    "simulated_notice",
    "tables",
    "trend_words",
]
