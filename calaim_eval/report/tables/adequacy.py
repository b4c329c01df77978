"""Places organizations state against members eligible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import ordered, service_label, service_order
from calaim_eval.report.numbers import UNDEFINED_MARK, number
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.layout import DisplayTable, lay_out

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released


def adequacy_table(released: Released) -> DisplayTable | Absent:
    """Places stated per 100 members eligible, by service, at both ends of those eligible.

    Parameters
    ----------
    released : Released
        Uses `capacity_adequacy` (keys `county`, `service`, `eligible`).

    Returns
    -------
    DisplayTable | Absent
        One row a service; counties with members eligible and no place stated are named by number.
    """
    found = find_item(released, "capacity_adequacy")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("county", "service", "eligible"))
    rows = []
    for service in ordered(found.frame["service"], order=service_order()):
        mine = found.frame[found.frame["service"] == service]
        low, high = (mine[mine["eligible"] == end] for end in ("low", "high"))
        places = float(low["numerator"].sum())
        ends = (float(low["denominator"].sum()), float(high["denominator"].sum()))
        rows.append(
            {
                "Service": service_label(service),
                "Counties": number(len(low)),
                "Without a place stated": number((low["numerator"] == 0).sum()),
                "Places stated": number(places),
                "Members eligible": _range(*ends, decimals=0),
                "Places per 100 eligible": _range(
                    100 * places / ends[1], 100 * places / ends[0], decimals=1
                )
                if ends[0] > 0
                else UNDEFINED_MARK,
            }
        )
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Places organizations state under contract for each 100 members eligible, in counties "
            "with an estimate of those eligible."
        ),
        row_name="Service",
        notes=(
            "How many are eligible is not known exactly: the two numbers are the ends of the "
            "estimates the study names.",
            "Places in one county do not help in another: look at counties without any.",
        ),
    )


def _range(low: float, high: float, *, decimals: int) -> str:
    """``900 to 1,400``; one number where the ends are alike."""
    ends = [number(value, decimals=decimals) for value in (low, high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
