"""Matrix products in pieces small enough that BLAS stays on one thread.

A product of a tall and a narrow matrix gains little from a second thread, and loses a factor of
ten or more when other work keeps the cores busy: the threads wait for each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ONE_THREAD = 250_000
"""Multiplications up to which OpenBLAS uses one thread."""


def small_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``left @ right``, a few rows of `left` at a time."""
    step = max(1, ONE_THREAD // max(right.size, 1))
    if len(left) <= step:
        return np.asarray(left @ right)
    product = np.empty((len(left), right.shape[1]))
    for start in range(0, len(left), step):
        product[start : start + step] = left[start : start + step] @ right
    return product


def _exact_type(*arrays: np.ndarray, n_rows: int) -> type[np.floating[Any]]:
    """Half the width for numbers so small that sums over `n_rows` products stay exact in it."""
    is_small = all(array.dtype == np.uint8 for array in arrays)
    return np.float32 if is_small and n_rows * 255**2 < 2**24 else np.float64


def cross_products(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``left' left`` and ``left' right`` as floats, a few rows at a time; (T, T) each."""
    size = left.shape[1]
    step = max(16, ONE_THREAD // (2 * size * size))
    both = np.empty((step, 2 * size), dtype=_exact_type(left, right, n_rows=step))
    total = np.zeros((size, 2 * size))
    for start in range(0, len(left), step):
        rows = both[: min(step, len(left) - start)]
        rows[:, :size] = left[start : start + step]
        rows[:, size:] = right[start : start + step]
        total += rows[:, :size].T @ rows
    return total[:, :size], total[:, size:]


def own_products(values: np.ndarray) -> np.ndarray:
    """``values' values`` as floats, a few rows at a time; (T, T)."""
    size = values.shape[1]
    step = max(16, ONE_THREAD // (size * size))
    total = np.zeros((size, size))
    exact = _exact_type(values, n_rows=step)
    for start in range(0, len(values), step):
        rows = values[start : start + step].astype(exact)
        total += rows.T @ rows.copy()
    return total
