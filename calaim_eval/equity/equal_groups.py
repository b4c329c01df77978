"""What chance alone gives: rates drawn as if all groups shared one, and around the estimates."""

from __future__ import annotations

import numpy as np

from calaim_eval.equity.group_rates import GroupRates

DRAWS = 4000
_SEED = 20_240_101


def generator(rng: np.random.Generator | None) -> np.random.Generator:
    """The generator given, else one that starts at the same place each time."""
    return np.random.default_rng(_SEED) if rng is None else rng


def rates_if_equal(groups: GroupRates, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Rates of the groups if all shared the rate of all together; shape (draws, k).

    Events are Poisson, or negative binomial with the design effect of the rates where members
    repeat (one for all groups, as small groups can't tell their own); members with something
    binomial; estimates normal with their covariance.
    """
    if groups.sampling == "normal":
        return _around(_common_rate(groups), groups.covariance, draws=draws, rng=rng)
    n = groups.denominator
    common = _common_rate(groups) / groups.per
    expected = n * common
    effect = _design_effect(groups)
    if groups.sampling == "share":
        if np.isclose(effect, 1.0) and np.all(n == np.round(n)):
            counts = rng.binomial(n.astype(np.int64), common, size=(draws, len(n)))
            return np.asarray(groups.per * counts / n)
        spread = effect * common * (1 - common) / n
        level = np.full(len(n), groups.per * common)
        return _around(level, np.diag(groups.per**2 * spread), draws=draws, rng=rng)
    if effect <= 1.0 + 1e-9:
        counts = rng.poisson(expected, size=(draws, len(n)))
    else:
        counts = rng.negative_binomial(expected / (effect - 1), 1 / effect, size=(draws, len(n)))
    return np.asarray(groups.per * counts / n)


def rates_around(
    groups: GroupRates, *, draws: int, rng: np.random.Generator, logs: bool
) -> np.ndarray:
    """Rates drawn around the estimates, in mirrored pairs; shape (draws, k).

    On the log scale where `logs`, so that ratios of them stay defined.
    """
    if not logs:
        return _around(groups.rate, groups.covariance, draws=draws, rng=rng)
    level = np.where(groups.rate > 0, groups.rate, np.nan)
    spread = groups.covariance / np.outer(level, level)
    known = np.isfinite(level)
    result = np.full((draws, len(level)), np.nan)
    part = _around(np.log(level[known]), spread[np.ix_(known, known)], draws=draws, rng=rng)
    result[:, known] = np.exp(part)
    return result


def _around(
    level: np.ndarray, covariance: np.ndarray, *, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Normal draws and their mirror images."""
    values, vectors = np.linalg.eigh(covariance)
    # The symmetric root is unique: draws do not depend on the unit of the rates.
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    z = rng.standard_normal((draws // 2, len(level)))
    return np.asarray(level + np.concatenate([z, -z]) @ root.T)


def _common_rate(groups: GroupRates) -> np.ndarray:
    """Rate of all groups together, for each group; shape (k,).

    Over the denominators they were counted over; without those over the population, and without
    that the average weighted by precision.
    """
    k, n = len(groups.rate), groups.denominator
    if np.isfinite(n).all() and (n > 0).all():
        return np.full(k, (n / n.sum()) @ groups.rate)
    if np.isfinite(groups.population).all():
        return np.full(k, groups.share @ groups.rate)
    precision = np.linalg.pinv(groups.covariance) @ np.ones(k)
    return np.full(k, precision @ groups.rate / precision.sum())


def _design_effect(groups: GroupRates) -> float:
    """Variance of the events over what independent events would have, all groups together."""
    n, known = groups.denominator, groups.has_error
    if not known.any():
        return 1.0
    variance = np.diag(groups.covariance)[known] * (n[known] / groups.per) ** 2
    level = groups.rate[known] / groups.per
    plain = n[known] * level * ((1 - level) if groups.sampling == "share" else 1.0)
    return float(variance.sum() / plain.sum())
