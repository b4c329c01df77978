"""The scoring step of the CalHHS guideline: a second look at a table whose cells are all large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from calaim_eval.disclosure.policy import Policy, load_policy
from calaim_eval.errors import DisclosureError
from calaim_eval.schema.codes import load_codes


@dataclass(frozen=True, slots=True, eq=False)
class DdgScore:
    """Score of a table under the guideline.

    Attributes
    ----------
    total : int
    limit : int
        Largest total released without masking. Read for edition 1.0; assumed for 2.0.
    parts : pd.DataFrame
        `variable`, `characteristic`, `score`, `source`, `confirmed`, one row a variable.
    """

    total: int
    limit: int
    parts: pd.DataFrame

    @property
    def is_within_limit(self) -> bool:
        """Whether the guideline asks for no masking. It guides; it does not decide."""
        return self.total <= self.limit


def ddg_score(
    table: Mapping[str, str | int], *, policy: str | Path | Policy = "calhhs_ddg_2"
) -> DdgScore:
    """Score the layout of a table by the CalHHS Data De-Identification Guidelines.

    Use after suppression, for tables finer than the state and a year: a quarterly table by county
    and race scores above the limit for every county of 560,000 people or fewer, even with every
    cell at 11 or more.

    Parameters
    ----------
    table : Mapping[str, str | int]
        Each variable of the table at its finest level: a number where the guideline scores by
        size (``events``: the smallest cell; ``residence_geography``: people in the smallest
        area), else one of its words. Variables are those of the code list `ddg_scoring`.
    policy : str, path or Policy
        ``"calhhs_ddg_2"``, ``"calhhs_ddg_1"``, or one of one's own with a `score_edition`.

    Returns
    -------
    DdgScore

    Raises
    ------
    DisclosureError
        The policy has no score, or the guideline does not know a variable or characteristic.

    Examples
    --------
    >>> ddg_score(
    ...     {
    ...         "events": 150,
    ...         "time": "quarter",
    ...         "residence_geography": 39_000_000,
    ...         "race_ethnicity_combined": "adds AI/AN, NHPI, mixed",
    ...         "variable_interactions": "plus 1 variable",
    ...     }
    ... ).total
    6
    """
    rules = policy if isinstance(policy, Policy) else load_policy(policy)
    if not rules.score_edition:
        raise DisclosureError(
            f"policy `{rules.name}` has no score.\n  Use `calhhs_ddg_2` or `calhhs_ddg_1`."
        )
    codes = load_codes("ddg_scoring")
    codes = codes[codes["edition"] == rules.score_edition]
    parts = pd.DataFrame([_find(codes, variable, value) for variable, value in table.items()])
    return DdgScore(int(parts["score"].sum()), rules.score_limit, parts)


def _find(codes: pd.DataFrame, variable: str, value: str | int) -> dict[str, object]:
    """Score of one variable."""
    known = codes[codes["variable"] == variable]
    if known.empty:
        listed = ", ".join(f"`{v}`" for v in codes["variable"].unique())
        raise DisclosureError(f"the guideline does not score `{variable}`.\n  It scores {listed}.")
    if isinstance(value, str):
        rows = known[known["characteristic"] == value]
    else:
        low = pd.to_numeric(known["low"]).fillna(float("inf"))
        high = pd.to_numeric(known["high"]).where(known["high"] != "", float("inf"))
        rows = known[(low <= value) & (value <= high)]
    if rows.empty:
        listed = ", ".join(f"`{c}`" for c in known["characteristic"])
        raise DisclosureError(
            f"the guideline has no `{variable}` of that size or name.\n  It has {listed}."
        )
    row = rows.iloc[0]
    return {
        "variable": variable,
        "characteristic": row["characteristic"],
        "score": int(row["score"]),
        "source": row["source"],
        "confirmed": row["confirmed"],
    }
