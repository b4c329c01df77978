"""Change of the statewide series at a declared month."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import OUTCOMES, ordered, outcome_label
from calaim_eval.report.numbers import decimals_for
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import effect_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_TERMS = {
    "level_change": "Step",
    "slope_change": "Change of slope, per month",
    "average_effect": "Average change after",
}
_PER_MONTH = ("slope_change",)


def statewide_series_table(released: Released) -> DisplayTable | Absent:
    """Step, change of slope and average change of every outcome; not causal alone.

    Parameters
    ----------
    released : Released
        Uses `statewide_series`.

    Returns
    -------
    DisplayTable | Absent
        One row an outcome.
    """
    found = find_item(released, "statewide_series")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "term"))
    frame = found.frame
    rows = []
    for outcome in ordered(frame["outcome"], order=tuple(OUTCOMES)):
        own = frame[frame["outcome"] == outcome].set_index("term")
        rows.append(
            {"Use of care": outcome_label(str(outcome))}
            | {
                words: effect_cell(
                    own.loc[term], decimals=decimals_for(own["estimate"]) + (term in _PER_MONTH)
                )
                for term, words in _TERMS.items()
            }
        )
    return lay_out(
        pd.DataFrame(rows),
        caption="Change of the rate of all members at the declared month, in the unit of the "
        "figure, with 95% intervals.",
        row_name="Use of care",
        notes=(
            "Step: at the first month of the new line. Average change: over all months after it.",
            "Not causal alone: there is no comparison, and whatever else changed is in it.",
        ),
    )
