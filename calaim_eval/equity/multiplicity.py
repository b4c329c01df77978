"""p-values of a declared family of tests, adjusted together."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from calaim_eval.design.checks import check_option

Adjustment = Literal["holm", "bonferroni", "benjamini_hochberg"]


def adjust_p_values(p_values: npt.ArrayLike, *, method: Adjustment = "holm") -> np.ndarray:
    """Adjust the p-values of one family.

    Use on the gaps of all groups in one outcome, declared before looking.

    Parameters
    ----------
    p_values : array-like
        Shape (k,). A NaN stays NaN and is not counted in the family.
    method : {"holm", "bonferroni", "benjamini_hochberg"}
        The first two bound the chance of any false rejection, the third the expected share of
        false rejections.

    Returns
    -------
    np.ndarray
        Adjusted p-values, same order; shape (k,).

    References
    ----------
    Holm S (1979). Scand J Stat 6:65-70. Benjamini Y, Hochberg Y (1995). J R Stat Soc B
    57:289-300. doi:10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> adjust_p_values([0.01, 0.04, 0.03]).round(3)
    array([0.03, 0.06, 0.06])
    """
    check_option("method", method, ("holm", "bonferroni", "benjamini_hochberg"))
    p = np.asarray(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    n, rank = len(order), np.arange(1, len(order) + 1)
    adjusted = np.full(p.shape, np.nan)
    if method == "bonferroni":
        adjusted[order] = p[order] * n
    elif method == "holm":
        adjusted[order] = np.maximum.accumulate(p[order] * (n - rank + 1))
    else:
        adjusted[order] = np.minimum.accumulate((p[order] * n / rank)[::-1])[::-1]
    clipped: np.ndarray = np.minimum(adjusted, 1.0)
    return clipped
