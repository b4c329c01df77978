"""At which stage on the way to a service a group's gap arises; the stages add up to the gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.equity.das_gupta import DAS_GUPTA, MOST_FACTORS
from calaim_eval.equity.decomposition_table import ordered_groups, pair_support, parts_table
from calaim_eval.equity.groups import check_columns
from calaim_eval.equity.mixed_rates import effect_weights, product_rates
from calaim_eval.equity.rate_gap import refuse_overlap
from calaim_eval.equity.rates_of import rates_option
from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable, Estimand, Method, RateTable, Scale
from calaim_eval.results.effect_table import with_undefined
from calaim_eval.results.estimand import RATES_WHERE
from calaim_eval.results.smallest_support import fewest_events

STAGE_READING = (
    "A stage's part goes with the share who reach it among those who reached the stage before. "
    "Who is identified in the first place is not in it."
)


def access_funnel_gap(
    funnel: RateTable,
    *,
    reference: str,
    by: str = "race_ethnicity",
    stages: Sequence[str] | None = None,
    scale: Scale = "difference",
) -> EffectTable:
    r"""Split a group's gap in reaching a service between the stages on the way.

    Parameters
    ----------
    funnel : RateTable
        From `access_funnel`: members who reached each stage, among those identified.
    reference : str
        Group the others are compared with, by name.
    by : str
        Key column with the groups; the "all" row is left out.
    stages : sequence of str, optional
        Nested stages in order, the first being the whole; default those of the table. The gap is
        that in the share who reach the last.
    scale : {"difference", "ratio"}
        Difference of shares (parts add up), or ratio (parts multiply; on the log scale each is
        the log ratio of the group's and the reference's share at the stage).

    Returns
    -------
    EffectTable
        Descriptive. Keys `by`, `reference`, `component`: "gap", then every stage after the first.
        Negative (below 1): fewer of the group get past the stage. NaN, with a note, where nobody
        of a group reached the stage before (with a ratio, the last stage). Without a standard
        error where nobody or everybody of a group got past the stage.

    Raises
    ------
    EstimationError
        The reference or a stage is absent, counts are not nested, or there are not 2 to 5 steps.

    Notes
    -----
    The share who reach the last stage is the product of conditional shares
    :math:`c_k = n_k / n_{k-1}`. Their parts of a difference are those of `das_gupta`; of a ratio
    :math:`c_{gk} / c_{rk}`. Variance by the delta method: given :math:`n_{k-1}` the :math:`c_k`
    are uncorrelated with variance :math:`c_k (1 - c_k) / n_{k-1}`.
    """
    check_option("scale", scale, ("difference", "ratio"))
    counts = _counts(funnel, by=by, stages=stages)
    groups, others = ordered_groups(counts.index.to_series(name=by), reference=reference)
    n = counts.loc[groups].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n[:, :-1] > 0, n[:, 1:] / n[:, :-1], np.nan)
        variance = share * (1 - share) / n[:, :-1]
        last_of_all = n[:, -1] / n[:, 0]
    # Without a spread to judge by: of the gap, then of each stage.
    flat = np.isin(np.column_stack([last_of_all, share]), (0.0, 1.0))
    is_known = np.isfinite(share).all(axis=1) & ((n[:, -1] > 0) | (scale == "difference"))
    base = groups.index(reference)
    weights = effect_weights(share.shape[1])
    effects, slopes = [], []
    for group in (groups.index(g) for g in others):
        pair = [group, base]
        # Shares of a pair without a decomposition are replaced by 1 and blanked below.
        own = share[pair] if is_known[pair].all() else np.ones((2, share.shape[1]))
        mixed = product_rates(own[0][:, None], own[1][:, None])
        mixed = mixed.log() if scale == "ratio" else mixed
        slope = np.zeros((len(weights), *share.shape))
        slope[:, pair] = np.tensordot(weights, mixed.gradient, axes=1)[..., 0]
        effects.append(weights @ mixed.value)
        slopes.append(slope.reshape(len(weights), -1))
    slope = np.concatenate(slopes)
    covariance = (slope * np.nan_to_num(variance.ravel())) @ slope.T
    lost = ~np.array([is_known[groups.index(g)] and bool(is_known[base]) for g in others])
    undefined = np.repeat(lost, len(weights))
    without = np.concatenate([flat[groups.index(g)] | flat[base] for g in others])
    minus = "minus" if scale == "difference" else "over"
    last = counts.columns[-1]
    return parts_table(
        np.where(undefined, np.nan, np.concatenate(effects)),
        with_undefined(covariance, None, undefined | without)[0],
        by=by,
        others=others,
        reference=reference,
        rows=pd.DataFrame({"component": ["gap", *counts.columns[1:]]}),
        support=pair_support(_support(counts), others, reference=reference),
        scale=scale,
        per=float(np.max(funnel.per)),
        estimand=Estimand(
            f"{funnel.measure}: parts of the gap by stage",
            f"share reaching '{last}' in the group {minus} in '{reference}', in parts by stage",
            funnel.unit if scale == "difference" else "ratio of shares",
            scale=scale,
            is_causal=False,
        ),
        method=Method(
            "Das Gupta decomposition of nested shares",
            {
                "stages": tuple(counts.columns),
                "reference": reference,
                "scale": scale,
                **rates_option(funnel),
                RATES_WHERE: {"stage": tuple(counts.columns)},
            },
            DAS_GUPTA,
        ),
        notes=_notes(funnel, lost=lost, without=without & ~undefined, scale=scale),
    )


def _counts(funnel: RateTable, *, by: str, stages: Sequence[str] | None) -> pd.DataFrame:
    """Members by group (rows) and stage (columns in order), nested."""
    check_columns(funnel.keys, [by, "stage"])
    refuse_overlap(funnel)
    long = funnel.keys[[by, "stage"]].astype(str).assign(n=funnel.numerator)
    present = list(dict.fromkeys(long["stage"]))
    order = present if stages is None else list(stages)
    absent = [s for s in order if s not in present]
    if absent or not 3 <= len(order) <= MOST_FACTORS + 1:
        raise EstimationError(
            f"access_funnel_gap: `stages` are {order}; the table has {present}, and the gap is "
            f"split between 2 to {MOST_FACTORS} steps after the first stage."
        )
    counts = long.pivot_table(index=by, columns="stage", values="n", sort=False)[order]
    counts = counts[counts.index != "all"].rename_axis(columns=None)
    wrong = int((~(np.diff(counts.to_numpy(dtype=float), axis=1) <= 0)).any(axis=1).sum())
    if wrong:
        raise EstimationError(
            f"access_funnel_gap: in {wrong} of {len(counts)} groups a stage is missing or holds "
            "more members than the stage before; the stages must be nested and in order."
        )
    return counts


def _support(counts: pd.DataFrame) -> pd.DataFrame:
    """Members of the last stage, and the fewest who stop at (or reach) any, where any do."""
    n = counts.to_numpy(dtype=float)
    each = np.hstack([n, -np.diff(n, axis=1)])
    return pd.DataFrame(
        {
            "n_members": n[:, -1],
            "n_events": fewest_events(each.T),
            "member_months": np.nan,
        },
        index=counts.index,
    )


def _notes(funnel: RateTable, *, lost: np.ndarray, without: np.ndarray, scale: Scale) -> list[str]:
    """How to read the parts, and which are undefined."""
    notes = [*funnel.notes, STAGE_READING]
    if scale == "ratio":
        notes.append("The parts of a ratio multiply to it.")
    if lost.any():
        notes.append(
            f"{int(lost.sum())} of {len(lost)} gaps have no parts: nobody of one side reached a "
            "stage the next is counted from."
        )
    if without.any():
        notes.append(
            f"{int(without.sum())} of {len(without)} rows have no interval: nobody, or everybody, "
            "of one side got past the stage (of the gap: reached the last)."
        )
    return notes
