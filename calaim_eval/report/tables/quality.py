"""What was found about the data before anything was estimated, as released."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.quality.completeness import FEED_TITLES
from calaim_eval.quality.findings import ACCEPTED_NOTE
from calaim_eval.report.labels import readable
from calaim_eval.report.numbers import SUPPRESSED_MARK, number, plural
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.layout import DisplayTable, lay_out

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released


def quality_table(released: Released) -> DisplayTable | Absent:
    """Findings on data quality that warn or are accepted, with their counts.

    Parameters
    ----------
    released : Released
        Uses `data_quality` (keys `finding`, `title`, `table`, `severity`, `share`).

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "data_quality")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("finding", "title", "table", "severity", "share"))
    frame = found.frame
    if frame.empty:
        return Absent("data_quality", "no finding has a count that can be stated; see the text")
    rows = [
        {
            "Finding": str(row["title"]).replace("`", ""),
            "Table": readable(row["table"]),
            "Severity": readable(row["severity"]),
            "Share": str(row["share"]).replace("`", ""),
            "Count": SUPPRESSED_MARK if row["is_suppressed"] else number(row["numerator"]),
        }
        for _, row in frame.iterrows()
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption="Findings on the quality of the data, worst first.",
        row_name="Finding",
        left=("Table", "Severity", "Share"),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def encounter_completeness_table(released: Released) -> DisplayTable | Absent:
    """Plans with months in which their claims look incomplete or doubled.

    Parameters
    ----------
    released : Released
        Uses `encounter_completeness` (keys `feed`, `plan`).

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "encounter_completeness")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("feed", "plan"))
    frame = found.frame
    rows = [
        {
            "Plan": row["plan"],
            "Claims": FEED_TITLES.get(row["feed"], readable(row["feed"])),
            "Months flagged": number(row["numerator"]),
            "Months judged": number(row["denominator"]),
        }
        for _, row in frame[frame["numerator"] > 0].iterrows()
    ] or [{"Plan": "None", "Claims": "", "Months flagged": number(0), "Months judged": ""}]
    n_plans = frame["plan"].nunique()
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Plans with months in which claim lines per 1,000 member-months are missing, or less "
            "than half or more than twice the plan's own running median (the study file may set "
            f"other limits); {plural(n_plans, 'plan')} could be judged."
        ),
        row_name="Plan",
        left=("Claims",),
    )


def quality_notes(released: Released) -> str:
    """Findings stated in words only, and accepted ones with their reason, as two lists.

    Parameters
    ----------
    released : Released
        Uses the notes of `data_quality`.

    Returns
    -------
    str
        Markdown; a sentence where there are none.
    """
    found = find_item(released, "data_quality")
    if isinstance(found, Absent):
        return f"This release holds no findings. {found.why}"
    notes = [str(note) for note in found.meta.get("notes") or ()]
    if not notes:
        return "Nothing else needed attention."
    accepted = [note for note in notes if note.startswith(ACCEPTED_NOTE)]
    others = [note for note in notes if note not in accepted]
    told = (("Stated without a count:", others), ("Accepted in the study file:", accepted))
    return "\n\n".join(_listed(heading, lines) for heading, lines in told if lines)


def _listed(heading: str, lines: list[str]) -> str:
    """Lines under a heading, as Markdown."""
    return "\n".join([heading, "", *(f"- {line}" for line in lines)])
