"""Wald test that all rows of a table are 0 (ratios: 1)."""

from __future__ import annotations

import numpy as np
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.inference.cluster_intervals import bearing
from calaim_eval.results import EffectTable

RANK_TOLERANCE = 1e-10


def wald_test(table: EffectTable, *, caller: str, rows: str, advice: str) -> dict[str, float]:
    """Statistic, degrees of freedom, p-value and number of rows; of ratios their logarithms.

    `rows` and `advice` are the words of the error when there are as many rows as clusters.
    """
    influence = table.cluster_influence
    if influence is not None:
        n_clusters = int(bearing(influence).any(axis=1).sum())
        if n_clusters <= len(table):
            raise EstimationError(
                f"{caller}: {len(table)} {rows} and {n_clusters} clusters behind them; "
                f"their covariance is singular. {advice}"
            )
    estimate, covariance = table.estimate, table.covariance
    if table.estimand.scale == "ratio":
        estimate, covariance = np.log(estimate), covariance / np.outer(estimate, estimate)
    # In units of the errors: the rank of rows in different units must not depend on the units.
    std_error = np.sqrt(np.diag(covariance))
    estimate, covariance = estimate / std_error, covariance / np.outer(std_error, std_error)
    values, vectors = np.linalg.eigh(covariance)
    used = values > RANK_TOLERANCE * values.max()
    statistic = float((((vectors.T @ estimate)[used]) ** 2 / values[used]).sum())
    df = int(used.sum())
    return {
        "statistic": statistic,
        "df": df,
        "p_value": float(special.chdtrc(df, statistic)),
        "n_terms": len(table),
    }
