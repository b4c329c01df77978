"""What every decomposition of a gap shares: pairs of groups, support, and the table of parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.equity.groups import in_group_order
from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, SUPPORT_COLUMNS, EffectTable, Estimand, Method, Scale
from calaim_eval.results.smallest_support import smallest_support

WHOLE_OR_NOT = (
    "The parts of a gap add up to it, so that one hidden part would follow from the others: all "
    "rows of a gap have the same support and are released together or not at all."
)


def ordered_groups(names: pd.Series, *, reference: str) -> tuple[list[str], list[str]]:
    """All groups but "all" in display order, and those compared with the reference."""
    by = str(names.name)
    distinct = pd.DataFrame({by: [n for n in dict.fromkeys(names.astype(str)) if n != ALL]})
    groups = in_group_order(distinct, [by])[by].tolist()
    listed = ", ".join(f"'{g}'" for g in groups)
    if reference not in groups:
        raise EstimationError(f"`reference` is '{reference}'; the groups in `{by}`: {listed}.")
    others = [g for g in groups if g != reference]
    if not others:
        raise EstimationError(
            f"`{by}` holds only the reference '{reference}'; a gap needs another group."
        )
    return groups, others


def pair_support(support: pd.DataFrame, others: Sequence[str], *, reference: str) -> pd.DataFrame:
    """Smaller side of each pair, one row per other group; of events the smaller that has any.

    `support` has one row per group, and the columns disclosure control reads.
    """
    own = support.loc[list(others), list(SUPPORT_COLUMNS)].to_numpy(dtype=float)
    base = np.broadcast_to(support.loc[reference, list(SUPPORT_COLUMNS)].to_numpy(float), own.shape)
    smaller = smallest_support(np.stack([own, base]))
    return pd.DataFrame(smaller, columns=list(SUPPORT_COLUMNS))


def parts_table(
    effects: np.ndarray,
    covariance: np.ndarray,
    influence: pd.DataFrame | None = None,
    *,
    by: str,
    others: Sequence[str],
    reference: str,
    rows: pd.DataFrame,
    support: pd.DataFrame,
    scale: Scale,
    per: float,
    estimand: Estimand,
    method: Method,
    notes: Sequence[str],
    degrees: np.ndarray | None = None,
) -> EffectTable:
    """The table of the parts of each group's gap.

    Parameters
    ----------
    effects : np.ndarray
        One block of `rows` per group of `others`; differences of rates, or of their logarithms
        with ``scale="ratio"``; shape (k,).
    covariance : np.ndarray
        Of `effects`; shape (k, k).
    rows : pd.DataFrame
        Keys of the parts of one gap.
    support : pd.DataFrame
        One row per group of `others`.
    influence : pd.DataFrame, optional
        Of clusters on `effects`; shape (n_clusters, k).
    """
    estimate = np.exp(effects) if scale == "ratio" else per * effects
    slope = estimate if scale == "ratio" else np.full(len(effects), per)
    n = len(rows)
    keys = pd.concat(
        [rows.assign(**{by: group, "reference": reference}) for group in others], ignore_index=True
    )
    return EffectTable(
        keys=keys[[by, "reference", *rows.columns]],
        estimate=estimate,
        covariance=slope[:, None] * covariance * slope,
        support=support.loc[support.index.repeat(n)].reset_index(drop=True),
        estimand=estimand,
        method=method,
        cluster_influence=None if influence is None else influence * slope,
        notes=(*notes, WHOLE_OR_NOT),
        degrees=degrees,
    )
