"""Weights of the rows of a regression: a column, or those that make two sides of members alike."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.design.weights import MemberWeights
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate.member_frame import WHERE

NO_WEIGHTS = {
    "negative_binomial": "its second parameter is fitted by likelihood, and with weights there is "
    "none. Use 'poisson', which needs the mean only",
    "mixed": "the variance between members depends on how weights of rows and of members are "
    "scaled. Use 'linear' with cluster='member'",
}
"""Models that take no weights, the reason and what to do instead."""


def row_weights(
    data: pd.DataFrame, weights: str | MemberWeights | None, *, member_id: str | None
) -> np.ndarray:
    """Weight of each row, 1 without weights; shape (n_rows,).

    Raises
    ------
    TableError
        A weight is missing, infinite, negative or no number, or a member has none.
    """
    if weights is None:
        return np.ones(len(data))
    if isinstance(weights, str):
        if not pd.api.types.is_numeric_dtype(data[weights].dtype):
            raise TableError(f"{WHERE}: `{weights}` holds {data[weights].dtype}, not numbers.")
        found = data[weights].to_numpy(dtype=float, na_value=np.nan)
        words, advice = f"`{weights}`", "0 sets a row aside"
    else:
        if member_id is None:
            raise EstimationError(
                "regression: `weights` of members need `member_id`. Name the column."
            )
        of_member = weights.weights["weight"]
        found = of_member.reindex(data[member_id]).to_numpy(dtype=float, na_value=np.nan)
        words = f"the weight of `{member_id}`"
        advice = "make the weights from the members of these rows, and drop the others"
    wrong = int((~(np.isfinite(found) & (found >= 0))).sum())
    if wrong:
        raise TableError(
            f"{WHERE}: {words} is missing, infinite or negative in "
            f"{part_words(wrong, len(data), 'rows')}; {advice}."
        )
    if not found.any():
        raise TableError(f"{WHERE}: {words} is 0 in every row.")
    return np.asarray(found)


def require_weights_go_with(model: str, clusters: tuple[str, ...], working: str) -> None:
    """Refuse weights where a model, or its standard errors, has no place for them."""
    if model in NO_WEIGHTS:
        raise EstimationError(
            f"regression: model={model!r} takes no `weights`: {NO_WEIGHTS[model]}."
        )
    if model.startswith("gee") and working != "independent":
        raise EstimationError(
            f"regression: with `weights` model={model!r} takes working_correlation='independent' "
            "only: with another, months of a member would be weighted by the correlations too, "
            "which are not those of the population the weights make."
        )
    if not clusters:
        raise EstimationError(
            "regression: cluster=None gives the model's own standard errors, which take weights "
            "for numbers of independent rows: right for frequency weights only, and then the rows "
            "can be repeated. Use cluster='member'."
        )
