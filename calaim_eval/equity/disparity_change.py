"""Did the gap between groups close: before, after, and what it would have been otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.design.ledger import FEW
from calaim_eval.equity.decomposition_table import WHOLE_OR_NOT
from calaim_eval.equity.disparity_change_table import CHANGE, PARTS, DisparityChange, directions
from calaim_eval.errors import EstimationError
from calaim_eval.estimate import GroupTimeEffects, group_time_rates
from calaim_eval.results import ALL, SUPPORT_COLUMNS, EffectTable, Estimand, Method, Scale
from calaim_eval.results.effect_table import with_undefined
from calaim_eval.results.smallest_support import smallest_support

Parallel = Literal["difference", "ratio"]
CELLS = (
    ("exposed", "before"),
    ("exposed", "after"),
    ("comparison", "before"),
    ("comparison", "after"),
)
BY_LEVEL = np.array(
    [
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0],
        [-1.0, 0.0, 1.0],
        [-1.0, 1.0, 0.0],
        [0.0, -1.0, 1.0],
    ]
)
"""Weights of a gap before, without the program and after in each of `PARTS`; shape (6, 3)."""
RESTS_ON = (
    "`change_without_program` and `effect_gap` split the change only if, without the program, the "
    "exposed of each group would have changed like the comparison of the same group. What the "
    "exposed of a group had before is not what the group had: they are often chosen for high use."
)
REFERENCE = (
    "Keppel K, Pamuk E, Lynch J, et al. (2005). Methodological issues in measuring health "
    "disparities. Vital Health Stat 2(141)"
)


def disparity_change(
    source: EffectTable,
    *,
    reference: str,
    stratum: str = "race_ethnicity",
    parallel: Parallel = "difference",
) -> DisparityChange:
    r"""Gap between groups before and after a program, its change, and the program's share of it.

    Use where the question is whether the *inequity in the outcome* narrowed. A gap in effects
    (`effect_gap`) is only one part of that: the gap may have been closing, or opening, anyway.

    Parameters
    ----------
    source : EffectTable
        Rates of `pre_post_rates` or `group_time_rates` by `stratum`; or the effects of
        `group_time_att`, whose rates are then taken over all months from exposure on. Any table
        with the keys `stratum`, ``side`` and ``period`` will do.
    reference : str
        Group the others are compared with. It is named, never chosen from the data.
    stratum : str
        Key column with the groups. An "all" row holds every group and is left out.
    parallel : {"difference", "ratio"}
        What the exposed would have shared with the comparison of their group without the program:
        the change in the rate, or the percentage change. The same for both scales.

    Returns
    -------
    DisparityChange
        `differences` (group minus reference) and `ratios` (group over reference), each with the
        rows `gap_before`, `gap_without_program`, `gap_after`, `change`,
        `change_without_program`, `effect_gap` for each group. Descriptive. NaN, and a note, where
        a rate is missing or (ratios) not positive.

    Raises
    ------
    EstimationError
        The keys are not there, repeat, or hold no such reference or no other group.

    Notes
    -----
    With exposed rates :math:`B, A` before and after, comparison rates :math:`b, a`, and
    :math:`N = B + a - b` (or :math:`B a / b`) the rate without the program:

    .. math:: (A_g - A_0) - (B_g - B_0) = [(N_g - N_0) - (B_g - B_0)] + [(A_g - A_0) - (N_g - N_0)]

    and the same with logarithms, so that ratios multiply: change = change without the program
    times effect gap. Both hold exactly; errors are by the delta method from the joint covariance
    of all rates. With ``parallel="difference"`` the `effect_gap` of the differences is
    ``effect_gap`` of the effects.

    References
    ----------
    .. [1] Keppel K, Pamuk E, Lynch J, et al. (2005). Methodological issues in measuring health
       disparities. Vital Health Stat 2(141).
    """
    check_option("parallel", parallel, get_args(Parallel))
    rates = group_time_rates(source) if isinstance(source, GroupTimeEffects) else source
    pairs = list(_pairs(rates, reference=reference, stratum=stratum))
    notes = (*rates.notes, RESTS_ON, WHOLE_OR_NOT)
    tables = {
        scale: _table(rates, pairs, scale=scale, parallel=parallel, stratum=stratum, notes=notes)
        for scale in get_args(Scale)
    }
    both = DisparityChange(tables["difference"], tables["ratio"])
    return both.with_notes(_opposed(both, stratum))


@dataclass(frozen=True, slots=True)
class _Pair:
    """A group and its reference: positions of their four rates, -1 where there is none."""

    labels: dict[str, object]
    group: np.ndarray
    base: np.ndarray


def _pairs(rates: EffectTable, *, reference: str, stratum: str) -> Iterator[_Pair]:
    """Every group beside the reference, within each combination of the other keys."""
    lacking = [c for c in (stratum, "side", "period") if c not in rates.keys.columns]
    if lacking:
        has = ", ".join(f"`{c}`" for c in rates.keys.columns)
        raise EstimationError(
            f"disparity_change: the rates lack the keys {', '.join(f'`{c}`' for c in lacking)}; "
            f"they have {has}.\n"
            f'  Use pre_post_rates(...) of reduce_panel(..., stratum="{stratum}").'
        )
    keys = rates.keys.astype(str).reset_index(drop=True)
    if (repeated := int(keys.duplicated().sum())) > 0:
        raise EstimationError(
            f"disparity_change: {repeated} of {len(keys)} rows repeat their keys."
        )
    groups = [g for g in dict.fromkeys(keys[stratum]) if g != ALL]
    if reference not in groups or len(groups) == 1:
        listed = ", ".join(f"'{g}'" for g in groups)
        raise EstimationError(
            f"`reference` is '{reference}'; the groups in `{stratum}`: {listed}. A gap needs the "
            "reference and another group."
        )
    others = [c for c in rates.keys.columns if c not in (stratum, "side", "period")]
    at = {tuple(row): i for i, row in enumerate(keys[[*others, stratum, "side", "period"]].values)}
    places = keys.index[~keys[others].duplicated()] if others else keys.index[:1]
    for place in places:
        own = tuple(keys.loc[place, others])
        rows = {g: np.array([at.get((*own, g, *cell), -1) for cell in CELLS]) for g in groups}
        for group in groups:
            if group != reference and (rows[group] >= 0).any():
                labels = {**rates.keys.loc[place, others].to_dict(), stratum: group}
                yield _Pair({**labels, "reference": reference}, rows[group], rows[reference])


def _levels(rate: np.ndarray, parallel: Parallel) -> tuple[np.ndarray, np.ndarray]:
    """Rates before, without the program and after (3,), and their slopes in the four rates (3, 4).

    `rate`: exposed before, after; comparison before, after.
    """
    before, after, low, high = rate
    if parallel == "difference":
        without, slope = before + high - low, [1.0, 0.0, -1.0, 1.0]
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.float64(high) / low
            without = before * factor
            slope = [factor, 0.0, -without / low, before / np.float64(low)]
    slopes = np.array([[1.0, 0, 0, 0], slope, [0, 1.0, 0, 0]])
    values = np.array([before, without, after])
    return np.where(np.isfinite(values), values, np.nan), slopes


def _parts(
    rates: EffectTable, pair: _Pair, *, scale: Scale, parallel: Parallel
) -> tuple[np.ndarray, np.ndarray]:
    """The parts of one gap (6,) and their slopes in all rates (6, k); NaN where undefined."""
    gaps = np.zeros(3)
    slopes = np.zeros((3, len(rates)))
    for rows, sign in ((pair.group, 1.0), (pair.base, -1.0)):
        there = rows >= 0
        rate = np.where(there, rates.estimate[rows], np.nan)
        level, slope = _levels(rate, parallel)
        if scale == "ratio":
            level = np.where(level > 0, level, np.nan)
            slope = slope / level[:, None]
            level = np.log(level)
        gaps += sign * level
        slopes[:, rows[there]] += sign * slope[:, there]
    undefined = (BY_LEVEL != 0) @ np.isnan(gaps)
    parts = np.where(undefined, np.nan, BY_LEVEL @ np.nan_to_num(gaps))
    loads = np.where(undefined[:, None], 0.0, BY_LEVEL @ np.nan_to_num(slopes))
    if scale == "ratio":
        parts = np.exp(parts)
        loads = loads * np.nan_to_num(parts)[:, None]
    return parts, loads


def _table(
    rates: EffectTable,
    pairs: list[_Pair],
    *,
    scale: Scale,
    parallel: Parallel,
    stratum: str,
    notes: tuple[str, ...],
) -> EffectTable:
    """All parts of all gaps in one scale, with their joint covariance."""
    found = [_parts(rates, pair, scale=scale, parallel=parallel) for pair in pairs]
    estimate = np.concatenate([parts for parts, _ in found])
    keys = pd.DataFrame([{**pair.labels, "part": part} for pair in pairs for part in PARTS])
    combined = rates.combine(np.vstack([loads for _, loads in found]), keys=keys)
    undefined = np.isnan(estimate)
    covariance, influence = with_undefined(
        combined.covariance, combined.cluster_influence, undefined
    )
    if undefined.any():
        why = "a rate is missing" + (" or not positive" if scale == "ratio" else "")
        notes = (*notes, f"{int(undefined.sum())} of {len(keys)} {scale}s are undefined: {why}.")
    word = "minus" if scale == "difference" else "over"
    return EffectTable(
        keys=keys,
        estimate=estimate,
        covariance=covariance,
        support=_support(rates, pairs),
        estimand=Estimand(
            "Change in a gap" if scale == "difference" else "Change in a relative gap",
            f"rate in the group {word} rate in the reference: before, after and without the "
            f"program; changes are later {word} earlier",
            rates.estimand.unit if scale == "difference" else "rate ratio, or ratio of rate ratios",
            scale=scale,
            is_causal=False,
        ),
        method=Method(
            f"Change in the gap and its parts ({scale}); {rates.method.estimator}",
            {**rates.method.options, "stratum": stratum, "parallel": parallel, "scale": scale},
            REFERENCE,
        ),
        cluster_influence=influence,
        notes=tuple(dict.fromkeys(notes)),
        degrees=combined.degrees,
    )


def _support(rates: EffectTable, pairs: list[_Pair]) -> pd.DataFrame:
    """Smallest support of the rates behind each gap, of events the smallest that has any.

    The same for all parts of a gap, since each follows from the others.
    """
    support = rates.support[list(SUPPORT_COLUMNS)].to_numpy(dtype=float)
    rows = []
    for pair in pairs:
        both = np.concatenate([pair.group, pair.base])
        smallest = smallest_support(support[both[both >= 0]])
        if (pair.group < 0).all() or (pair.base < 0).all():
            smallest[[at for at, c in enumerate(SUPPORT_COLUMNS) if c != "n_events"]] = 0
        rows += [smallest] * len(PARTS)
    return pd.DataFrame(rows, columns=list(SUPPORT_COLUMNS))


def _opposed(both: DisparityChange, stratum: str) -> tuple[str, ...]:
    """A note on gaps that narrow in one scale and widen in the other; small groups go unnamed."""
    is_change = (both.differences.keys["part"] == CHANGE).to_numpy()
    absolute, relative = directions(both.differences), directions(both.ratios)
    notes = []
    for one, other in (("narrower", "wider"), ("wider", "narrower")):
        rows = is_change & (absolute == one) & (relative == other)
        if not rows.any():
            continue
        support = both.differences.support
        large = rows & (support["n_members"] >= FEW) & (support["n_events"] >= FEW)
        named = dict.fromkeys(f"'{g}'" for g in both.differences.keys[stratum][large])
        where = f" ({', '.join(named)})" if named else ""
        notes.append(
            f"{int(rows.sum())} of {int(is_change.sum())} gaps{where} are {one} as a difference "
            f"and {other} as a ratio: whether they closed depends on the scale. Report both."
        )
    return tuple(notes)
