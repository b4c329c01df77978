"""What goes wrong while a page is made."""

from __future__ import annotations

from calaim_eval.errors import CalaimEvalError


class ReportError(CalaimEvalError):
    """A report's source does not run or cannot be converted; mend the `.qmd` the message names."""

    exit_code = 17
