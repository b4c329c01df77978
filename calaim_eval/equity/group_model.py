"""The model of who is in which group: a multinomial logit of the recorded group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError


@dataclass(frozen=True, slots=True)
class GroupModel:
    """A fitted multinomial logit.

    Attributes
    ----------
    groups : tuple[str, ...]
        Groups, the first with coefficients 0.
    coefficients : np.ndarray
        Shape ((G - 1) K,), group after group.
    covariance : np.ndarray
        Shape ((G - 1) K, (G - 1) K).
    """

    groups: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Coefficients drawn from their normal approximation; shape ((G - 1) K,)."""
        root = np.linalg.cholesky(self.covariance)
        drawn: np.ndarray = self.coefficients + root @ rng.standard_normal(len(root))
        return drawn

    def log_odds(self, design: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Linear predictors of all groups; shape (n, G), the first column 0."""
        beta = coefficients.reshape(len(self.groups) - 1, -1)
        return np.hstack([np.zeros((len(design), 1)), design @ beta.T])


def probabilities(log_odds: np.ndarray) -> np.ndarray:
    """Probabilities of the groups; rows sum to 1."""
    odds = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def model_columns(
    members: pd.DataFrame,
    names: Sequence[str],
    interactions: Sequence[tuple[str, str]],
    *,
    recorded: np.ndarray,
) -> np.ndarray:
    """Intercept, numbers scaled to the recorded members, and classes as 0/1; shape (n, K).

    Raises
    ------
    TableError
        A column is absent or has missing values.
    """
    parts = {name: _columns_of(members, name, recorded) for name in names}
    for first, second in interactions:
        for name in (first, second):
            if name not in parts:
                raise EstimationError(f"`interactions` names `{name}`, which is not in the model.")
        a, b = parts[first], parts[second]
        parts[f"{first}:{second}"] = (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)
    design = np.hstack([np.ones((len(members), 1)), *parts.values()])
    varies = np.ptp(design[recorded], axis=0) > 0
    varies[0] = True
    return design[:, varies]


def _columns_of(members: pd.DataFrame, name: str, recorded: np.ndarray) -> np.ndarray:
    """Columns a variable enters the model with; shape (n, 1) or (n, classes - 1)."""
    if name not in members.columns:
        raise TableError(f"the members lack `{name}`, which the model of the group needs.")
    values = members[name]
    n = int(values.isna().sum())
    if n:
        raise TableError(
            f"`{name}` is missing for {n:,} of {len(values):,} members. Fill it, or make missing "
            "a class of its own."
        )
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        classes = pd.get_dummies(values.astype(str), drop_first=True)
        return np.asarray(classes.to_numpy(dtype=float))
    numbers = values.to_numpy(dtype=float)
    own = numbers[recorded]
    spread = own.std()
    scaled = (numbers - own.mean()) / (spread if spread > 0 else 1.0)
    return np.asarray(scaled[:, None])


def fit_group_model(groups: pd.Series, design: np.ndarray, *, prior_sd: float | None) -> GroupModel:
    """Multinomial logit of the groups on the columns, with a normal prior on the slopes.

    Raises
    ------
    EstimationError
        Fewer than two groups, or a fit that does not settle.
    """
    names = tuple(groups.value_counts().index)
    if len(names) < 2:
        raise EstimationError("there is one recorded group only; nothing is to be told apart.")
    codes = groups.map({name: i for i, name in enumerate(names)}).to_numpy(dtype=int)
    model = _model(codes, design, 0.0 if prior_sd is None else prior_sd**-2)
    failed = "the fit did not settle"
    try:
        result = model.fit(method="newton", maxiter=100, disp=0, warn_convergence=False)
        beta = np.asarray(result.params, dtype=float).flatten(order="F")
        covariance = np.linalg.inv(-model.hessian(beta))
        np.linalg.cholesky(covariance)
        settled = bool(result.mle_retvals["converged"]) and np.abs(beta).max() < 50
    except np.linalg.LinAlgError:
        settled, failed = False, "its columns are collinear"
    if not settled:
        raise EstimationError(
            f"the model of the group ({len(names)} groups, {design.shape[1]} columns): {failed}; "
            "a class of a variable without members of some group, or repeated columns, are the "
            "usual causes.\n  Drop or merge classes, or give `prior_sd` (such as 2.5)."
        )
    return GroupModel(names, beta, covariance)


def _model(codes: np.ndarray, design: np.ndarray, precision: float):  # type: ignore[no-untyped-def]
    """Multinomial logit of statsmodels with a normal prior of that precision on the slopes."""
    from statsmodels.discrete.discrete_model import MNLogit

    class WithPrior(MNLogit):  # type: ignore[misc]
        """Posterior in place of the likelihood; the intercepts have no prior."""

        def _precision(self) -> np.ndarray:
            one = np.full(self.K, precision)
            one[0] = 0.0
            return np.tile(one, int(self.J) - 1)

        def _flat(self, params: np.ndarray) -> np.ndarray:
            return np.asarray(params).flatten(order="F")

        def loglike(self, params: np.ndarray) -> float:
            penalty = 0.5 * self._precision() @ self._flat(params) ** 2
            return float(super().loglike(params) - penalty)

        def score(self, params: np.ndarray) -> np.ndarray:
            return np.asarray(super().score(params) - self._precision() * self._flat(params))

        def hessian(self, params: np.ndarray) -> np.ndarray:
            return np.asarray(super().hessian(params) - np.diag(self._precision()))

    return WithPrior(codes, design)
