"""Time from member months to rate ratios by cohort and month, against pyfixest and statsmodels.

    python benchmarks/count_speed.py [member_months ...] [--largest]

Same frame, same model (cohort and month effects, one term for each exposed cohort-month, errors
clustered by member), in one process, so the ratio is comparable between machines. `--largest`
adds ten million member-months. statsmodels makes a dense matrix of all regressors: only up to
100,000. The package's time is the best of three, theirs of one run; the last column is the
largest difference of log ratios and of their standard errors.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pandas as pd

from calaim_eval.estimate import count_effects
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable

MONTHS = 24
COHORTS = [8.0, 12.0, 16.0]
SIZES = [100_000, 300_000, 1_000_000]
LARGEST = 10_000_000
DENSE = 100_000
"""Up to so many member-months statsmodels is run."""
REPEATS = 3
Result = TypeVar("Result")


def panel(member_months: int, *, seed: int = 1) -> pd.DataFrame:
    """Unbalanced member months in random order: three cohorts, half never exposed."""
    rng = np.random.default_rng(seed)
    members = round(member_months / MONTHS / 0.9)
    cohort = rng.choice([*COHORTS, np.nan], members, p=[0.15, 0.2, 0.15, 0.5])
    level = rng.gamma(1.0, 0.15, members)
    member = np.repeat(np.arange(members), MONTHS)
    month = np.tile(np.arange(MONTHS), members)
    rate = level[member] * np.where(month >= cohort[member], 0.85, 1.0)
    frame = pd.DataFrame(
        {
            "member_id": member,
            "month": month,
            "cohort": cohort[member],
            "ed_visits": rng.poisson(rate),
        }
    )
    return frame.sample(n=min(member_months, len(frame)), random_state=seed)


def timed(run: Callable[[], Result], repeats: int) -> tuple[Result, float]:
    """What it gives and the best of some times, so that other work on the machine counts less."""
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        found = run()
        best = min(best, time.perf_counter() - start)
    return found, best


def from_cells(frame: pd.DataFrame) -> EffectTable:
    """Reduce and estimate."""
    moments = reduce_panel(frame, outcomes=["ed_visits"], unbalanced="cell_means")
    return count_effects(moments, outcome="ed_visits", by="cohort_month")


def with_terms(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Cohort labels for the others, and the term of each row ("none": not exposed)."""
    group = frame["cohort"].fillna(-1).astype(int)
    exposed = frame["month"] >= frame["cohort"]
    term = group.astype(str).str.zfill(2) + "_" + frame["month"].astype(str).str.zfill(2)
    return frame.assign(group=group), term.where(exposed, "none")


def by_pyfixest(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """`fepois` with cohort and month effects; log ratios and raw clustered errors."""
    import pyfixest

    data, term = with_terms(frame)
    names = sorted(set(term) - {"none"})
    data = data.assign(**{f"x{name}": (term == name).astype(np.int8) for name in names})
    fit = pyfixest.fepois(
        f"ed_visits ~ {' + '.join(f'x{name}' for name in names)} | group + month",
        data=data,
        vcov={"CRV1": "member_id"},
        ssc=pyfixest.ssc(k_adj=False, G_adj=False),
        copy_data=False,
        store_data=False,
        lean=True,
    )
    table = fit.tidy().loc[[f"x{name}" for name in names]]
    return table["Estimate"].to_numpy(), table["Std. Error"].to_numpy()


def by_statsmodels(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """GLM with every dummy written out."""
    import statsmodels.api as sm

    data, term = with_terms(frame)
    x = np.column_stack(
        [
            np.ones(len(data)),
            pd.get_dummies(data["group"], drop_first=True, dtype=float),
            pd.get_dummies(data["month"], drop_first=True, dtype=float),
            dummies := pd.get_dummies(term, dtype=float).drop(columns="none"),
        ]
    )
    fit = sm.GLM(data["ed_visits"].to_numpy(), x, family=sm.families.Poisson()).fit(
        tol=1e-12,
        cov_type="cluster",
        cov_kwds={"groups": pd.factorize(data["member_id"])[0], "use_correction": False},
    )
    k = dummies.shape[1]
    return fit.params[-k:], fit.bse[-k:]


def largest_difference(ours: EffectTable, theirs: tuple[np.ndarray, np.ndarray]) -> float:
    """Largest difference of log ratios and of their errors."""
    log_ratio, error = np.log(ours.estimate), ours.std_error / ours.estimate
    return float(max(np.abs(log_ratio - theirs[0]).max(), np.abs(error - theirs[1]).max()))


def main(sizes: list[int]) -> None:
    print("| member-months | by | s | to the package | largest difference |")
    print("|---|---|---|---|---|")
    by_pyfixest(panel(20_000))  # compiles
    for size in sizes:
        frame = panel(size)
        ours, own = timed(lambda frame=frame: from_cells(frame), REPEATS)
        print(f"| {size:,} | reduce_panel and count_effects | {own:.2f} | 1.0 | – |", flush=True)
        others = {"pyfixest fepois": by_pyfixest}
        if size <= DENSE:
            others["statsmodels GLM"] = by_statsmodels
        for name, run in others.items():
            theirs, taken = timed(lambda run=run, frame=frame: run(frame), 1)
            apart = largest_difference(ours, theirs)
            ratio = taken / own
            print(f"| {size:,} | {name} | {taken:.2f} | {ratio:.0f} | {apart:.0e} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    given = [int(word) for word in sys.argv[1:] if word != "--largest"] or SIZES
    main([*given, LARGEST] if "--largest" in sys.argv else given)
