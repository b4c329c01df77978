"""What this quarter's extract changed about the months of the quarter before."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

from calaim_eval.disclosure import load_policy
from calaim_eval.engine.write import atomic_file
from calaim_eval.errors import TableError
from calaim_eval.panel import MemberMonths
from calaim_eval.panel.members_behind import members_behind
from calaim_eval.panel.restatement import Restatement, restate
from calaim_eval.panel.summary import PanelSummary, summarize_panel
from calaim_eval.pipeline.kept import keep
from calaim_eval.pipeline.restatement_results import restatement_results
from calaim_eval.results import RateTable
from calaim_eval.study import Study

logger = logging.getLogger(__name__)

_COLUMNS = ["month", "measure", "earlier", "later", "difference", "ratio", "months_since_service"]


def restatement_file(study: Study) -> Path:
    """Where the comparison with the quarter before is written."""
    return study.restricted / "panel" / "restatement.csv"


def restate_panel(study: Study, panel: MemberMonths) -> Restatement | None:
    """Keep the panel's totals by month, and compare them with those of the extract before.

    Totals are kept under the study file's `extract_date` in ``restricted/panel/summaries``; they
    hold no member. With an earlier extract among them, ``restricted/panel/restatement.csv`` says
    what changed in the months both have, and the rounded changes are kept for the report.

    Returns
    -------
    Restatement or None
        None where no earlier extract is kept, or where it was built by other rules (logged).
    """
    folder = study.restricted / "panel" / "summaries"
    cut = study.file.window.extract_date
    own = folder / f"summary-{cut.isoformat()}.json"
    summary = summarize_panel(panel)
    summary.save(own)
    restatement_file(study).unlink(missing_ok=True)
    earlier = sorted(each for each in folder.glob("summary-*.json") if each.name < own.name)
    if not earlier:
        keep(study, "restatement", {}, {"restatement": "no earlier extract of this study is kept"})
        return None
    try:
        told = restate(PanelSummary.load(earlier[-1]), summary, window="common")
    except TableError as problem:
        logger.warning("not compared with the extract before: %s", problem)
        reason = f"not compared with the extract before: {str(problem).splitlines()[0]}"
        keep(study, "restatement", {}, {"restatement": reason})
        return None
    rows = told.totals[_COLUMNS].assign(month=told.totals["month"].dt.strftime("%Y-%m"))
    with atomic_file(restatement_file(study)) as temporary:
        rows.to_csv(temporary, index=False)
    before = date.fromisoformat(earlier[-1].stem.removeprefix("summary-"))
    keep(study, "restatement", _to_release(study, panel, told, before), {})
    return told


def _to_release(
    study: Study, panel: MemberMonths, told: Restatement, before: date
) -> dict[str, RateTable]:
    """Rounded changes of the study's outcomes."""
    return restatement_results(
        told,
        members_behind(panel),
        outcomes=study.file.outcomes,
        earlier=before,
        later=study.file.window.extract_date,
        min_count=load_policy(study.disclosure_policy).min_count,
    )
