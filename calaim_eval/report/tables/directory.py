"""Services a resource directory lists, by county and by whether they serve members."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.numbers import UNDEFINED_MARK, number
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.layout import DisplayTable, lay_out
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_STATES = {
    ALL: "Listed",
    "serving": "Active, serving members",
    "idle": "Active, no member served",
    "no_support": "Active, no support of the program",
    "not_active": "Not active, or not known",
}


def directory_table(released: Released) -> DisplayTable | Absent:
    """Listed services by county: serving, idle, of no support, not active.

    Parameters
    ----------
    released : Released
        Uses `directory_use` (keys `county`, `state`).

    Returns
    -------
    DisplayTable | Absent
        One row a county, all counties first.
    """
    found = find_item(released, "directory_use")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("county", "state"))
    cells = found.frame.set_index(["county", "state"])["numerator"]
    rows = [
        {
            "County": "All" if county == ALL else str(county),
            **{
                words: number(cells[county, state])
                if (county, state) in cells.index
                else UNDEFINED_MARK
                for state, words in _STATES.items()
            },
        }
        for county in dict.fromkeys(found.frame["county"])
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption="Services the resource directory lists in each county, and whether the program "
        "uses them.",
        row_name="County",
        notes=("A service listed for several counties is in each, so that counties overlap.",),
    )
