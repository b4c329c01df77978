"""Solutions of a truth table: combinations that go with the outcome, as short as may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.qca.membership import consistency, proportional_reduction
from calaim_eval.integration.qca.minimize import (
    Implicant,
    covers,
    minimal_covers,
    prime_implicants,
)
from calaim_eval.integration.qca.truth_table import TruthTable
from calaim_eval.results import Method

_REFERENCE = (
    "Ragin CC (2008). Redesigning Social Inquiry. University of Chicago Press; Duşa A (2019). QCA "
    "with R. doi:10.1007/978-3-319-75668-4"
)


@dataclass(frozen=True, slots=True, eq=False)
class FsqcaSolutions:
    """Solutions of one truth table.

    Attributes
    ----------
    terms : pd.DataFrame
        One row per term: ``solution`` (``"conservative"``, ``"parsimonious"``), ``model`` (1, 2 …
        where the data do not choose), ``term`` (``DEV*~URB``), ``consistency``, ``pri``,
        ``coverage``, ``unique_coverage``, ``n_cases``.
    models : pd.DataFrame
        One row per solution and model: ``formula``, ``consistency``, ``coverage``.
    table : TruthTable
    method : Method
    notes : tuple[str, ...]
    """

    terms: pd.DataFrame
    models: pd.DataFrame
    table: TruthTable
    method: Method
    notes: tuple[str, ...]

    def formula(self, solution: str) -> str:
        """The solution's models in words, ``or`` between those the data do not choose from."""
        mine = self.models[self.models["solution"] == solution]
        return " or ".join(mine["formula"])

    def __repr__(self) -> str:
        return f"<FsqcaSolutions of {self.table.outcome}: {self.formula('conservative')}>"


def fsqca(table: TruthTable) -> FsqcaSolutions:
    r"""Combinations of conditions that are sufficient for the outcome in these cases.

    The *conservative* solution rests on combinations with cases alone; the *parsimonious* one
    supposes of every combination without cases whatever makes it shortest, which theory must
    defend. Where several sets of terms are equally short, all are given. Coverage of a term is the
    share of the outcome it accounts for, :math:`\sum\min(x,y)/\sum y`; unique coverage what no
    other term of the model does. This is a description of few cases: no interval exists, and no
    effect is meant.

    Parameters
    ----------
    table : TruthTable

    Returns
    -------
    FsqcaSolutions

    Raises
    ------
    EstimationError
        No combination goes with the outcome, or all with cases do.

    References
    ----------
    Ragin CC (2008); Duşa A (2019). doi:10.1007/978-3-319-75668-4.
    """
    required = table.corners(is_outcome=True)
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
    k = len(table.conditions)
    allowed = {"conservative": required, "parsimonious": (*required, *table.remainders)}
    terms, models = [], []
    for solution, corners in allowed.items():
        primes = [
            p for p in prime_implicants(corners, k) if any(covers(p, corner) for corner in required)
        ]
        for number, cover in enumerate(minimal_covers(required, primes), start=1):
            terms += _term_rows(table, solution, number, cover)
            models.append(_model_row(table, solution, number, cover))
    return FsqcaSolutions(
        terms=pd.DataFrame(terms),
        models=pd.DataFrame(models),
        table=table,
        method=Method("Fuzzy-set qualitative comparative analysis", {}, _REFERENCE),
        notes=(*table.notes, "A description of these cases: sufficiency is not an effect."),
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


def _membership(implicant: Implicant, x: np.ndarray) -> np.ndarray:
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
    degrees = [_membership(each, table.x) for each in cover]
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
    together = np.max([_membership(each, table.x) for each in cover], axis=0)
    return {
        "solution": solution,
        "model": number,
        "formula": " + ".join(sorted(term_words(each, table.conditions) for each in cover)),
        "consistency": consistency(together, table.y),
        "coverage": consistency(table.y, together),
    }
