"""All of it: raw files to the rendered report of a quarter."""

from __future__ import annotations

from calaim_eval.cli.app import QuarterOption, StudyArgument
from calaim_eval.cli.say import say_where, step


def run(study: StudyArgument, *, quarter: QuarterOption) -> None:
    """All of it: raw files to the rendered report of a quarter."""
    from calaim_eval.pipeline import run_study
    from calaim_eval.study import read_study

    say_where(run_study(read_study(study), quarter, step=step))
