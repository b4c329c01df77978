"""The member-month panel, or what it will take."""

from __future__ import annotations

from typing import Annotated

import typer

from calaim_eval.cli.app import FINDINGS_EXIT_CODE, StudyArgument
from calaim_eval.cli.say import say_next, say_stop, step


def panel(
    study: StudyArgument,
    *,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only say what it takes: time, memory, disk, what is done."),
    ] = False,
) -> None:
    """Build the member-month panel in restricted/; resumes where it stopped.

    With --plan nothing is built; exit code 3 when it will not fit on this machine.
    """
    from calaim_eval.pipeline import build_panel
    from calaim_eval.pipeline.panel import panel_findings
    from calaim_eval.pipeline.plan import plan_study
    from calaim_eval.study import read_study

    loaded = read_study(study)
    if plan:
        planned = plan_study(loaded)
        typer.echo(str(planned))
        if planned.problems:
            raise typer.Exit(FINDINGS_EXIT_CODE)
        say_next("panel", study)
        return
    built = step("Building the member-month panel", lambda: build_panel(loaded))
    typer.echo(repr(built))
    for line in panel_findings(loaded, built):
        typer.echo(line)
    say_stop(loaded)
    say_next("moments", study)
