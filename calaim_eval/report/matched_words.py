"""Names of what is compared before exposure, as tables and figures print them."""

from __future__ import annotations

import pandas as pd

from calaim_eval.report.labels import outcome_label, race_label, readable

_USE = (" per month before eligibility", " per month before")
_PLAIN = {
    "age_years": "Age in years",
    "months_since_eligibility": "Months since eligibility",
    "race_ethnicity": "Race and ethnicity",
}


def variable_label(variable: str) -> str:
    """``ed_visits per month before`` as ``ED visits per month``."""
    for ending in _USE:
        if variable.endswith(ending):
            return f"{outcome_label(variable.removesuffix(ending))} per month"
    return _PLAIN.get(variable, readable(variable))


def row_label(variable: str, level: str) -> str:
    """Name of a row: the variable, or the group."""
    if not level:
        return variable_label(variable)
    return race_label(level) if variable == "race_ethnicity" else f"{readable(variable)}: {level}"


def wide(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a variable or group, one column a kind of number, in the order released.

    Returns
    -------
    pd.DataFrame
        `label`, `variable`, `level`, `is_suppressed`, and a column for each value of `what`.
    """
    keys = frame[["variable", "level"]].drop_duplicates().reset_index(drop=True)
    for what in dict.fromkeys(frame["what"]):
        rows = frame[frame["what"] == what]
        keys = keys.merge(
            rows[["variable", "level", "estimate"]].rename(columns={"estimate": what}),
            on=["variable", "level"],
            how="left",
        )
    hidden = frame.groupby(["variable", "level"])["is_suppressed"].any().rename("is_suppressed")
    keys = keys.merge(hidden.reset_index(), on=["variable", "level"])
    return keys.assign(
        label=[row_label(v, g) for v, g in zip(keys["variable"], keys["level"], strict=True)]
    )
