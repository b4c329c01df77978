"""Rows and columns of a regression, checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.design.weights import MemberWeights
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate.covariates import CovariateColumns, covariate_columns
from calaim_eval.estimate.member_frame import WHERE, are_members, require_columns, varying
from calaim_eval.estimate.regressions.row_weights import row_weights
from calaim_eval.moments.cell_index import label_codes, plain_labels
from calaim_eval.moments.panel_rows import BEYOND, is_usable
from calaim_eval.moments.periods import month_index, period_frequency, period_ordinals

MEMBER, MONTH = "member", "month"


@dataclass(frozen=True, slots=True)
class Term:
    """One column of a regression: the exposure (in a stratum) or a covariate."""

    name: str
    stratum: object = None
    is_exposure: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class RegressionRows:
    """n rows and p columns, without an intercept.

    Attributes
    ----------
    outcome, at_risk : np.ndarray
        At risk in months, 1 where not named; shape (n,).
    values : np.ndarray
        Shape (n, p).
    terms : tuple[Term, ...]
    member : np.ndarray
        Codes 0..; shape (n,).
    month : np.ndarray | None
        Positions on `months`; shape (n,).
    months : pd.Index | None
    stratum : np.ndarray
        Codes, in the order of the labels; 0 without strata; shape (n,).
    groups : dict[str, np.ndarray]
        Codes of the columns to cluster by or absorb; shape (n,) each.
    n_unknown : int
        Rows set aside for a missing exposure or covariate.
    weight : np.ndarray
        Positive probability weights, 1 on average; shape (n,).
    n_without_weight : int
        Rows set aside for a weight of 0.
    """

    outcome: np.ndarray
    at_risk: np.ndarray
    values: np.ndarray
    terms: tuple[Term, ...]
    member: np.ndarray
    month: np.ndarray | None
    months: pd.Index | None
    stratum: np.ndarray
    groups: dict[str, np.ndarray]
    labels: dict[str, pd.Index]
    n_unknown: int
    weight: np.ndarray
    n_without_weight: int = 0

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def is_weighted(self) -> bool:
        """Whether rows weigh differently."""
        return bool((self.weight != self.weight[0]).any())

    @property
    def mass(self) -> np.ndarray:
        """Weight times the time at risk; shape (n,)."""
        return np.asarray(self.weight * self.at_risk)

    @property
    def names(self) -> list[str]:
        """Of the columns, the stratum in brackets."""
        return [t.name if t.stratum is None else f"{t.name} [{t.stratum}]" for t in self.terms]

    def holds_one_member_each(self, name: str) -> bool:
        """Whether each cluster of a column (or role) is a member, a part of one, or a month."""
        return name not in self.labels or are_members(self.groups[name], self.member)

    def clusterings(self, names: Sequence[str]) -> tuple[str, ...]:
        """Columns to cluster by, ``"member"`` in place of one that is another id of members."""
        own = [
            MEMBER
            if name in self.labels
            and self.holds_one_member_each(name)
            and are_members(self.member, self.groups[name])
            else name
            for name in names
        ]
        return tuple(dict.fromkeys(own))

    def take(self, rows: np.ndarray) -> RegressionRows:
        """Some of the rows."""
        return replace(
            self,
            outcome=self.outcome[rows],
            at_risk=self.at_risk[rows],
            weight=self.weight[rows],
            values=self.values[rows],
            member=self.member[rows],
            month=None if self.month is None else self.month[rows],
            stratum=self.stratum[rows],
            groups={name: codes[rows] for name, codes in self.groups.items()},
        )

    def sides(self, column: int) -> np.ndarray:
        """Members, events and member-months with the column above 0 and without; shape (2, 3).

        Of a column that is no indicator: all rows, twice.
        """
        values, term = self.values[:, column], self.terms[column]
        own = np.ones(len(self), dtype=bool)
        if term.stratum is not None:
            own = self.stratum == list(self.labels["stratum"]).index(term.stratum)
        if np.isin(values, (0.0, 1.0)).all():
            return np.stack([self._support(own & (values == side)) for side in (1.0, 0.0)])
        return np.stack([self._support(own)] * 2)

    def everything(self) -> np.ndarray:
        """Members, events and member-months of all rows, twice; shape (2, 3)."""
        return np.stack([self._support(np.ones(len(self), dtype=bool))] * 2)

    def _support(self, chosen: np.ndarray) -> np.ndarray:
        """Members, events and member-months of some rows; shape (3,)."""
        y = self.outcome
        is_count = bool((y >= 0).all() and (y == np.floor(y)).all())
        events = y[chosen].sum() if is_count else np.count_nonzero(y[chosen])
        return np.array([len(np.unique(self.member[chosen])), events, self.at_risk[chosen].sum()])


def regression_rows(
    data: pd.DataFrame,
    *,
    outcome: str,
    exposure: Sequence[str],
    covariates: Sequence[str],
    categorical: Sequence[str],
    stratum: str | None,
    at_risk: str | None,
    member_id: str | None,
    month: str | None,
    groups: Sequence[str],
    absorbed: Sequence[str] = (),
    weights: str | MemberWeights | None = None,
) -> RegressionRows:
    """Checked rows with every exposure and covariate known, and something at risk.

    Raises
    ------
    TableError
        A column is absent, infinite or no number; a key repeats; an outcome is missing or infinite;
        a cluster, stratum or time at risk is missing.
    EstimationError
        The outcome is the same in every row.
    """
    column = weights if isinstance(weights, str) else None
    named = [outcome, stratum, at_risk, column, member_id, month, *groups]
    used = [c for c in named if c is not None and c not in (MEMBER, MONTH)]
    require_columns(data, used, advice="")
    risk = _at_risk(data, at_risk)
    own = covariate_columns(data, exposure, (), where=WHERE)
    others = covariate_columns(data, covariates, categorical, where=WHERE)
    is_known = own.is_known & others.is_known
    weight = row_weights(data, weights, member_id=member_id)
    kept = np.flatnonzero(is_known & (risk > 0) & (weight > 0))
    if not kept.size:
        raise TableError(f"{WHERE} has no row at risk with exposure and covariates known.")
    frame = data.iloc[kept]
    member = _codes(frame, member_id)[0] if member_id else np.arange(len(frame))
    month_codes, months = _months(frame, month)
    _refuse_repeats(member, month_codes)
    labels: dict[str, pd.Index] = {}
    codes_of_stratum = np.zeros(len(frame), dtype=np.int64)
    if stratum is not None:
        codes_of_stratum, labels["stratum"] = _codes(frame, stratum)
    values, terms = _columns(
        own.among(kept),
        others.among(kept),
        stratum=stratum
        if _needs_levels(stratum, codes_of_stratum, member, categorical, absorbed)
        else None,
        codes=codes_of_stratum,
        labels=labels.get("stratum"),
    )
    grouped = {MEMBER: member}
    for name in dict.fromkeys(groups):
        if name == MEMBER:
            grouped[name] = member
        elif name == MONTH:
            grouped[name] = _needed_month(month_codes)
        else:
            grouped[name], labels[name] = _codes(frame, name)
    return RegressionRows(
        outcome=_outcome(frame, outcome),
        at_risk=risk[kept],
        values=values,
        terms=terms,
        member=member,
        month=month_codes,
        months=months,
        stratum=codes_of_stratum,
        groups=grouped,
        labels=labels,
        n_unknown=int((~is_known & (risk > 0) & (weight > 0)).sum()),
        # Only ratios matter; solvers stop at sizes that take weights to be near 1.
        weight=weight[kept] / weight[kept].mean(),
        n_without_weight=int(((risk > 0) & (weight == 0)).sum()),
    )


def _needs_levels(
    stratum: str | None,
    codes: np.ndarray,
    member: np.ndarray,
    categorical: Sequence[str],
    absorbed: Sequence[str],
) -> bool:
    """Whether the strata need levels of their own: not given and not absorbed already."""
    if stratum is None or stratum in (*categorical, *absorbed):
        return False
    first = np.zeros(member.max() + 1, dtype=np.int64)
    first[member] = codes
    return not (MEMBER in absorbed and bool((first[member] == codes).all()))


def _columns(
    exposure: CovariateColumns,
    others: CovariateColumns,
    *,
    stratum: str | None,
    codes: np.ndarray,
    labels: pd.Index | None,
) -> tuple[np.ndarray, tuple[Term, ...]]:
    """Exposures (one per stratum), covariates, and the strata's own levels."""
    if labels is None:
        terms = [Term(name, is_exposure=True) for name in exposure.names]
        blocks = [exposure.values]
    else:
        within = (codes[:, None] == np.arange(len(labels))[None, :]).astype(float)
        terms = [Term(n, label, is_exposure=True) for n in exposure.names for label in labels]
        blocks = [exposure.values[:, [j]] * within for j in range(len(exposure.names))]
    blocks.append(others.values)
    terms += [Term(name) for name in others.names]
    if stratum is not None and labels is not None:
        blocks.append((codes[:, None] == np.arange(1, len(labels))[None, :]).astype(float))
        terms += [Term(f"{stratum}={label}") for label in labels[1:]]
    return np.hstack(blocks), tuple(terms)


def _at_risk(data: pd.DataFrame, column: str | None) -> np.ndarray:
    """Months at risk of each row; shape (n_rows,)."""
    if column is None:
        return np.ones(len(data))
    months = data[column].to_numpy(dtype=float, na_value=np.nan)
    wrong = int((~(np.isfinite(months) & (months >= 0))).sum())
    if wrong:
        raise TableError(
            f"{WHERE}: `{column}` is missing, infinite or negative in "
            f"{part_words(wrong, len(data), 'rows')}. Give true/false, or the months (or part of "
            "one) each row was at risk."
        )
    return np.asarray(months)


def _outcome(frame: pd.DataFrame, column: str) -> np.ndarray:
    """The outcome as numbers."""
    if not pd.api.types.is_numeric_dtype(frame[column].dtype):
        raise TableError(f"{WHERE}: `{column}` holds {frame[column].dtype}, not numbers.")
    values = np.asarray(frame[column].to_numpy(dtype=float, na_value=np.nan))
    unusable = int((~is_usable(values)).sum())
    if unusable:
        raise TableError(
            f"{WHERE}: `{column}` is missing or infinite in "
            f"{part_words(unusable, len(values), 'rows')} at risk ({BEYOND}). A month without use "
            "is 0; drop months that were not observed, or name `at_risk`."
        )
    return varying(values, column, rows="rows")


def _codes(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, pd.Index]:
    """Codes of a column without missing values, and its labels in order."""
    missing = int(frame[column].isna().sum())
    if missing:
        raise TableError(
            f"{WHERE}: `{column}` is missing in {part_words(missing, len(frame), 'rows')}. Give "
            "them a value of their own, or drop them."
        )
    plain = plain_labels(frame[column])
    codes, n_codes = label_codes(plain)
    first = np.zeros(n_codes, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return codes, pd.Index(plain.iloc[first].to_numpy(), name=column)


def _months(frame: pd.DataFrame, column: str | None) -> tuple[np.ndarray | None, pd.Index | None]:
    """Position of each row on the time axis, and the axis."""
    if column is None:
        return None, None
    frequency = period_frequency(frame[column])
    ordinals = period_ordinals(frame[column], column=column, frequency=frequency)
    missing = int(frame[column].isna().sum())
    if missing:
        raise TableError(
            f"{WHERE}: `{column}` is missing in {part_words(missing, len(frame), 'rows')}."
        )
    axis, position = np.unique(ordinals, return_inverse=True)
    return position, month_index(axis, frequency)


def _needed_month(codes: np.ndarray | None) -> np.ndarray:
    """Codes of months, which were asked for."""
    if codes is None:
        raise EstimationError(
            "month effects or clusters are asked for and `month` is None: name the column."
        )
    return codes


def _refuse_repeats(member: np.ndarray, month: np.ndarray | None) -> None:
    """Refuse more than one row per member and month."""
    if month is None:
        return
    repeats = len(member) - len(np.unique(member * (month.max() + 1) + month))
    if repeats:
        raise TableError(
            f"{WHERE}: {part_words(repeats, len(member), 'rows')} repeat the key (member, month). "
            "Overlapping enrollment spans are the usual cause; add up or drop the repeats. Rows "
            "that are no member-months: month=None."
        )
