"""What each estimator recovers when its assumptions hold, and how it fails when they do not.

    python tests/recovery/effects_recovery.py [replications]

Simulates members over 24 months with a known effect, many times; prints bias (with its Monte Carlo
error), the coverage of 95 % intervals, and how large standard errors are beside the spread of the
estimates, as the table of ``docs/methods/recovery.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from calaim_eval.errors import CalaimEvalError
from calaim_eval.estimate import (
    adjusted_group_time_att,
    aggregate,
    cluster_intervals,
    cluster_jackknife,
    count_effects,
    group_time_att,
    imputation_att,
    pre_post,
    sun_abraham,
    two_way_fixed_effects,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

T, COHORTS = 24, (8, 12, 16)
MEMBERS = 1500
COUNTIES = 10


@dataclass(frozen=True)
class Panel:
    """Member months and the effect in them.

    Attributes
    ----------
    frame : pd.DataFrame
        Balanced.
    difference, ratio : float
        Average effect on exposed member-months: visits more than without, and times as many.
    """

    frame: pd.DataFrame
    difference: float
    ratio: float


def panel(scenario: str, seed: int) -> Panel:
    """One draw of a scenario; the names are the keys of `SCENARIOS`."""
    rng = np.random.default_rng(seed)
    t = np.arange(T)
    county = rng.integers(0, COUNTIES, MEMBERS)
    risk = rng.normal(size=MEMBERS)
    cohort = rng.choice([*COHORTS, T + 99], MEMBERS, p=[0.15, 0.2, 0.15, 0.5])
    if scenario == "selection on risk":
        chance = 1 / (1 + np.exp(-1.5 * risk))
        cohort = np.where(rng.random(MEMBERS) < chance, rng.choice(COHORTS, MEMBERS), T + 99)
    if scenario == "few counties":
        of_county = np.array([8, 8, 12, 12, 16, *[T + 99] * 5])
        cohort = rng.permutation(of_county)[county]
    is_served = cohort < T
    since = t - cohort[:, None]
    is_exposed = since >= 0
    level = rng.gamma(2.0, 0.2, MEMBERS) + 0.4 * is_served + 0.5
    trend = 0.01 * t + 0.1 * np.sin(t / 3)
    effect = np.full((MEMBERS, T), -0.15)
    if scenario == "effects that grow":
        effect = -0.06 * np.clip(since + 1, 0, 5) * (1 + (cohort == COHORTS[0]))[:, None]
    without = level[:, None] + trend
    if scenario == "multiplicative trend":
        without = level[:, None] * np.exp(0.04 * t)
        effect = -0.2 * without
    if scenario == "differential trend":
        without = without + 0.02 * t * is_served[:, None]
    if scenario == "use peaks before exposure":
        without = without + 0.8 * np.exp(-((since + 2) ** 2) / 4)
    if scenario == "anticipation":
        effect = np.where((since >= -2) & (since < 0), -0.15, effect)
    if scenario == "selection on risk":
        without = without + 0.03 * t * np.clip(risk, -2, 2)[:, None] + 0.2
    if scenario == "few counties":
        shock = rng.normal(0, 0.12, (COUNTIES, T))
        without = without + shock[county] + 0.5
    reached = is_exposed | ((scenario == "anticipation") & (since >= -2))
    with_effect = np.maximum(without + effect * reached, 0.01)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(MEMBERS), T),
            "month": np.tile(t, MEMBERS),
            "cohort": np.repeat(np.where(is_served, cohort, np.nan), T),
            "county": np.repeat(county, T),
            "risk": np.repeat(risk, T),
            "visits": rng.poisson(with_effect).ravel(),
        }
    )
    more = (with_effect - without)[is_exposed]
    return Panel(frame, more.mean(), with_effect[is_exposed].sum() / without[is_exposed].sum())


def _reduced(frame: pd.DataFrame) -> CellMoments:
    return reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")


def _group_time(**options: object) -> Callable[[pd.DataFrame], EffectTable]:
    def estimate(frame: pd.DataFrame) -> EffectTable:
        att_gt = group_time_att(_reduced(frame), outcome="visits", **options)
        return aggregate(att_gt)

    return estimate


def _adjusted(frame: pd.DataFrame) -> EffectTable:
    return aggregate(adjusted_group_time_att(frame, outcome="visits", covariates=["risk"]))


def _before_after(frame: pd.DataFrame) -> EffectTable:
    table = pre_post(_reduced(frame), outcome="visits", months_before=6, months_after=8)
    return table.select(table.keys["side"] == "exposed") if "side" in table.keys else table


ESTIMATORS: Mapping[str, Callable[[pd.DataFrame], EffectTable]] = {
    "group_time_att": _group_time(),
    "group_time_att, anticipation_months=2": _group_time(anticipation_months=2),
    "group_time_att, by county": _group_time(cluster="county"),
    "cluster_jackknife, Student's t": lambda frame: cluster_jackknife(
        _reduced(frame), lambda m: aggregate(group_time_att(m, outcome="visits"))
    ),
    "adjusted_group_time_att (risk)": _adjusted,
    "imputation_att": lambda frame: imputation_att(_reduced(frame), outcome="visits"),
    "sun_abraham": lambda frame: sun_abraham(_reduced(frame), outcome="visits", by="overall"),
    "two_way_fixed_effects": lambda frame: two_way_fixed_effects(_reduced(frame), outcome="visits"),
    "count_effects": lambda frame: count_effects(_reduced(frame), outcome="visits"),
    "pre_post (not causal)": _before_after,
}

SCENARIOS: Mapping[str, Mapping[str, str]] = {
    "parallel trends": {
        "group_time_att": "holds",
        "imputation_att": "holds",
        "two_way_fixed_effects": "holds",
        "pre_post (not causal)": "fails",
    },
    "effects that grow": {
        "group_time_att": "holds",
        "imputation_att": "holds",
        "sun_abraham": "holds",
        "two_way_fixed_effects": "fails",
    },
    "multiplicative trend": {"count_effects": "holds", "group_time_att": "fails"},
    "selection on risk": {"adjusted_group_time_att (risk)": "holds", "group_time_att": "fails"},
    "differential trend": {"group_time_att": "fails", "imputation_att": "fails"},
    "use peaks before exposure": {"group_time_att": "fails", "pre_post (not causal)": "fails"},
    "anticipation": {
        "group_time_att": "fails",
        "group_time_att, anticipation_months=2": "holds",
    },
    "few counties": {
        "group_time_att": "too narrow",
        "group_time_att, by county": "too narrow",
        "cluster_jackknife, Student's t": "holds",
    },
}
"""What is expected of an estimator in a scenario: that it holds (no bias, right standard errors,
95 % coverage), fails (biased), or is unbiased with errors and intervals that are too narrow."""


def replicate(scenario: str, estimator: str, n: int, *, first_seed: int = 0) -> pd.DataFrame:
    """Draws of a scenario, one row each.

    Returns
    -------
    pd.DataFrame
        ``error`` (estimate minus the truth of the draw) and ``std_error``, both missing where the
        estimator refused, and ``is_covered``: whether the 95 % interval holds the truth.
    """
    rows = []
    for seed in range(first_seed, first_seed + n):
        drawn = panel(scenario, seed)
        try:
            table = ESTIMATORS[estimator](drawn.frame)
        except CalaimEvalError:
            rows.append((np.nan, np.nan, False))
            continue
        is_ratio = table.estimand.scale == "ratio"
        truth = drawn.ratio if is_ratio else drawn.difference
        few = "Student" in estimator
        row = (cluster_intervals(table) if few else table.to_frame()).iloc[0]
        is_covered = row["conf_low"] <= truth <= row["conf_high"]
        rows.append((row["estimate"] - truth, row["std_error"], is_covered))
    return pd.DataFrame(rows, columns=["error", "std_error", "is_covered"])


def summary(draws: pd.DataFrame) -> dict[str, float]:
    """Bias and coverage with their Monte Carlo errors; standard errors beside the spread.

    ``se_to_spread`` is the root mean square of the standard errors, which is what their squares
    estimate, divided by the standard deviation of the estimates around their truths.
    """
    known = draws.dropna(subset="error")
    n = len(known)
    spread = known["error"].std(ddof=1)
    covered = known["is_covered"].mean()
    return {
        "n": n,
        "refused": len(draws) - n,
        "bias": known["error"].mean(),
        "bias_error": spread / np.sqrt(n),
        "coverage": covered,
        "coverage_error": np.sqrt(covered * (1 - covered) / n),
        "se_to_spread": np.sqrt((known["std_error"] ** 2).mean()) / spread,
    }


def main(n: int) -> None:
    """Print the table."""
    print(
        "| scenario | estimator | expected | bias (Monte Carlo error) | coverage "
        "| standard error / spread | draws |"
    )
    print("|---|---|---|---|---|---|---|")
    work = [(s, e, w) for s, expected in SCENARIOS.items() for e, w in expected.items()]
    for scenario, estimator, word in tqdm(work, desc="recovery"):
        found = summary(replicate(scenario, estimator, n))
        print(
            f"| {scenario} | `{estimator}` | {word} | {found['bias']:+.4f} "
            f"({found['bias_error']:.4f}) | {found['coverage']:.0%} "
            f"({found['coverage_error']:.0%}) | {found['se_to_spread']:.2f} | {found['n']} |",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
