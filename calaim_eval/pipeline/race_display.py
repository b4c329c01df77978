"""Which display of race and ethnicity a study's results are in, and the results in combination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from calaim_eval.design import Design
from calaim_eval.equity import (
    access_funnel,
    baseline_utilization,
    members_by_group,
    person_categories,
    rate_by_group,
    with_race_ethnicity,
)
from calaim_eval.panel import MemberMonths
from calaim_eval.results import RateTable, Result, stack_rates
from calaim_eval.schema.overlapping import IN_COMBINATION
from calaim_eval.study import Study
from calaim_eval.tables.read import open_tables

RACE = "race_ethnicity"
Shown = TypeVar("Shown", bound=Result)


def say_display(study: Study, results: Mapping[str, Shown]) -> dict[str, Shown]:
    """The results, each by race and ethnicity with the display it is in among its notes."""
    words = study.file.equity.race_rule.words
    return {
        name: replace(each, notes=(*each.notes, words))
        if RACE in each.keys.columns and words not in each.notes
        else each
        for name, each in results.items()
    }


def measure_in_combination(
    study: Study, panel: MemberMonths, design: Design | None, outcomes: Sequence[str]
) -> dict[str, RateTable]:
    """Members, use and access by every category a member has, where the study asks for it.

    Parameters
    ----------
    study : Study
    panel : MemberMonths
    design : Design, optional
        Whose members' use before eligibility is taken; without one, that of everybody.
    outcomes : sequence of str

    Returns
    -------
    dict[str, RateTable]
        `members_in_combination`, `use_in_combination` and, with an exposure,
        `access_in_combination`; empty where the study does not ask.
    """
    if not study.file.equity.race_in_combination:
        return {}
    tables = open_tables(study.restricted / "tables")
    categories = person_categories(tables, schema=study.file.equity.race_schema)
    shown = with_race_ethnicity(panel, categories, display="in_combination")
    results = {"members_in_combination": members_by_group(shown, by=IN_COMBINATION)}
    exposure = study.file.exposure
    if design is None or exposure is None:
        use = [
            rate_by_group(shown, outcome=o, by=IN_COMBINATION, margins=(IN_COMBINATION,))
            for o in outcomes
        ]
    else:
        of_members = replace(design, panel=shown)
        use = [
            baseline_utilization(
                of_members,
                outcome=o,
                by=IN_COMBINATION,
                months_before=exposure.lookback_months,
                margins=(IN_COMBINATION,),
            )
            for o in outcomes
        ]
        results["access_in_combination"] = access_funnel(
            shown, service=exposure.service, by=IN_COMBINATION
        )
    results["use_in_combination"] = stack_rates(use, key="outcome", labels=list(outcomes))
    return results
