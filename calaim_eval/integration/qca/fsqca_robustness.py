"""Solutions again under other anchors and cutoffs: what stays, and for which cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.qca.calibration import Calibration, calibrate
from calaim_eval.integration.qca.counterfactuals import Expectation, read_term
from calaim_eval.integration.qca.fsqca import FsqcaSolutions, fsqca, term_membership
from calaim_eval.integration.qca.membership import consistency
from calaim_eval.integration.qca.truth_table import Cutoffs, truth_table

Solution = Literal["conservative", "intermediate", "parsimonious"]


@dataclass(frozen=True, slots=True, eq=False)
class FsqcaRobustness:
    r"""A solution beside those that other defensible choices give.

    Attributes
    ----------
    alternatives : pd.DataFrame
        One row per change, the solution itself first (``change`` is ``"none"``): ``formula``
        (empty where there is no solution), ``is_same``, ``consistency``, ``coverage``,
        ``overlap`` with the solution (:math:`\sum\min/\sum\max` of memberships, 1: the same),
        ``n_gained``, ``n_lost`` (cases that enter or leave it), ``why_not``.
    consistency_fit, coverage_fit : float
        Consistency of the solution over that of what all alternatives share with it, and coverage
        of the shared part over that of the solution; 1: nothing hangs on the choices. The first is
        NaN where the shared part holds nothing of the outcome.
    overlap_of_all, overlap_of_any : float
        Overlap of the solution with what all alternatives hold, and with what any does.
    notes : tuple[str, ...]
    """

    alternatives: pd.DataFrame
    consistency_fit: float
    coverage_fit: float
    overlap_of_all: float
    overlap_of_any: float
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """The alternatives."""
        return self.alternatives.copy()

    def __repr__(self) -> str:
        rows = self.alternatives.iloc[1:]
        return f"<FsqcaRobustness: {int(rows['is_same'].sum())} of {len(rows)} alternatives agree>"


@dataclass(frozen=True, slots=True)
class _Choice:
    """One set of choices."""

    change: str
    calibrations: tuple[Calibration, ...]
    cutoffs: Cutoffs


def fsqca_robustness(
    data: pd.DataFrame,
    calibrations: Sequence[Calibration],
    *,
    outcome: str,
    conditions: Sequence[str],
    solution: Solution = "conservative",
    expectations: Mapping[str, Expectation] | None = None,
    cutoffs: Cutoffs = Cutoffs(0.8, 0.0, 1),  # noqa: B008
    consistency_cutoffs: Sequence[float] = (0.75, 0.85, 0.9),
    frequency_cutoffs: Sequence[int] = (2,),
    anchor_shift: float = 0.1,
) -> FsqcaRobustness:
    r"""A solution under other cutoffs and with every anchor moved, one change at a time.

    Each anchor of each set moves up and down by `anchor_shift` of its distance to the next one.
    What is left of the solution in every alternative is its robust core C; with S the solution,

    .. math:: RF_{cons} = \frac{\text{consistency}(S)}{\text{consistency}(C)}, \qquad
              RF_{cov} = \frac{\text{coverage}(C)}{\text{coverage}(S)}

    A solution that stays the same is not thereby true; one that does not rests on choices.

    Parameters
    ----------
    data : pd.DataFrame
        One row per case, raw values.
    calibrations : sequence of Calibration
        Of every condition and the outcome.
    outcome : str
    conditions : sequence of str
    solution : {"conservative", "intermediate", "parsimonious"}
    expectations : mapping, optional
        Needed for ``"intermediate"``; as in `fsqca`.
    cutoffs : Cutoffs
        Of the solution itself.
    consistency_cutoffs, frequency_cutoffs : sequence
        Others to try.
    anchor_shift : float
        Above 0 and below 1; crisp sets move by this share of their threshold, those of a column
        with two values not at all.

    Returns
    -------
    FsqcaRobustness

    Raises
    ------
    TableError, EstimationError
        As in `calibrate`, `truth_table` and `fsqca` for the solution itself; an alternative that
        has no solution is kept in its row with the reason.

    References
    ----------
    Oana IE, Schneider CQ (2024). A robustness test protocol for applied QCA.
    doi:10.1177/00491241211036158.
    """
    if solution == "intermediate" and expectations is None:
        raise EstimationError("the intermediate solution needs `expectations`.")
    if not 0 < anchor_shift < 1:
        raise EstimationError(f"`anchor_shift` is {anchor_shift}; it is above 0 and below 1.")
    start = _Choice("none", tuple(calibrations), cutoffs)
    choices = [
        *_other_cutoffs(start, consistency_cutoffs, frequency_cutoffs),
        *_other_anchors(start, data, {*conditions, outcome.removeprefix("~")}, anchor_shift),
    ]

    def solve(choice: _Choice) -> FsqcaSolutions:
        """The solutions under one set of choices."""
        table = truth_table(
            calibrate(data, choice.calibrations),
            outcome=outcome,
            conditions=conditions,
            consistency_cutoff=choice.cutoffs.consistency,
            pri_cutoff=choice.cutoffs.pri,
            frequency_cutoff=choice.cutoffs.frequency,
        )
        return fsqca(table, expectations=expectations)

    first = solve(start)
    held, y = _held(first, solution), first.table.y
    rows, others = [_row("none", first.formula(solution), held, held, y, is_same=True)], []
    for choice in choices:
        try:
            found = solve(choice)
        except (EstimationError, TableError) as error:
            why_not = str(error).split(". ")[0]
            rows.append({"change": choice.change, "formula": "", "why_not": why_not})
            continue
        other = _held(found, solution)
        others.append(other)
        formula = found.formula(solution)
        same = formula == first.formula(solution)
        rows.append(_row(choice.change, formula, other, held, found.table.y, is_same=same))
    frame = pd.DataFrame(rows).astype({"n_gained": "Int64", "n_lost": "Int64"})
    frame["is_same"] = frame["is_same"].eq(other=True)
    return _summary(frame, held, others, y, solution)


def _other_cutoffs(
    start: _Choice, consistencies: Sequence[float], frequencies: Sequence[int]
) -> list[_Choice]:
    """The same sets with other cutoffs."""
    found = [
        replace(
            start,
            change=f"consistency cutoff {each:g}",
            cutoffs=replace(start.cutoffs, consistency=each),
        )
        for each in consistencies
        if each != start.cutoffs.consistency
    ]
    found += [
        replace(
            start,
            change=f"at least {each} cases",
            cutoffs=replace(start.cutoffs, frequency=each),
        )
        for each in frequencies
        if each != start.cutoffs.frequency
    ]
    return found


def _other_anchors(
    start: _Choice, data: pd.DataFrame, used: set[str], share: float
) -> list[_Choice]:
    """The same cutoffs with one anchor of one set moved; yes or no has no other threshold."""
    found = []
    for place, anchors in enumerate(start.calibrations):
        is_crisp = anchors.non_member == anchors.full_member
        if anchors.name not in used or (is_crisp and data[anchors.column].nunique() <= 2):
            continue
        for words, moved in _moved(anchors, share):
            sets = list(start.calibrations)
            sets[place] = moved
            found.append(replace(start, change=words, calibrations=tuple(sets)))
    return found


def _moved(anchors: Calibration, share: float) -> list[tuple[str, Calibration]]:
    """One set with each of its anchors moved down and up."""
    low, middle, high = anchors.non_member, anchors.crossover, anchors.full_member
    steps = {
        "non_member": abs(middle - low),
        "crossover": min(abs(middle - low), abs(high - middle)),
        "full_member": abs(high - middle),
    }
    found = []
    for sign, way in ((-1, "lower"), (1, "higher")):
        if low == high:
            value = middle + sign * share * (abs(middle) or 1.0)
            moved = replace(anchors, non_member=value, crossover=value, full_member=value)
            found.append((f"{anchors.name}: threshold {way}", moved))
            continue
        for anchor, step in steps.items():
            value = getattr(anchors, anchor) + sign * share * step
            moved = replace(anchors, **{anchor: value})
            found.append((f"{anchors.name}: {anchor} {way}", moved))
    return found


def _held(solved: FsqcaSolutions, solution: str) -> np.ndarray:
    """Membership of each case in the solution, in any of its models; shape (n,)."""
    terms = solved.terms.loc[solved.terms["solution"] == solution, "term"].unique()
    table = solved.table
    degrees = [term_membership(read_term(term, table.conditions), table.x) for term in terms]
    return np.asarray(np.max(degrees, axis=0))


def _row(
    change: str, formula: str, other: np.ndarray, held: np.ndarray, y: np.ndarray, *, is_same: bool
) -> dict[str, object]:
    """How one alternative differs from the solution."""
    return {
        "change": change,
        "formula": formula,
        "is_same": is_same,
        "consistency": consistency(other, y),
        "coverage": consistency(y, other),
        "overlap": _overlap(held, other),
        "n_gained": int(((other > 0.5) & (held <= 0.5)).sum()),
        "n_lost": int(((other <= 0.5) & (held > 0.5)).sum()),
        "why_not": "",
    }


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Shared membership over joint membership."""
    joint = np.maximum(one, other).sum()
    return float(np.minimum(one, other).sum() / joint) if joint > 0 else float("nan")


def _summary(
    rows: pd.DataFrame, held: np.ndarray, others: list[np.ndarray], y: np.ndarray, solution: str
) -> FsqcaRobustness:
    """The core that every alternative shares, and what holds in any."""
    if not others:
        raise EstimationError("no alternative has a solution: nothing can be compared with it.")
    least, most = np.min(others, axis=0), np.max(others, axis=0)
    core = np.minimum(held, least)
    unsolved = int((rows["formula"] == "").sum())
    notes = [f"The {solution} solution, one choice changed at a time."]
    if unsolved:
        notes.append(
            f"{unsolved} of {len(rows) - 1} alternatives have no solution; the measures of fit "
            "are of the others."
        )
    shared = consistency(core, y)
    if not shared > 0:
        notes.append("What all alternatives share holds nothing of the outcome.")
    return FsqcaRobustness(
        alternatives=rows,
        consistency_fit=consistency(held, y) / shared if shared > 0 else float("nan"),
        coverage_fit=consistency(y, core) / consistency(y, held),
        overlap_of_all=_overlap(held, least),
        overlap_of_any=_overlap(held, most),
        notes=tuple(notes),
    )
