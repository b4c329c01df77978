"""What the quarterly report carries of a restatement: rounded changes in words, never totals.

Two totals of one month differ by the claims of a few late senders, and their exact difference may
be those of one member. So neither total leaves, only the change in percent, rounded so widely that
a change of nobody and one of `min_count` members look alike. Where too few members are behind a
month for any rounding that says something, the change is not stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from calaim_eval.panel.restatement import Restatement
from calaim_eval.panel.summary import MEMBER_MONTHS
from calaim_eval.results import Method, RateTable

NOT_STATED = "not stated"
MONTHS_TOLD = 24
"""Latest months of those compared that are told one by one."""
STEPS = (1, 2, 5, 10)
"""Percent a change may be rounded to."""


def restatement_results(
    told: Restatement,
    behind: pd.DataFrame,
    *,
    outcomes: Sequence[str],
    earlier: date,
    later: date,
    min_count: int,
) -> dict[str, RateTable]:
    r"""Result to release: `restatement`, the change of each total by measure and month.

    Parameters
    ----------
    told : Restatement
        By month.
    behind : pd.DataFrame
        Members behind the later totals, as `members_behind` gives them.
    outcomes : sequence of str
        Measures to tell beside covered months.
    earlier, later : date
        Extract dates.
    min_count : int
        Smallest count the policy shows.

    Returns
    -------
    dict of str to RateTable
        One row per measure and month of the last 24 compared, without numbers: the keys
        `outcome`, `month`, `earlier_extract`, `later_extract`, `change` (``"+6%"`` of the earlier
        total, ``"not stated"``) and `rounded_to` (``"1%"``).

    Notes
    -----
    With :math:`n` members behind the smaller of both totals, a change is rounded to the smallest
    step :math:`s` of `STEPS` with :math:`n s / 200 \ge` `min_count`, so that ``"0%"`` may be nobody
    or `min_count` members either way. A measure has one step, that of its month of fewest members
    that can be told at all.
    """
    rows = told.totals[told.totals["measure"].isin([MEMBER_MONTHS, *outcomes])]
    rows = rows[rows["earlier"].notna() & rows["later"].notna()]
    months = sorted(rows["month"].unique())[-MONTHS_TOLD:]
    rows = rows[rows["month"].isin(months)].merge(behind, how="left", on=["month", "measure"])
    rows = rows.reset_index(drop=True)
    step = _steps(rows, min_count)
    keys = pd.DataFrame(
        {
            "outcome": rows["measure"],
            "month": rows["month"].dt.strftime("%Y-%m"),
            "earlier_extract": earlier.isoformat(),
            "later_extract": later.isoformat(),
            "change": [_words(r, s) for r, s in zip(rows["ratio"], step, strict=True)],
            "rounded_to": ["" if np.isnan(s) else f"{s:.0f}%" for s in step],
        },
        dtype="str",
    )
    return {"restatement": _table(keys)}


def _steps(rows: pd.DataFrame, min_count: int) -> np.ndarray:
    """Percent each row is rounded to; NaN where it cannot be told."""
    needed = np.array([200 * min_count / step for step in STEPS])
    # The earlier total may rest on fewer members than the later one.
    members = rows["n_members"] / rows["ratio"].clip(lower=1.0)
    place = np.searchsorted(-needed, -members.fillna(0).to_numpy(dtype=float))
    own = pd.Series(np.append(np.array(STEPS, dtype=float), np.nan)[place], index=rows.index)
    own = own.where(rows["ratio"].notna())
    widest = own.groupby(rows["measure"]).transform("max")
    return np.asarray(widest.where(own.notna()), dtype=float)


def _words(ratio: float, step: float) -> str:
    """A change as signed whole percent of the earlier total."""
    if np.isnan(step) or np.isnan(ratio):
        return NOT_STATED
    percent = int(step * np.floor(100 * (ratio - 1) / step + 0.5))
    return f"{percent:+d}%" if percent else "0%"


def _table(keys: pd.DataFrame) -> RateTable:
    """Keys without numbers, as a result that can be released: it counts nobody."""
    unknown = np.full(len(keys), np.nan)
    return RateTable(
        measure="What this extract changed about the months of the one before",
        keys=keys,
        numerator=unknown,
        denominator=unknown,
        conf_low=unknown,
        conf_high=unknown,
        n_members=unknown,
        numerator_name="restated_totals_not_stated",
        denominator_name="",
        unit="change of the total in percent",
        kind="count",
        about="organizations",
        method=Method("totals of two extracts by the same rules, over the months both have"),
        notes=(
            "A change is in percent of what the earlier extract had, rounded the wider the fewer "
            "members are behind it; totals are not released.",
        ),
    )
