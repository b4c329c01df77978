"""Made-up spreads between groups and gaps in access."""

from __future__ import annotations

import pandas as pd

from calaim_eval.equity import access_funnel_gap, disparity_measures
from calaim_eval.results import EffectTable, RateTable, stack

RACE = "race_ethnicity"
STAGES = ("identified", "outreached", "served")


def spreads(scale: float = 1.0) -> EffectTable:
    """80 against 50 before, 60 against 33 in the last year; `scale` makes all counts smaller."""
    found, periods = [], []
    for period, events in (("before_program", (8000, 5000)), ("last_year", (6000, 3300))):
        for weights in ("equal", "population"):
            counts = pd.DataFrame(
                {
                    RACE: ["black", "white"],
                    "events": [round(scale * e) for e in events],
                    "member_months": [scale * 100_000] * 2,
                    "n_members": [round(scale * e / 2) for e in events],
                }
            )
            table = disparity_measures(
                counts,
                reference="mean",
                favourable=False,
                weights=weights,
                measures=["between_group_sd", "coefficient_of_variation"],
                per=1000,
                unit="ED visits per 1,000 member-months",
            )
            found.append(table.tables()["differences"])
            periods.append(period)
    return stack([stack(found, key="period", labels=periods)], key="outcome", labels=["ed_visits"])


def gaps(table: RateTable) -> dict[str, EffectTable]:
    """Gaps in access of a funnel, in both scales."""
    return {
        name: access_funnel_gap(table, reference="white", stages=STAGES, scale=scale)
        for name, scale in (("access_gap", "difference"), ("access_gap_ratio", "ratio"))
    }
