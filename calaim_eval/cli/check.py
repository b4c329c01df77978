"""Can these data be used? Findings on every table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from calaim_eval.cli.app import FINDINGS_EXIT_CODE, StudyArgument
from calaim_eval.cli.say import say_next, step

if TYPE_CHECKING:
    import pandas as pd


def check(
    study: StudyArgument,
    *,
    exact: Annotated[
        bool, typer.Option("--exact", help="Show counts of 1 to 10 people as they are.")
    ] = False,
) -> None:
    """Can these data be used? Findings on every table; nothing is estimated.

    Exit code 0: usable. 3: usable, with rows set aside. 10 and above: an error to mend first; 18: a
    finding that stops the study. Warnings are in quality.json and leave the code as it is.
    """
    from calaim_eval.errors import QualityError
    from calaim_eval.pipeline import check_study, read_study_tables, stop_message
    from calaim_eval.quality.summary import summary_text
    from calaim_eval.study import read_study

    loaded = read_study(study)
    tables = step("Reading and checking the raw files", lambda: read_study_tables(loaded))
    checked = step("Checking data quality", lambda: check_study(loaded, tables, exact=exact))
    typer.echo(_ledger_text(checked.ledger.to_frame()))
    if checked.n_set_aside:
        typer.echo(
            f"\n{checked.n_set_aside:,} rows are set aside for the reasons above; the study "
            "can run without them. Mend the files if that is not what you expect."
        )
    typer.echo(f"\n{summary_text(checked.report, exact=exact)}")
    typer.echo(f"All findings, with what to do: {checked.folder / 'quality.html'}")
    if checked.report.stops:
        stops = [finding.check.id for finding in checked.report.stops]
        raise QualityError(stop_message(loaded, stops))
    say_next("panel", study)
    if checked.n_set_aside:
        raise typer.Exit(FINDINGS_EXIT_CODE)


def _ledger_text(ledger: pd.DataFrame) -> str:
    """What became of the rows, with what each stage counts."""
    titles = {
        "source": "Files as they came, and what of them became tables of the study:",
        "read": "Rows of the study's tables, used or set aside:",
        "notice": "Remarks on rows that are kept:",
    }
    blocks = []
    for stage in dict.fromkeys([*titles, *ledger["stage"]]):
        rows = ledger.loc[ledger["stage"] == stage].sort_values("table", kind="stable")
        if rows.empty:
            continue
        width = int(rows["table"].str.len().max())
        lines = [
            f"  {table:<{width}}  {n_rows:>13,}  {reason}"
            for table, reason, n_rows in rows[["table", "reason", "n_rows"]].itertuples(index=False)
        ]
        blocks.append("\n".join([titles.get(stage, f"{stage}:"), *lines]))
    return "\n\n".join(blocks)
