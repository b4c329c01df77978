"""Terms of several groups of spells with one joint covariance, clustered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

AALEN_JOHANSEN = (
    "Aalen OO, Johansen S (1978). Scand J Stat 5(3):141-150; variance by the infinitesimal "
    "jackknife, clustered (Therneau TM, Grambsch PM 2000, doi:10.1007/978-1-4757-3294-8)"
)
N_ALIKE = "n_alike"
"""Column of spells that stand for several subjects alike, each a cluster of its own."""
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Terms:
    """Estimates of one group of spells.

    Attributes
    ----------
    estimate : np.ndarray
        Shape (k,).
    influence : np.ndarray
        Of one subject of each spell; shape (n_spells, k).
    n_events, time : np.ndarray
        Events behind each term, and time followed in months; shape (k,).
    """

    estimate: np.ndarray
    influence: np.ndarray
    n_events: np.ndarray
    time: np.ndarray


@dataclass(frozen=True, slots=True)
class GroupedTerms:
    """Terms of all groups under one another.

    Attributes
    ----------
    estimate, covariance : np.ndarray
        Shapes (g k,) and (g k, g k).
    support : pd.DataFrame
        As in an EffectTable.
    notes : tuple[str, ...]
        Why a value or its error is missing.
    """

    estimate: np.ndarray
    covariance: np.ndarray
    support: pd.DataFrame
    notes: tuple[str, ...]


def grouped_terms(
    spells: pd.DataFrame,
    *,
    cluster: pd.Series | None,
    group: pd.Series | None,
    groups: Sequence[str],
    n_terms: int,
    terms: Callable[[pd.DataFrame], Terms],
) -> GroupedTerms:
    """Terms of everybody, then of each group, with their joint clustered covariance.

    Parameters
    ----------
    spells : pd.DataFrame
        One row a spell; with a column ``n_alike`` one row for so many subjects alike.
    cluster : pd.Series | None
        Cluster of each spell; None: every subject is its own.
    group : pd.Series | None
        Group of each spell; None without groups.
    groups : sequence of str
        Groups after everybody; one without spells gets NaN.
    n_terms : int
        Terms of a group.
    terms : callable
        Spells of one group to its terms.
    """
    codes, names = pd.factorize(np.arange(len(spells)) if cluster is None else cluster)
    masks = [np.ones(len(spells), dtype=bool)]
    if group is not None:
        masks += [np.asarray(group == g, dtype=bool) for g in groups]
    blocks = [_block(spells[m], codes[m], len(names), n_terms=n_terms, terms=terms) for m in masks]
    estimate = np.concatenate([b[0] for b in blocks])
    influence = np.concatenate([b[1] for b in blocks], axis=1)
    return GroupedTerms(
        estimate=estimate,
        covariance=_covariance(influence),
        support=pd.concat([b[2] for b in blocks], ignore_index=True),
        notes=_notes(estimate, influence),
    )


def alike(spells: pd.DataFrame) -> np.ndarray:
    """Subjects each spell stands for; shape (n_spells,)."""
    if N_ALIKE not in spells:
        return np.ones(len(spells))
    number: np.ndarray = spells[N_ALIKE].to_numpy(dtype=float)
    return number


def _block(
    spells: pd.DataFrame,
    codes: np.ndarray,
    n_clusters: int,
    *,
    n_terms: int,
    terms: Callable[[pd.DataFrame], Terms],
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Estimates of one group, their influence summed by cluster, and their support."""
    if spells.empty:
        empty = pd.DataFrame({"n_members": [0.0], "n_events": 0.0, "member_months": 0.0})
        nothing = np.full((n_clusters, n_terms), np.nan)
        return np.full(n_terms, np.nan), nothing, empty.loc[[0] * n_terms]
    found = terms(spells)
    # Subjects alike are apart: their squares add up, not they themselves.
    each = found.influence * np.sqrt(alike(spells))[:, None]
    influence = np.column_stack(
        [np.bincount(codes, weights=column, minlength=n_clusters) for column in each.T]
    )
    n_members = alike(spells).sum() if N_ALIKE in spells else len(np.unique(codes))
    support = pd.DataFrame(
        {
            "n_members": np.full(n_terms, float(n_members)),
            "n_events": found.n_events,
            "member_months": found.time,
        }
    )
    return found.estimate, influence, support


def _covariance(influence: np.ndarray) -> np.ndarray:
    """Joint covariance; NaN where every subject of a row ended alike: its variance is unknown.

    Zero would make the row look exact, and a difference to it far too certain.
    """
    covariance: np.ndarray = influence.T @ influence
    is_constant = _is_constant(influence)
    covariance[is_constant, :] = np.nan
    covariance[:, is_constant] = np.nan
    return covariance


def _is_constant(influence: np.ndarray) -> np.ndarray:
    """Rows that no subject moves."""
    constant: np.ndarray = np.abs(influence).max(axis=0, initial=0.0) < _NOTHING
    return constant


def _notes(estimate: np.ndarray, influence: np.ndarray) -> tuple[str, ...]:
    """Say why a value or its error is missing."""
    notes = []
    if np.isnan(estimate).any():
        notes.append("Missing values: nothing to follow in the group, or none followed so long.")
    if _is_constant(influence).any():
        notes.append("No standard error where all of a group ended alike by then.")
    return tuple(notes)
