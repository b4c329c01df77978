"""CBO-integration measures of a quarter."""

from __future__ import annotations

import typer

from calaim_eval.cli.app import QuarterOption, StudyArgument
from calaim_eval.cli.say import say_next, say_stop, step


def integration(study: StudyArgument, *, quarter: QuarterOption) -> None:
    """CBO-integration measures of a quarter, into restricted/."""
    from calaim_eval.pipeline import measure_quarter, read_study_tables
    from calaim_eval.study import read_study

    loaded = read_study(study)
    loaded.check_quarter(quarter)
    tables = step("Reading and checking the raw files", lambda: read_study_tables(loaded))
    names = step("Measuring CBO integration", lambda: measure_quarter(loaded, tables, quarter))
    typer.echo("Measured: " + ", ".join(names))
    say_stop(loaded)
    say_next("release", study, quarter=quarter)
