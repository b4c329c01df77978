"""Breaks in coding, coverage and plans that fall on treatment dates, by outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from calaim_eval.design.checks import to_month
from calaim_eval.errors import DesignError
from calaim_eval.panel.measures import MEASURES
from calaim_eval.schema.codes import load_codes

OUTCOMES = tuple(MEASURES)


@dataclass(frozen=True, slots=True)
class Break:
    """Which outcomes an event of the calendar breaks, and how.

    Attributes
    ----------
    month : str
        Month of the event in the code list `calaim_timeline`.
    words : str
        Text found in the event's name.
    outcomes : tuple[str, ...]
        Outcomes whose series breaks.
    effect : str
        What happens to the series.
    """

    month: str
    words: str
    outcomes: tuple[str, ...]
    effect: str


BREAKS = (
    Break("2020-03", "COVID", OUTCOMES, "use collapsed and nobody was disenrolled"),
    Break(
        "2022-01",
        "Medi-Cal Rx",
        ("pharmacy_fills", "pharmacy_days_supply", "paid_usd"),
        "outpatient pharmacy left the plans' claims",
    ),
    Break("2022-05", "50+", OUTCOMES, "who is covered changed"),
    Break(
        "2023-01",
        "SNF carve-in",
        ("snf_days", "paid_usd"),
        "nursing facility stays and members with Medicare entered the plans",
    ),
    Break("2023-04", "unwinding", OUTCOMES, "disenrollment resumed, related to use"),
    Break(
        "2023-07",
        "Behavioural health payment reform",
        ("behavioral_health_visits", "substance_use_visits"),
        "visits are coded differently",
    ),
    Break("2024-01", "MCP transition", OUTCOMES, "plans changed identity and members moved"),
    Break("2024-01", "26-49", OUTCOMES, "who is covered changed"),
)


def policy_calendar(outcome: str, months: pd.PeriodIndex | Sequence[str]) -> pd.DataFrame:
    """Known breaks of an outcome's series inside a window, and the treatment dates they fall on.

    Use before reading a step in a series as an effect.

    Parameters
    ----------
    outcome : str
        A measure of the panel.
    months : pd.PeriodIndex or sequence of str
        Months analyzed; the first and the last are used.

    Returns
    -------
    pd.DataFrame
        One row per break: `month` (pd.Period), `event`, `effect`, `scope`, `treatment` (what
        starts in the same month; empty if nothing does), `confirmed` (``"yes"``, ``"partial"``,
        ``"no"``, as in the code list) and `source`.

    Raises
    ------
    DesignError
        The outcome has no calendar.

    Examples
    --------
    >>> policy_calendar("pharmacy_fills", ["2021-07", "2022-03"])["event"].item()
    'Medi-Cal Rx: pharmacy carved out of MCPs'
    """
    if outcome not in OUTCOMES:
        allowed = ", ".join(f"`{each}`" for each in OUTCOMES)
        raise DesignError(f"no policy calendar for outcome `{outcome}`.\n  Outcomes: {allowed}.")
    listed = [to_month(each, name="months") for each in months]
    first, last = min(listed), max(listed)
    timeline = _timeline()
    rows = [
        _row(timeline, each)
        for each in BREAKS
        if outcome in each.outcomes and first <= pd.Period(each.month, freq="M") <= last
    ]
    columns = ["month", "event", "effect", "scope", "treatment", "confirmed", "source"]
    return pd.DataFrame(rows, columns=columns)


def policy_notes(outcome: str, months: pd.PeriodIndex | Sequence[str]) -> tuple[str, ...]:
    """One sentence per break of `policy_calendar`, for the notes of a result.

    Examples
    --------
    >>> policy_notes("ed_visits", ["2022-08", "2022-12"])
    ()
    """
    return tuple(
        break_note(row, outcome) for row in policy_calendar(outcome, months).to_dict("records")
    )


def break_note(row: dict[str, object], outcome: str) -> str:
    """One break as a sentence; says when its date is not confirmed by a public source."""
    doubt = {"yes": "", "partial": " (partly confirmed)"}.get(
        str(row["confirmed"]), " (unconfirmed)"
    )
    same_day = f", the month in which this started: {row['treatment']}" if row["treatment"] else ""
    return (
        f"`{outcome}`: break in {row['month']}{same_day}. {row['event']}{doubt}: {row['effect']}."
    )


def treatment_breaks(month: pd.Period) -> tuple[str, ...]:
    """Notes on the breaks that fall in a treatment month, whatever the outcome."""
    timeline = _timeline()
    rows = [
        (each, _row(timeline, each)) for each in BREAKS if pd.Period(each.month, freq="M") == month
    ]
    return tuple(
        f"{row['event']} in {month}, the month of treatment"
        f"{'' if row['confirmed'] == 'yes' else ' (unconfirmed)'}. Not to be read across it: "
        f"{_outcome_words(each.outcomes)}."
        for each, row in rows
    )


def _outcome_words(outcomes: tuple[str, ...]) -> str:
    """Outcomes of a break, for a note."""
    return "any outcome" if outcomes == OUTCOMES else ", ".join(f"`{o}`" for o in outcomes)


def _timeline() -> pd.DataFrame:
    """The calendar with its dates as months."""
    timeline = load_codes("calaim_timeline")
    return timeline.assign(month=pd.PeriodIndex(timeline["date"], freq="M"))


def _row(timeline: pd.DataFrame, found: Break) -> dict[str, object]:
    """The calendar row of a break, with what starts in the same month."""
    same_month = timeline[timeline["month"] == pd.Period(found.month, freq="M")]
    event = same_month[same_month["event"].str.contains(found.words, regex=False)].iloc[0]
    treatment = same_month.loc[same_month["kind"].str.contains("treatment"), "event"]
    return {
        "month": event["month"],
        "event": event["event"],
        "effect": found.effect,
        "scope": event["scope"],
        "treatment": "; ".join(treatment),
        "confirmed": event["confirmed"],
        "source": event["source"],
    }
