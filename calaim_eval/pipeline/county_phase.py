"""The county-phase effect under other errors, without each county, and by other methods."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.disclosure import load_policy
from calaim_eval.disclosure.effects import small_effects
from calaim_eval.estimate import (
    aggregate,
    cluster_jackknife,
    interrupted_time_series,
    randomization_test,
    synthetic_did,
)
from calaim_eval.moments import CellMoments, load_moments
from calaim_eval.panel import MEASURES
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.pipeline.county_range import BREAK_MONTH, without_one_county
from calaim_eval.pipeline.effects import county_phase_att
from calaim_eval.results import (
    EffectTable,
    Estimand,
    Method,
    RateTable,
    Result,
    stack,
)
from calaim_eval.study import Study

DESIGN = "county_phase"
COUNTY = "county"
DRAWS = 199
SEED = 20220101

CLUSTERED, JACKKNIFE = "county_clustered", "county_jackknife"
SYNTHETIC, SERIES = "synthetic_did", "segmented_series"
RANDOMIZATION = "randomization"

NOTES = (
    "Interval shown: cluster jackknife (CRV3), one county left out at a time, Student's t. "
    "Counties are few, unequal in size and exposed together; errors clustered by county suppose "
    "many alike and then tend to be too small. Both are in the table.",
    "Range without one county: the lowest and the highest estimate when each county in turn is "
    "left out, without its name, to as many digits as the estimate. A county is not left out where "
    "it, or the others of its side together, have fewer than 11 members or events.",
)
RANDOMIZATION_NOTE = (
    "The phases are dealt to the counties anew: the share of deals under which the effect over its "
    "error is at least as large as the one found. Counties were not drawn by lot; phase 1 had "
    "Whole Person Care or Health Homes."
)
REFERENCE = (
    "MacKinnon JG, Nielsen MO, Webb MD (2023). J Econometrics 232(2):272-299. "
    "doi:10.1016/j.jeconom.2022.04.001; MacKinnon JG, Webb MD (2020). J Econometrics "
    "218(2):435-450. doi:10.1016/j.jeconom.2020.04.024; Arkhangelsky D, et al. (2021). AER "
    "111(12):4088-4118. doi:10.1257/aer.20190159; Bernal JL, Cummins S, Gasparrini A (2017). IJE "
    "46(1):348-355. doi:10.1093/ije/dyw098"
)


def check_county_phase(
    study: Study, paths: Mapping[str, Sequence[Path]]
) -> tuple[dict[str, Result], dict[str, str]]:
    """The overall county-phase effect of every outcome, held against what else can be said.

    Parameters
    ----------
    study : Study
    paths : Mapping[str, sequence of Path]
        Moments by design, as `build_moments` returns.

    Returns
    -------
    results : dict[str, Result]
        `county_phase_checks`, rows by `outcome` and `check`: clustered by county, jackknife, both
        ends without each county, synthetic difference-in-differences, segmented series.
        `county_phase_randomization`: p-values when the phases are dealt to the counties anew.
    left_out : dict[str, str]
        Result name to the reason why it, or a part of it, is not there.
    """
    tables: list[EffectTable] = []
    tests: list[pd.DataFrame] = []
    attempts = Attempts(level=logging.INFO)
    for path in paths.get(DESIGN, ()):
        moments = load_moments(path)
        outcomes = [o for o in moments.outcomes if attempts.tried(o, partial(_effect, moments, o))]
        if not outcomes:
            continue
        estimate = partial(_effects, outcomes=outcomes)
        jackknife = attempts.tried(JACKKNIFE, partial(cluster_jackknife, moments, estimate))
        test = partial(
            randomization_test,
            moments,
            estimate,
            rng=np.random.default_rng(SEED),
            draws=DRAWS,
        )
        dealt = attempts.tried(RANDOMIZATION, test)
        if dealt is not None:
            tests.append(_of_enough_members(dealt, estimate(moments), study))
        for outcome in outcomes:
            tables += _checks(moments, outcome, jackknife, attempts)
    results: dict[str, Result] = {}
    if tables:
        results["county_phase_checks"] = _described(tables, attempts)
    if any(len(test) for test in tests):
        results["county_phase_randomization"] = _randomization(pd.concat(tests, ignore_index=True))
    why = {
        "county_phase_checks": " ".join(_words(attempts)),
        "county_phase_randomization": attempts.left_out.get(RANDOMIZATION, ""),
    }
    left_out = {name: reason for name, reason in why.items() if reason and name not in results}
    return results, left_out


def _effect(moments: CellMoments, outcome: str) -> EffectTable:
    """Overall effect on phase 1 counties, clustered by county."""
    return aggregate(county_phase_att(moments, outcome), by="overall")


def _effects(moments: CellMoments, *, outcomes: Sequence[str]) -> EffectTable:
    """The overall effects of several outcomes under one another."""
    return stack([_effect(moments, o) for o in outcomes], key="outcome", labels=list(outcomes))


def _checks(
    moments: CellMoments,
    outcome: str,
    jackknife: EffectTable | None,
    attempts: Attempts,
) -> list[EffectTable]:
    """The effect on one outcome under every check that can be made; a table each."""
    clustered = _effect(moments, outcome)
    found: dict[str, EffectTable | None] = {CLUSTERED: clustered}
    if jackknife is not None:
        own = jackknife.select(jackknife.keys["outcome"] == outcome)
        found[JACKKNIFE] = own
        found |= without_one_county(moments, outcome, own)
    found[SYNTHETIC] = attempts.tried(SYNTHETIC, partial(_synthetic, moments, outcome))
    found[SERIES] = attempts.tried(SERIES, partial(_series, moments, outcome))
    unit = MEASURES[outcome].unit
    return [
        replace(table, keys=pd.DataFrame({"outcome": [outcome], "unit": [unit], "check": [check]}))
        for check, table in found.items()
        if table is not None
    ]


def _synthetic(moments: CellMoments, outcome: str) -> EffectTable:
    """Synthetic difference-in-differences by county."""
    return synthetic_did(
        moments,
        outcome=outcome,
        county=COUNTY,
        std_error="jackknife",
        per=MEASURES[outcome].per,
        unit=MEASURES[outcome].unit,
    )


def _series(moments: CellMoments, outcome: str) -> EffectTable:
    """Controlled segmented regression: the average effect from the break on."""
    series = interrupted_time_series(
        moments,
        outcome=outcome,
        break_month=BREAK_MONTH,
        comparison="never_exposed",
        errors="ar1",
        std_error="model",
        per=MEASURES[outcome].per,
        unit=MEASURES[outcome].unit,
    )
    is_wanted = (series.keys["series"] == "difference") & (series.keys["term"] == "average_effect")
    return series.select(is_wanted)


def _described(tables: list[EffectTable], attempts: Attempts) -> EffectTable:
    """All checks as one table, with what the rows are and which are not there."""
    table = stack(tables)
    first = tables[0].estimand
    return replace(
        table,
        estimand=Estimand(
            name="County-phase effect, checked",
            contrast=first.contrast,
            unit=table.estimand.unit,
            is_causal=first.is_causal,
        ),
        method=Method(
            estimator="The overall effect clustered by county, with the cluster jackknife, without "
            "each county, by synthetic difference-in-differences and by segmented regression",
            options=MappingProxyType({"cluster": COUNTY, "std_error": "county and CRV3"}),
            reference=REFERENCE,
        ),
        notes=(*NOTES, *_words(attempts), *table.notes),
    )


def _words(attempts: Attempts) -> list[str]:
    """What was left out and why, a sentence each; the randomization test has its own."""
    return [
        f"{what.replace('_', ' ').capitalize()} left out: {why}"
        for what, why in attempts.left_out.items()
        if what != RANDOMIZATION
    ]


def _of_enough_members(dealt: pd.DataFrame, effects: EffectTable, study: Study) -> pd.DataFrame:
    """P-values of effects that may be shown; of the others nothing is told."""
    few = small_effects(effects, policy=load_policy(study.disclosure_policy))
    return dealt[~few & dealt["p_value"].notna().to_numpy()]


def _randomization(dealt: pd.DataFrame) -> RateTable:
    """P-values as shares of the deals of counties to phases."""
    n_deals = dealt["n_assignments"].to_numpy(dtype=float) + 1
    as_large = np.rint(dealt["p_value"].to_numpy(dtype=float) * n_deals)
    unknown = np.full(len(dealt), np.nan)
    drawn = "all" if dealt["is_enumerated"].all() else f"{int(n_deals.max()) - 1} drawn"
    return RateTable(
        measure="Randomization test of the county roll-out",
        keys=dealt[["outcome"]].reset_index(drop=True),
        numerator=as_large,
        denominator=n_deals,
        conf_low=unknown,
        conf_high=unknown,
        n_members=as_large,
        numerator_name="deals_of_counties_with_an_effect_as_large",
        denominator_name="deals_of_counties",
        unit="share of deals",
        kind="proportion",
        about="organizations",
        method=Method(
            estimator="Randomization inference over counties, studentized",
            options=MappingProxyType({"deals": drawn, "seed": SEED}),
            reference="MacKinnon JG, Webb MD (2020). J Econometrics 218(2):435-450. "
            "doi:10.1016/j.jeconom.2020.04.024",
        ),
        notes=(RANDOMIZATION_NOTE,),
    )
