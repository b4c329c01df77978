"""Compact storage: symmetric matrices as lower triangles, integers in the smallest exact type."""

from __future__ import annotations

import numpy as np


def pack_symmetric(full: np.ndarray) -> np.ndarray:
    """Lower triangles of symmetric matrices; (..., T, T) to (..., T(T+1)/2)."""
    row, column = np.tril_indices(full.shape[-1])
    return np.ascontiguousarray(full[..., row, column])


def unpack_symmetric(packed: np.ndarray, size: int) -> np.ndarray:
    """Inverse of `pack_symmetric`, as floats; (..., T(T+1)/2) to (..., T, T)."""
    row, column = np.tril_indices(size)
    full = np.empty((*packed.shape[:-1], size, size), dtype=float)
    full[..., row, column] = packed
    full[..., column, row] = packed
    return full


def compact(values: np.ndarray) -> np.ndarray:
    """The same whole numbers in the smallest integer type that holds them; floats unchanged."""
    if not np.issubdtype(values.dtype, np.integer):
        return np.asarray(values, dtype=float)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values.astype(np.int64)


def widen(values: np.ndarray) -> np.ndarray:
    """Integers as int64, so that sums can't overflow; floats as float64."""
    return np.asarray(values, np.int64 if np.issubdtype(values.dtype, np.integer) else float)


def as_whole(values: np.ndarray) -> np.ndarray:
    """Floats that hold whole numbers exactly (sums below 2**53) as int64."""
    return np.asarray(np.rint(values), dtype=np.int64)


def sum_by(values: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Rows of `values` added within groups 0..n_groups-1; exact for integers; (n_groups, ...)."""
    total = np.zeros((n_groups, *values.shape[1:]), dtype=widen(values[:0]).dtype)
    np.add.at(total, group, values)
    return total
