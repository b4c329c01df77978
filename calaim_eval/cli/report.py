"""The report of a quarter, from release/ only."""

from __future__ import annotations

from calaim_eval.cli.app import QuarterOption, StudyArgument
from calaim_eval.cli.say import quoted, say_where, step


def report(study: StudyArgument, *, quarter: QuarterOption) -> None:
    """Render HTML, PDF and DOCX from release/ only."""
    from calaim_eval.errors import OutputError
    from calaim_eval.pipeline import render_quarter
    from calaim_eval.study import read_study

    loaded = read_study(study)
    loaded.check_quarter(quarter)
    if not loaded.release_folder(quarter).is_dir():
        raise OutputError(
            f"{loaded.release_folder(quarter)}: nothing is released for {quarter} yet. "
            f"`calaim-eval release {quoted(study)} --quarter {quarter}` releases what was "
            "estimated; `run` does everything."
        )
    say_where(step("Rendering the report", lambda: render_quarter(loaded, quarter)))
