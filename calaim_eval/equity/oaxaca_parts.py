"""The parts of one gap from the regressions of its two groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calaim_eval.equity.oaxaca_fit import (
    Estimate,
    fit_coefficients,
    mean_columns,
    mean_prediction,
)
from calaim_eval.equity.oaxaca_rows import INTERCEPT, OaxacaRows
from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, Scale

SHARE_OF_GROUP = {"reference": 0.0, "group": 1.0, "half": 0.5}
EMPTY = 1e-10
"""A linear part this small beside its pieces has no shares to split a part by."""


@dataclass(frozen=True, slots=True, eq=False)
class GapPart:
    """One row: a component of the gap, of a covariate or of all."""

    component: str
    covariate: str
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Rows and coefficients of two groups, 0 the group and 1 the reference."""

    rows: OaxacaRows
    sides: tuple[np.ndarray, np.ndarray]
    coefs: tuple[Estimate, Estimate]
    model: str

    def mean(self, side: int, coef: Estimate, *, scale: Scale) -> Estimate:
        """What coefficients predict on average for a side, or its logarithm."""
        rows = self.rows
        found = mean_prediction(coef, rows.x, rows.weight, self.sides[side], model=self.model)
        if scale == "difference":
            return found
        if not found.value > 0:
            raise EstimationError(
                'oaxaca_blinder: scale="ratio" needs predictions above 0 on average, and one is '
                'not.\n  Use scale="difference", or model="logit".'
            )
        return found.log()


def standard_coefficients(pair: Pair, *, coefficients: str, where: str) -> Estimate:
    """The coefficients both groups' covariates are valued at."""
    rows, (group, reference) = pair.rows, pair.sides
    both = group | reference
    if coefficients in ("pooled", "neumark"):
        with_group = coefficients == "pooled"
        x = np.column_stack([rows.x, group]) if with_group else rows.x
        fit = fit_coefficients(
            rows.outcome,
            x,
            rows.weight,
            both,
            names=[*rows.names, *(["the group"] if with_group else [])],
            model=pair.model,
            where=where,
        )
        p = rows.x.shape[1]
        return Estimate(fit.value[:p], fit.influence[:, :p])
    share = SHARE_OF_GROUP.get(coefficients)
    if share is None:
        share = float(rows.weight[group].sum() / rows.weight[both].sum())
    return pair.coefs[0].scaled(share) + pair.coefs[1].scaled(1 - share)


def twofold(pair: Pair, standard: Estimate, *, scale: Scale, detail: str) -> list[GapPart]:
    """Gap, explained and unexplained; and their split over covariates."""
    (own, base), spread = pair.coefs, pair.rows.spread
    gap = pair.mean(0, own, scale=scale) - pair.mean(1, base, scale=scale)
    explained = pair.mean(0, standard, scale=scale) - pair.mean(1, standard, scale=scale)
    parts = [("explained", explained), ("unexplained", gap - explained)]
    if detail == "none":
        return _whole(gap, parts)
    means = [mean_columns(pair.rows.full, pair.rows.weight, side) for side in pair.sides]
    a, b, s = (each.mapped(spread) for each in (own, base, standard))
    pieces = [(means[0] - means[1]) * s, means[0] * (a - s) + means[1] * (s - b)]
    return [*_whole(gap, parts), *_split(pair, parts, pieces, scale=scale, detail=detail)]


def threefold(pair: Pair, *, scale: Scale, detail: str) -> list[GapPart]:
    """Gap, endowments, coefficients and interaction, seen from the reference."""
    (own, base), spread = pair.coefs, pair.rows.spread
    both, none = pair.mean(0, own, scale=scale), pair.mean(1, base, scale=scale)
    covariates, coefficients = pair.mean(0, base, scale=scale), pair.mean(1, own, scale=scale)
    parts = [
        ("endowments", covariates - none),
        ("coefficients", coefficients - none),
        ("interaction", both - covariates - coefficients + none),
    ]
    if detail == "none":
        return _whole(both - none, parts)
    means = [mean_columns(pair.rows.full, pair.rows.weight, side) for side in pair.sides]
    a, b = own.mapped(spread), base.mapped(spread)
    apart, slopes = means[0] - means[1], a - b
    pieces = [apart * b, means[1] * slopes, apart * slopes]
    return [*_whole(both - none, parts), *_split(pair, parts, pieces, scale=scale, detail=detail)]


def _whole(gap: Estimate, parts: Sequence[tuple[str, Estimate]]) -> list[GapPart]:
    """The rows over all covariates."""
    return [GapPart("gap", ALL, gap), *(GapPart(name, ALL, part) for name, part in parts)]


def _split(
    pair: Pair,
    parts: Sequence[tuple[str, Estimate]],
    pieces: Sequence[Estimate],
    *,
    scale: Scale,
    detail: str,
) -> list[GapPart]:
    """Each part over the covariates, in proportion to their linear pieces (Yun 2004)."""
    rows = pair.rows
    labels = rows.columns if detail == "level" else rows.covariate
    distinct = list(dict.fromkeys(labels))
    gather = np.array([[label == each for label in labels] for each in distinct], dtype=float)
    is_linear = pair.model == "linear" and scale == "difference"
    found = []
    for (name, part), piece in zip(parts, pieces, strict=True):
        own = piece.mapped(gather)
        split = own if is_linear else _in_proportion(part, own)
        found += [
            GapPart(name, label, Estimate(split.value[j], split.influence[:, j]))
            for j, label in enumerate(distinct)
            if label != INTERCEPT or name in ("unexplained", "coefficients")
        ]
    return found


def _in_proportion(part: Estimate, pieces: Estimate) -> Estimate:
    """A part divided like the pieces, NaN where these add up to nothing."""
    total = pieces.value.sum()
    if abs(total) <= EMPTY * np.abs(pieces.value).sum():
        nothing = np.full_like(pieces.value, np.nan)
        return Estimate(nothing, np.full_like(pieces.influence, np.nan))
    share = pieces.value / total
    in_share = (pieces.influence - pieces.influence.sum(axis=1)[:, None] * share) / total
    return Estimate(part.value * share, part.influence[:, None] * share + part.value * in_share)
