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


def require_choice(
    name: str,
    given: object,
    allowed: Iterable[object],
    *,
    of: str | None = None,
    error: type[CalaimEvalError] = EstimationError,
) -> None:
    """Raise unless an option is one of those there are; None is never listed.

    Parameters
    ----------
    name : str
        The option's name.
    given : object
        What a caller gave for it; never a value of a member, for the message repeats it.
    allowed : iterable
    of : str, optional
        Function whose option it is, where the name alone does not say.
    error : type
        Which error to raise.

    Examples
    --------
    >>> require_choice("by", "year", ("overall", "cohort"), of="aggregate")
    Traceback (most recent call last):
    ...
    calaim_eval.errors.EstimationError: aggregate: by='year' is not one of 'overall', 'cohort'.
    """
    choices = tuple(allowed)
    if given not in choices:
        listed = ", ".join(repr(each) for each in choices if each is not None)
        said = f"{name}: {given!r}" if of is None else f"{of}: {name}={given!r}"
        raise error(f"{said} is not one of {listed}.")
