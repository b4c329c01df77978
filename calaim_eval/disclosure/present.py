"""The table a reader gets: no support, no covariance, NaN where hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.disclosure.released import TableContent
from calaim_eval.results import EffectTable, Result

_EFFECT_COLUMNS = ("estimate", "std_error", "conf_low", "conf_high", "p_value")
_FEW_PEOPLE = re.compile(
    r"(?<![\d.,-])(?:10|[1-9])(?= (?:of (?:the )?[\d,]+ )?"
    r"(?:\w+ )?(?:members?|persons?|people|referrals?|events?)\b)"
)
_RATE_COLUMNS = ("numerator", "denominator", "rate", "conf_low", "conf_high")


def released_table(
    result: Result, hidden: np.ndarray, structure: Mapping[str, Any]
) -> TableContent:
    """The table a reader gets: no support, no covariance, NaN in hidden rows."""
    columns = _EFFECT_COLUMNS if isinstance(result, EffectTable) else _RATE_COLUMNS
    keys = _plain_keys(result.keys)
    numbers = result.to_frame()[list(columns)].astype(float).reset_index(drop=True)
    numbers[hidden] = np.nan
    numbers = _round_effects(numbers) if isinstance(result, EffectTable) else _round_bounds(numbers)
    frame = pd.concat([keys, numbers], axis=1).assign(is_suppressed=hidden)
    meta = {"keys": list(keys.columns), **_meta(result), **structure}
    return TableContent("effect" if isinstance(result, EffectTable) else "rate", frame, plain(meta))


def _round_effects(numbers: pd.DataFrame) -> pd.DataFrame:
    """Estimates to the second significant digit of their standard error.

    A change of rates written to all its digits is a fraction whose denominator is the
    member-months of both sides; from it the counts of events follow.
    """
    error = numbers["std_error"].to_numpy()
    estimate = numbers["estimate"].to_numpy()
    # Without a standard error: three digits of the estimate.
    decimals = np.where(np.isfinite(error), _decimals(error, 2), _decimals(estimate, 3))
    rounded = numbers.copy()
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        rounded[column] = _round_to(numbers[column].to_numpy(), decimals)
    p_value = numbers["p_value"].to_numpy()
    rounded["p_value"] = _round_to(p_value, _decimals(p_value, 2))
    return rounded


def _round_bounds(numbers: pd.DataFrame) -> pd.DataFrame:
    """Intervals to four significant digits: their width says how events lie on members."""
    rounded = numbers.copy()
    for column in ("conf_low", "conf_high"):
        values = numbers[column].to_numpy()
        rounded[column] = _round_to(values, _decimals(values, 4))
    return rounded


def _decimals(values: np.ndarray, digits: int) -> np.ndarray:
    """Decimal places that show so many significant digits of each value."""
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    return digits - 1 - np.floor(np.log10(size)).astype(int)


def _round_to(values: np.ndarray, decimals: np.ndarray) -> np.ndarray:
    """Each value rounded to its own number of decimal places."""
    pairs = zip(values.tolist(), decimals.tolist(), strict=True)
    return np.array(
        [round(value, places) if np.isfinite(value) else value for value, places in pairs]
    )


def _meta(result: Result) -> dict[str, Any]:
    """What the numbers mean."""
    shared = {
        "method": result.method.estimator,
        "options": {str(k): str(v) for k, v in result.method.options.items()},
        "reference": result.method.reference,
        "notes": [without_small_counts(note) for note in result.notes],
    }
    if isinstance(result, EffectTable):
        return {
            "measure": result.estimand.name,
            "estimand": result.estimand.name,
            "contrast": result.estimand.contrast,
            "unit": result.estimand.unit,
            "scale": result.estimand.scale,
            "is_causal": result.estimand.is_causal,
            **shared,
        }
    per = result.per
    return {
        "measure": result.measure,
        "unit": result.unit,
        "rate_kind": result.kind,
        "about": result.about,
        "numerator_name": result.numerator_name,
        "denominator_name": result.denominator_name,
        "per": [float(p) for p in per] if isinstance(per, np.ndarray) else float(per),
        **shared,
    }


def _plain_keys(keys: pd.DataFrame) -> pd.DataFrame:
    """Keys as they are written: whole numbers stay numbers, everything else is text."""
    columns = {}
    for column in keys.columns:
        values = keys[column].reset_index(drop=True)
        if pd.api.types.is_integer_dtype(values) and not values.hasnans:
            columns[str(column)] = values.astype("int64")
        elif pd.api.types.is_datetime64_any_dtype(values):
            columns[str(column)] = values.dt.strftime("%Y-%m-%d").fillna("").astype(str)
        else:
            columns[str(column)] = values.astype(str)
    return pd.DataFrame(columns, index=range(len(keys)))


def without_small_counts(text: str) -> str:
    """Free text (a note, a reason) with every "3 members" made "fewer than 11 members".

    The last net: what writes a text blurs its counts itself.
    """
    return _FEW_PEOPLE.sub("fewer than 11", text)


def plain(content: dict[str, Any]) -> dict[str, Any]:
    """The content as JSON gives it back."""
    return dict(json.loads(json.dumps(content, default=str, allow_nan=False)))
