"""Whether the items of the survey measure the scales they were written for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.numbers import SUPPRESSED_MARK, number, p_value
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.layout import DisplayTable, lay_out

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_ROWS = {
    "chi_square": ("Chi-square against any covariance", 1, ""),
    "degrees": ("Degrees of freedom", 0, ""),
    "p_value": ("p value", None, ""),
    "cfi": ("Comparative fit index (CFI)", 3, "0.95 or more"),
    "tli": ("Tucker-Lewis index (TLI)", 3, "0.95 or more"),
    "rmsea": ("Root mean square error of approximation (RMSEA)", 3, "0.06 or less"),
    "srmr": ("Standardized root mean square residual (SRMR)", 3, "0.08 or less"),
}


def factor_fit_table(released: Released) -> DisplayTable | Absent:
    """Fit of a factor model with one factor a scale.

    Parameters
    ----------
    released : Released
        Uses `survey_factor_fit` (key `statistic`).

    Returns
    -------
    DisplayTable | Absent
        One row an index, with the value usually called good.
    """
    found = find_item(released, "survey_factor_fit")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("statistic",))
    rows = []
    for _, row in found.frame.iterrows():
        label, decimals, mark = _ROWS.get(str(row["statistic"]), (str(row["statistic"]), 3, ""))
        value = row["estimate"]
        text = p_value(value) if decimals is None else number(value, decimals=decimals)
        rows.append(
            {
                "Index": label,
                "Value": SUPPRESSED_MARK if row["is_suppressed"] else text,
                "Usually called good": mark,
            }
        )
    options = found.meta.get("options", {})
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            f"Whether {options.get('items', 'the')} items measure the "
            f"{options.get('scales', '')} scales they were written for: fit of a factor model."
        ),
        row_name="Index",
        n_suppressed=int(found.frame["is_suppressed"].sum()),
        notes=(
            "Colleagues answer alike, which makes chi-square too large; the marks are conventions "
            "for large samples.",
        ),
    )
