"""Made-up times in a stage of access, and standardized shares."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.results import EffectTable, Estimand, Method, RateTable
from calaim_eval.results.estimand import RATES_OF
from calaim_eval.results.intervals import wilson_interval
from tests.unit.report.equity_tables import RACE

STATES = [("all", "all"), ("reached", "all"), ("coverage_ended", "all"), ("waiting", "all"),
          ("reached", "0-1"), ("reached", "2-6")]  # fmt: skip
# Reached in months 0 to 1 and 2 to 6, coverage ended, still waiting.
COUNTS = {
    "asian": (60, 30, 0, 110),
    "black": (120, 40, 20, 20),
    "white": (500, 250, 50, 200),
}


def made_up_times(counts: dict[str, tuple[int, int, int, int]] = COUNTS) -> RateTable:
    everybody = tuple(int(n) for n in np.sum(list(counts.values()), axis=0))
    rows = []
    for group, (soon, late, ended, waiting) in {**counts, "all": everybody}.items():
        total = soon + late + ended + waiting
        numbers = (total, soon + late, ended, waiting, soon, late)
        rows += [(group, "identified", *s, n, total) for s, n in zip(STATES, numbers, strict=True)]
    frame = pd.DataFrame(rows, columns=[RACE, "stage", "state", "months", "n", "total"])
    n, total = frame["n"].to_numpy(float), frame["total"].to_numpy(float)
    low, high = wilson_interval(n, total)
    return RateTable(
        measure="Time in the stages of access",
        keys=frame[[RACE, "stage", "state", "months"]],
        numerator=n,
        denominator=total,
        conf_low=low,
        conf_high=high,
        n_members=n,
        numerator_name="members_after_stage_of_ecm",
        denominator_name="members_after_stage_of_ecm",
        unit="share",
        kind="proportion",
        method=Method("counts"),
        margins=(RACE, "state", "months"),
        denominator_keys=(RACE, "stage"),
    )


def standardized(n_events: float) -> EffectTable:
    keys = pd.DataFrame(
        [("black", "outreached"), ("black", "served")], columns=[RACE, "component"]
    ).assign(share_of="identified")
    return EffectTable(
        keys=keys,
        estimate=np.array([0.62, 0.02]),
        covariance=np.diag([0.02**2, 0.015**2]),
        support=pd.DataFrame(
            {"n_members": 100.0, "n_events": [50.0, n_events], "member_months": 0.0}
        ),
        estimand=Estimand("Access", "share", "share of members", is_causal=False),
        method=Method("direct", {RATES_OF: ("members_reaching_stage_of_ecm",)}),
    )
