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
from functools import cached_property, partial

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
    honest_did,
    imputation_att,
    pre_post,
    sun_abraham,
    triple_difference,
    two_way_fixed_effects,
    two_way_poisson,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import BoundsTable, EffectTable

T, COHORTS = 24, (8, 12, 16)
MEMBERS = 1500
COUNTIES = 10
SMALL_CELLS = 30


@dataclass(frozen=True)
class Panel:
    """Member months and the effect in them.

    Attributes
    ----------
    frame : pd.DataFrame
        Balanced.
    difference, ratio : float
        Average effect on exposed member-months: visits more than without, and times as many.
    at_exposure : float
        Average effect in the month of exposure, visits more than without.
    placebo : pd.DataFrame or None
        Other members of the same places, whom the exposure does not reach.
    """

    frame: pd.DataFrame
    difference: float
    ratio: float
    at_exposure: float
    placebo: pd.DataFrame | None = None

    @cached_property
    def moments(self) -> CellMoments:
        """Cell moments of the members, with their counties."""
        return reduce_panel(
            self.frame,
            outcomes=["visits"],
            cluster="county",
            covariate_cells="cell" if "cell" in self.frame else None,
            unbalanced="cell_means",
        )

    @cached_property
    def both(self) -> CellMoments:
        """Cell moments by whether the exposure can reach the member."""
        frames = [self.frame.assign(reach="reached"), self.placebo.assign(reach="not reached")]
        frames[1]["member_id"] += 10 * MEMBERS
        return reduce_panel(
            pd.concat(frames), outcomes=["visits"], stratum="reach", unbalanced="cell_means"
        )

    def truth(self, table: EffectTable | BoundsTable) -> float:
        """The true value of what a table states."""
        if isinstance(table, BoundsTable):
            return self.at_exposure
        return self.ratio if table.estimand.scale == "ratio" else self.difference


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
    if scenario == "many small cells":
        without = np.repeat(0.3 * level[:, None], T, axis=1)
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
    if scenario == "many small cells":
        frame["cell"] = np.repeat(rng.integers(0, SMALL_CELLS, MEMBERS), T)
    more = with_effect - without
    placebo = None
    if scenario == "differential trend":
        # As many members of the same cohorts who drift alike and cannot be served.
        placebo = frame.assign(visits=rng.poisson(without + 0.2).ravel())
    return Panel(
        frame,
        difference=more[is_exposed].mean(),
        ratio=with_effect[is_exposed].sum() / without[is_exposed].sum(),
        at_exposure=more[since == 0].mean(),
        placebo=placebo,
    )


def _group_time(drawn: Panel, **options: object) -> EffectTable:
    return aggregate(group_time_att(drawn.moments, outcome="visits", **options))


def _jackknife(drawn: Panel, estimate: Callable[[CellMoments], EffectTable]) -> EffectTable:
    return cluster_jackknife(drawn.moments, estimate)


def _adjusted(drawn: Panel) -> EffectTable:
    return aggregate(adjusted_group_time_att(drawn.frame, outcome="visits", covariates=["risk"]))


def _before_after(drawn: Panel) -> EffectTable:
    table = pre_post(drawn.moments, outcome="visits", months_before=6, months_after=8)
    return table.select(table.keys["side"] == "exposed") if "side" in table.keys else table


def _triple(drawn: Panel) -> EffectTable:
    return triple_difference(
        drawn.both, outcome="visits", stratum="reach", target="reached", reference="not reached"
    )


def _bounds(drawn: Panel, **options: object) -> BoundsTable:
    att_gt = group_time_att(drawn.moments, outcome="visits", base_period="universal")
    study = aggregate(att_gt, by="event_time", min_event_time=-6, max_event_time=0)
    return honest_did(study, **options)


Estimator = Callable[[Panel], EffectTable | BoundsTable]


def _from_moments(estimator: Callable[..., EffectTable], **options: object) -> Estimator:
    return lambda drawn: estimator(drawn.moments, outcome="visits", **options)


ESTIMATORS: Mapping[str, Estimator] = {
    "group_time_att": _group_time,
    "group_time_att, anticipation_months=2": partial(_group_time, anticipation_months=2),
    "group_time_att, by county": partial(_group_time, cluster="county"),
    "cluster_jackknife, Student's t": partial(
        _jackknife, estimate=lambda m: aggregate(group_time_att(m, outcome="visits"))
    ),
    "adjusted_group_time_att (risk)": _adjusted,
    "imputation_att": _from_moments(imputation_att),
    "imputation_att, anticipation_months=2": _from_moments(imputation_att, anticipation_months=2),
    "imputation_att, by county": _from_moments(imputation_att, cluster="county"),
    "cluster_jackknife of imputation_att, Student's t": partial(
        _jackknife, estimate=lambda m: imputation_att(m, outcome="visits")
    ),
    "sun_abraham": _from_moments(sun_abraham, by="overall"),
    "two_way_fixed_effects": _from_moments(two_way_fixed_effects),
    "two_way_poisson": _from_moments(two_way_poisson),
    "count_effects": _from_moments(count_effects),
    "count_effects, never_exposed": _from_moments(count_effects, comparison="never_exposed"),
    "count_effects, common months": _from_moments(count_effects, month_effects="common"),
    "count_effects, never_exposed, common months": _from_moments(
        count_effects, comparison="never_exposed", month_effects="common"
    ),
    "count_effects, cells pooled": lambda drawn: count_effects(
        drawn.moments.pooled("cell"), outcome="visits"
    ),
    "pre_post (not causal)": _before_after,
    "triple_difference": _triple,
    "honest_did, a straight line": partial(_bounds, bounds=[0.0], restriction="smoothness"),
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
    "multiplicative trend": {
        "count_effects": "holds",
        "two_way_poisson": "holds",
        "group_time_att": "fails",
        "imputation_att": "fails",
        "sun_abraham": "fails",
        "two_way_fixed_effects": "fails",
    },
    "many small cells": {
        "group_time_att": "holds",
        "imputation_att": "holds",
        "count_effects, never_exposed": "fails",
        "count_effects, never_exposed, common months": "holds",
        "count_effects, common months": "holds",
        "count_effects, cells pooled": "holds",
    },
    "selection on risk": {
        "adjusted_group_time_att (risk)": "holds",
        "group_time_att": "fails",
        "imputation_att": "fails",
        "count_effects": "fails",
    },
    "differential trend": {
        "triple_difference": "holds",
        "honest_did, a straight line": "covers",
        "group_time_att": "fails",
        "imputation_att": "fails",
        "sun_abraham": "fails",
        "two_way_fixed_effects": "fails",
        "count_effects": "fails",
    },
    "use peaks before exposure": {
        "group_time_att": "fails",
        "imputation_att": "fails",
        "count_effects": "fails",
        "pre_post (not causal)": "fails",
    },
    "anticipation": {
        "group_time_att": "fails",
        "imputation_att": "fails",
        "sun_abraham": "fails",
        "two_way_fixed_effects": "fails",
        "group_time_att, anticipation_months=2": "holds",
        "imputation_att, anticipation_months=2": "holds",
    },
    "few counties": {
        "group_time_att": "too narrow",
        "group_time_att, by county": "too narrow",
        "imputation_att, by county": "too narrow",
        "cluster_jackknife, Student's t": "holds",
        "cluster_jackknife of imputation_att, Student's t": "holds",
    },
}
"""What is expected of an estimator in a scenario: that it holds (no bias, right standard errors,
95 % coverage), fails (biased), is unbiased with errors and intervals that are too narrow, or, of
bounds, that they cover."""


def replicate(scenario: str, n: int, *, first_seed: int = 0) -> dict[str, pd.DataFrame]:
    """Draws of a scenario for each of its estimators, one row each.

    Returns
    -------
    dict[str, pd.DataFrame]
        ``error`` (estimate minus the truth of the draw) and ``std_error``, both missing where the
        estimator refused or states bounds; ``is_covered``: whether the 95 % interval holds the
        truth; ``is_refused``.
    """
    rows: dict[str, list[tuple[float, float, bool, bool]]] = {e: [] for e in SCENARIOS[scenario]}
    for seed in range(first_seed, first_seed + n):
        drawn = panel(scenario, seed)
        for estimator, found in rows.items():
            found.append(_one(drawn, estimator))
    columns = ["error", "std_error", "is_covered", "is_refused"]
    return {name: pd.DataFrame(found, columns=columns) for name, found in rows.items()}


def _one(drawn: Panel, estimator: str) -> tuple[float, float, bool, bool]:
    """Error, standard error, whether the interval holds the truth, whether it was refused."""
    try:
        table = ESTIMATORS[estimator](drawn)
    except CalaimEvalError:
        return np.nan, np.nan, False, True
    truth = drawn.truth(table)
    few = "Student" in estimator
    row = (cluster_intervals(table) if few else table.to_frame()).iloc[0]
    is_covered = bool(row["conf_low"] <= truth <= row["conf_high"])
    if isinstance(table, BoundsTable):
        return np.nan, np.nan, is_covered, False
    return row["estimate"] - truth, row["std_error"], is_covered, False


def summary(draws: pd.DataFrame) -> dict[str, float]:
    """Bias and coverage with their Monte Carlo errors; standard errors beside the spread.

    ``se_to_spread`` is the root mean square of the standard errors, which is what their squares
    estimate, divided by the standard deviation of the estimates around their truths.
    """
    known = draws[~draws["is_refused"]]
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
    for scenario in tqdm(SCENARIOS, desc="recovery"):
        for estimator, draws in replicate(scenario, n).items():
            found, word = summary(draws), SCENARIOS[scenario][estimator]
            error = f"{found['bias']:+.4f} ({found['bias_error']:.4f})"
            spread = f"{found['se_to_spread']:.2f}"
            print(
                f"| {scenario} | `{estimator}` | {word} | {'' if word == 'covers' else error} "
                f"| {found['coverage']:.0%} ({found['coverage_error']:.0%}) "
                f"| {'' if word == 'covers' else spread} | {found['n']} |",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
