"""Differences between groups in an effect, tested as differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, SUPPORT_COLUMNS, EffectTable, Estimand, Method, Scale
from calaim_eval.results.effect_table import with_undefined
from calaim_eval.results.smallest_support import smallest_support

DELTA = "Delta method on the joint covariance of the effects"
TRIPLE = (
    "Olden A, Moen J (2022). The triple difference estimator. Econometrics J 25(3):531-553. "
    "doi:10.1093/ectj/utac010"
)


def effect_gap(
    effects: EffectTable,
    *,
    reference: str,
    stratum: str = "race_ethnicity",
    scale: Scale = "difference",
) -> EffectTable:
    r"""Gap between each group's effect and the reference group's, with its own interval.

    "Significant in one group and not in another" is not a difference; this is.

    Parameters
    ----------
    effects : EffectTable
        Effects by `stratum` from one fit, so that their covariance is known.
    reference : str
        Group the others are compared with. It is named, never chosen from the data.
    stratum : str
        Key column with the groups. An "all" row holds every group and is left out.
    scale : {"difference", "ratio"}
        Group minus reference, or group over reference.

    Returns
    -------
    EffectTable
        Keys: the other keys of `effects`, `stratum`, and `reference`. One row per group and
        combination of the other keys. Difference: positive where the effect is larger (or less
        negative) than in the reference. A gap is NaN, and the notes say why, where one of its
        two effects is not estimated or the ratio's signs differ.

    Raises
    ------
    EstimationError
        `reference` or `stratum` is not there, or `scale` is ``"ratio"`` and the reference effect
        cannot be told from 0.

    Notes
    -----
    Difference: :math:`\theta_g - \theta_0` with variance
    :math:`V_{gg} + V_{00} - 2 V_{g0}` (the triple difference [1]_). Ratio:
    :math:`\theta_g / \theta_0` with gradient :math:`(1/\theta_0, -\theta_g/\theta_0^2)`; where the
    95 % interval of :math:`\theta_0` holds 0 the ratio has no bounded interval (Fieller) and is
    refused.

    References
    ----------
    .. [1] Olden A, Moen J (2022). The triple difference estimator. Econometrics J 25(3):531-553.
       doi:10.1093/ectj/utac010
    """
    if scale not in ("difference", "ratio"):
        raise EstimationError(f"`scale` is '{scale}', not one of 'difference', 'ratio'.")
    pairs = _pairs(effects, reference=reference, stratum=stratum)
    if scale == "ratio":
        _check_denominator(effects, pairs, reference=reference)
    weights, estimate = _contrast(effects, pairs, scale=scale)
    keys = effects.keys.iloc[pairs["group"]].reset_index(drop=True).assign(reference=reference)
    others = [c for c in effects.keys.columns if c != stratum]
    gap = effects.combine(
        np.where(np.isfinite(weights), weights, 0.0),
        keys=keys[[*others, stratum, "reference"]],
        estimand=_gap_estimand(effects, reference=reference, scale=scale),
        method=Method(
            f"{scale} of effects between groups; {effects.method.estimator}",
            {**effects.method.options, "reference": reference, "scale": scale},
            TRIPLE if scale == "difference" else DELTA,
        ),
    )
    covariance, influence = with_undefined(
        gap.covariance, gap.cluster_influence, np.isnan(estimate)
    )
    notes = _gap_notes(effects, pairs, estimate, covariance, reference=reference)
    return replace(
        gap,
        estimate=estimate,
        covariance=covariance,
        cluster_influence=influence,
        support=_pair_support(effects, pairs),
        notes=(*effects.notes, *notes),
    )


def effect_homogeneity(effects: EffectTable, *, stratum: str = "race_ethnicity") -> pd.DataFrame:
    r"""Wald test that the effect is the same in every group.

    Parameters
    ----------
    effects : EffectTable
        Effects by `stratum` from one fit. An "all" row is left out.
    stratum : str
        Key column with the groups.

    Returns
    -------
    pd.DataFrame
        One row per combination of the other keys: those keys, `n_groups` (with an estimate and a
        standard error), `statistic`, `df`, `df_denominator` (missing: chi-squared), `p_value`.
        NaN where fewer than two groups are estimated, a covariance between them is unknown, or
        clusters are no more than the contrasts.

    Raises
    ------
    EstimationError
        `stratum` is not a key of the table.

    Notes
    -----
    :math:`W = (C\hat\theta)' (C V C')^{-1} (C\hat\theta)` with contrasts :math:`C` of each group
    to the first, chi-squared with one degree of freedom per contrast. Where clusters are few
    (`cluster_influence` present) :math:`W / q` is compared with F on :math:`q` and
    :math:`G - q` degrees of freedom after the factor :math:`(G - q) / (q (G - 1))` of Hotelling's
    :math:`T^2`.
    """
    _check_stratum(effects, stratum)
    others = [c for c in effects.keys.columns if c != stratum]
    rows = []
    for values, positions in _combinations(effects, others, stratum):
        rows.append({**values, **_wald(effects, positions)})
    columns = [*others, "n_groups", "statistic", "df", "df_denominator", "p_value"]
    return pd.DataFrame(rows, columns=columns)


def _check_stratum(effects: EffectTable, stratum: str) -> None:
    """Raise EstimationError unless the table has the stratum among its keys."""
    if stratum not in effects.keys.columns:
        has = ", ".join(f"`{c}`" for c in effects.keys.columns)
        raise EstimationError(
            f"the effects have no key `{stratum}`; they have {has}.\n"
            f'  Estimate by group: reduce_panel(..., stratum="{stratum}").'
        )


def _combinations(
    effects: EffectTable, others: list[str], stratum: str
) -> list[tuple[dict[str, object], np.ndarray]]:
    """Values of the other keys, and the positions of the groups' rows, "all" left out."""
    is_group = (effects.keys[stratum].astype(str) != ALL).to_numpy()
    positions = np.flatnonzero(is_group)
    if not others:
        return [({}, positions)]
    grouped = (
        effects.keys.iloc[positions]
        .reset_index(drop=True)
        .groupby(others, sort=False, dropna=False)
    )
    found = []
    for values, index in grouped.indices.items():
        names = values if isinstance(values, tuple) else (values,)
        found.append((dict(zip(others, names, strict=True)), positions[index]))
    return found


def _pairs(effects: EffectTable, *, reference: str, stratum: str) -> pd.DataFrame:
    """Row of each group and row of its reference (-1 where the reference has no row)."""
    _check_stratum(effects, stratum)
    names = effects.keys[stratum].astype(str)
    groups = [g for g in dict.fromkeys(names) if g != ALL]
    if reference not in groups:
        listed = ", ".join(f"'{g}'" for g in groups)
        raise EstimationError(f"`reference` is '{reference}'; the groups in `{stratum}`: {listed}.")
    others = [c for c in effects.keys.columns if c != stratum]
    rows = []
    for _, positions in _combinations(effects, others, stratum):
        is_reference = (names.iloc[positions] == reference).to_numpy()
        base = int(positions[is_reference][0]) if is_reference.any() else -1
        rows += [(int(p), base) for p in positions[~is_reference]]
    if not rows:
        raise EstimationError(
            f"`{stratum}` holds only the reference '{reference}'; a gap needs another group."
        )
    return pd.DataFrame(rows, columns=["group", "base"])


def _check_denominator(effects: EffectTable, pairs: pd.DataFrame, *, reference: str) -> None:
    """Refuse a ratio to an effect that cannot be told from 0."""
    base = pairs.loc[pairs["base"] >= 0, "base"].unique()
    effect, error = effects.estimate[base], effects.std_error[base]
    known = ~np.isnan(effect) & ~np.isnan(error)
    z = float(special.ndtri(0.975))
    unclear = known & (np.abs(effect) <= z * error) & (effects.estimand.scale == "difference")
    if unclear.any():
        raise EstimationError(
            f"scale=\"ratio\": the 95 % interval of the effect in '{reference}' holds 0 in "
            f"{int(unclear.sum())} of {len(base)} rows, so its sign is not known and a ratio to it "
            'has no bounded interval.\n  Use scale="difference", or select other rows.'
        )


def _contrast(
    effects: EffectTable, pairs: pd.DataFrame, *, scale: Scale
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of each gap in the effects, and the gap itself; NaN where undefined."""
    n, k = len(pairs), len(effects)
    group, base = pairs["group"].to_numpy(dtype=int), pairs["base"].to_numpy(dtype=int)
    theta = effects.estimate[group]
    theta_0 = np.where(base >= 0, effects.estimate[base], np.nan)
    weights = np.zeros((n, k))
    row = np.arange(n)
    has_base = base >= 0
    if scale == "difference":
        estimate = theta - theta_0
        weights[row, group] = 1.0
        weights[row[has_base], base[has_base]] = -1.0
        return weights, estimate
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = theta / theta_0
        estimate = np.where(np.isfinite(estimate) & (estimate >= 0), estimate, np.nan)
        weights[row, group] = 1 / theta_0
        weights[row[has_base], base[has_base]] = (-theta / theta_0**2)[has_base]
    return weights, estimate


def _pair_support(effects: EffectTable, pairs: pd.DataFrame) -> pd.DataFrame:
    """Support of the smaller of the two groups compared; 0 where the reference has no row."""
    support = effects.support[list(SUPPORT_COLUMNS)].reset_index(drop=True)
    own = support.iloc[pairs["group"]].to_numpy(dtype=float)
    base = support.reindex(pairs["base"].to_numpy()).fillna(0).to_numpy(dtype=float)
    smaller = smallest_support(np.stack([own, base]))
    return pd.DataFrame(smaller, columns=list(SUPPORT_COLUMNS))


def _gap_estimand(effects: EffectTable, *, reference: str, scale: Scale) -> Estimand:
    """What the gap means, in words."""
    minus = "minus" if scale == "difference" else "over"
    unit = effects.estimand.unit if scale == "difference" else "ratio of effects"
    if effects.estimand.scale == "ratio" and scale == "ratio":
        unit = "ratio of ratios"
    return replace(
        effects.estimand,
        name=f"{effects.estimand.name} gap",
        contrast=f"effect in the group {minus} effect in '{reference}'; effect: "
        f"{effects.estimand.contrast}",
        unit=unit,
        scale=scale,
    )


def _gap_notes(
    effects: EffectTable,
    pairs: pd.DataFrame,
    estimate: np.ndarray,
    covariance: np.ndarray,
    *,
    reference: str,
) -> list[str]:
    """Why some gaps, or their intervals, are undefined."""
    group, base = pairs["group"].to_numpy(dtype=int), pairs["base"].to_numpy(dtype=int)
    theta_0 = np.where(base >= 0, effects.estimate[base], np.nan)
    theta = effects.estimate[group]
    no_reference, no_group = np.isnan(theta_0), np.isnan(theta) & ~np.isnan(theta_0)
    zero_reference = np.isnan(estimate) & (theta_0 == 0)
    other_sign = np.isnan(estimate) & ~no_reference & ~no_group & ~zero_reference
    no_interval = ~np.isnan(estimate) & np.isnan(np.diag(covariance))
    reasons = (
        (no_reference, f"the effect in '{reference}' is not estimated"),
        (no_group, "the effect in the group is not estimated"),
        (zero_reference, f"the value in '{reference}' is 0"),
        (other_sign, "the two effects differ in sign, so their ratio says nothing"),
    )
    notes = [
        f"{int(which.sum())} of {len(pairs)} gaps are undefined: {why}."
        for which, why in reasons
        if which.any()
    ]
    error = effects.std_error
    alone = no_interval & (np.isnan(error[group]) | np.isnan(error[base]))
    for which, why in (
        (alone, "the standard error in one of the two groups is not known."),
        (
            no_interval & ~alone,
            "the covariance of the two effects is not known. Estimate the groups in one fit.",
        ),
    ):
        if which.any():
            notes.append(f"{int(which.sum())} of {len(pairs)} gaps have no interval: {why}")
    return notes


def _wald(effects: EffectTable, positions: np.ndarray) -> dict[str, float]:
    """Wald test of equality of the effects at `positions`."""
    theta = effects.estimate[positions]
    covariance = effects.covariance[np.ix_(positions, positions)]
    usable = ~np.isnan(theta) & (np.diag(covariance) > 0)
    theta, covariance = theta[usable], covariance[np.ix_(usable, usable)]
    n = len(theta)
    result: dict[str, float] = {
        "n_groups": n,
        "statistic": np.nan,
        "df": max(n - 1, 0),
        "df_denominator": np.nan,
        "p_value": np.nan,
    }
    if n < 2 or np.isnan(covariance).any():
        return result
    contrasts = np.hstack([-np.ones((n - 1, 1)), np.eye(n - 1)])
    gap, middle = contrasts @ theta, contrasts @ covariance @ contrasts.T
    if np.linalg.matrix_rank(middle, hermitian=True) < n - 1:
        return result
    wald = float(gap @ np.linalg.solve(middle, gap))
    if effects.cluster_influence is None:
        return {**result, "statistic": wald, "p_value": float(special.chdtrc(n - 1, wald))}
    n_clusters, q = len(effects.cluster_influence), n - 1
    if n_clusters <= q:
        return result
    f = wald * (n_clusters - q) / (q * (n_clusters - 1))
    p_value = float(special.fdtrc(q, n_clusters - q, f))
    return {**result, "statistic": wald, "df_denominator": n_clusters - q, "p_value": p_value}
