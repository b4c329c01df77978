"""What a comparison can detect: smallest effect, power, dilution by take-up, members needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.detectable_effects.power_table import (
    PowerTable,
    detectable_distance,
    power_of,
)
from calaim_eval.estimate.inference.cluster_intervals import cluster_degrees
from calaim_eval.estimate.words import SMALL_COUNT
from calaim_eval.results import EffectTable

Means = float | Sequence[float] | np.ndarray | None
MOST_CLUSTERS = 100_000
_WHERE_KNOWN = ("mde_share", "mde_on_served_share", "members_needed", "clusters_needed")


def power(
    pilot: EffectTable,
    *,
    take_up: float | Sequence[float] = 1.0,
    effect: float | None = None,
    comparison_mean: Means = None,
    served_mean: Means = None,
    alpha: float = 0.05,
    target_power: float = 0.8,
) -> PowerTable:
    r"""Smallest effect a comparison can detect, from the covariance of a pilot or a placebo.

    Use before a study is read: `placebo_moments` gives a table that looks at no outcome after
    exposure, `power_before_exposure` does it in one call, and `power_from_rates` needs no data.
    Only the standard errors of the table are used, never its estimates.

    Parameters
    ----------
    pilot : EffectTable
        On the difference scale. Clustered by county: Student's t with counties less one degrees of
        freedom; by member: normal.
    take_up : float or sequence
        Share of the exposed side that receives the service (less the share of the comparison side
        that does), above 0 to 1. A row per share: with 0.01, a hundredth of a plan's members.
    effect : float, optional
        A stated effect **on a served member**, in the table's unit; its sign does not matter.
    comparison_mean : float or one per row, optional
        Mean outcome of the comparison, in the same unit.
    served_mean : float or one per row, optional
        Mean outcome the served would have had; they often use far more than others.
    alpha, target_power : float

    Returns
    -------
    PowerTable
        Columns: keys; ``take_up``; ``std_error``; ``df``; ``mde``, the smallest detectable effect
        on all eligible (intention to treat); ``mde_share`` of `comparison_mean`;
        ``mde_on_served`` = mde / take_up, what the service must do to those served;
        ``mde_on_served_share`` of `served_mean` (above 1: more than there is to prevent); and with
        `effect`: ``effect_on_served``, ``effect_on_all``, ``power``, ``members_needed`` (smaller
        side, clustered by member) or ``clusters_needed`` for `target_power`. Columns for which
        nothing was given are absent.

    Raises
    ------
    EstimationError
        A ratio scale, shares outside 0 to 1, an effect of 0, or no row with a standard error.

    Notes
    -----
    By member :math:`MDE = (z_{1-\alpha/2} + z_{power})\, s` [1]_. By cluster the multiplier is the
    noncentrality at which the t test has the power, near
    :math:`t_{1-\alpha/2} + t_{power}` [1]_. If the service moves only those served, the effect on
    all is take-up times the effect on the served, so the members needed grow with
    :math:`1 / \text{take-up}^2`.

    References
    ----------
    .. [1] Bloom HS (1995). Minimum detectable effects. Evaluation Review 19(5):547-556.
       doi:10.1177/0193841X9501900504
    """
    if pilot.estimand.scale == "ratio":
        raise EstimationError(
            "power: the table is on the ratio scale, where dilution by take-up is no product. "
            "Give a table of differences."
        )
    is_clustered = pilot.cluster_influence is not None
    df = cluster_degrees(pilot) if is_clustered else np.full(len(pilot), np.inf)
    cluster = str(pilot.method.options.get("cluster", "cluster"))
    words = (
        f"Standard errors by {cluster}, Student's t with clusters less one degrees of freedom."
        if is_clustered
        else "Standard errors by member, normal: members are independent of one another, also "
        "within a county."
    )
    return power_rows(
        pilot.keys,
        std_error=pilot.std_error,
        df=df,
        n_members=pilot.support["n_members"].to_numpy(dtype=float),
        unit=pilot.estimand.unit,
        take_up=take_up,
        effect=effect,
        comparison_mean=comparison_mean,
        served_mean=served_mean,
        alpha=alpha,
        target_power=target_power,
        assumptions=(
            words,
            "The variance of the study is that of the table it was taken from: as many months, "
            "members and as much variation over time.",
        ),
    )


def power_rows(
    keys: pd.DataFrame,
    *,
    std_error: np.ndarray,
    df: np.ndarray,
    n_members: np.ndarray,
    unit: str,
    take_up: float | Sequence[float],
    effect: float | None,
    comparison_mean: Means,
    served_mean: Means,
    alpha: float,
    target_power: float,
    assumptions: tuple[str, ...],
) -> PowerTable:
    """The table from standard errors; arrays have one element per row of `keys`."""
    shares = _shares(take_up)
    _require(effect, alpha, target_power, std_error)
    known = np.isfinite(std_error)
    distance = np.where(known, detectable_distance(df, alpha, target_power), np.nan)
    frames = []
    for share in shares:
        mde = distance * std_error
        frame = keys.reset_index(drop=True).assign(
            take_up=share,
            std_error=std_error,
            df=df,
            mde=mde,
            mde_share=mde / _means(comparison_mean, len(keys), "comparison_mean"),
            mde_on_served=mde / share,
            mde_on_served_share=mde / share / _means(served_mean, len(keys), "served_mean"),
        )
        if effect is not None:
            on_all = abs(effect) * share
            frame = frame.assign(
                effect_on_served=abs(effect),
                effect_on_all=on_all,
                power=power_of(on_all / std_error, df, alpha),
                **_needed(on_all / std_error, df, n_members, alpha, target_power),
            )
        frames.append(frame)
    found = pd.concat(frames, ignore_index=True)
    unknown = [c for c in _WHERE_KNOWN if c in found and found[c].isna().all()]
    return PowerTable(
        frame=found.drop(columns=unknown),
        unit=unit,
        alpha=alpha,
        target_power=target_power,
        assumptions=(*assumptions, *_words(shares, alpha, target_power)),
    )


def _needed(
    distance: np.ndarray, df: np.ndarray, n_members: np.ndarray, alpha: float, target_power: float
) -> dict[str, np.ndarray]:
    """Members of the smaller side, or clusters, for the power asked for; NaN where unknown."""
    normal = detectable_distance(np.array([np.inf]), alpha, target_power)[0]
    members = np.ceil(n_members * (normal / distance) ** 2 / 10) * 10
    # To the next ten, and not at all from 1 to 10 members: no small count follows from it.
    members[(n_members < SMALL_COUNT) | np.isfinite(df)] = np.nan
    clusters = [
        _clusters_needed(own, degrees, alpha, target_power) if np.isfinite(degrees) else np.nan
        for own, degrees in zip(distance, df, strict=True)
    ]
    return {"members_needed": members, "clusters_needed": np.array(clusters)}


def _clusters_needed(distance: float, df: float, alpha: float, target_power: float) -> float:
    """Fewest clusters like those there are that reach the power; NaN beyond 100,000."""
    if not np.isfinite(distance):
        return float("nan")

    def reaches(n_clusters: int) -> bool:
        own = distance * np.sqrt(n_clusters / (df + 1))
        return bool(power_of(np.array(own), np.array(n_clusters - 1.0), alpha) >= target_power)

    low, high = 1, 2
    while not reaches(high):
        low, high = high, 2 * high
        if high > MOST_CLUSTERS:
            return float("nan")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return float(high)


def _shares(take_up: float | Sequence[float]) -> list[float]:
    """Take-up shares, each above 0 and at most 1."""
    shares = [float(share) for share in np.atleast_1d(take_up)]
    if not shares or not all(0 < share <= 1 for share in shares):
        raise EstimationError(
            f"power: take_up={take_up!r} has a share that is not above 0 and at most 1. "
            "Give shares, not percentages: 0.01 for one in a hundred."
        )
    return shares


def _means(mean: Means, n_rows: int, name: str) -> np.ndarray:
    """One mean per row; NaN where not given, or 0 (nothing is a share of it)."""
    if mean is None:
        return np.full(n_rows, np.nan)
    values = np.asarray(mean, dtype=float)
    if values.shape not in ((), (n_rows,)) or not np.isfinite(values).all() or (values < 0).any():
        raise EstimationError(
            f"power: `{name}` has shape {values.shape}; give one number of 0 or more, or one for "
            f"each of the {n_rows} rows."
        )
    return np.broadcast_to(np.where(values > 0, values, np.nan), (n_rows,))


def _require(
    effect: float | None, alpha: float, target_power: float, std_error: np.ndarray
) -> None:
    """Refuse levels and effects that mean nothing."""
    if not 0 < alpha < 1 or not alpha < target_power < 1:
        raise EstimationError(
            f"power: alpha={alpha}, target_power={target_power}; alpha lies between 0 and 1, and "
            "target_power between alpha and 1."
        )
    if effect is not None and (not np.isfinite(effect) or effect == 0):
        raise EstimationError(f"power: effect={effect}; give an effect other than 0.")
    if not np.isfinite(std_error).any():
        raise EstimationError(
            f"power: none of the {len(std_error)} rows has a standard error, so nothing can be "
            "said about what they detect."
        )


def _words(shares: list[float], alpha: float, target_power: float) -> list[str]:
    """What every power statement supposes."""
    words = [
        f"Two-sided tests at level {alpha:g}, power {target_power:g}; one effect at a time, no "
        "allowance for several outcomes or groups.",
        "The comparison identifies the effect: power says nothing about bias.",
    ]
    if any(share < 1 for share in shares):
        words.append(
            "The service moves only those served, and take-up is the difference in the share "
            "served between the two sides: the effect on all is take-up times the effect on the "
            "served."
        )
    return words
