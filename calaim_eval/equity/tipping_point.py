"""How different members without a recorded group would have to be for a gap to go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.equity.missing_race_bounds import REPORTED_ONLY
from calaim_eval.equity.missing_race_effect_bounds import exposed_members, rows_by_group
from calaim_eval.equity.missing_race_members import missing_groups
from calaim_eval.equity.rate_gap import half_event_error, rate_std_error, rate_support
from calaim_eval.equity.rates_of import rates_option
from calaim_eval.errors import EstimationError
from calaim_eval.results import (
    ALL,
    SUPPORT_COLUMNS,
    BoundsTable,
    EffectTable,
    Estimand,
    Method,
    RateTable,
    Scale,
)
from calaim_eval.results.effect_table import fewest_degrees, t_quantile
from calaim_eval.results.smallest_support import smallest_support

SHIFTED = "members_without_record_differ"
REFERENCE = (
    "Rubin DB (1977). JASA 72:538-543. doi:10.1080/01621459.1977.10480610; Liublinska V, Rubin DB "
    "(2014). Stat Med 33(24):4170-4185. doi:10.1002/sim.6197"
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A group's value as a line in delta: ``own @ theta + slope * delta``.

    `part` and `part_slope` say the same of its members without a record.
    """

    own: np.ndarray
    slope: float
    part: np.ndarray
    part_slope: float


def tipping_point(
    table: RateTable | EffectTable,
    *,
    reference: str,
    missing: Sequence[str] | str,
    shares: Mapping[str, float] | pd.Series,
    deltas: Sequence[float],
    stratum: str = "race_ethnicity",
    scale: Scale = "difference",
    members: Mapping[str, float] | pd.Series | None = None,
    value_range: tuple[float, float] | None = None,
    conf_level: float = 0.95,
) -> BoundsTable:
    r"""Gaps when members without a record differ by delta, and the delta at which a gap goes.

    At delta 0 the members without a record have the same differences between groups as the
    recorded ones, around their own observed level. Delta is added to the difference between the
    members of the group and everybody else *among those without a record*, whose overall level
    stays what was observed.

    Parameters
    ----------
    table : RateTable or EffectTable
        Rates or effects (differences) by group, with a row for the members without a record.
    reference : str
    missing : str or sequence of str
        Groups that stand for "no group recorded".
    shares : mapping or pd.Series
        Make-up of the members without a record: their share in each recorded group, summing to 1.
        It is an assumption; take it from imputation or probabilities.
    deltas : sequence of float
        In the unit of the table.
    stratum : str
    scale : {"difference", "ratio"}
        Of the gap; ratios for rates only. Report both.
    members : mapping or pd.Series, optional
        Exposed members by group, those of `missing` too; for effects only.
    value_range : (float, float), optional
        Values a group of members can have at all. Default: a proportion is between nobody and
        everybody, a rate is 0 or more, an effect has no limit.
    conf_level : float

    Returns
    -------
    BoundsTable
        Keys: other keys, `stratum`, `reference`, `restriction` (``"reported_only"``, or the gap of
        all members at a delta), `bound` (delta). Sets are points. `breakdown` is the delta nearest
        0 from which the interval holds "no gap": missing where it does at delta 0 or there is no
        interval, infinite where no possible value of the members without a record does it.

    Raises
    ------
    EstimationError
        The reference or the missing groups are absent, shares do not sum to 1 or are outside 0 to
        1, or the scale does not fit.

    Notes
    -----
    With shares :math:`s_h`, recorded values :math:`\theta_h` and level :math:`\theta_u`, the
    members of g without a record have
    :math:`\theta_u + \theta_g - \sum_h s_h \theta_h + \delta (1 - s_g)`, those of another group h
    :math:`\theta_u + \theta_h - \sum \cdot - \delta s_g`. All members of a group are the mean by
    denominators (rates) or `members` (effects). Everything is linear in the table's rows, so the
    errors come from their covariance; denominators and shares are taken as known.

    References
    ----------
    Rubin DB (1977). doi:10.1080/01621459.1977.10480610; Liublinska V, Rubin DB (2014).
    doi:10.1002/sim.6197
    """
    levels, sizes, limits, unit = _levels(table, stratum, scale, members, value_range)
    without = _without_error(table)
    names = [g for g in dict.fromkeys(levels.keys[stratum].astype(str)) if g != ALL]
    gone = missing_groups(names, missing)
    recorded = [g for g in names if g not in gone]
    share = _shares(shares, recorded)
    if reference not in recorded:
        listed = ", ".join(f"'{g}'" for g in recorded)
        raise EstimationError(f"`reference` is '{reference}'; the recorded groups: {listed}.")
    keys, rows, support = [], [], []
    for values, at in rows_by_group(levels, stratum):
        if any(g not in at for g in (*gone, reference)):
            raise EstimationError(
                f"{values or 'the table'} has no row for the members without a record or for "
                f"'{reference}'."
            )
        for group in (g for g in recorded if g != reference and g in at):
            lines = _lines(levels, at, group, gone, recorded, share, sizes)
            # A group without an error of its own has no interval.
            level = np.nan if without[[at[group], at[reference]]].any() else conf_level
            gap = _gap_at(levels, lines, group, reference, scale, level)
            tip = _tip(gap, _possible(levels, lines, limits), 0.0 if scale == "difference" else 1.0)
            alone = _recorded_gap(levels, at, group, reference, scale, level)
            for kind, delta, found in (
                (REPORTED_ONLY, 0.0, alone),
                *((SHIFTED, float(d), gap(float(d))) for d in deltas),
            ):
                rows.append((found[0], found[0], found[1], found[2], tip))
                own = {stratum: group, "reference": reference}
                keys.append({**values, **own, "restriction": kind, "bound": delta})
                both = levels.support.iloc[[at[g] for g in (group, reference, *gone)]]
                sides = both[list(SUPPORT_COLUMNS)].to_numpy(dtype=float)
                support.append(smallest_support(sides))
    found_rows = np.array(rows, dtype=float).reshape(-1, 5)
    return BoundsTable(
        keys=pd.DataFrame(keys),
        set_low=found_rows[:, 0],
        set_high=found_rows[:, 1],
        conf_low=found_rows[:, 2],
        conf_high=found_rows[:, 3],
        conf_level=conf_level,
        support=pd.DataFrame(support, columns=list(SUPPORT_COLUMNS)),
        estimand=_estimand(levels, reference, scale, unit),
        method=Method(
            f"Tipping point of members without a recorded group; {table.method.estimator}",
            {
                **table.method.options,
                "missing": tuple(gone),
                "shares": share,
                "scale": scale,
                **rates_option(table),
            },
            REFERENCE,
        ),
        bound_words=f"delta: by how much members of the group without a record differ from the "
        f"others without a record, beyond what recorded members do ({unit})",
        notes=(*table.notes, *_error_note(without[(levels.keys[stratum] != ALL).to_numpy()])),
        breakdown=found_rows[:, 4],
    )


def _levels(
    table: RateTable | EffectTable,
    stratum: str,
    scale: Scale,
    members: Mapping[str, float] | pd.Series | None,
    value_range: tuple[float, float] | None,
) -> tuple[EffectTable, dict[int, float], tuple[float, float], str]:
    """Values by row with their covariance, the size of each row, the possible values, the unit."""
    if stratum not in table.keys.columns:
        raise EstimationError(f"the table has no key `{stratum}`.")
    if isinstance(table, EffectTable):
        if scale != "difference" or table.estimand.scale != "difference" or members is None:
            raise EstimationError(
                'tipping points of effects need differences, scale="difference" and `members`: '
                "exposed members by group."
            )
        names = table.keys[stratum].astype(str)
        given = exposed_members(members, [g for g in dict.fromkeys(names) if g != ALL])
        sizes = {row: given.get(g, 0.0) for row, g in enumerate(names)}
        return table, sizes, value_range or (-np.inf, np.inf), table.estimand.unit
    if table.kind == "count" or isinstance(table.per, np.ndarray) or members is not None:
        raise EstimationError(
            "tipping points of rates need one measure with a denominator; `members` is for effects."
        )
    levels = EffectTable(
        keys=table.keys,
        estimate=table.rate,
        covariance=np.diag(_rate_errors(table) ** 2),
        support=rate_support(table),
        estimand=Estimand(table.measure, "rate in the group", table.unit, is_causal=False),
        method=table.method,
    )
    top = table.per if table.kind == "proportion" else np.inf
    return levels, dict(enumerate(table.denominator)), value_range or (0.0, top), table.unit


def _without_error(table: RateTable | EffectTable) -> np.ndarray:
    """Rates without an event, or of everybody; shape (k,), bool. Effects say it themselves."""
    if isinstance(table, EffectTable):
        return np.zeros(len(table), dtype=bool)
    return np.asarray(np.isnan(rate_std_error(table)))


def _rate_errors(table: RateTable) -> np.ndarray:
    """Standard errors; of half an event where there is none, but for amounts; shape (k,)."""
    error = rate_std_error(table)
    if table.method.options.get("interval") == "log_normal":
        return error
    half = half_event_error(
        table.numerator,
        table.denominator,
        per=float(table.per),
        is_share=table.kind == "proportion",
    )
    return np.where(np.isnan(error), half, error)


def _error_note(without: np.ndarray) -> tuple[str, ...]:
    """Groups without an interval of their own."""
    if not without.any():
        return ()
    return (
        f"{int(without.sum())} of {len(without)} groups have no spread to judge by (no event, or "
        "everybody has one): their gaps have no interval and no tipping point; in gaps of others "
        "they enter with the variance of half an event.",
    )


def _shares(shares: Mapping[str, float] | pd.Series, recorded: Sequence[str]) -> dict[str, float]:
    """Make-up of the members without a record; EstimationError where it is none."""
    given = {str(g): float(s) for g, s in shares.items()}
    strange = [g for g in given if g not in recorded]
    outside = [g for g, s in given.items() if not 0 <= s <= 1]
    total = sum(given.values())
    if strange or outside or abs(total - 1) > 1e-6:
        raise EstimationError(
            f"`shares` sum to {total:.4f}; groups that are not recorded: "
            f"{', '.join(strange) or 'none'}; outside 0 to 1: {', '.join(outside) or 'none'}.\n"
            "  Give the share of the members without a record who belong to each recorded group."
        )
    return {g: given.get(g, 0.0) for g in recorded}


def _lines(
    levels: EffectTable,
    at: Mapping[str, int],
    group: str,
    gone: Sequence[str],
    recorded: Sequence[str],
    share: Mapping[str, float],
    sizes: Mapping[int, float],
) -> dict[str, _Line]:
    """Every recorded group's value as a line in delta, delta being about `group`."""
    k = len(levels)
    n_missing = sum(sizes[at[g]] for g in gone)
    level = np.zeros(k)
    for g in gone:
        level[at[g]] = sizes[at[g]] / n_missing
    present = [g for g in recorded if g in at]
    lacking = sum(share[g] for g in recorded if g not in at)
    if lacking > 0:
        raise EstimationError("a group with a share above 0 has no row in the table.")
    mean = np.zeros(k)
    for g in present:
        mean[at[g]] = share[g]
    lines = {}
    for g in present:
        unit = np.zeros(k)
        unit[at[g]] = 1.0
        part, slope = level + unit - mean, (1.0 if g == group else 0.0) - share[group]
        n, more = sizes[at[g]], share[g] * n_missing
        if not n > 0:
            raise EstimationError(f"'{g}' has a denominator of 0; leave it out.")
        lines[g] = _Line(
            own=(n * unit + more * part) / (n + more),
            slope=more * slope / (n + more),
            part=part,
            part_slope=slope if share[g] > 0 else 0.0,
        )
    return lines


def _gap_at(
    levels: EffectTable,
    lines: Mapping[str, _Line],
    group: str,
    reference: str,
    scale: Scale,
    conf_level: float,
) -> Callable[[float], tuple[float, float, float]]:
    """Gap and interval as a function of delta."""
    own, base = lines[group], lines[reference]

    def gap(delta: float) -> tuple[float, float, float]:
        return _interval(
            levels, (own.own, base.own), (own.slope * delta, base.slope * delta), scale, conf_level
        )

    return gap


def _recorded_gap(
    levels: EffectTable,
    at: Mapping[str, int],
    group: str,
    reference: str,
    scale: Scale,
    conf_level: float,
) -> tuple[float, float, float]:
    """Gap and interval of the recorded members alone."""
    eye = np.eye(len(levels))
    return _interval(levels, (eye[at[group]], eye[at[reference]]), (0.0, 0.0), scale, conf_level)


def _interval(
    levels: EffectTable,
    loads: tuple[np.ndarray, np.ndarray],
    added: tuple[float, float],
    scale: Scale,
    conf_level: float,
) -> tuple[float, float, float]:
    """Gap between two combinations of the rows, each with something added, and its interval."""
    used = (loads[0] != 0) | (loads[1] != 0)
    theta, covariance = levels.estimate[used], levels.covariance[np.ix_(used, used)]
    a, b = loads[0][used], loads[1][used]
    degrees = None if levels.degrees is None else fewest_degrees(levels.degrees, used[None, :])
    z = float(np.squeeze(t_quantile(0.5 + conf_level / 2, degrees)))
    top, bottom = float(a @ theta) + added[0], float(b @ theta) + added[1]
    if scale == "difference":
        load = a - b
        error = float(np.sqrt(max(load @ covariance @ load, 0.0))) or np.nan
        return top - bottom, top - bottom - z * error, top - bottom + z * error
    if not (top > 0 and bottom > 0):
        return np.nan, np.nan, np.nan
    load = a / top - b / bottom
    error = float(np.sqrt(max(load @ covariance @ load, 0.0))) or np.nan
    ratio = top / bottom
    return ratio, ratio * float(np.exp(-z * error)), ratio * float(np.exp(z * error))


def _possible(
    levels: EffectTable, lines: Mapping[str, _Line], limits: tuple[float, float]
) -> tuple[float, float]:
    """Deltas at which every group of members without a record has a possible value."""
    low, high = -np.inf, np.inf
    for line in lines.values():
        if line.part_slope == 0:
            continue
        used = line.part != 0
        value = float(line.part[used] @ levels.estimate[used])
        ends = sorted((limit - value) / line.part_slope for limit in limits)
        low, high = max(low, ends[0]), min(high, ends[1])
    return low, high


def _tip(
    gap: Callable[[float], tuple[float, float, float]],
    possible: tuple[float, float],
    null: float,
) -> float:
    """Delta nearest 0 at which the interval reaches the null; NaN if it holds it, inf if never."""
    from scipy import optimize

    _, low, high = gap(0.0)
    if not (low > null or high < null):
        return np.nan
    end, sign = (1, -1.0) if low > null else (2, 1.0)
    far = possible[0] if sign < 0 else possible[1]
    reach = abs(far)

    def miss(size: float) -> float:
        value = gap(sign * size)[end]
        # A ratio ends where a rate is 0; on the way there its error grows beyond all limits.
        return -1.0 if np.isnan(value) else -sign * (value - null)

    if not np.isfinite(reach):
        reach = 1.0
        while miss(reach) > 0 and reach < 1e12:
            reach *= 2
    if far * sign <= 0 or miss(reach) > 0:
        return np.inf
    return sign * float(optimize.brentq(miss, 0.0, reach, xtol=1e-12, rtol=1e-12))


def _estimand(levels: EffectTable, reference: str, scale: Scale, unit: str) -> Estimand:
    """What the gap means, in words."""
    minus = "minus" if scale == "difference" else "over"
    return replace(
        levels.estimand,
        name=f"{levels.estimand.name}: gap",
        contrast=f"all members of the group {minus} all members of '{reference}', recorded or not",
        unit=unit if scale == "difference" else "rate ratio",
        scale=scale,
    )
