"""Counties by how well they integrate, to ask whether effects on members differ between them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError, quoted

HIGHER, LOWER = "higher", "lower"


def integration_level(
    units: pd.DataFrame, *, outcome: str = "closure", cut: float, weight: str = "n_referrals"
) -> pd.Series:
    r"""Counties at or above a declared value of an outcome, and those below.

    Use the level as a stratum of members' effects: `reduce_panel(stratum=...)`, `group_time_att`,
    and `effect_gap(reference="lower")` say whether the effect differs between well and badly
    integrated counties. Measure the level **before** members are exposed: afterwards it may be a
    consequence. The gap is a difference between places that differ in much else, not the effect
    of integration.

    Parameters
    ----------
    units : pd.DataFrame
        From `success_units`, or any frame with ``county``, `outcome` and `weight`.
    outcome, weight : str
        A county's value is the average of its units, weighted.
    cut : float
        From here on a county counts as ``"higher"``. Declared, not taken from the data: with the
        median half of the counties are "higher" however they do.

    Returns
    -------
    pd.Series
        ``"higher"`` or ``"lower"`` by county, named ``integration``; a county without a value or a
        weight above 0 is in neither.

    Raises
    ------
    TableError
        A column is absent.
    EstimationError
        No county has a value, or all are on one side of the cut.
    """
    absent = [name for name in ("county", outcome, weight) if name not in units.columns]
    if absent:
        raise TableError(f"the table of units lacks {quoted(absent)}.")
    known = units.dropna(subset=[outcome, weight])
    known = known[known[weight] > 0]
    total = (known[outcome] * known[weight]).groupby(known["county"], observed=True).sum()
    value = total / known.groupby("county", observed=True)[weight].sum()
    level = pd.Series(np.where(value >= cut, HIGHER, LOWER), index=value.index, name="integration")
    if level.empty:
        raise EstimationError(f"no county has `{outcome}` and a `{weight}` above 0.")
    if level.nunique() < 2:
        raise EstimationError(
            f"all {len(level)} counties are {'at or above' if (level == HIGHER).all() else 'below'}"
            f" {cut:g}: there is nothing to compare. Choose the cut by what is good enough, from "
            "outside these data."
        )
    return level
