"""Agreement of the two coders who classify organizations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.contracts import ORGANIZATION_TYPES
from calaim_eval.integration.inputs import check_values, take_columns
from calaim_eval.results import ALL, EffectTable, Estimand, Method

_CODERS = ("coder_1_organization_type", "coder_2_organization_type")


def coder_agreement(organization: pd.DataFrame) -> EffectTable:
    r"""Cohen's kappa of the two coders, over all types and for each type against the rest.

    Community-based status cannot be read from a directory, so two people code it and the report
    says how far they agree beyond chance. The row ``"cbo"`` is the one a share of CBOs rests on.

    Parameters
    ----------
    organization : pd.DataFrame
        Columns ``coder_1_organization_type`` and ``coder_2_organization_type``; organizations
        that only one coder classified do not enter.

    Returns
    -------
    EffectTable
        Key ``organization_type`` (``"all"`` and the types a coder used); estimate kappa, 1 is
        full agreement and 0 is chance; joint covariance. ``support``: organizations coded twice
        (`n_members`; here organizations, not members) and those agreed on (`n_events`).

    Raises
    ------
    TableError
        Columns are absent, or a type is not in the code list.
    EstimationError
        No organization was classified by both coders.

    Notes
    -----
    With :math:`p_{ij}` the share coded :math:`i` by the first and :math:`j` by the second coder,
    :math:`\kappa = (p_o - p_e)/(1 - p_e)`. The covariance is the multinomial delta method, which
    for one row is the large-sample variance of Fleiss, Cohen and Everitt [1]_.

    References
    ----------
    .. [1] Fleiss JL, Cohen J, Everitt BS (1969). Large sample standard errors of kappa and
       weighted kappa. Psychol Bull 72(5):323-327. doi:10.1037/h0028106

    Examples
    --------
    >>> organization = pd.DataFrame(
    ...     {
    ...         "coder_1_organization_type": ["cbo"] * 25 + ["clinic"] * 25,
    ...         "coder_2_organization_type": ["cbo"] * 20 + ["clinic"] * 20 + ["cbo"] * 10,
    ...     }
    ... )
    >>> coder_agreement(organization).estimate.round(2)
    array([0.4, 0.4, 0.4])
    """
    rows = take_columns(organization, table="organization", required=_CODERS)
    for column in _CODERS:
        check_values(rows, table="organization", column=column)
    coded = rows.dropna()
    if coded.empty:
        raise EstimationError(
            f"table `organization`: none of {len(rows):,} organizations was classified by both "
            "coders, so agreement cannot be measured.\n  Fill `coder_1_organization_type` and "
            "`coder_2_organization_type`; a random tenth coded twice is a start."
        )
    first, second = (coded[c].to_numpy(dtype=object) for c in _CODERS)
    used = [t for t in ORGANIZATION_TYPES if t in set(first) | set(second)]
    terms = [_kappa(first, second)] + [_kappa(first == t, second == t) for t in used]
    estimate = np.array([value for value, _ in terms])
    influence = np.column_stack([values for _, values in terms])
    agreed = [(first == second).sum(), *[((first == t) & (second == t)).sum() for t in used]]
    return EffectTable(
        keys=pd.DataFrame({"organization_type": [ALL, *used]}),
        estimate=estimate,
        covariance=_covariance(influence),
        support=pd.DataFrame(
            {"n_members": float(len(coded)), "n_events": agreed, "member_months": np.nan}
        ),
        estimand=Estimand(
            name="Cohen's kappa",
            contrast="agreement of two coders beyond chance",
            unit="kappa (1 = full agreement, 0 = chance)",
            is_causal=False,
        ),
        method=Method(
            "Cohen's kappa, delta-method covariance",
            {"n_organizations": len(rows), "n_coded_twice": len(coded)},
            "Fleiss JL, Cohen J, Everitt BS (1969). doi:10.1037/h0028106",
        ),
        notes=_notes(len(rows), len(coded), estimate),
    )


def _kappa(first: np.ndarray, second: np.ndarray) -> tuple[float, np.ndarray]:
    """Kappa and its influence values, one per organization."""
    categories, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    n, k = len(first), len(categories)
    i, j = codes[:n], codes[n:]
    row, column = np.bincount(i, minlength=k) / n, np.bincount(j, minlength=k) / n
    observed, expected = float(np.mean(i == j)), float(row @ column)
    if np.isclose(expected, 1.0):
        return np.nan, np.full(n, np.nan)
    slope = (i == j) * (1 - expected) - (1 - observed) * (column[i] + row[j])
    values = slope / (1 - expected) ** 2
    values -= values.mean()
    if np.allclose(values, 0.0, atol=1e-12):
        values = np.zeros(n)  # full agreement: no variance to estimate, not one of 1e-33
    return (observed - expected) / (1 - expected), values


def _covariance(influence: np.ndarray) -> np.ndarray:
    """Joint covariance; NaN where the coders agree throughout, which leaves no variance to see."""
    covariance: np.ndarray = influence.T @ influence / len(influence) ** 2
    is_constant = ~influence.any(axis=0)
    covariance[is_constant, :] = np.nan
    covariance[:, is_constant] = np.nan
    return covariance


def _notes(n_rows: int, n_coded: int, estimate: np.ndarray) -> tuple[str, ...]:
    """What a reader of the agreement must know."""
    notes = [f"{n_coded:,} of {n_rows:,} organizations were classified by both coders."]
    if (estimate == 1).any():
        notes.append("Where the coders agree throughout, the sample gives no standard error.")
    if np.isnan(estimate).any():
        notes.append("Kappa is undefined where both coders gave every organization the same type.")
    return tuple(notes)
