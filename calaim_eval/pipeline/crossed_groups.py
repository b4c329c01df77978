"""Members and use of care by race and ethnicity crossed with what the study names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from calaim_eval.equity import members_by_group, rate_by_group, with_age_bands, with_populations
from calaim_eval.panel import MemberMonths
from calaim_eval.pipeline.race_display import RACE
from calaim_eval.results import RateTable, stack_rates
from calaim_eval.schema.overlapping import POPULATION
from calaim_eval.study import Study


def measure_crossings(
    study: Study, panel: MemberMonths, outcomes: Sequence[str]
) -> dict[str, RateTable]:
    """Members and use of all members by race and ethnicity and one more column at a time.

    Parameters
    ----------
    study : Study
        Its `[equity] crossed_with` names the columns, `age_bands` the bands of `age_band`.
    panel : MemberMonths
    outcomes : sequence of str

    Returns
    -------
    dict[str, RateTable]
        `members_by_race_and_<column>` and `use_by_race_and_<column>`, with totals over both
        columns; populations of focus overlap.
    """
    equity = study.file.equity
    shown = with_age_bands(panel, equity.age_bands)
    results = {}
    for column in equity.crossed_with:
        by = (RACE, column)
        crossed = with_populations(shown) if column == POPULATION else shown
        results[f"members_by_race_and_{column}"] = members_by_group(crossed, by=by)
        rates = [rate_by_group(crossed, outcome=o, by=by, margins=by) for o in outcomes]
        use = stack_rates(rates, key="outcome", labels=list(outcomes))
        if study.file.exposure is not None:
            # Use before eligibility has the other name: events of fewer months and members.
            use = replace(use, numerator_name=f"{use.numerator_name}_in_all_covered_months")
        results[f"use_by_race_and_{column}"] = use
    return results
