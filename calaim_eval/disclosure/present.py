"""The table a reader gets: no support, no covariance, NaN where hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.released import TableContent, TableKind
from calaim_eval.disclosure.round_counts import round_rate_table
from calaim_eval.disclosure.round_numbers import round_bounds, round_effects, round_intervals
from calaim_eval.results import BoundsTable, EffectTable, Method, RateTable, Result
from calaim_eval.results.estimand import CROSSED, RATES_OF, RATES_WHERE, Estimand

_EFFECT_COLUMNS = ("estimate", "std_error", "conf_low", "conf_high", "p_value")
_FEW_PEOPLE = re.compile(
    r"(?<![\d.,-])(?:10|[1-9])(?= (?:of (?:the )?[\d,]+ )?"
    r"(?:\w+ )?(?:members?|persons?|people|respondents?|referrals?|events?|rows?|records?)\b)"
)
_ROUNDED_ESTIMATES = (
    "Estimates are rounded as the counts behind them are; intervals and p-values are made from the "
    "rounded estimates."
)
_RATE_COLUMNS = ("numerator", "denominator", "rate", "conf_low", "conf_high")


def released_table(
    result: Result, hidden: np.ndarray, structure: Mapping[str, Any], *, policy: Policy
) -> TableContent:
    """The table a reader gets: no support, no covariance, NaN in hidden rows, counts rounded."""
    if isinstance(result, RateTable):
        result = round_rate_table(result, policy=policy)
    keys = _plain_keys(result.keys)
    numbers = result.to_frame()[list(_columns(result))].astype(float).reset_index(drop=True)
    numbers[hidden] = np.nan
    rounded = _rounded(result, numbers, policy.rounding_base)
    frame = pd.concat([keys, rounded], axis=1).assign(is_suppressed=hidden)
    meta = {"keys": list(keys.columns), **_meta(result, policy), **structure}
    return TableContent(_kind(result), frame, plain(meta))


def _kind(result: Result) -> TableKind:
    """What kind of table a reader gets."""
    if isinstance(result, RateTable):
        return "rate"
    return "effect" if isinstance(result, EffectTable) else "bounds"


def _columns(result: Result) -> tuple[str, ...]:
    """Numbers that leave."""
    if isinstance(result, BoundsTable):
        return result.arrays
    return _EFFECT_COLUMNS if isinstance(result, EffectTable) else _RATE_COLUMNS


def _rounded(result: Result, numbers: pd.DataFrame, base: int) -> pd.DataFrame:
    """The numbers with the digits that may be seen."""
    if isinstance(result, RateTable):
        return round_intervals(numbers)
    n_events = result.support["n_events"].to_numpy(dtype=float)
    if isinstance(result, EffectTable):
        return round_effects(numbers, n_events=n_events, base=base, scale=result.estimand.scale)
    bound = pd.to_numeric(result.keys["bound"], errors="coerce") if "bound" in result.keys else None
    return round_bounds(
        numbers,
        result.groups,
        result.conf_level,
        bound=None if bound is None else bound.to_numpy(dtype=float),
        n_events=n_events,
        base=base,
        lowest=_lowest(result.estimand),
    )


def _lowest(estimand: Estimand) -> float:
    """Least value there is: a ratio is not below 0, and no rank is before the first."""
    if estimand.scale == "ratio":
        return 0.0
    return 1.0 if estimand.unit == "rank" else -np.inf


def _meta(result: Result, policy: Policy) -> dict[str, Any]:
    """What the numbers mean."""
    shared: dict[str, Any] = {
        "method": result.method.estimator,
        "options": {str(k): str(v) for k, v in result.method.options.items()},
        "reference": result.method.reference,
        "notes": [without_small_counts(note) for note in result.notes],
    }
    is_rounded = policy.rounding != "none"
    if is_rounded:
        shared["rounding"] = policy.rounding_words
    if not isinstance(result, RateTable):
        counted = bool((result.support["n_events"] != np.inf).any())
        words = (
            {"bound_words": result.bound_words, "conf_level": result.conf_level}
            if isinstance(result, BoundsTable)
            else {}
        )
        return {
            "measure": result.estimand.name,
            "estimand": result.estimand.name,
            "contrast": result.estimand.contrast,
            "unit": result.estimand.unit,
            "scale": result.estimand.scale,
            "is_causal": result.estimand.is_causal,
            "compares": _compared_rates(result.method),
            **words,
            **shared,
            "notes": [*shared["notes"], *([_ROUNDED_ESTIMATES] if is_rounded and counted else [])],
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


def _compared_rates(method: Method) -> dict[str, Any]:
    """Which rates a comparison is made from, as a later release asks the ledger."""
    return {name: method.options.get(name) for name in (RATES_OF, RATES_WHERE, CROSSED)}


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
