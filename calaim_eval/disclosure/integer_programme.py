"""Integer programmes by HiGHS (through scipy), without the lines HiGHS prints past Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_STANDARD_OUTPUT = 1


def solve_integer(objective: Any, **problem: Any) -> Any:
    """`scipy.optimize.milp`, silent.

    Parameters
    ----------
    objective : array_like
        Costs of the unknowns; their sum is made as small as possible.
    **problem
        As for `scipy.optimize.milp`.

    Returns
    -------
    scipy.optimize.OptimizeResult
    """
    from scipy import optimize

    with _silent_output():
        return optimize.milp(objective, **problem)


@contextmanager
def _silent_output() -> Iterator[None]:
    """Send what compiled code writes to the standard output nowhere; Python's own is kept."""
    if sys.stdout is not None:
        sys.stdout.flush()
    try:
        kept = os.dup(_STANDARD_OUTPUT)
    except OSError:  # there is no standard output, as in a windowed process
        yield
        return
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), _STANDARD_OUTPUT)
        yield
    finally:
        os.dup2(kept, _STANDARD_OUTPUT)
        os.close(kept)
