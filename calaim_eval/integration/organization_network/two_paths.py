"""Two-paths of a network that are closed by a tie from their first to their last organization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_PATHS_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True)
class ClosedTwoPaths:
    """Every closed two-path, by its ties.

    Attributes
    ----------
    sender, receiver : np.ndarray
        Ends of the ties, in the order of a CSR matrix; (m,).
    first, second, closing : np.ndarray
        Positions of the ties sender to broker, broker to receiver, sender to receiver;
        (n_closed,).
    """

    sender: np.ndarray
    receiver: np.ndarray
    first: np.ndarray
    second: np.ndarray
    closing: np.ndarray


def closed_two_paths(ties: csr_array) -> ClosedTwoPaths:
    """Find every tie i > j, j > k with a tie i > k; k is not i."""
    at = ties.tocoo()
    sender, receiver = at.row.astype(np.int64), at.col.astype(np.int64)
    keys = sender * ties.shape[0] + receiver
    n_next = np.diff(ties.indptr)[receiver]
    ends = np.cumsum(n_next)
    parts = []
    begin = 0
    while begin < len(keys):
        limit = (ends[begin - 1] if begin else 0) + _PATHS_AT_ONCE
        stop = max(begin + 1, int(np.searchsorted(ends, limit, side="right")))
        parts.append(_closed_among(np.arange(begin, stop), ties, sender, receiver, keys))
        begin = stop
    columns = [np.concatenate(c) for c in zip(*parts, strict=True)] if parts else [keys[:0]] * 3
    return ClosedTwoPaths(sender, receiver, *columns)


def _closed_among(
    first: np.ndarray,
    ties: csr_array,
    sender: np.ndarray,
    receiver: np.ndarray,
    keys: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Closed two-paths that begin with these ties."""
    begins = ties.indptr[receiver[first]]
    n_next = ties.indptr[receiver[first] + 1] - begins
    path_first = np.repeat(first, n_next)
    before = np.repeat(np.cumsum(n_next) - n_next, n_next)
    second = np.arange(len(path_first)) - before + np.repeat(begins, n_next)
    wanted = sender[path_first] * ties.shape[0] + receiver[second]
    closing = np.searchsorted(keys, wanted)
    closing[closing == len(keys)] = 0
    is_closed = keys[closing] == wanted
    as_small = np.int32
    return (
        path_first[is_closed].astype(as_small),
        second[is_closed].astype(as_small),
        closing[is_closed].astype(as_small),
    )
