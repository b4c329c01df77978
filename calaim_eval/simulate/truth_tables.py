"""Totals of the truth as tables a test or a teacher reads."""

from __future__ import annotations

from typing import Any

import pandas as pd

from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import races
from calaim_eval.simulate.truth import TruthTotals

_BY = {
    "overall": [],
    "event_time": ["event_time"],
    "race_ethnicity": ["race_ethnicity"],
    "recorded_race_ethnicity": ["recorded_race_ethnicity"],
    "is_cbo_served": ["is_cbo_served"],
    "race_ethnicity_and_event_time": ["race_ethnicity", "event_time"],
    "race_ethnicity_and_is_cbo_served": ["race_ethnicity", "is_cbo_served"],
}
_KEYS = ("race_ethnicity", "recorded_race_ethnicity", "is_cbo_served", "event_time")

IDENTIFICATION = (
    "Expected use without ECM is level + one time pattern shared by everyone + a lasting "
    "rise from six months before the month of listing's episode end; an acute episode of "
    "ED visits precedes listing.",
    "Among listed members, being served depends on race and ethnicity and on persistent "
    "level only. Levels differ between enrolled and not enrolled; expected changes after "
    "listing do not. So a comparison with members listed in the same month who are not "
    "(yet) served identifies the effect.",
    "The first service is at least one month after listing, so the month before it is "
    "after the episode. Leads before listing may differ slightly between served and not "
    "served where the mix of routes differs.",
    "Episodes strike alike in every county, whether or not a list is live: without ECM, counties "
    "of both phases move together in expectation.",
    "Pre/post alone is confounded by the episode: use falls after listing with no program at all.",
    "Members carried over from WPC or HHP are listed in 2021-12 and served in 2022-01, "
    "all of them: no comparison exists for them, and their effect is a transition, not an "
    "onset.",
    "The effect starts in the month of first service, grows over event times 0 to 3, and "
    "lasts to the end of the window, after ECM too. Community Supports have no effect on "
    "use.",
    "Loss of coverage and death depend on age and need class, never on use or on enrollment.",
    "Use does not stop in custody; claims of dual members are complete. Real data differ in both.",
    "jail_days counts the days of booking and of release; inpatient_days counts nights, at least "
    "one a stay; readmissions_30d counts index stays of at least a night by month of discharge, "
    "alive and not against advice, discharged at least 30 days before the window ends.",
    "paid_usd is medical claims; it includes payments for ECM, which are left out without ECM. "
    "Fills are apart in pharmacy_usd: ECM does not change them.",
)


def effects_table(totals: TruthTotals) -> pd.DataFrame:
    """True effects by population, stratum and outcome: per 1,000 member-months and as rate ratio.

    Sign: with ECM minus without; negative means ECM lowers use. `expected` uses the rates the
    events were drawn from, `realized` the events of both worlds for these very members.
    """
    sums = pd.concat(totals.effects, ignore_index=True)
    blocks = []
    for by, keys in _BY.items():
        grouped = sums.drop(columns=[k for k in _KEYS if k not in keys])
        grouped = grouped.groupby(["population", *keys], sort=True).sum().reset_index()
        blocks.append(_long(grouped, ["population", *keys]).assign(by=by))
    table = pd.concat(blocks, ignore_index=True)
    for key in _KEYS:
        table[key] = table[key].astype("boolean" if key == "is_cbo_served" else table[key].dtype)
    table["event_time"] = table["event_time"].astype("Int64")
    first = ["by", "population", *_KEYS, "outcome"]
    return table[[*first, *(c for c in table.columns if c not in first)]]


def _long(sums: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """One row per outcome: sums, difference per 1,000 member-months, rate ratio."""
    outcomes = sorted({c.split("|")[0] for c in sums.columns if "|" in c})
    blocks = []
    for outcome in outcomes:
        block = sums[[*keys, "member_months"]].assign(outcome=outcome)
        for kind in ("expected", "realized"):
            without, real = (
                sums.get(f"{outcome}|{kind}_without"),
                sums.get(f"{outcome}|{kind}_with"),
            )
            if without is None:
                continue
            block[f"{kind}_without"], block[f"{kind}_with"] = without, real
            block[f"{kind}_difference_per_1000"] = 1000 * (real - without) / sums["member_months"]
            block[f"{kind}_rate_ratio"] = real / without.where(without > 0)
        blocks.append(block)
    return pd.concat(blocks, ignore_index=True)


def county_phase_table(totals: TruthTotals) -> pd.DataFrame:
    """True effect on everyone in phase-1 counties, January to June 2022, diluted as in reality."""
    sums = pd.concat(totals.county_phase, ignore_index=True).sum().to_frame().T
    table = _long(sums, ["n_members", "n_served"])
    return table.assign(share_served=table["n_served"] / table["n_members"])


def use_by_month_table(totals: TruthTotals) -> pd.DataFrame:
    """Members, covered days and use by month, scope and dual status."""
    rows = pd.concat(totals.use_by_month, ignore_index=True)
    return rows.groupby(["month", "is_full_scope", "is_dual"], sort=True).sum().reset_index()


def funnel_table(totals: TruthTotals, parameters: Parameters) -> pd.DataFrame:
    """Members at each step by true and recorded group, with the probabilities behind them."""
    keys = ["race_ethnicity", "recorded_race_ethnicity", "is_carry_over"]
    rows = pd.concat(totals.funnel, ignore_index=True).groupby(keys, sort=True).sum().reset_index()
    groups = races(parameters)
    for name in ("outreach_given_identified", "service_given_outreach", "cbo_given_service"):
        chances = dict(zip(groups, parameters.by_group(name, groups), strict=True))
        rows[f"true_{name}"] = rows["race_ethnicity"].map(chances)
    return rows


def injected_table(totals: TruthTotals) -> dict[str, Any]:
    """Counts of what was injected or left out, by name."""
    return {name: int(count) for name, count in sorted(totals.injected.items())}
