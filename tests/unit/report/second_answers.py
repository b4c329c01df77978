"""Made-up results of a matched comparison and of checks on the county phase."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.results import EffectTable, Estimand, Method, RateTable

CHECKS = {
    "county_clustered": 0.10,
    "county_jackknife": 0.13,
    "lowest_without_a_county": np.nan,
    "highest_without_a_county": np.nan,
    "synthetic_did": 0.09,
}
_SHIFT = {"lowest_without_a_county": -0.05, "highest_without_a_county": 0.06}
BALANCE = {
    ("ed_visits per month before", ""): (0.59, 0.56, 0.22, 0.07, 640),
    ("inpatient_stays per month before", ""): (0.04, 0.03, 0.03, 0.12, 640),
    ("age_years", ""): (44.4, 43.4, np.nan, 0.06, 640),
    ("race_ethnicity", "white"): (0.21, 0.21, 0.09, 0.0, 130),
    ("race_ethnicity", "black"): (0.09, 0.09, 0.08, 0.0, 55),
    ("race_ethnicity", "nhpi"): (0.01, 0.01, 0.06, 0.0, 6),
    ("race_ethnicity", "aian"): (0.01, 0.01, 0.03, 0.0, 9),
}
WHAT = ("mean_exposed", "mean_comparison", "difference_before", "difference_after")


def second_answers(
    effect: dict[str, tuple[float, float]], units: dict[str, str]
) -> dict[str, EffectTable | RateTable]:
    """Results beside the main ones; `readmissions_30d` rests on few members."""
    matched, months, checks = [], [], []
    for outcome, (size, error) in effect.items():
        about = {"outcome": outcome, "unit": units[outcome]}
        members = 6 if outcome == "readmissions_30d" else 640
        matched.append((about, size * 0.9, error * 1.4, members))
        months += [
            ({**about, "event_time": t}, size * (t >= 0), error * 2, members) for t in range(-6, 13)
        ]
        for check, spread in CHECKS.items():
            estimate = size * 0.004 + error * _SHIFT.get(check, 0.0)
            checks.append(({**about, "check": check}, estimate, error * spread, members))
    return {
        "matched_overall": _table(matched),
        "matched_event_study": _table(months),
        "matched_balance": _table(
            [
                ({"variable": v, "level": g, "what": w, "unit": "see heading"}, value, np.nan, n)
                for (v, g), (*values, n) in BALANCE.items()
                for w, value in zip(WHAT, values, strict=True)
                if np.isfinite(value)
            ],
            is_causal=False,
        ),
        "county_phase_checks": _table(checks),
        "county_phase_randomization": _dealt([o for o in effect if o != "readmissions_30d"]),
    }


def _table(rows: list[tuple], *, is_causal: bool = True) -> EffectTable:
    members = np.array([float(r[3]) for r in rows])
    return EffectTable(
        keys=pd.DataFrame([r[0] for r in rows]),
        estimate=np.array([float(r[1]) for r in rows]),
        covariance=np.diag(np.array([float(r[2]) for r in rows]) ** 2),
        support=pd.DataFrame(
            {"n_members": members, "n_events": members * 2, "member_months": members * 12}
        ),
        estimand=Estimand("A second answer", "members served", "see `unit`", is_causal=is_causal),
        method=Method("by hand"),
    )


def _dealt(outcomes: list[str]) -> RateTable:
    """P-values of 200 deals of the counties."""
    as_large = np.arange(len(outcomes), dtype=float) * 20 + 7
    unknown = np.full(len(outcomes), np.nan)
    return RateTable(
        measure="Randomization test of the county roll-out",
        keys=pd.DataFrame({"outcome": outcomes}),
        numerator=as_large,
        denominator=np.full(len(outcomes), 200.0),
        conf_low=unknown,
        conf_high=unknown,
        n_members=as_large,
        numerator_name="deals_of_counties_with_an_effect_as_large",
        denominator_name="deals_of_counties",
        unit="share of deals",
        kind="proportion",
        about="organizations",
        method=Method("by hand"),
    )
