"""Effects by race and their gaps where race is not recorded for everybody.

    python tests/recovery/missing_race_recovery.py [draws] [mechanism ...]

Members of two groups, with the same relative effect; in the group `b` use is higher, and so is the
effect in visits. A third has no recorded race. Effects are estimated among those reported and held
against the effect on *all* members of the group, reported or not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from calaim_eval.equity import effect_gap
from calaim_eval.estimate import count_effects, imputation_att
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

MEMBERS, T, COHORT = 2_000, 10, 5
RATIO = 0.7
SHARE_UNKNOWN = 1 / 3
REFERENCE, GROUP = "a", "b"

MECHANISMS: Mapping[str, tuple[float, float, float]] = {
    "all recorded": (0.0, 0.0, 0.0),
    "unknown by group": (3.0, 1.0, 1.0),
    "unknown by group and use": (3.0, 5.0, 1.0),
    "unknown by group and gain": (3.0, 1.0, 3.0),
}
"""Odds of being unknown: in group b over a; for each standard deviation less of (log) use; and for
each standard deviation less of gain from the program."""


def members(mechanism: str, seed: int) -> pd.DataFrame:
    """One row a member: group, recorded race, level of use, rate ratio of the effect, exposure.

    `ratio` differs between members where being unknown goes by what they gain, and else is `RATIO`.
    """
    rng = np.random.default_rng(seed)
    is_b = rng.random(MEMBERS) < 0.5
    # Persistent use as a log-normal with standard deviation 0.6 of the log, a third higher in b.
    score = rng.normal(size=MEMBERS)
    level = np.where(is_b, 1.2, 0.9) * np.exp(0.6 * score - 0.18)
    gain = rng.normal(size=MEMBERS)
    by_group, by_use, by_gain = MECHANISMS[mechanism]
    ratio = np.clip(RATIO - 0.15 * gain, 0.2, 1.2) if by_gain > 1 else np.full(MEMBERS, RATIO)
    race = np.where(is_b, GROUP, REFERENCE).astype(object)
    recorded = race.copy()
    if by_group:
        odds = np.log(by_group) * is_b - np.log(by_use) * score - np.log(by_gain) * gain
        low, high = -10.0, 10.0
        for _ in range(40):
            middle = (low + high) / 2
            is_low = (1 / (1 + np.exp(-(middle + odds)))).mean() < SHARE_UNKNOWN
            low, high = (middle, high) if is_low else (low, middle)
        recorded[rng.random(MEMBERS) < 1 / (1 + np.exp(-(low + odds)))] = "unknown"
    # The more they use the likelier they are served.
    is_served = rng.random(MEMBERS) < 1 / (1 + np.exp(-0.8 * score))
    return pd.DataFrame(
        {"race": race, "recorded": recorded, "level": level, "ratio": ratio, "is_served": is_served}
    )


def truths(people: pd.DataFrame) -> dict[str, float]:
    """True effects on all served members of group b, and the gaps to group a."""
    served = people[people["is_served"]]
    more = (served["level"] * (served["ratio"] - 1)).groupby(served["race"]).mean()
    with_it = (served["level"] * served["ratio"]).groupby(served["race"]).sum()
    ratio = with_it / served["level"].groupby(served["race"]).sum()
    return {
        "effect": more[GROUP],
        "gap": more[GROUP] - more[REFERENCE],
        "rate ratio": ratio[GROUP],
        "gap of rate ratios": ratio[GROUP] - ratio[REFERENCE],
    }


def _moments(people: pd.DataFrame, seed: int) -> CellMoments:
    """Visits of every member and month, by recorded race."""
    rng = np.random.default_rng(50_000 + seed)
    month = np.arange(T)
    is_exposed = people["is_served"].to_numpy()[:, None] & (month >= COHORT)
    rate = people["level"].to_numpy()[:, None] * np.where(
        is_exposed, people["ratio"].to_numpy()[:, None], 1.0
    )
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(len(people)), T),
            "month": np.tile(month, len(people)),
            "cohort": np.repeat(np.where(people["is_served"], COHORT, np.nan), T),
            "race_ethnicity": np.repeat(people["recorded"].to_numpy(), T),
            "visits": rng.poisson(rate).ravel(),
        }
    )
    return reduce_panel(
        frame, outcomes=["visits"], stratum="race_ethnicity", unbalanced="cell_means"
    )


def _of_b(table: EffectTable) -> EffectTable:
    return table.select(table.keys["race_ethnicity"] == GROUP)


ESTIMATORS: Mapping[str, Callable[[EffectTable, EffectTable], EffectTable]] = {
    "effect": lambda att, _: _of_b(att),
    "gap": lambda att, _: _of_b(effect_gap(att, reference=REFERENCE)),
    "rate ratio": lambda _, counts: _of_b(counts),
    "gap of rate ratios": lambda _, counts: _of_b(effect_gap(counts, reference=REFERENCE)),
}
"""From effects by `imputation_att` and by `count_effects` to what is stated about group b."""

EXPECTED: Mapping[str, Mapping[str, str]] = {
    "all recorded": dict.fromkeys(ESTIMATORS, "holds"),
    "unknown by group": dict.fromkeys(ESTIMATORS, "holds"),
    "unknown by group and use": {
        "effect": "fails",
        "gap": "fails",
        "rate ratio": "holds",
        "gap of rate ratios": "holds",
    },
    "unknown by group and gain": {
        "effect": "fails",
        "gap": "fails",
        "rate ratio": "fails",
        "gap of rate ratios": "fails",
    },
}


def replicate(mechanism: str, draws: int) -> dict[str, pd.DataFrame]:
    """Draws of a mechanism: `error`, `std_error`, `is_covered`, `is_refused`, and the `truth`."""
    rows: dict[str, list[tuple[float, float, bool, bool, float]]] = {e: [] for e in ESTIMATORS}
    for seed in range(draws):
        people = members(mechanism, seed)
        true, moments = truths(people), _moments(people, seed)
        att = imputation_att(moments, outcome="visits")
        counts = count_effects(moments, outcome="visits")
        for name, estimate in ESTIMATORS.items():
            row = estimate(att, counts).to_frame().iloc[0]
            hit = bool(row["conf_low"] <= true[name] <= row["conf_high"])
            error = row["estimate"] - true[name]
            rows[name].append((error, row["std_error"], hit, False, true[name]))
    columns = ["error", "std_error", "is_covered", "is_refused", "truth"]
    return {name: pd.DataFrame(found, columns=columns) for name, found in rows.items()}


def main(draws: int, mechanisms: Sequence[str]) -> None:
    """Print the table."""
    from effects_recovery import summary

    print(
        "| race | of group b | expected | truth | bias (Monte Carlo error) | coverage "
        "| standard error / spread | draws |\n|---|---|---|---|---|---|---|---|"
    )
    for mechanism in tqdm(mechanisms, desc="missing race"):
        for name, drawn in replicate(mechanism, draws).items():
            found = summary(drawn)
            print(
                f"| {mechanism} | {name} | {EXPECTED[mechanism][name]} "
                f"| {drawn['truth'].mean():+.3f} "
                f"| {found['bias']:+.4f} ({found['bias_error']:.4f}) | {found['coverage']:.0%} "
                f"({found['coverage_error']:.0%}) | {found['se_to_spread']:.2f} | {draws} |",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, sys.argv[2:] or list(MECHANISMS))
