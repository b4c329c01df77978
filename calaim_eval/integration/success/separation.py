"""Whether factors tell units with an outcome from those without, so that no odds ratio exists."""

from __future__ import annotations

import numpy as np


def is_separated(x: np.ndarray, counts: np.ndarray) -> bool:
    r"""Whether some combination of the factors never has both sides on the wrong end.

    There is a :math:`b` with :math:`x_i b \ge 0` where all have the outcome, :math:`\le 0` where
    none has, :math:`= 0` where some have, and not 0 in all units: the likelihood rises along it
    for ever. Told by a linear program, exactly.

    Parameters
    ----------
    x : np.ndarray
        Intercept and factors of full rank, on like scales; shape (n, p).
    counts : np.ndarray
        With and without the outcome; shape (n, 2).

    References
    ----------
    Konis K (2007). Linear programming algorithms for detecting separated data in binary logistic
    regression models. DPhil thesis, University of Oxford.
    """
    from scipy.optimize import linprog

    alike, which = np.unique(x, axis=0, return_inverse=True)
    sides = np.zeros((len(alike), 2))
    np.add.at(sides, which.ravel(), counts)
    has_both = (sides > 0).all(axis=1)
    if np.linalg.matrix_rank(alike[has_both]) == x.shape[1]:
        return False
    toward = alike[~has_both] * np.where(sides[~has_both, :1] > 0, 1.0, -1.0)
    found = linprog(
        -toward.sum(axis=0),
        A_ub=np.vstack([toward, -toward]),
        b_ub=np.r_[np.ones(len(toward)), np.zeros(len(toward))],
        A_eq=alike[has_both] if has_both.any() else None,
        b_eq=np.zeros(int(has_both.sum())) if has_both.any() else None,
        bounds=(None, None),
    )
    return bool(found.status != 0 or -found.fun > 0.5)
