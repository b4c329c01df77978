"""Members served against members alike before: how alike they were, and the effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import OUTCOMES, ordered
from calaim_eval.report.matched_words import wide
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    decimals_for,
    number,
    percent,
    signed,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import effect_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out, outcome_headings

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_MAIN = "Eligible in the same month"
_MATCHED = "Alike in use before"


def matched_table(released: Released) -> DisplayTable | Absent:
    """Effect of every outcome against matched members, beside the one of the main comparison.

    Parameters
    ----------
    released : Released
        Uses `matched_overall`; adds the rows from first service of `effect_overall`.

    Returns
    -------
    DisplayTable | Absent
        One row an outcome, one column a comparison; negative means fewer.
    """
    found = find_item(released, "matched_overall")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome",))
    main = _main_effects(released)
    headings, per = outcome_headings(found.frame, found)
    by_outcome = found.frame.set_index("outcome")
    rows = []
    for outcome in ordered(found.frame["outcome"], order=tuple(OUTCOMES)):
        row = by_outcome.loc[outcome]
        decimals = decimals_for(row[["estimate", "conf_low", "conf_high"]])
        cells = {"Outcome": headings[outcome]}
        if main is not None:
            there = main.loc[outcome] if outcome in main.index else None
            cells[_MAIN] = effect_cell(there, decimals=decimals)
        cells[_MATCHED] = effect_cell(row, decimals=decimals)
        rows.append(cells)
    compared = [c for c in (_MAIN, _MATCHED) if c in rows[0]]
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            f"Effect from first service by who members served are compared with{per}, with 95% "
            "intervals; negative means fewer."
        ),
        row_name="Outcome",
        spanners={"Comparison members": compared},
        notes=(
            "Where the two disagree, the answer hangs on the assumption: that both sides would "
            "have moved alike, or that among members alike in recorded use nothing else decides "
            "who is served.",
        ),
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def balance_table(released: Released) -> DisplayTable | Absent:
    """Means of members served and their matches before exposure, and how far apart they were.

    Parameters
    ----------
    released : Released
        Uses `matched_balance`.

    Returns
    -------
    DisplayTable | Absent
        One row a measure or group; differences in standard deviations of members served.
    """
    found = find_item(released, "matched_balance")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("variable", "level", "what"))
    rows = []
    for _, row in wide(found.frame).iterrows():
        means = [row.get("mean_exposed"), row.get("mean_comparison")]
        decimals = 1 if row["variable"] == "age_years" else max(decimals_for(means), 2)
        write = _share if row["level"] else _mean
        cells = [write(mean, decimals=decimals) for mean in means]
        cells += [_difference(row.get(f"difference_{when}")) for when in ("before", "after")]
        if row["is_suppressed"]:
            cells = [SUPPRESSED_MARK] * len(cells)
        rows.append(dict(zip(_HEADINGS, [row["label"], *cells], strict=True)))
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Members served and their matches in the months before the first service, and "
            "standardized differences before and after matching."
        ),
        row_name=_HEADINGS[0],
        spanners={"Mean or share": _HEADINGS[1:3], "Difference (SD)": _HEADINGS[3:]},
        notes=(
            "Difference in standard deviations of members served; beyond 0.1 is usually read as "
            "imbalance. Before matching: everybody eligible, covered and not yet served in the "
            "month; known for what was matched on.",
        ),
        n_suppressed=sum(row[_HEADINGS[1]] == SUPPRESSED_MARK for row in rows),
    )


_HEADINGS = ["Before the first service", "Served", "Matches", "Before", "After"]


def _main_effects(released: Released) -> pd.DataFrame | None:
    """Effects from first service of the main comparison, by outcome."""
    found = find_item(released, "effect_overall")
    if isinstance(found, Absent):
        return None
    frame = found.frame
    return frame[frame["anchor"] == "first_service"].set_index("outcome")


def _mean(value: float, *, decimals: int) -> str:
    return UNDEFINED_MARK if pd.isna(value) else number(value, decimals=decimals)


def _share(value: float, *, decimals: int) -> str:
    return UNDEFINED_MARK if pd.isna(value) else percent(value, decimals=0)


def _difference(value: float | None) -> str:
    return UNDEFINED_MARK if value is None or pd.isna(value) else signed(value, decimals=2)
