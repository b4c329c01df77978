"""Sentences every figure needs: what is withheld, what is not causal, numbers in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.report.numbers import decimals_for, interval, number, plural, signed

if TYPE_CHECKING:
    import pandas as pd

NOT_CAUSAL_WORDS = "Not causal: a change over time, compared with nobody."


def withheld_words(n_withheld: int, noun: str = "point") -> str:
    """Sentence for a caption; empty where nothing is withheld."""
    if n_withheld == 0:
        return ""
    verb = "is" if n_withheld == 1 else "are"
    return f" {plural(n_withheld, noun)} {verb} not shown (small numbers)."


def effect_words(row: pd.Series, *, decimals: int) -> str:
    """``−8.2 (−10.1 to −6.3)``, or that it is not shown."""
    if row["is_suppressed"]:
        return "not shown"
    bounds = interval(row["conf_low"], row["conf_high"], decimals=decimals, is_signed=True)
    return f"{signed(row['estimate'], decimals=decimals)} ({bounds})"


def range_words(values: pd.Series, *, is_signed: bool) -> str:
    """``from a to b`` over the values shown."""
    shown = values.dropna()
    if shown.empty:
        return "no value is shown"
    decimals = decimals_for(shown)
    write = signed if is_signed else number
    low, high = write(shown.min(), decimals=decimals), write(shown.max(), decimals=decimals)
    return f"from {low} to {high}"
