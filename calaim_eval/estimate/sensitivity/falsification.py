"""Reading results whose truth is 0: placebo dates, negative controls."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.inference.wald import wald_test
from calaim_eval.estimate.sensitivity.anticipation_scan import DIFFERENCE
from calaim_eval.estimate.sensitivity.rows_by_stratum import rows_by_stratum
from calaim_eval.results import EffectTable


def joint_test(table: EffectTable) -> pd.DataFrame:
    r"""Wald test, per stratum, that all its rows are 0 (ratios: 1).

    Use for `placebo_dates` (all false dates at once), and for other tables whose rows are jointly
    estimated and should be 0: select these first (of an event study those before exposure, as
    `pre_trend_test` does). A large p-value does not prove them 0.

    Parameters
    ----------
    table : EffectTable
        Rows without a standard error are left out; of `anticipation_scan` so are the effects, and
        the differences are tested.

    Returns
    -------
    pd.DataFrame
        Stratum columns (if any), ``statistic`` (chi-square), ``df``, ``p_value``, ``n_terms``.

    Raises
    ------
    EstimationError
        No row has a standard error, covariances between rows are unknown, or there are as many
        rows as clusters behind them.

    Notes
    -----
    :math:`W = \hat\theta' V^{+} \hat\theta`, chi-square with rank(V) degrees of freedom; of
    ratios their logarithms, against 0.
    """
    table = _rows_that_should_be_0(table)
    known = table.select(np.isfinite(table.std_error))
    if not len(known):
        raise EstimationError("joint_test: no row of this table has a standard error.")
    return pd.DataFrame(
        [{**labels, **_wald(known.select(mask))} for labels, mask in rows_by_stratum(known)]
    )


def falsification_flags(table: EffectTable, *, conf_level: float = 0.95) -> pd.DataFrame:
    """Which rows of a table whose truth is 0 are away from it.

    Parameters
    ----------
    table : EffectTable
        From `placebo_dates` or `negative_control`, or any rows that should be 0; of
        `anticipation_scan` the differences are kept.
    conf_level : float

    Returns
    -------
    pd.DataFrame
        ``table.to_frame(conf_level)`` with ``is_flagged`` (the interval excludes 0; False without
        a standard error) and ``p_holm``, the p-value when all rows of the stratum are looked at
        (Holm 1979, Scand J Stat 6:65-70).

    Raises
    ------
    EstimationError
        `conf_level` is not between 0 and 1.
    """
    table = _rows_that_should_be_0(table)
    frame = table.to_frame(conf_level)
    p_holm = np.full(len(table), np.nan)
    for _, mask in rows_by_stratum(table):
        p_holm[mask] = _holm(frame["p_value"].to_numpy()[mask])
    return frame.assign(is_flagged=flagged(table, conf_level), p_holm=p_holm)


def flagged(table: EffectTable, conf_level: float) -> np.ndarray:
    """Rows whose interval excludes the null; shape (k,), bool."""
    if not 0 < conf_level < 1:
        raise EstimationError(f"conf_level: {conf_level} is not between 0 and 1.")
    frame = table.to_frame(conf_level)
    null = 1.0 if table.estimand.scale == "ratio" else 0.0
    return np.asarray((frame["conf_low"] > null) | (frame["conf_high"] < null))


def _rows_that_should_be_0(table: EffectTable) -> EffectTable:
    """Of a scan of anticipation the differences: its effects are no falsification."""
    if not {"anticipation_months", "row"} <= set(table.keys.columns):
        return table
    return table.select((table.keys["row"] == DIFFERENCE).to_numpy())


def _holm(p_value: np.ndarray) -> np.ndarray:
    """Step-down p-values; NaN stays NaN and is not counted."""
    adjusted = np.full(len(p_value), np.nan)
    order = np.argsort(p_value)
    order = order[np.isfinite(p_value[order])]
    steps = p_value[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _wald(table: EffectTable) -> dict[str, float]:
    """Wald statistic of all rows."""
    if np.isnan(table.covariance).any():
        raise EstimationError(
            "joint_test: covariances between some rows are unknown (several outcomes, stacked "
            "tables). Use falsification_flags(), which needs none."
        )
    return wald_test(
        table,
        caller="joint_test",
        rows="rows",
        advice="Test fewer rows, or cluster by member.",
    )
