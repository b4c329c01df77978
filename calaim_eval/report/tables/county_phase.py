"""The county-phase effect under other errors, without each county, and by other methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import OUTCOMES, ordered
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    decimals_for,
    interval,
    p_value,
    unbroken,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import bounds_cell, effect_cell, estimate_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out, outcome_headings

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

CLUSTERED, JACKKNIFE = "county_clustered", "county_jackknife"
LOWEST, HIGHEST = "lowest_without_a_county", "highest_without_a_county"
SYNTHETIC, SERIES = "synthetic_did", "segmented_series"
_SHOWN = "95% interval, leaving out counties"
_BESIDE = "95% interval, clustered by county"
_RANGE = "Without one county"
_DEALT = "Randomization p"
_METHODS = {
    JACKKNIFE: "Difference-in-differences",
    SYNTHETIC: "Synthetic difference-in-differences",
    SERIES: "Segmented series",
}


def county_phase_checks_table(released: Released) -> DisplayTable | Absent:
    """Overall county-phase effect: both intervals, the p-value over counties, the range.

    Parameters
    ----------
    released : Released
        Uses `county_phase_checks`; adds `county_phase_randomization` where released.

    Returns
    -------
    DisplayTable | Absent
        One row an outcome; negative means fewer.
    """
    found = find_item(released, "county_phase_checks")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "check"))
    dealt = _dealt(released)
    headings, per = outcome_headings(found.frame, found)
    rows = []
    for outcome, mine in _by_outcome(found.frame):
        main = mine[JACKKNIFE] if JACKKNIFE in mine else mine[CLUSTERED]
        decimals = decimals_for(main[["estimate", "conf_low", "conf_high"]])
        rows.append(
            {
                "Outcome": headings[outcome],
                "Difference": estimate_cell(main, decimals=decimals),
                _SHOWN: bounds_cell(mine.get(JACKKNIFE), decimals=decimals),
                _BESIDE: bounds_cell(mine.get(CLUSTERED), decimals=decimals),
                _RANGE: _range(mine, decimals=decimals),
                _DEALT: SUPPRESSED_MARK
                if main["is_suppressed"]
                else dealt.get(outcome, UNDEFINED_MARK),
            }
        )
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Counties that started in January 2022 compared with counties that had not yet "
            f"started, January to June 2022, all members of the county; differences{per}."
        ),
        row_name="Outcome",
        notes=(
            "Intention to treat for everyone who lives in the county. Few members were served in "
            "these months, so an effect on those served appears here diluted many times over.",
            "The interval to read leaves out one county at a time (cluster jackknife, Student's "
            "t). The one clustered by county supposes many counties alike; they are few and "
            "unequal, and it tends to be too narrow.",
            f"{_RANGE}: lowest and highest estimate when each county in turn is left out; counties "
            f"of few members or events stay in. {_DEALT}: share of deals of the counties to the "
            "two start dates with an effect at least as large.",
        ),
        n_suppressed=sum(row["Difference"] == SUPPRESSED_MARK for row in rows),
    )


def county_phase_methods_table(released: Released) -> DisplayTable | Absent:
    """The county-phase effect by difference-in-differences and by the methods beside it.

    Parameters
    ----------
    released : Released
        Uses `county_phase_checks`.

    Returns
    -------
    DisplayTable | Absent
        One row an outcome, one column a method; absent where there is no other method.
    """
    found = find_item(released, "county_phase_checks")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "check"))
    present = set(found.frame["check"])
    methods = {check: name for check, name in _METHODS.items() if check in present}
    if not present & {SYNTHETIC, SERIES}:
        return Absent(found.name, "no other method could be used with these months and counties")
    headings, per = outcome_headings(found.frame, found)
    rows = []
    for outcome, mine in _by_outcome(found.frame):
        decimals = decimals_for(v for row in mine.values() for v in row[["estimate", "conf_low"]])
        cells = {
            name: effect_cell(mine.get(check), decimals=decimals) for check, name in methods.items()
        }
        rows.append({"Outcome": headings[outcome], **cells})
    left_out = [] if SERIES in present else [_NO_SERIES]
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "The county-phase effect by other methods, with 95% intervals; negative means "
            f"fewer; differences{per}."
        ),
        row_name="Outcome",
        notes=(
            "Difference-in-differences counts every member the same; synthetic "
            "difference-in-differences every county, weighting the counties and months of the "
            "comparison so that they move like the first counties before January 2022. Where the "
            "two disagree, small and large counties changed differently, or the trends before did.",
            *left_out,
        ),
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


_NO_SERIES = (
    "A segmented series is not shown: the six months that can be compared are too few for a line."
)


def _by_outcome(frame: pd.DataFrame) -> list[tuple[str, dict[str, pd.Series]]]:
    """Rows of each outcome by check, in the order of outcomes."""
    return [
        (
            outcome,
            {str(r["check"]): r for _, r in frame[frame["outcome"] == outcome].iterrows()},
        )
        for outcome in ordered(frame["outcome"], order=tuple(OUTCOMES))
    ]


def _dealt(released: Released) -> dict[str, str]:
    """P-value of each outcome over the deals of counties, as written."""
    found = find_item(released, "county_phase_randomization")
    if isinstance(found, Absent):
        return {}
    share = found.frame["numerator"] / found.frame["denominator"]
    return {str(o): p_value(p) for o, p in zip(found.frame["outcome"], share, strict=True)}


def _range(mine: dict[str, pd.Series], *, decimals: int) -> str:
    """The two ends without a county."""
    if LOWEST not in mine or HIGHEST not in mine:
        return UNDEFINED_MARK
    low, high = mine[LOWEST], mine[HIGHEST]
    if low["is_suppressed"] or high["is_suppressed"]:
        return SUPPRESSED_MARK
    return unbroken(interval(low["estimate"], high["estimate"], decimals=decimals, is_signed=True))
