"""Solutions of a truth table: combinations that go with the outcome, as short as may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError, quoted
from calaim_eval.integration.qca.counterfactuals import (
    Expectation,
    corners_of,
    easy_counterfactuals,
    expected_states,
)
from calaim_eval.integration.qca.membership import consistency, proportional_reduction
from calaim_eval.integration.qca.minimize import Implicant, solutions_of
from calaim_eval.integration.qca.truth_table import TruthTable
from calaim_eval.results import Method

_REFERENCE = (
    "Ragin CC (2008). Redesigning Social Inquiry. University of Chicago Press; Duşa A (2019). QCA "
    "with R. doi:10.1007/978-3-319-75668-4"
)
_Models = tuple[tuple[Implicant, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class FsqcaSolutions:
    """Solutions of one truth table.

    Attributes
    ----------
    terms : pd.DataFrame
        One row per term: ``solution`` (``"conservative"``, ``"intermediate"`` where expectations
        are declared, ``"parsimonious"``), ``model`` (1, 2 … where the data do not choose),
        ``term`` (``DEV*~URB``), ``consistency``, ``pri``, ``coverage``, ``unique_coverage``,
        ``n_cases``.
    models : pd.DataFrame
        One row per solution and model: ``formula``, ``consistency``, ``pri``, ``coverage``.
    assumptions : pd.DataFrame
        One row per model and combination without cases that it supposes to have the outcome:
        ``solution``, ``model``, the conditions, ``is_easy`` (theory expects it; missing without
        expectations).
    table : TruthTable
    method : Method
    notes : tuple[str, ...]
    """

    terms: pd.DataFrame
    models: pd.DataFrame
    assumptions: pd.DataFrame
    table: TruthTable
    method: Method
    notes: tuple[str, ...]

    def formula(self, solution: str) -> str:
        """The solution's models in words, ``or`` between those the data do not choose from."""
        mine = self.models[self.models["solution"] == solution]
        return " or ".join(mine["formula"])

    def __repr__(self) -> str:
        return f"<FsqcaSolutions of {self.table.outcome}: {self.formula('conservative')}>"


def fsqca(
    table: TruthTable,
    *,
    expectations: Mapping[str, Expectation] | None = None,
    untenable: pd.DataFrame | None = None,
) -> FsqcaSolutions:
    r"""Combinations of conditions that are sufficient for the outcome in these cases.

    The *conservative* solution rests on combinations with cases alone; the *parsimonious* one
    supposes of every combination without cases whatever makes it shortest, which theory must
    defend. The *intermediate* one, made where `expectations` are declared, supposes only what
    theory expects: a condition that should help may be dropped where it is absent, never where it
    is present (easy counterfactuals; all others are difficult). Where several sets of terms are
    equally short, all are given. Coverage of a term is the share of the outcome it accounts for,
    :math:`\sum\min(x,y)/\sum y`; unique coverage what no other term of the model does. This is a
    description of few cases: no interval exists, and no effect is meant.

    Parameters
    ----------
    table : TruthTable
    expectations : mapping of str to {"present", "absent"}, optional
        In which state theory expects each condition to help. Conditions left out: no expectation.
        Declare them before looking at the solutions.
    untenable : pd.DataFrame, optional
        From `untenable_assumptions`: combinations no solution may rest on.

    Returns
    -------
    FsqcaSolutions

    Raises
    ------
    EstimationError
        No combination goes with the outcome, or all with cases do; an expectation of what is no
        condition.
    TableError
        `untenable` lacks a condition.

    References
    ----------
    Ragin CC (2008); Ragin CC, Sonnett J (2005). doi:10.1007/978-3-322-80441-9_9; Duşa A (2019).
    doi:10.1007/978-3-319-75668-4.
    """
    barred = _barred(table, untenable)
    required = tuple(c for c in table.corners(is_outcome=True) if c not in barred)
    if not required:
        raise EstimationError(
            f"no combination goes with `{table.outcome}` at this cutoff of consistency. Look at "
            "the truth table: lower the cutoff only if theory allows it."
        )
    if not table.corners(is_outcome=False):
        raise EstimationError(
            f"every combination with cases goes with `{table.outcome}`: there is nothing to "
            "explain. Move the anchors of the outcome or raise the cutoff."
        )
    remainders = frozenset(table.remainders) - barred
    solved, easy = _solved(table, required, remainders, expectations)
    numbered = [
        (solution, number, model)
        for solution, models in solved.items()
        for number, model in enumerate(models, start=1)
    ]
    return FsqcaSolutions(
        terms=pd.DataFrame([row for each in numbered for row in _term_rows(table, *each)]),
        models=pd.DataFrame([_model_row(table, *each) for each in numbered]),
        assumptions=_assumptions(table, numbered, easy),
        table=table,
        method=Method(
            "Fuzzy-set qualitative comparative analysis",
            {
                "consistency_cutoff": table.cutoffs.consistency,
                "pri_cutoff": table.cutoffs.pri,
                "frequency_cutoff": table.cutoffs.frequency,
                "expectations": dict(expectations or {}),
                "untenable": len(barred),
            },
            _REFERENCE,
        ),
        notes=(*table.notes, "A description of these cases: sufficiency is not an effect."),
    )


def _barred(table: TruthTable, untenable: pd.DataFrame | None) -> frozenset[int]:
    """Numbers of the combinations no solution may rest on."""
    if untenable is None:
        return frozenset()
    absent = [name for name in table.conditions if name not in untenable.columns]
    if absent:
        raise TableError(f"`untenable` lacks {quoted(absent)}. Make it by `untenable_assumptions`.")
    weights = 1 << np.arange(len(table.conditions))[::-1]
    numbers = untenable[list(table.conditions)].to_numpy(dtype=int) @ weights
    return frozenset(int(number) for number in numbers)


def _solved(
    table: TruthTable,
    required: tuple[int, ...],
    remainders: frozenset[int],
    expectations: Mapping[str, Expectation] | None,
) -> tuple[dict[str, _Models], frozenset[int] | None]:
    """Models by solution, and the easy counterfactuals where expectations are declared."""
    k = len(table.conditions)
    solved = {"conservative": solutions_of(required, required, k)}
    parsimonious = solutions_of(required, (*required, *sorted(remainders)), k)
    easy: frozenset[int] | None = None
    if expectations is not None:
        expected = expected_states(expectations, table.conditions)
        found: dict[frozenset[Implicant], tuple[Implicant, ...]] = {}
        easy = frozenset()
        for one in solved["conservative"]:
            for other in parsimonious:
                supposed = corners_of(easy_counterfactuals(one, other, expected), k) & remainders
                easy |= supposed
                for model in solutions_of(required, (*required, *sorted(supposed)), k):
                    found.setdefault(frozenset(model), model)
        solved["intermediate"] = tuple(found.values())
    solved["parsimonious"] = parsimonious
    return solved, easy


def _assumptions(
    table: TruthTable,
    numbered: Sequence[tuple[str, int, tuple[Implicant, ...]]],
    easy: frozenset[int] | None,
) -> pd.DataFrame:
    """Combinations without cases that each model supposes to have the outcome."""
    remainders = frozenset(table.remainders)
    rows = [
        (solution, number, corner, None if easy is None else corner in easy)
        for solution, number, model in numbered
        for corner in sorted(corners_of(model, len(table.conditions)) & remainders)
    ]
    frame = pd.DataFrame(rows, columns=["solution", "model", "corner", "is_easy"])
    states = table.rows.loc[frame["corner"].astype(int), list(table.conditions)]
    return pd.concat(
        [
            frame[["solution", "model"]],
            states.reset_index(drop=True),
            frame["is_easy"].astype("boolean"),
        ],
        axis=1,
    )


def term_words(implicant: Implicant, conditions: Sequence[str]) -> str:
    """``DEV*~URB``; the first condition is the highest bit."""
    value, mask = implicant
    k = len(conditions)
    parts = []
    for j, name in enumerate(conditions):
        bit = 1 << (k - 1 - j)
        if mask & bit:
            parts.append(name if value & bit else f"~{name}")
    return "*".join(parts)


def term_membership(implicant: Implicant, x: np.ndarray) -> np.ndarray:
    """Membership of each case in a term; shape (n,)."""
    value, mask = implicant
    k = x.shape[1]
    degrees = [
        x[:, j] if value >> (k - 1 - j) & 1 else 1 - x[:, j]
        for j in range(k)
        if mask >> (k - 1 - j) & 1
    ]
    return np.min(degrees, axis=0) if degrees else np.ones(len(x))


def _term_rows(
    table: TruthTable, solution: str, number: int, cover: Sequence[Implicant]
) -> list[dict[str, object]]:
    """How each term of a model fits."""
    degrees = [term_membership(each, table.x) for each in cover]
    rows = []
    for j, (implicant, degree) in enumerate(zip(cover, degrees, strict=True)):
        others = [d for i, d in enumerate(degrees) if i != j]
        together = np.max(degrees, axis=0)
        rest = np.max(others, axis=0) if others else np.zeros(len(table.y))
        unique = np.minimum(together, table.y).sum() - np.minimum(rest, table.y).sum()
        rows.append(
            {
                "solution": solution,
                "model": number,
                "term": term_words(implicant, table.conditions),
                "consistency": consistency(degree, table.y),
                "pri": proportional_reduction(degree, table.y),
                "coverage": consistency(table.y, degree),
                "unique_coverage": float(unique / table.y.sum()),
                "n_cases": int((degree > 0.5).sum()),
            }
        )
    return rows


def _model_row(
    table: TruthTable, solution: str, number: int, cover: Sequence[Implicant]
) -> dict[str, object]:
    """How a model fits as a whole."""
    together = np.max([term_membership(each, table.x) for each in cover], axis=0)
    return {
        "solution": solution,
        "model": number,
        "formula": " + ".join(sorted(term_words(each, table.conditions) for each in cover)),
        "consistency": consistency(together, table.y),
        "pri": proportional_reduction(together, table.y),
        "coverage": consistency(table.y, together),
    }
