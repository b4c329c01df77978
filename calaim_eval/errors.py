"""Errors a user can act on: one base class, one class per place where the user acts.

A message says what is wrong, where, how many rows, and the next step. It never holds a
member's id, date or value.
"""

from __future__ import annotations

from collections.abc import Iterable


class CalaimEvalError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class StudyFileError(CalaimEvalError):
    """The study file does not say what a study must say; edit the study file."""

    exit_code = 10


class TableError(CalaimEvalError):
    """An input table, or a frame passed in, breaks its declared contract; mend the data."""

    exit_code = 11


class DesignError(CalaimEvalError):
    """The comparison asked for is not identified; change the design."""

    exit_code = 12


class EstimationError(CalaimEvalError):
    """An estimate cannot be computed from these cells; change the options or the outcome."""

    exit_code = 13


class DisclosureError(CalaimEvalError):
    """Releasing this would disclose something about few people; change the layout."""

    exit_code = 14


class MissingExtraError(CalaimEvalError):
    """An optional dependency or program is needed and absent; install it."""

    exit_code = 15


class QualityError(CalaimEvalError):
    """What is wrong with the data stops the study; mend the data, or accept it with a reason."""

    exit_code = 18


class OutputError(CalaimEvalError):
    """A folder or file cannot be written; free space, permissions or the path."""

    exit_code = 16


def quoted(names: Iterable[object]) -> str:
    """Names of columns or tables in backticks, separated by commas, for a message."""
    return ", ".join(f"`{name}`" for name in names)
