"""Wald test that all effects before exposure are 0."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.cohort_month.cohort_month_effects import CohortMonthEffects
from calaim_eval.estimate.inference.wald import wald_test
from calaim_eval.estimate.sensitivity.rows_by_stratum import rows_by_stratum
from calaim_eval.results import EffectTable


def pre_trend_test(table: EffectTable) -> pd.DataFrame:
    r"""Joint test of the effects before exposure, per stratum.

    A small p-value speaks against parallel trends. A large one does not prove them: the test is
    weak where the effects before exposure are imprecise [1]_.

    Parameters
    ----------
    table : EffectTable
        An event study (``aggregate(att_gt, by="event_time")``) or the effects by
        cohort and month themselves.

    Returns
    -------
    pd.DataFrame
        Stratum columns (if any), ``statistic`` (chi-square), ``df``, ``p_value``, ``n_terms``; one
        row per stratum.

    Raises
    ------
    EstimationError
        No event times, no effect before exposure with a standard error, or as many of them as
        clusters.

    Notes
    -----
    :math:`W = \hat\delta' V^{+} \hat\delta`, chi-square with rank(V) degrees of freedom; of
    ratios their logarithms. Rows without a standard error (the base month) are left out.

    References
    ----------
    .. [1] Roth J (2022). Pretest with caution. American Economic Review: Insights 4(3):305-322.
       doi:10.1257/aeri.20210236
    """
    before = _event_time(table) < 0
    rows = before & np.isfinite(table.std_error)
    if not rows.any():
        raise EstimationError(
            "pre_trend_test: no effect before exposure has a standard error. Begin the panel "
            "earlier, or lower `min_event_time`."
        )
    chosen = table.select(rows)
    strata = rows_by_stratum(chosen, apart=("outcome", "unit"))
    return pd.DataFrame([{**labels, **_wald(chosen.select(mask))} for labels, mask in strata])


def _event_time(table: EffectTable) -> np.ndarray:
    """Months since exposure of each row."""
    if isinstance(table, CohortMonthEffects):
        return table.event_time
    if "event_time" not in table.keys:
        raise EstimationError(
            "pre_trend_test: the table has no key `event_time`; it has "
            f"{', '.join(f'`{c}`' for c in table.keys.columns) or 'none'}. "
            "Give aggregate(att_gt, by='event_time')."
        )
    return np.asarray(table.keys["event_time"], dtype=float)


def _wald(table: EffectTable) -> dict[str, float]:
    """Wald statistic of all rows."""
    return wald_test(
        table,
        caller="pre_trend_test",
        rows="effects before exposure",
        advice="Raise `min_event_time` in aggregate().",
    )
