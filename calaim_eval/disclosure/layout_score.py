"""The guideline's score of every released table, read off its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.released import TableContent, key_columns
from calaim_eval.disclosure.score import DdgScore, ddg_score
from calaim_eval.errors import DisclosureError
from calaim_eval.results import ALL
from calaim_eval.schema.overlapping import IN_COMBINATION

STATE = 39_000_000
"""People of California, where a table is of the whole study and nothing is said of its area."""

# Say what is counted, how or when it is written, not who the members are.
_NOT_OF_PEOPLE = frozenset(
    {
        "unit", "outcome", "measure", "side", "stage", "step", "last_step", "ending", "finding",
        "title", "table", "reason", "severity", "share", "feed", "definition", "within_days",
        "anchor", "component", "window", "days",
    }
)  # fmt: skip
_RACES_BEYOND_FOUR = frozenset({"aian", "nhpi", "multiple", "other", "asian_pi_unsplit"})
_AGE = re.compile(r"(\d+)\D+(\d+)")
_TIME = {"month": "month", "quarter": "quarter", "year": "1 year"}
_MOST_VARIABLES = 3


@dataclass(frozen=True, slots=True, eq=False)
class LayoutScore:
    """Score of one released table.

    Attributes
    ----------
    table : str
    score : DdgScore
    assumed : tuple[str, ...]
        Variables that the table does not tell, taken at a value in words.
    has_small_denominator : bool
        Some denominator of members shown is under the guideline's limit.
    """

    table: str
    score: DdgScore
    assumed: tuple[str, ...]
    has_small_denominator: bool

    def as_plain(self) -> dict[str, Any]:
        """As it is written to the manifest."""
        return {
            "table": self.table,
            "total": self.score.total,
            "limit": self.score.limit,
            "is_within_limit": self.score.is_within_limit,
            "has_small_denominator": self.has_small_denominator,
            "assumed": list(self.assumed),
            "parts": [
                {"variable": v, "characteristic": c, "score": int(s)}
                for v, c, s in self.score.parts[["variable", "characteristic", "score"]].itertuples(
                    index=False
                )
            ],
        }


def score_layouts(
    tables: Mapping[str, TableContent],
    *,
    policy: Policy,
    quarter: str,
    residents: Mapping[str, int] | None = None,
) -> list[LayoutScore]:
    """Score every table of counts of members, as it will be released.

    Parameters
    ----------
    tables : Mapping[str, TableContent]
        As released: hidden rows do not count.
    policy : Policy
        Without a `score_edition` nothing is scored.
    quarter : str
        Quarter of the release; empty where none was given, and a year is taken.
    residents : Mapping[str, int], optional
        People living in each county, and under ``"all"`` in the area of the study. A county that
        is not in it scores as the smallest.

    Returns
    -------
    list[LayoutScore]
    """
    if not policy.score_edition:
        return []
    found = []
    for name, table in tables.items():
        is_scored = table.kind == "rate" and table.meta.get("about") == "members"
        shown = table.frame[~table.frame["is_suppressed"]]
        if is_scored and (shown["numerator"] > 0).any():
            found.append(_score(name, table, shown, policy, quarter, residents or {}))
    return found


def refuse_above_limit(scores: list[LayoutScore], policy: Policy) -> None:
    """Refuse a release with a layout above the limit, where the policy says so.

    Raises
    ------
    DisclosureError
    """
    above = [each for each in scores if not each.score.is_within_limit]
    if policy.score_gate != "refuse" or not above:
        return
    listed = ", ".join(f"`{each.table}` ({each.score.total})" for each in above)
    raise DisclosureError(
        f"{len(above)} tables score above {policy.score_limit}, where policy `{policy.name}` stops "
        f"a release: {listed}. Nothing was released.\n"
        "  Leave out a column, use larger areas or a longer time, or leave the table out."
    )


def _score(
    name: str,
    table: TableContent,
    shown: pd.DataFrame,
    policy: Policy,
    quarter: str,
    residents: Mapping[str, int],
) -> LayoutScore:
    """Score of one table."""
    columns = [c for c in key_columns(table) if set(shown[c].map(str)) - {ALL}]
    counts = shown["numerator"].to_numpy(dtype=float)
    variables: dict[str, str | int] = {"events": int(counts[counts > 0].min())}
    assumed: list[str] = []
    variables["time"] = _time(columns, quarter, assumed)
    variables["residence_geography"] = _people(columns, shown, residents, assumed)
    of_people = 0
    others: list[int] = []
    for column in columns:
        if column in _NOT_OF_PEOPLE or column in _TIME or column == "county":
            continue
        of_people += 1
        variable, value = _personal(column, shown[column].map(str), policy.score_edition, assumed)
        if variable is None:
            others.append(int(shown[column].nunique()))
        else:
            variables[variable] = value
    smallest = int(variables["events"])
    parts = ddg_score(variables | _interactions(of_people, smallest), policy=policy)
    for n_groups in others:
        one = ddg_score({"other_variable": _groups_words(n_groups)}, policy=policy)
        parts = DdgScore(parts.total + one.total, parts.limit, pd.concat([parts.parts, one.parts]))
    return LayoutScore(name, parts, tuple(assumed), _has_small_denominator(table, shown, policy))


def _time(columns: list[str], quarter: str, assumed: list[str]) -> str:
    """Time a row covers."""
    for column, words in _TIME.items():
        if column in columns:
            return words
    if quarter:
        assumed.append("time: the quarter of the release")
        return "quarter"
    assumed.append("time: a year")
    return "1 year"


def _people(
    columns: list[str], shown: pd.DataFrame, residents: Mapping[str, int], assumed: list[str]
) -> int:
    """People living in the smallest area shown."""
    if "county" not in columns:
        if ALL not in residents:
            assumed.append("geography: the whole state")
        return residents.get(ALL, STATE)
    counties = sorted(set(shown["county"].map(str)) - {ALL})
    unknown = [county for county in counties if county not in residents]
    if unknown:
        assumed.append(f"geography: {len(unknown)} counties without a population, as the smallest")
        return 0
    return min(residents[county] for county in counties)


def _personal(
    column: str, labels: pd.Series, edition: str, assumed: list[str]
) -> tuple[str | None, str | int]:
    """Variable and value of a column that the guideline knows; no variable for any other."""
    groups = set(labels) - {ALL}
    if column in ("race_ethnicity", IN_COMBINATION):
        four = "White, Asian, Black, Hispanic" + (", MENA" if edition == "2.0" else "")
        is_fine = bool(groups & _RACES_BEYOND_FOUR)
        return "race_ethnicity_combined", "adds AI/AN, NHPI, mixed" if is_fine else four
    if column == "sex":
        return "sex", "male/female"
    if column == "language" and len(groups) <= len(("English", "Spanish", "other")):
        return "language", "English, Spanish, other"
    if column == "language" and edition == "1.0":
        return "language", "detailed"
    if column == "age" or column.startswith("age_"):
        return "age_range", _years(groups, assumed)
    return None, 0


def _years(groups: set[str], assumed: list[str]) -> int:
    """Years of the narrowest age band; an open one is wide."""
    bands = [found.groups() for found in map(_AGE.search, groups) if found]
    widths = [int(last) - int(first) + 1 for first, last in bands]
    if not widths:
        assumed.append("age: bands that are not told, as the narrowest")
    return max(min(widths, default=1), 1)


def _interactions(n_variables: int, smallest: int) -> dict[str, str | int]:
    """How many columns about the members are crossed."""
    if n_variables == 0:
        enough = ">=5" if smallest >= 5 else ">=3" if smallest >= 3 else ""
        return {"variable_interactions": f"only events{enough}, time, geography"}
    n = min(n_variables, _MOST_VARIABLES)
    return {"variable_interactions": f"plus {n} variable{'s' if n > 1 else ''}"}


def _groups_words(n_groups: int) -> str:
    """Groups of any other variable, as the guideline counts them."""
    return "<5 groups" if n_groups < 5 else "5-9 groups" if n_groups < 10 else "10+ groups"


def _has_small_denominator(table: TableContent, shown: pd.DataFrame, policy: Policy) -> bool:
    """Whether a denominator of members is under the guideline's limit."""
    if table.meta.get("rate_kind") != "proportion":
        return False
    denominators = shown["denominator"].to_numpy(dtype=float)
    known = denominators[np.isfinite(denominators) & (denominators > 0)]
    return bool(policy.denominator_limit and (known < policy.denominator_limit).any())
