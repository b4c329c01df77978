"""What the effects survive: trends that differ, false dates, outcomes out of reach, policies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.design import policy_calendar
from calaim_eval.errors import DesignError
from calaim_eval.report.figures.panels import HEADLINE_OUTCOMES
from calaim_eval.report.labels import (
    OUTCOMES,
    month_label,
    ordered,
    outcome_label,
    race_label,
    race_order,
)
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    decimals_for,
    number,
    signed,
    unbroken,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import effect_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out, outcome_headings
from calaim_eval.report.trend_words import (
    first_months_words,
    leaves_out_zero,
    step_words,
    times_words,
)
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_HOLDS = "Sign holds up to"
_NO_SIGN = "no clear effect"
_AWAY = "*"
_AWAY_NOTE = f"{_AWAY} The interval leaves out zero. Of twenty, about one does so by chance."


def trends_table(released: Released) -> DisplayTable | Absent:
    """Interval of each effect if trends differ up to a bound, and the bound it survives.

    Parameters
    ----------
    released : Released
        Uses the rows of all members in `effect_bounds`.

    Returns
    -------
    DisplayTable | Absent
        One row an outcome, one column a bound: 95% intervals; negative means fewer.
    """
    found = find_item(released, "effect_bounds")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "race_ethnicity", "bound", "breakdown"))
    frame = found.frame[found.frame["race_ethnicity"] == ALL]
    headings, per = outcome_headings(frame, found)
    bounds = sorted(set(frame["bound"]), key=float)
    rows = []
    for outcome in ordered(frame["outcome"], order=tuple(OUTCOMES)):
        mine = frame[frame["outcome"] == outcome].set_index("bound")
        decimals = decimals_for(mine[["conf_low", "conf_high"]].to_numpy().ravel())
        cells = {bound_heading(b): _bounds_cell(mine.loc[b], decimals=decimals) for b in bounds}
        rows.append(
            {"Outcome": headings[outcome], **cells, _HOLDS: _holds_cell(mine.loc[bounds[0]])}
        )
    level = f"{float(str(found.meta.get('conf_level', 0.95))):.0%}"
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            f"Effect over {first_months_words(found.meta)} if the trends of members served and "
            f"comparison members would have differed anyway: {level} intervals{per}, by how much "
            f"trends may differ {step_words(found.meta)}, as a multiple of the largest such "
            "difference before the first service; negative means fewer."
        ),
        row_name="Outcome",
        spanners={
            "Trends differ up to … times their largest difference before": [
                bound_heading(b) for b in bounds
            ]
        },
        notes=(
            "Sign holds up to: the multiple from which on the interval includes zero. A small one "
            "does not say that trends differ: with few members they seem to by chance, and a bound "
            "allows for that much drift again and again after the first service.",
        ),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def bound_heading(bound: str) -> str:
    """``0 (parallel)``, ``0.5``, ``1``."""
    value = float(bound)
    return "0 (parallel)" if value == 0 else f"{value:g}"


def trends_by_race_table(released: Released) -> DisplayTable | Absent:
    """How far trends may differ before the sign of a group's effect is lost.

    Parameters
    ----------
    released : Released
        Uses `effect_bounds`.

    Returns
    -------
    DisplayTable | Absent
        One row a group, one column a headline outcome.
    """
    found = find_item(released, "effect_bounds")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "race_ethnicity", "bound", "breakdown"))
    frame = found.frame
    chosen = frame[frame["outcome"].isin(HEADLINE_OUTCOMES)]
    frame = chosen if len(chosen) else frame
    smallest = min(frame["bound"], key=float)
    frame = frame[frame["bound"] == smallest]
    groups = ordered(frame["race_ethnicity"], order=(ALL, *race_order()))
    columns: dict[str, list[str]] = {"Race and ethnicity": [race_label(each) for each in groups]}
    for outcome in ordered(frame["outcome"], order=tuple(OUTCOMES)):
        mine = frame[frame["outcome"] == outcome].set_index("race_ethnicity")
        columns[outcome_label(outcome)] = [
            _holds_cell(mine.loc[group]) if group in mine.index else UNDEFINED_MARK
            for group in groups
        ]
    return lay_out(
        pd.DataFrame(columns),
        caption=(
            "How far trends may differ before the sign of a group's effect is lost, as a multiple "
            f"of their largest difference {step_words(found.meta)} before the first service."
        ),
        row_name="Race and ethnicity",
        notes=(
            f"“{_NO_SIGN.capitalize()}”: the interval includes zero even if trends are parallel. "
            "Small groups have few events a month, so that little can be ruled out; a group whose "
            "effect is lost sooner is not thereby different from another.",
        ),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _holds_cell(row: pd.Series) -> str:
    """The bound up to which the sign holds."""
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    if not math.isfinite(row["conf_low"]):
        return UNDEFINED_MARK
    if math.isnan(row["breakdown"]):
        return _NO_SIGN
    return "any" if math.isinf(row["breakdown"]) else unbroken(times_words(row["breakdown"]))


def _bounds_cell(row: pd.Series, *, decimals: int) -> str:
    """``−97.1 to −12.7``; an end that the data do not give is said."""
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    low, high = float(row["conf_low"]), float(row["conf_high"])
    if math.isnan(low):
        return UNDEFINED_MARK
    ends = ["no end" if math.isinf(end) else signed(end, decimals=decimals) for end in (low, high)]
    return unbroken(" to ".join(ends))


def false_dates_table(released: Released) -> DisplayTable | Absent:
    """Effects at false dates before the first service, where the truth is 0.

    Parameters
    ----------
    released : Released
        Uses the rows of all members in `placebo_dates`.

    Returns
    -------
    DisplayTable | Absent
        One row an outcome, one column a date.
    """
    found = find_item(released, "placebo_dates")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "race_ethnicity", "months_earlier"))
    frame = found.frame[found.frame["race_ethnicity"] == ALL]
    headings, per = outcome_headings(frame, found)
    dates = sorted(set(frame["months_earlier"].astype(int)))
    rows = []
    for outcome in ordered(frame["outcome"], order=tuple(OUTCOMES)):
        mine = frame[frame["outcome"] == outcome]
        by_date = mine.set_index(mine["months_earlier"].astype(int))
        decimals = decimals_for(mine["estimate"])
        cells = {
            _months_earlier(date): _null_cell(by_date.loc[date], decimals=decimals)
            if date in by_date.index
            else UNDEFINED_MARK
            for date in dates
        }
        rows.append({"Outcome": headings[outcome], **cells})
    table = pd.DataFrame(rows)
    return lay_out(
        table,
        caption=(
            f"Effects at false dates, so many months before the first service{per}, with 95% "
            "intervals. Nobody was served yet: the truth is zero."
        ),
        row_name="Outcome",
        spanners={"As if served": [_months_earlier(date) for date in dates]},
        notes=_away_notes(table),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _months_earlier(months: int) -> str:
    return f"{number(months)} month{'' if months == 1 else 's'} earlier"


def controls_table(released: Released) -> DisplayTable | Absent:
    """Effects on outcomes that the study declared out of the service's reach.

    Parameters
    ----------
    released : Released
        Uses the rows of all members in `negative_control`, and the reasons in its notes.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "negative_control")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "race_ethnicity"))
    frame = found.frame[found.frame["race_ethnicity"] == ALL]
    headings, per = outcome_headings(frame, found)
    rows = [
        {
            "Outcome": headings[row["outcome"]],
            "Effect": _null_cell(row, decimals=decimals_for([row["estimate"]])),
            "Why the service cannot change it": _declared(found.meta, str(row["outcome"])),
        }
        for _, row in frame.iterrows()
    ]
    table = pd.DataFrame(rows)
    return lay_out(
        table,
        caption=(
            f"Negative controls: effects on outcomes declared out of reach{per}, with 95% "
            "intervals. The truth is zero; an effect here is bias, and the like is to be feared "
            "in the effects of the study."
        ),
        row_name="Outcome",
        left=("Why the service cannot change it",),
        notes=_away_notes(table),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _declared(meta: dict[str, object], outcome: str) -> str:
    """The reason the study file gives, as the notes of the result carry it."""
    notes = meta.get("notes")
    lead = f"`{outcome}` was declared out of reach: "
    for note in notes if isinstance(notes, list) else []:
        if str(note).startswith(lead):
            return str(note).removeprefix(lead).rstrip(".")
    return UNDEFINED_MARK


def _null_cell(row: pd.Series, *, decimals: int) -> str:
    """``+52.6 (+11.5 to +93.7)*``: an estimate whose truth is 0."""
    text = effect_cell(row, decimals=decimals)
    is_away = text.endswith(")") and leaves_out_zero(row.to_frame().T).item()
    return f"{text}{_AWAY}" if is_away else text


def _away_notes(table: pd.DataFrame) -> tuple[str, ...]:
    cells = [str(cell) for column in table.columns for cell in table[column]]
    return (_AWAY_NOTE,) if any(cell.endswith(f"){_AWAY}") for cell in cells) else ()


def policy_table(released: Released) -> DisplayTable | Absent:
    """Policies that break the series of the outcomes inside the months of the study.

    Parameters
    ----------
    released : Released
        Uses the outcomes of `effect_overall` and the months of the provenance; the events are
        those of the policy calendar.

    Returns
    -------
    DisplayTable | Absent
        One row an event, in order of time.
    """
    found = find_item(released, "effect_overall")
    if isinstance(found, Absent):
        return found
    ends = [str(released.provenance.get(f"{end}_month", "")) for end in ("first", "last")]
    if not all(ends):
        return Absent("policy_calendar", "the release does not state its months")
    outcomes = ordered(found.frame["outcome"], order=tuple(OUTCOMES))
    events = _events(outcomes, ends)
    if events.empty:
        return Absent("policy_calendar", "no event of the calendar lies in these months")
    rows = [
        {
            "Month": month_label(str(month)),
            "Event": event if str(mine["confirmed"].iloc[0]) == "yes" else f"{event} ‡",
            "What it does to the numbers": mine["effect"].iloc[0],
            "Outcomes": _outcomes_words(list(mine["outcome"]), outcomes),
        }
        for (month, event), mine in events.groupby(["month", "event"], sort=True)
    ]
    table = pd.DataFrame(rows)
    unconfirmed = table["Event"].str.endswith("‡").any()
    return lay_out(
        table,
        caption=(
            "Policies in the months of the study that break the outcomes' series, for members "
            "served and comparison members alike unless they reach one side more than the other."
        ),
        row_name="Month",
        left=("Event", "What it does to the numbers", "Outcomes"),
        notes=("‡ The date is not confirmed, or only in part, by a public source.",)
        if unconfirmed
        else (),
    )


def _events(outcomes: list[str], ends: list[str]) -> pd.DataFrame:
    """Breaks of each outcome with a calendar."""
    found = []
    for outcome in outcomes:
        try:
            found.append(policy_calendar(outcome, ends).assign(outcome=outcome))
        except DesignError:
            continue
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _outcomes_words(touched: list[str], outcomes: list[str]) -> str:
    if set(touched) >= set(outcomes):
        return "all"
    return "; ".join(outcome_label(each) for each in touched)
