"""Combinations nobody should suppose to have the outcome, before a truth table is made short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from calaim_eval.integration.qca.counterfactuals import corners_of, read_term
from calaim_eval.integration.qca.minimize import Implicant, solutions_of
from calaim_eval.integration.qca.truth_table import Cutoffs, TruthTable, tabulated

AGAINST_NECESSITY = "lacks a necessary condition"
IMPOSSIBLE = "impossible"
BOTH_SUPPOSED = "supposed for the outcome and for its absence"
BOTH_OBSERVED = "goes with the outcome and with its absence"


def untenable_assumptions(
    table: TruthTable,
    *,
    necessary: Sequence[str] = (),
    impossible: Sequence[str] = (),
    absence_consistency_cutoff: float | None = None,
    absence_pri_cutoff: float | None = None,
) -> pd.DataFrame:
    """Combinations of a truth table that must not be supposed to have the outcome.

    Hand the result to `fsqca(untenable=...)` for the enhanced standard analysis: terms then rest
    on no assumption that contradicts another one, or what is known.

    Parameters
    ----------
    table : TruthTable
    necessary : sequence of str
        Conditions without which the outcome does not happen, from `necessity` and theory:
        ``"DEV"``, or a union ``"DEV + ~URB"``.
    impossible : sequence of str
        Terms that cannot be, such as ``"single_county*~county_plan"``.
    absence_consistency_cutoff, absence_pri_cutoff : float, optional
        Cutoffs for the absence of the outcome; those of the table unless told.

    Returns
    -------
    pd.DataFrame
        The conditions, ``is_observed`` and ``reason``: a combination without cases lacks a
        necessary condition, is impossible, or is supposed by the parsimonious solutions of both
        the outcome and its absence (contradictory simplifying assumption); or one *with* cases
        goes with both (simultaneous subset relation: raise `pri_cutoff` to see which it is
        nearer). A combination has a row for each of its reasons.

    Raises
    ------
    EstimationError
        A term names what is no condition.

    References
    ----------
    Schneider CQ, Wagemann C (2012). doi:10.1017/CBO9781139004244, chapter 8.
    """
    k = len(table.conditions)
    remainders = set(table.remainders)
    found: list[tuple[int, str]] = []
    for union in necessary:
        terms = [read_term(term, table.conditions) for term in union.split("+")]
        lacking = remainders - corners_of(terms, k)
        found += [(corner, AGAINST_NECESSITY) for corner in sorted(lacking)]
    terms = [read_term(term, table.conditions) for term in impossible]
    found += [(corner, IMPOSSIBLE) for corner in sorted(remainders & corners_of(terms, k))]
    absence = _absence(table, absence_consistency_cutoff, absence_pri_cutoff)
    both = _supposed(table) & _supposed(absence)
    found += [(corner, BOTH_SUPPOSED) for corner in sorted(both)]
    observed = set(table.corners(is_outcome=True)) & set(absence.corners(is_outcome=True))
    found += [(corner, BOTH_OBSERVED) for corner in sorted(observed)]
    rows = table.rows.loc[[corner for corner, _ in found], list(table.conditions)]
    return (
        rows.reset_index(drop=True)
        .assign(
            is_observed=[corner not in remainders for corner, _ in found],
            reason=[reason for _, reason in found],
        )
        .drop_duplicates(ignore_index=True)
    )


def _absence(table: TruthTable, least: float | None, pri: float | None) -> TruthTable:
    """The truth table of the absence of the outcome, of the same cases."""
    cutoffs = Cutoffs(
        table.cutoffs.consistency if least is None else least,
        table.cutoffs.pri if pri is None else pri,
        table.cutoffs.frequency,
    )
    name = table.outcome.removeprefix("~") if table.outcome[0] == "~" else f"~{table.outcome}"
    return tabulated(table.x, 1 - table.y, table.conditions, name, cutoffs)


def _supposed(table: TruthTable) -> frozenset[int]:
    """Combinations without cases in any parsimonious solution."""
    required = table.corners(is_outcome=True)
    if not required:
        return frozenset()
    k = len(table.conditions)
    models = solutions_of(required, (*required, *table.remainders), k)
    return _without_cases((term for model in models for term in model), table)


def _without_cases(terms: Iterable[Implicant], table: TruthTable) -> frozenset[int]:
    """Combinations of some terms that have no case."""
    return corners_of(terms, len(table.conditions)) & frozenset(table.remainders)
