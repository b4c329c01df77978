"""Telling cells apart: rows of labels as codes, in a stable order, missing labels included."""

from __future__ import annotations

import numpy as np
import pandas as pd


def plain_labels(values: pd.Series) -> pd.Series:
    """Labels in one plain type per kind, so that cells of two files can be matched."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return plain_labels(values.astype(dtype.categories.dtype))
    if isinstance(dtype, pd.PeriodDtype):
        return values.dt.to_timestamp().astype("datetime64[s]")
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return values.astype("datetime64[s]")
    if pd.api.types.is_bool_dtype(dtype):
        return values.astype("boolean")
    if pd.api.types.is_integer_dtype(dtype):
        return values.astype("Int64")
    if pd.api.types.is_float_dtype(dtype):
        return values.astype(float)
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("date", "datetime"):
        return pd.to_datetime(values).astype("datetime64[s]")
    return values.astype("str")


def label_codes(values: pd.Series) -> tuple[np.ndarray, int]:
    """Codes 0.. in the order of the labels, missing last; the number of codes."""
    codes, labels = pd.factorize(values, sort=True)
    codes = np.asarray(codes, dtype=np.int64)
    missing = codes < 0
    codes[missing] = len(labels)
    return codes, len(labels) + int(missing.any())


def row_codes(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of a frame.

    Returns
    -------
    codes : np.ndarray
        Which distinct row each row is; shape (n,), int64; numbered in the order of the labels.
    first : np.ndarray
        Position of the first occurrence of each distinct row.
    """
    combined = np.zeros(len(frame), dtype=np.int64)
    for column in frame.columns:
        codes, n_codes = label_codes(frame[column])
        # Re-ranking after every column keeps the product of code counts from overflowing.
        combined = np.unique(combined * max(n_codes, 1) + codes, return_inverse=True)[1]
    _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
    return codes, first
