"""Effects as UCLA's evaluations print them: before, change, difference-in-differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.panels import HEADLINE_OUTCOMES
from calaim_eval.report.labels import (
    ANCHORS,
    OUTCOMES,
    ordered,
    race_label,
    race_order,
)
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    decimals_for,
    number,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import (
    bounds_cell,
    effect_cell,
    estimate_cell,
    ratio_cell,
)
from calaim_eval.report.tables.county_phase import county_phase_checks_table
from calaim_eval.report.tables.layout import DisplayTable, lay_out, outcome_headings
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calaim_eval.disclosure import Released
    from calaim_eval.disclosure.released import ReleasedTable

_INTERVAL = "95% interval"
_GROUP = "Race and ethnicity"
_BEFORE = "Before eligibility"
_CHANGE_SERVED = "Members served"
_CHANGE_COMPARISON = "Comparison members"


def effects_table(released: Released) -> DisplayTable | Absent:
    """Every outcome: rate before eligibility, change among members served, and the effect.

    Parameters
    ----------
    released : Released
        Uses `effect_overall`; adds `baseline_utilization` and `pre_post` where released.

    Returns
    -------
    DisplayTable | Absent
        Differences per 1,000 member-months (or the unit named) with 95% intervals; negative
        means fewer. The change before to after is marked as not causal.
    """
    found = find_item(released, "effect_overall")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "anchor"))
    frame = found.frame
    described = {
        _BEFORE: _baseline(released),
        _CHANGE_SERVED: _change(released, side="exposed"),
        _CHANGE_COMPARISON: _change(released, side="comparison"),
    }
    described = {heading: cells for heading, cells in described.items() if cells}
    anchors = ordered(frame["anchor"], order=tuple(ANCHORS))
    headings, per = outcome_headings(frame, found)
    rows = []
    for outcome in ordered(frame["outcome"], order=tuple(OUTCOMES)):
        mine = frame[frame["outcome"] == outcome]
        decimals = decimals_for(mine["estimate"])
        row = {"Outcome": headings[outcome]}
        row |= {h: cells.get(outcome, UNDEFINED_MARK) for h, cells in described.items()}
        by_anchor = mine.set_index("anchor")
        for anchor in anchors:
            cell = by_anchor.loc[anchor] if anchor in by_anchor.index else None
            row[ANCHORS.get(anchor, anchor)] = effect_cell(cell, decimals=decimals)
        rows.append(row)
    changes = [h for h in (_CHANGE_SERVED, _CHANGE_COMPARISON) if h in described]
    spanners = {"Effect (difference-in-differences)": [ANCHORS.get(a, a) for a in anchors]}
    if changes:
        spanners = {"Change before to after (not causal)": changes} | spanners
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            f"Use of care before eligibility, change from before to after, and effect{per}, with "
            "95% intervals; negative means fewer."
        ),
        row_name="Outcome",
        spanners=spanners,
        notes=_effects_notes(has_change=bool(changes), has_before=_BEFORE in described),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _effects_notes(*, has_change: bool, has_before: bool) -> tuple[str, ...]:
    notes = []
    if has_before:
        notes.append("Before eligibility: rate in the months before members became eligible.")
    if has_change:
        notes.append(
            "The change among members served is not the effect: members become eligible when their "
            "use is high, and part of it falls back by itself, as it does among comparison members."
        )
    return tuple(notes)


def other_outcomes(released: Released) -> list[str]:
    """Outcomes with an effect that the headline figures and tables leave out.

    Parameters
    ----------
    released : Released
        Uses `effect_by_race`.

    Returns
    -------
    list of str
        For `outcomes=` of the tables by group; empty where there is none.
    """
    found = find_item(released, "effect_by_race")
    if isinstance(found, Absent):
        return []
    present = ordered(found.frame["outcome"], order=tuple(OUTCOMES))
    headline = [o for o in present if o in HEADLINE_OUTCOMES]
    return [o for o in present if o not in headline] if headline else []


def effects_by_race_table(
    released: Released, *, outcomes: Sequence[str] | None = None
) -> DisplayTable | Absent:
    """Effect in each race and ethnicity group.

    Parameters
    ----------
    released : Released
        Uses `effect_by_race`.
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    DisplayTable | Absent
        One row a group, one column an outcome: effect with its interval.
    """
    return _group_table(
        find_item(released, "effect_by_race"),
        outcomes,
        caption="Effect by race and ethnicity, with 95% intervals; negative means fewer.",
        notes=(
            "Of twenty groups without an effect, about one has an interval that leaves out zero by "
            "chance.",
        ),
    )


def gaps_table(
    released: Released, *, outcomes: Sequence[str] | None = None
) -> DisplayTable | Absent:
    """Each group's effect minus the reference group's, with its own interval.

    Parameters
    ----------
    released : Released
        Uses `effect_gap`.
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "effect_gap")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("reference",))
    names = " and ".join(race_label(r) for r in dict.fromkeys(found.frame["reference"]))
    return _group_table(
        found,
        outcomes,
        caption=f"Gap: the group's effect minus the effect for {names}, with 95% intervals.",
        notes=(
            "Of twenty comparisons without a true gap, about one has an interval that leaves out "
            "zero by chance.",
        ),
    )


def ratios_table(
    released: Released, *, outcomes: Sequence[str] | None = None
) -> DisplayTable | Absent:
    """Rate ratio of every group: the effect as a relative change.

    Parameters
    ----------
    released : Released
        Uses `effect_ratio`.
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    DisplayTable | Absent
        One row a group, one column an outcome; 1 is no effect, 0.9 a tenth fewer.
    """
    found = find_item(released, "effect_ratio")
    return _group_table(
        found,
        outcomes,
        caption=(
            "Effect as a rate ratio, with 95% intervals: the rate of members served to the rate "
            "they would have had. 1 is no effect, 0.90 a tenth less."
        ),
        notes=(_ratio_note(found),),
        is_ratio=True,
    )


def _ratio_note(found: ReleasedTable | Absent) -> str:
    """How use is taken to have moved without the service."""
    if isinstance(found, Absent) or found.meta.get("options", {}).get("link") != "log":
        return (
            "The rate they would have had is their own less the effect above: without the service, "
            "use is taken to change by the same amount as among comparison members."
        )
    return (
        "Without the service, use is taken to change by the same percentage as among comparison "
        "members; the effects above take it to change by the same amount. Where the two disagree, "
        "levels before differed, and nothing after exposure tells which is right."
    )


def pre_post_table(
    released: Released, *, outcomes: Sequence[str] | None = None
) -> DisplayTable | Absent:
    """Change from before to after among members served; not causal.

    Parameters
    ----------
    released : Released
        Uses `pre_post`.
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    DisplayTable | Absent
    """
    return _group_table(
        find_item(released, "pre_post"),
        outcomes,
        caption=(
            "Not causal. Change from before to after the first service among members served, by "
            "race and ethnicity, with 95% intervals; negative means fewer."
        ),
    )


def county_phase_table(released: Released) -> DisplayTable | Absent:
    """County-phase comparison: overall difference in January to June 2022, every outcome.

    Parameters
    ----------
    released : Released
        Uses the rows of `county_phase` whose `event_time` is ``"overall"``; all rows where there
        is no such row. Where `county_phase_checks` is released, its table stands instead.

    Returns
    -------
    DisplayTable | Absent
    """
    checks = county_phase_checks_table(released)
    if not isinstance(checks, Absent):
        return checks
    found = find_item(released, "county_phase")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "event_time"))
    frame = found.frame
    overall = frame[frame["event_time"].astype(str) == "overall"]
    frame = overall if len(overall) else frame
    headings, per = outcome_headings(frame, found)
    rows = []
    for outcome in ordered(frame["outcome"], order=tuple(OUTCOMES)):
        mine = frame[frame["outcome"] == outcome]
        decimals = decimals_for(mine["estimate"])
        rows += [
            {
                "Outcome": headings[outcome],
                "Months since start": _event_time(row["event_time"]),
                "Difference": estimate_cell(row, decimals=decimals),
                _INTERVAL: bounds_cell(row, decimals=decimals),
            }
            for _, row in mine.iterrows()
        ]
    table = pd.DataFrame(rows)
    if table["Months since start"].eq("Overall").all():
        table = table.drop(columns="Months since start")
    return lay_out(
        table,
        caption=(
            "Counties that started in January 2022 compared with counties that had not yet "
            f"started, January to June 2022, all members of the county; differences{per}."
        ),
        row_name="Outcome",
        left=tuple(c for c in table if c == "Months since start"),
        notes=(
            "Intention to treat for everyone who lives in the county. Few members were served in "
            "these months, so an effect on those served appears here diluted many times over.",
        ),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _event_time(value: object) -> str:
    return "Overall" if str(value) == "overall" else str(value)


def _group_table(
    found: ReleasedTable | Absent,
    outcomes: Sequence[str] | None,
    *,
    caption: str,
    notes: tuple[str, ...] = (),
    is_ratio: bool = False,
) -> DisplayTable | Absent:
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "race_ethnicity"))
    frame = found.frame
    if "reference" in frame:
        frame = frame[frame["race_ethnicity"] != frame["reference"]]
    frame = change_rows(frame, side="exposed")
    wanted = outcomes if outcomes is not None else HEADLINE_OUTCOMES
    chosen = frame[frame["outcome"].isin(wanted)]
    frame = chosen if len(chosen) or outcomes is not None else frame
    if frame.empty:
        return Absent(found.name)
    names = ordered(frame["outcome"], order=tuple(OUTCOMES))
    groups = ordered(frame["race_ethnicity"], order=(ALL, *race_order()))
    columns: dict[str, list[str]] = {_GROUP: [race_label(group) for group in groups]}
    headings, per = outcome_headings(frame, found)
    for outcome in names:
        mine = frame[frame["outcome"] == outcome].set_index("race_ethnicity")
        decimals = decimals_for(mine["estimate"])
        rows = [mine.loc[group] if group in mine.index else None for group in groups]
        if is_ratio:
            cells = [ratio_cell(row) for row in rows]
            columns[OUTCOMES.get(outcome, outcome)] = cells
        else:
            columns[headings[outcome]] = [effect_cell(row, decimals=decimals) for row in rows]
    unit = "" if is_ratio else f" Numbers are{per or ' in the unit of each column'}."
    return lay_out(
        pd.DataFrame(columns),
        caption=f"{caption}{unit}",
        row_name=_GROUP,
        notes=notes,
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _baseline(released: Released) -> dict[str, str]:
    """Rate before eligibility of all members, by outcome."""
    found = find_item(released, "baseline_utilization")
    if isinstance(found, Absent):
        return {}
    frame = found.frame
    if "race_ethnicity" in frame:
        frame = frame[frame["race_ethnicity"] == ALL]
    return {
        row["outcome"]: SUPPRESSED_MARK
        if row["is_suppressed"]
        else number(row["rate"], decimals=decimals_for([row["rate"]]))
        for _, row in frame.iterrows()
    }


def _change(released: Released, *, side: str) -> dict[str, str]:
    """Change before to after of all members of a side, by outcome."""
    found = find_item(released, "pre_post")
    if isinstance(found, Absent):
        return {}
    frame = change_rows(found.frame, side=side)
    if "race_ethnicity" in frame:
        frame = frame[frame["race_ethnicity"] == ALL]
    return {
        row["outcome"]: effect_cell(row, decimals=decimals_for([row["estimate"]]))
        for _, row in frame.iterrows()
    }


def change_rows(frame: pd.DataFrame, *, side: str) -> pd.DataFrame:
    """Rows of `pre_post` for a side; without the key `side` all rows are the exposed members'."""
    if "side" in frame:
        return frame[frame["side"] == side]
    return frame if side == "exposed" else frame.iloc[:0]
