"""Rows, covariates and categories of a decomposition by regression, checked before any fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.equity.groups import as_groups, check_columns
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate.covariates import covariate_columns
from calaim_eval.estimate.member_frame import WHERE, are_members
from calaim_eval.results import ALL
from calaim_eval.results.smallest_support import fewest_events

INTERCEPT = "intercept"


@dataclass(frozen=True, slots=True, eq=False)
class OaxacaRows:
    """n rows with every covariate known.

    Attributes
    ----------
    outcome, weight : np.ndarray
        Shape (n,).
    group : pd.Series
    x : np.ndarray
        Intercept, covariates, indicators of all levels but the first; shape (n, p).
    full : np.ndarray
        Intercept, covariates, indicators of all levels; shape (n, q).
    spread : np.ndarray
        Coefficients of `full` from those of `x`; shape (q, p).
    names, covariate : list[str]
        Of the columns of `x`; and the covariate or level each column of `full` is about.
    columns : list[str]
        Of `full`: intercept, covariate, or "plan=B".
    is_level : np.ndarray
        Columns of `full` that are levels of a category; shape (q,).
    member : np.ndarray
        Codes; shape (n,).
    cluster : np.ndarray
        Codes; shape (n,).
    clusters : pd.Index | None
        Their labels, where they are not members.
    n_unknown : int
        Rows left out because a covariate is missing.
    """

    outcome: np.ndarray
    weight: np.ndarray
    group: pd.Series
    x: np.ndarray
    full: np.ndarray
    spread: np.ndarray
    names: list[str]
    columns: list[str]
    covariate: list[str]
    is_level: np.ndarray
    member: np.ndarray
    cluster: np.ndarray
    clusters: pd.Index | None
    n_unknown: int

    def support(self, *, of_levels: bool) -> pd.DataFrame:
        """Members and events by group; with `of_levels` those of its rarest level."""
        frame = pd.DataFrame({"member": self.member, "event": self.outcome != 0})
        group = self.group.to_numpy()
        sets = [np.ones(len(frame), dtype=bool)]
        if of_levels:
            sets += [self.full[:, j] == 1 for j in np.flatnonzero(self.is_level)]
        rows = {}
        for name in dict.fromkeys(group):
            own = [frame[(group == name) & chosen] for chosen in sets]
            events = [int(part["event"].sum()) for part in own]
            rows[name] = {
                "n_members": float(min(part["member"].nunique() for part in own)),
                "n_events": float(fewest_events(np.array(events))),
                "member_months": np.nan,
            }
        return pd.DataFrame.from_dict(rows, orient="index")


def oaxaca_rows(
    data: pd.DataFrame,
    *,
    outcome: str,
    by: str,
    covariates: Sequence[str],
    categorical: Sequence[str],
    is_normalized: bool,
    is_share: bool,
    weights: str | None,
    member_id: str | None,
    cluster: str | None,
) -> OaxacaRows:
    """Checked rows; those with a missing covariate are left out and counted."""
    if not (covariates or categorical):
        raise EstimationError("oaxaca_blinder: name at least one of `covariates`, `categorical`.")
    named = [c for c in (weights, member_id, cluster) if c is not None]
    check_columns(data, [by, outcome, *named])
    known = covariate_columns(data, covariates, categorical, where=WHERE).is_known
    is_group = as_groups(data, [by])[by].to_numpy() != ALL
    frame = as_groups(data, [by])[known & is_group].reset_index(drop=True)
    if frame.empty:
        raise TableError(f"{WHERE} has no row with all covariates known.")
    coded = covariate_columns(frame, covariates, categorical, where=WHERE)
    member = _codes(frame, member_id)[0]
    codes, labels = _codes(frame, cluster) if cluster else (member, None)
    ones = np.ones((len(frame), 1))
    full, spread, columns, covariate = _all_levels(
        frame, coded.values, covariates, categorical, is_normalized=is_normalized
    )
    return OaxacaRows(
        outcome=_outcome(frame, outcome, is_share=is_share),
        weight=_weight(frame, weights),
        group=frame[by],
        x=np.hstack([ones, coded.values]),
        full=full,
        spread=spread,
        names=list(coded.names),
        columns=columns,
        covariate=covariate,
        is_level=np.array([c != k for c, k in zip(columns, covariate, strict=True)]),
        member=member,
        cluster=codes,
        clusters=None if labels is None or are_members(codes, member) else labels,
        n_unknown=int((~known & is_group).sum()),
    )


def _all_levels(
    frame: pd.DataFrame,
    values: np.ndarray,
    covariates: Sequence[str],
    categorical: Sequence[str],
    *,
    is_normalized: bool,
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Columns with all levels, and the coefficients of them from those without the first.

    Normalized coefficients of a category add up to 0 over its levels, the intercept taking up
    their mean, so that no level is the yardstick (Gardeazabal and Ugidos 2004; Yun 2005).
    """
    n, p = len(frame), 1 + values.shape[1]
    k = 1 + len(covariates)
    blocks = [np.ones((n, 1)), values[:, : len(covariates)]]
    spread = [np.eye(p)[:k]]
    columns = [INTERCEPT, *covariates]
    covariate = list(columns)
    at = k
    for name in categorical:
        codes, levels = pd.factorize(frame[name], sort=True)
        own = np.zeros((len(levels), p))
        own[np.arange(1, len(levels)), np.arange(at, at + len(levels) - 1)] = 1.0
        if is_normalized:
            spread[0][0] += own.mean(axis=0)
            own = own - own.mean(axis=0)
        at += len(levels) - 1
        blocks.append((codes[:, None] == np.arange(len(levels))).astype(float))
        spread.append(own)
        columns += [f"{name}={level}" for level in levels]
        covariate += [name] * len(levels)
    return np.hstack(blocks), np.vstack(spread), columns, covariate


def _outcome(frame: pd.DataFrame, column: str, *, is_share: bool) -> np.ndarray:
    """The outcome as numbers, between 0 and 1 where it is a share."""
    if not pd.api.types.is_numeric_dtype(frame[column].dtype):
        raise TableError(f"{WHERE}: `{column}` holds {frame[column].dtype}, not numbers.")
    values = np.asarray(frame[column].to_numpy(dtype=float, na_value=np.nan))
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise TableError(
            f"{WHERE}: `{column}` is missing or infinite in "
            f"{part_words(int(wrong.sum()), len(values), 'rows')}. Drop what was not observed."
        )
    outside = int(((values < 0) | (values > 1)).sum())
    if is_share and outside:
        raise TableError(
            f"{WHERE}: model='logit' needs an outcome of 0 to 1; `{column}` lies outside in "
            f"{part_words(outside, len(values), 'rows')}. Use model='linear'."
        )
    return values


def _weight(frame: pd.DataFrame, column: str | None) -> np.ndarray:
    """Sampling weights (or time at risk); 1 where not named."""
    if column is None:
        return np.ones(len(frame))
    values = np.asarray(frame[column].to_numpy(dtype=float, na_value=np.nan))
    wrong = int((~(np.isfinite(values) & (values > 0))).sum())
    if wrong:
        raise TableError(
            f"{WHERE}: weight `{column}` is missing, infinite or not above 0 in "
            f"{part_words(wrong, len(values), 'rows')}. Drop rows that count for nothing."
        )
    return values


def _codes(frame: pd.DataFrame, column: str | None) -> tuple[np.ndarray, pd.Index | None]:
    """Codes of a column without missing values and its labels; rows where none is named."""
    if column is None:
        return np.arange(len(frame)), None
    codes, labels = pd.factorize(frame[column], sort=True)
    missing = int((codes < 0).sum())
    if missing:
        raise TableError(
            f"{WHERE}: `{column}` is missing in {part_words(missing, len(frame), 'rows')}. Give "
            "them a value of their own, or drop them."
        )
    return np.asarray(codes, dtype=np.int64), pd.Index(labels, name=column)
