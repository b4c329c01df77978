"""The one-page answer: five questions, five numbers, plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report import phrases
from calaim_eval.report.labels import OUTCOMES, ordered, outcome_label, race_label
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    decimals_for,
    interval,
    percent,
    plural,
    signed,
    unbroken,
)
from calaim_eval.report.release_items import Absent, find_item, require_released
from calaim_eval.report.tables.layout import DisplayTable, lay_out
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_NOT_RELEASED = "not released"


def headline_table(released: Released) -> DisplayTable:
    """Five questions and their numbers.

    Parameters
    ----------
    released : Released

    Returns
    -------
    DisplayTable
        Always five rows: a number that is withheld or absent says so. The questions are fixed in
        advance; none is chosen because its answer is striking.
    """
    released = require_released(released)
    outcome = headline_outcome(released)
    rows = [
        _effect_row(released, outcome=outcome),
        _gap_row(released, outcome=outcome),
        _share_row(
            released,
            item="access_funnel",
            where={"race_ethnicity": ALL, "stage": "served"},
            question="Are members who qualify served?",
            words=phrases.access_sentence(released),
        ),
        _share_row(
            released,
            item="delivery_members",
            where={"organization_type": "cbo"},
            question="Do community-based organizations serve them?",
            words=phrases.delivery_sentence(released),
        ),
        _share_row(
            released,
            item="referral_closure",
            where={"race_ethnicity": ALL},
            question="Do referrals end in services received?",
            words=phrases.closure_sentence(released),
        ),
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption="Five questions, five numbers.",
        row_name="Question",
        left=("Number", "In plain words"),
    )


def headline_outcome(released: Released) -> str:
    """Emergency department visits where released, else the first outcome in the usual order."""
    found = find_item(released, "effect_overall")
    if isinstance(found, Absent):
        return "ed_visits"
    return ordered(found.frame["outcome"], order=tuple(OUTCOMES))[0]


def _row(question: str, shown: str, words: str) -> dict[str, str]:
    return {
        "Question": question,
        "Number": shown,
        "In plain words": words.replace("**", "").replace("`", ""),
    }


def _effect_row(released: Released, *, outcome: str) -> dict[str, str]:
    question = f"Does the program change {outcome_label(outcome).lower()}?"
    words = phrases.effect_sentence(released, outcome=outcome)
    found = find_item(released, "effect_overall")
    if isinstance(found, Absent):
        return _row(question, _NOT_RELEASED, words)
    frame = found.frame
    rows = frame[(frame["outcome"] == outcome) & (frame["anchor"] == "first_service")]
    if rows.empty:
        return _row(question, _NOT_RELEASED, words)
    row = rows.iloc[0]
    if row["is_suppressed"]:
        return _row(question, SUPPRESSED_MARK, words)
    d = decimals_for([row["estimate"], row["conf_low"], row["conf_high"]])
    bounds = interval(row["conf_low"], row["conf_high"], decimals=d, is_signed=True)
    return _row(question, f"{signed(row['estimate'], decimals=d)} ({unbroken(bounds)})", words)


def _gap_row(released: Released, *, outcome: str) -> dict[str, str]:
    question = "Is the effect alike in every race and ethnicity group?"
    words = phrases.gaps_sentence(released, outcome=outcome)
    found = find_item(released, "effect_gap")
    if isinstance(found, Absent):
        return _row(question, _NOT_RELEASED, words)
    frame = found.frame
    rows = frame[(frame["outcome"] == outcome) & (frame["race_ethnicity"] != frame["reference"])]
    shown = rows[~rows["is_suppressed"]]
    if shown.empty:
        return _row(question, SUPPRESSED_MARK if len(rows) else _NOT_RELEASED, words)
    clear = int(((shown["conf_low"] > 0) | (shown["conf_high"] < 0)).sum())
    reference = race_label(str(rows["reference"].iloc[0]))
    return _row(
        question,
        f"{clear} of {plural(len(shown), 'group')} clearly different from {reference}",
        words,
    )


def _share_row(
    released: Released, *, item: str, where: dict[str, str], question: str, words: str
) -> dict[str, str]:
    found = find_item(released, item)
    if isinstance(found, Absent):
        return _row(question, _NOT_RELEASED, words)
    rows = found.frame
    for key, value in where.items():
        rows = rows[rows[key] == value]
    if rows.empty:
        return _row(question, _NOT_RELEASED, words)
    row = rows.iloc[0]
    if row["is_suppressed"]:
        return _row(question, SUPPRESSED_MARK, words)
    if not row["denominator"] > 0:
        return _row(question, UNDEFINED_MARK, words)
    per = float(found.meta.get("per", 1.0) or 1.0)
    share, low, high = row["numerator"] / row["denominator"], row["conf_low"], row["conf_high"]
    bounds = unbroken(f"{percent(low / per)} to {percent(high / per)}")
    return _row(question, f"{percent(share)} ({bounds})", words)
