"""What goes with closed referrals, for a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.labels import OUTCOMES, ordered, readable
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    decimals_for,
    number,
    percent,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import effect_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out, outcome_headings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calaim_eval.disclosure import Released
    from calaim_eval.disclosure.released import ReleasedTable

_WORDS = {
    "cbo_share": "Referrals to community-based organizations (all against none)",
    "wpc_pilot": "County had a Whole Person Care pilot",
    "hhp": "County had the Health Homes Program",
    "plan_model_2022": "Plan model of 2022",
    "plan_model_2024": "Plan model of 2024",
    "region": "Region",
}
_SOLUTIONS = {
    "conservative": "Conservative: combinations with cases alone",
    "intermediate": "Intermediate: easy counterfactuals too",
    "parsimonious": "Parsimonious: any counterfactual that shortens it",
}
_BY_LEVEL = (
    ("lower", "Lower integration"),
    ("higher", "Higher integration"),
    ("higher minus lower", "Difference"),
)
_COUNTIES = re.compile(r"Counties of lower integration: (\d+), of higher: (\d+);")
_ABBREVIATIONS = re.compile(r"\b(?:cbo|ecm|hhp|mcp|wpc)(?=s?\b)")
_FIXED = "Difference (95% interval)"
_MIXED = "With a random county (95% interval)"
_CHOSEN = "Chosen in halves of the counties"
_NOT_EFFECTS = (
    "Associations between counties, plans and services, not effects: none of these was dealt by "
    "chance."
)


def success_table(released: Released) -> DisplayTable | Absent:
    """Difference in the share of referrals closed that goes with each declared factor.

    Parameters
    ----------
    released : Released
        Uses `success_factors`; adds `success_mixed` and `success_selection` where released.

    Returns
    -------
    DisplayTable | Absent
        One row a factor, in percentage points; associations, never effects.
    """
    found = find_item(released, "success_factors")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("term",))
    mixed = _by_term(released, "success_mixed")
    chosen = _by_term(released, "success_selection", statistic="frequency")
    rows = []
    for _, each in found.frame.iterrows():
        row = {
            "Factor": factor_words(str(each["term"])),
            _FIXED: effect_cell(each, decimals=1, scale=100),
        }
        if mixed is not None:
            row[_MIXED] = effect_cell(mixed.get(str(each["term"])), decimals=1, scale=100)
        if chosen is not None:
            row[_CHOSEN] = _share(chosen.get(str(each["term"])))
        rows.append(row)
    return lay_out(
        pd.DataFrame(rows),
        caption="Difference in the share of referrals closed that goes with each factor at the "
        "same other factors, in percentage points.",
        row_name="Factor",
        notes=(
            _NOT_EFFECTS,
            *(
                (
                    "Chosen: how often the factor is among the first that an elastic net takes up, "
                    "in halves of the counties. Near 100%: found whichever counties are looked at.",
                )
                if chosen is not None
                else ()
            ),
        ),
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def success_combinations_table(released: Released) -> DisplayTable | Absent:
    """Combinations of declared conditions that go with the outcome, by fsQCA.

    Parameters
    ----------
    released : Released
        Uses `success_combinations` (keys `solution`, `model`, `term`, `statistic`).

    Returns
    -------
    DisplayTable | Absent
        One row a term of a solution.
    """
    found = find_item(released, "success_combinations")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("solution", "model", "term", "statistic"))
    keys = ["solution", "model", "term"]
    n_models = found.frame.groupby("solution")["model"].nunique()
    rows = []
    for (solution, model, term), part in found.frame.groupby(keys, sort=False):
        cells = part.set_index("statistic")
        is_one = n_models[solution] == 1
        rows.append(
            {
                "Solution": _SOLUTIONS.get(str(solution), str(solution))
                + ("" if is_one else f", model {model}"),
                "Combination": combination_words(str(term)),
                "Units in it": _count(cells.loc["n_cases"]),
                "Consistency": _decimal(cells.loc["consistency"]),
                "Coverage": _decimal(cells.loc["coverage"]),
                "Unique coverage": _decimal(cells.loc["unique_coverage"]),
            }
        )
    name = _stated(found, "Outcome: ") or "the outcome"
    expected = _stated(found, "Expected: ")
    return lay_out(
        pd.DataFrame(rows),
        caption=f"Combinations of conditions that go with the declared outcome, {name}.",
        row_name="Combination",
        row_group="Solution",
        notes=(
            "Consistency: how nearly units in the combination have the outcome. Coverage: share of "
            "the outcome it accounts for; unique coverage: what no other combination does.",
            "A description of these counties, plans and services, not an effect; there is no "
            "interval. It rests on the declared anchors of each set.",
            *((f"Expected to help: {expected}. Declared by the study.",) if expected else ()),
        ),
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def success_untenable_table(released: Released) -> DisplayTable | Absent:
    """Combinations that no solution rests on, and why.

    Parameters
    ----------
    released : Released
        Uses `success_untenable` (keys `combination`, `reason`).

    Returns
    -------
    DisplayTable | Absent
        One row a combination and reason.
    """
    found = find_item(released, "success_untenable")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("combination", "reason"))
    frame = found.frame
    has_units = frame["estimate"].map({0.0: "No", 1.0: "Yes"})
    return lay_out(
        pd.DataFrame(
            {
                "Combination": frame["combination"].map(combination_words),
                "Units have it": has_units.mask(frame["is_suppressed"], SUPPRESSED_MARK),
                "Why not": frame["reason"].map(readable),
            }
        ),
        caption="Combinations that must not be supposed to have the outcome; no solution rests on "
        "them.",
        row_name="Combination",
        left=("Units have it", "Why not"),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def effect_by_integration_table(released: Released) -> DisplayTable | Absent:
    """Effect of the service in counties of lower and higher integration, and the difference.

    Parameters
    ----------
    released : Released
        Uses `effect_by_integration` (keys `outcome`, `integration`).

    Returns
    -------
    DisplayTable | Absent
        One row an outcome; the difference is an association.
    """
    found = find_item(released, "effect_by_integration")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "integration"))
    headings, per = outcome_headings(found.frame, found)
    cells = found.frame.set_index(["outcome", "integration"])
    rows = []
    for outcome in ordered(found.frame["outcome"], order=tuple(OUTCOMES)):
        mine = cells.loc[outcome]
        decimals = decimals_for(mine["estimate"])
        shown = {words: effect_cell(mine.loc[key], decimals=decimals) for key, words in _BY_LEVEL}
        rows.append({"Outcome": headings[outcome]} | shown)
    notes = found.meta.get("notes", ())
    levels = dict.fromkeys(n for n in notes if n.startswith("Level of a county: "))
    return lay_out(
        pd.DataFrame(rows),
        caption=f"Effect in counties of lower and of higher integration{per}, with 95% intervals; "
        "negative means fewer.",
        row_name="Outcome",
        notes=(
            "The difference is an association, not the effect of integration: the counties differ "
            "in much else. Intervals allow for counties, each left out in turn; few counties make "
            "them wide.",
            *levels,
            *_county_words(notes),
        ),
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def _county_words(notes: Sequence[str]) -> tuple[str, ...]:
    """How many counties each level has; where outcomes differ, the fewest and the most."""
    found = [match for note in notes if (match := _COUNTIES.match(note))]
    if not found:
        return ()
    sides = [sorted({int(match[side]) for match in found}) for side in (1, 2)]
    low, high = (f"{s[0]}" if len(s) == 1 else f"{s[0]} to {s[-1]}" for s in sides)
    varies = ", by outcome" if any(len(s) > 1 for s in sides) else ""
    return (f"Counties of lower integration: {low}, of higher: {high}{varies}.",)


def combination_words(term: str) -> str:
    """``funded*~urban`` as ``funded and not urban``."""
    parts = (("not " + p[1:]) if p.startswith("~") else p for p in term.split("*"))
    return " and ".join(map(_set_words, parts)) or "any"


def _set_words(name: str) -> str:
    """Names of sets as words, the abbreviations of the field in capitals."""
    return _ABBREVIATIONS.sub(lambda found: found[0].upper(), name.replace("_", " "))


def _stated(found: ReleasedTable, start: str) -> str:
    """What a note of the table states, with names as words; empty where none begins so."""
    note = next((n for n in found.meta.get("notes", ()) if n.startswith(start)), "")
    return _set_words(note.removeprefix(start).rstrip("."))


def _by_term(released: Released, name: str, *, statistic: str = "") -> dict[str, pd.Series] | None:
    """Rows of another table of the same terms; None where it is not there."""
    found = find_item(released, name)
    if isinstance(found, Absent):
        return None
    need_columns(found, ("term", "statistic") if statistic else ("term",))
    frame = found.frame[found.frame["statistic"] == statistic] if statistic else found.frame
    return {str(row["term"]): row for _, row in frame.iterrows()}


def _share(row: pd.Series | None) -> str:
    if row is None:
        return UNDEFINED_MARK
    return SUPPRESSED_MARK if row["is_suppressed"] else percent(row["estimate"])


def _decimal(row: pd.Series) -> str:
    return SUPPRESSED_MARK if row["is_suppressed"] else number(row["estimate"], decimals=2)


def _count(row: pd.Series) -> str:
    return SUPPRESSED_MARK if row["is_suppressed"] else number(np.round(row["estimate"]))


def factor_words(term: str) -> str:
    """``plan_model_2024=Two-Plan`` as ``Plan model of 2024: Two-Plan``."""
    name, _, value = term.partition("=")
    words = _WORDS.get(name, name.replace("_", " ").capitalize())
    return f"{words}: {value}" if value else words
