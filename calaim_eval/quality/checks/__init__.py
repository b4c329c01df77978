"""Every data-quality check: what it finds in plain words, against what it is held, what to do next.

A check counts `unit`s that have a problem among those it looked at (`of`). Its share is held
against two limits: above `warn_above` the finding is a warning, above `stop_above` the study does
not run on; below both it is a note. A limit of None is never passed. Study files change limits by
the check's id (`[quality.warn_above]`, `[quality.stop_above]`).
"""

from __future__ import annotations

from types import MappingProxyType

from calaim_eval.quality.checks import (
    amounts,
    claims,
    codes,
    completeness,
    enrollment,
    programs,
    reading,
)
from calaim_eval.quality.checks.declaration import PLACES_AND_TIMES, Check

__all__ = ["CHECKS", "GROUPS", "PLACES_AND_TIMES", "Check"]

GROUPS: tuple[tuple[str, tuple[Check, ...]], ...] = (
    ("Reading the files", reading.CHECKS),
    ("Members and enrollment", enrollment.CHECKS),
    ("Claims", claims.CHECKS),
    ("Amounts", amounts.CHECKS),
    ("Codes", codes.CHECKS),
    ("Completeness", completeness.CHECKS),
    ("Programs", programs.CHECKS),
)
"""Checks under the headings of the page."""

CHECKS = MappingProxyType({check.id: check for _, checks in GROUPS for check in checks})
"""Checks by id."""
