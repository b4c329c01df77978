"""The commands. Each reads its arguments, calls one pipeline function, and says what to do next."""

from __future__ import annotations

import logging
import sys

from calaim_eval.cli.app import FINDINGS_EXIT_CODE, app
from calaim_eval.cli.check import check
from calaim_eval.cli.dictionary import dictionary
from calaim_eval.cli.estimate import estimate
from calaim_eval.cli.failures import (
    INTERRUPTED_EXIT_CODE,
    UNEXPECTED_EXIT_CODE,
    exit_code,
    interruption,
    interrupts_noticed,
)
from calaim_eval.cli.init import init
from calaim_eval.cli.integration import integration
from calaim_eval.cli.moments import moments
from calaim_eval.cli.panel import panel
from calaim_eval.cli.release import release
from calaim_eval.cli.report import report
from calaim_eval.cli.run import run
from calaim_eval.cli.simulate import simulate

__all__ = ["FINDINGS_EXIT_CODE", "INTERRUPTED_EXIT_CODE", "UNEXPECTED_EXIT_CODE", "app", "main"]

# In the order that `calaim-eval --help` lists them.
for _command in (
    init,
    check,
    panel,
    moments,
    estimate,
    integration,
    release,
    report,
    run,
    simulate,
    dictionary,
):
    app.command()(_command)


def main() -> None:
    """Entry point: user errors as a message and an exit code, never a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    # What a study could detect belongs on the screen before the estimates do.
    logging.getLogger("calaim_eval.pipeline.power").setLevel(logging.INFO)
    with interrupts_noticed() as interrupted:
        try:
            app(standalone_mode=True)
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            sys.exit(interruption() if interrupted.is_set() else exit_code(error))
