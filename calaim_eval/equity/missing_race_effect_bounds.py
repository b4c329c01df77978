"""What an effect by group can be when some members have no recorded group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.equity.assignment_bounds import bound_quantile
from calaim_eval.equity.missing_race_bounds import BOUND_WORDS, MANSKI, REPORTED_ONLY
from calaim_eval.equity.missing_race_members import missing_groups
from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, SUPPORT_COLUMNS, BoundsTable, EffectTable, Method
from calaim_eval.results.effect_table import fewest_degrees
from calaim_eval.results.smallest_support import smallest_support


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a group's effect: its value and its gradient in the effects of the table."""

    value: float
    gradient: np.ndarray


def missing_race_effect_bounds(
    effects: EffectTable,
    *,
    missing: Sequence[str] | str,
    members: Mapping[str, float] | pd.Series,
    effect_range: tuple[float, float],
    stratum: str = "race_ethnicity",
    reference: str | None = None,
    largest_shares: Sequence[float] = (1.0,),
    conf_level: float = 0.95,
) -> BoundsTable:
    r"""Bounds on effects by group, or on gaps in effects, when some members have no group.

    The effect on all members of a group averages the effect on its recorded members and the effect
    on those of the members without a group who belong to it. The second is not known; it lies in
    `effect_range`, and the effects of the members without a group average to the one estimated.

    Parameters
    ----------
    effects : EffectTable
        Differences by `stratum` from one fit, with a row for the members without a group.
    missing : str or sequence of str
        Groups that stand for "no group recorded"; each needs its row.
    members : mapping or pd.Series
        Exposed members by group, those of `missing` too: the weights of the average.
    effect_range : (float, float)
        Smallest and largest average effect thinkable in any part of the members without a group,
        in ``estimand.unit``. Bounds say nothing without it; it must hold their own effect.
    stratum, reference, largest_shares, conf_level
        As in `missing_race_bounds`; gaps are differences.

    Returns
    -------
    BoundsTable
        Keys: the other keys of `effects`, `stratum`, `reference` (gaps), `restriction`
        (``"reported_only"`` or ``"effect_range"``), `bound` (the largest share).

    Raises
    ------
    EstimationError
        Ratios, a group without a row or without members, or a range that does not hold the
        effect of the members without a group.

    Notes
    -----
    With a share s of the :math:`n_u` members in group g, their sum of effects is at most
    :math:`n_u \min\{s b, \theta_u - (1 - s) a\}` for a range of a to b, so

    .. math:: \bar\theta_g = \max_{s \le \bar s} \frac{n_g \theta_g + n_u \min\{s b, \theta_u -
              (1-s) a\}}{n_g + s n_u}

    which is reached at 0, at :math:`(\theta_u - a) / (b - a)` or at the largest share. With a
    range of 0 to 1 these are the bounds of a proportion. Members are taken as known numbers; the
    errors come from the joint covariance of the effects.

    References
    ----------
    Horowitz JL, Manski CF (1998). doi:10.1016/S0304-4076(97)00077-8
    """
    low, high = effect_range
    _check(effects, stratum, low, high, largest_shares)
    names = [str(v) for v in dict.fromkeys(effects.keys[stratum].astype(str)) if str(v) != ALL]
    gone = missing_groups(names, missing)
    recorded = [name for name in names if name not in gone]
    weights = exposed_members(members, names)
    if reference is not None and reference not in recorded:
        listed = ", ".join(f"'{name}'" for name in recorded)
        raise EstimationError(f"`reference` is '{reference}'; the recorded groups: {listed}.")
    asked = [(REPORTED_ONLY, 0.0), *(("effect_range", float(s)) for s in largest_shares)]
    keys, limits, support = [], [], []
    for values, at in rows_by_group(effects, stratum):
        lacking = [name for name in (*gone, reference) if name is not None and name not in at]
        if lacking:
            raise EstimationError(
                f"the effects have no row for {', '.join(lacking)} in {values or 'the table'}; "
                "bounds need the effect of the members without a group."
            )
        for name in recorded:
            if name == reference or name not in at:
                continue
            for kind, share in asked:
                ends = [
                    _ends(effects, at, one, gone, weights, share, (low, high))
                    for one in (name, *(() if reference is None else (reference,)))
                ]
                limits.append(_interval(effects, ends, conf_level))
                own = {stratum: name} | ({} if reference is None else {"reference": reference})
                keys.append({**values, **own, "restriction": kind, "bound": share})
                rows = [at[g] for g in (name, reference, *gone) if g is not None]
                sides = effects.support.iloc[rows][list(SUPPORT_COLUMNS)]
                support.append(smallest_support(sides.to_numpy(dtype=float)))
    table = np.array(limits, dtype=float).reshape(-1, 4)
    return BoundsTable(
        keys=pd.DataFrame(keys),
        set_low=table[:, 0],
        set_high=table[:, 1],
        conf_low=table[:, 2],
        conf_high=table[:, 3],
        conf_level=conf_level,
        support=pd.DataFrame(support, columns=list(SUPPORT_COLUMNS)),
        estimand=effects.estimand,
        method=Method(
            f"Bounds over members without a recorded group; {effects.method.estimator}",
            {
                **effects.method.options,
                "missing": tuple(gone),
                "effect_range": (low, high),
                "reference": reference,
            },
            MANSKI,
        ),
        bound_words=BOUND_WORDS,
        notes=effects.notes,
    )


def _check(
    effects: EffectTable, stratum: str, low: float, high: float, shares: Sequence[float]
) -> None:
    """Refuse ratios, an empty range, shares outside 0 to 1, and tables without the stratum."""
    if effects.estimand.scale != "difference":
        raise EstimationError(
            "bounds of effects average differences over members; ratios do not average. "
            "Take the effects as differences."
        )
    if stratum not in effects.keys.columns:
        raise EstimationError(f"the effects have no key `{stratum}`; estimate by group first.")
    if not low < high:
        raise EstimationError(f"`effect_range` is {low} to {high}; its low end must be below.")
    if any(not 0 < share <= 1 for share in shares):
        raise EstimationError("`largest_shares` must lie above 0 and be at most 1.")


def exposed_members(
    members: Mapping[str, float] | pd.Series, names: Sequence[str]
) -> dict[str, float]:
    """Exposed members by group; EstimationError where one is absent or none."""
    given = {str(name): float(n) for name, n in members.items()}
    bad = [name for name in names if not given.get(name, 0.0) > 0]
    if bad:
        raise EstimationError(
            f"`members` has no number above 0 for {len(bad)} of {len(names)} groups: "
            f"{', '.join(bad)}."
        )
    return given


def rows_by_group(
    effects: EffectTable, stratum: str
) -> list[tuple[dict[str, object], dict[str, int]]]:
    """For each combination of the other keys: its values, and the row of each group."""
    others = [c for c in effects.keys.columns if c != stratum]
    found: dict[tuple[object, ...], dict[str, int]] = {}
    for row, values in enumerate(effects.keys[[*others, stratum]].itertuples(index=False)):
        found.setdefault(tuple(values)[:-1], {})[str(values[-1])] = row
    return [(dict(zip(others, values, strict=True)), at) for values, at in found.items()]


def _ends(
    effects: EffectTable,
    at: Mapping[str, int],
    name: str,
    gone: Sequence[str],
    weights: Mapping[str, float],
    share: float,
    limits: tuple[float, float],
) -> tuple[_End, _End]:
    """Lowest and highest effect of a group."""
    k = len(effects)
    own = np.zeros(k)
    own[at[name]] = 1.0
    pool = np.zeros(k)
    n_missing = sum(weights[g] for g in gone)
    for g in gone:
        pool[at[g]] = weights[g] / n_missing
    theta, theta_missing = (
        float(effects.estimate[at[name]]),
        float(sum(effects.estimate[at[g]] * pool[at[g]] for g in gone)),
    )
    if not limits[0] <= theta_missing <= limits[1]:
        raise EstimationError(
            f"`effect_range` {limits} does not hold the effect of the members without a group. "
            "Widen it."
        )
    top = _highest(theta, theta_missing, own, pool, (weights[name], n_missing, share), limits)
    down = _highest(
        -theta,
        -theta_missing,
        own,
        pool,
        (weights[name], n_missing, share),
        (-limits[1], -limits[0]),
    )
    return _End(-down.value, down.gradient), top


def _highest(
    theta: float,
    theta_missing: float,
    own: np.ndarray,
    pool: np.ndarray,
    sizes: tuple[float, float, float],
    limits: tuple[float, float],
) -> _End:
    """Highest average of a group over the shares it may have, and its gradient."""
    n, n_missing, cap = sizes
    low, high = limits
    kink = (theta_missing - low) / (high - low)

    def at(share: float) -> float:
        total = min(share * high, theta_missing - (1 - share) * low)
        return (n * theta + n_missing * total) / (n + n_missing * share)

    best = max((s for s in (0.0, min(kink, cap), cap)), key=at)
    size = n + n_missing * best
    value = at(best)
    if best == 0.0 or best < kink:
        load = 0.0
    elif best > kink:
        load = n_missing / size
    else:
        load = n_missing * (high - value) / (size * (high - low))
    return _End(value, own * n / size + pool * load)


def _interval(
    effects: EffectTable, ends: Sequence[tuple[_End, _End]], level: float
) -> tuple[float, float, float, float]:
    """Set and interval of an effect, or of the first minus the second."""
    (low, high), *base = ends
    pairs = [(low, base[0][1]), (high, base[0][0])] if base else [(low, None), (high, None)]
    values, errors, behind = [], [], np.zeros(len(effects), dtype=bool)
    for top, bottom in pairs:
        values.append(top.value - (bottom.value if bottom else 0.0))
        load = top.gradient - (bottom.gradient if bottom else 0.0)
        used = load != 0
        variance = load[used] @ effects.covariance[np.ix_(used, used)] @ load[used]
        errors.append(float(np.sqrt(variance)) if variance > 0 else np.nan)
        behind |= used
    degrees = np.nan
    if effects.degrees is not None:
        degrees = float(fewest_degrees(effects.degrees, behind[None, :])[0])
    c = bound_quantile(values[1] - values[0], float(np.max(errors)), level, degrees)
    return values[0], values[1], values[0] - c * errors[0], values[1] + c * errors[1]
