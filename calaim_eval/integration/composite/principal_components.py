r"""Principal components of standardized indicators, and whether they have anything in common.

References
----------
.. [1] Kaiser HF (1974). An index of factorial simplicity. Psychometrika 39:31-36.
   doi:10.1007/BF02291575
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calaim_eval.errors import EstimationError


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalComponents:
    """Principal components of standardized columns.

    Attributes
    ----------
    explained : np.ndarray
        Share of variance by component, largest first; shape (k,).
    loadings : np.ndarray
        Unit length, one column a component; the first with a positive sum; shape (k, k).
    sampling_adequacy : float
        Kaiser-Meyer-Olkin measure: above .60 usual, below .50 the columns have little in common;
        NaN where no two are correlated.
    """

    explained: np.ndarray
    loadings: np.ndarray
    sampling_adequacy: float


def principal_components(values: np.ndarray) -> PrincipalComponents:
    r"""Principal components of the correlation matrix.

    Parameters
    ----------
    values : np.ndarray
        One row a unit, complete; shape (n, k), n > k >= 2.

    Returns
    -------
    PrincipalComponents

    Raises
    ------
    EstimationError
        A value is missing, a column does not vary, columns repeat each other, or units are few.

    Notes
    -----
    Sampling adequacy is :math:`\sum r_{ij}^2 / (\sum r_{ij}^2 + \sum q_{ij}^2)` over pairs, with
    :math:`q` the partial correlations given all other columns [1]_.

    References
    ----------
    .. [1] Kaiser HF (1974). Psychometrika 39:31-36. doi:10.1007/BF02291575
    """
    n, k = values.shape
    if k < 2 or n <= k or not np.isfinite(values).all():
        raise EstimationError(
            f"principal components: {n} units of {k} columns, or a value is missing.\n"
            "  More complete units than columns are needed, and two columns."
        )
    if not (values.std(axis=0) > 0).all():
        raise EstimationError(
            "principal components: a column does not vary.\n  Leave it out: it ranks nobody."
        )
    r = np.corrcoef(values.T)
    size, vectors = np.linalg.eigh(r)
    if size[0] < 1e-10:
        raise EstimationError(
            "principal components: columns are linearly dependent.\n  Drop one that repeats others."
        )
    order = np.argsort(size)[::-1]
    vectors = vectors[:, order]
    signs = np.where(vectors.sum(axis=0) < 0, -1.0, 1.0)
    inverse = np.linalg.inv(r)
    scale = np.sqrt(np.diag(inverse))
    partial = inverse / np.outer(scale, scale)
    pairs = ~np.eye(k, dtype=bool)
    together, alone = (r[pairs] ** 2).sum(), (partial[pairs] ** 2).sum()
    return PrincipalComponents(
        explained=size[order] / k,
        loadings=vectors * signs,
        sampling_adequacy=float(together / (together + alone)) if together > 0 else float("nan"),
    )
