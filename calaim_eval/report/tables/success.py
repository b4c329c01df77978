"""What goes with closed referrals, for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import effect_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_WORDS = {
    "cbo_share": "Referrals to community-based organizations (all against none)",
    "wpc_pilot": "County had a Whole Person Care pilot",
    "hhp": "County had the Health Homes Program",
    "plan_model_2022": "Plan model of 2022",
    "plan_model_2024": "Plan model of 2024",
    "region": "Region",
}


def success_table(released: Released) -> DisplayTable | Absent:
    """Difference in the share of referrals closed that goes with each declared factor.

    Parameters
    ----------
    released : Released
        Uses `success_factors`.

    Returns
    -------
    DisplayTable | Absent
        One row a factor, in percentage points; associations, never effects.
    """
    found = find_item(released, "success_factors")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("term",))
    rows = [
        {
            "Factor": _factor_words(str(row["term"])),
            "Difference (95% interval)": effect_cell(row, decimals=1, scale=100),
        }
        for _, row in found.frame.iterrows()
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption="Difference in the share of referrals closed that goes with each factor at the "
        "same other factors, in percentage points.",
        row_name="Factor",
        notes=(
            "Associations between counties, plans and services, not effects: none of these was "
            "dealt by chance.",
        ),
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def _factor_words(term: str) -> str:
    """``plan_model_2024=Two-Plan`` as ``Plan model of 2024: Two-Plan``."""
    name, _, value = term.partition("=")
    words = _WORDS.get(name, name.replace("_", " ").capitalize())
    return f"{words}: {value}" if value else words
