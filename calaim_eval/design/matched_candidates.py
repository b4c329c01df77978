"""Members who may enter the matched design, with all that matching looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from calaim_eval.design.age_bands import AGE_BAND
from calaim_eval.design.candidates import Anchor, candidate_members
from calaim_eval.design.checks import service_exposures
from calaim_eval.design.eligibility import EligibilityRule, high_ed_use_months, listed_months
from calaim_eval.design.index_month import at_index_month
from calaim_eval.design.match_groups import exact_groups
from calaim_eval.design.matched_rules import NOT_CHOSEN, UNKNOWN, RiskRules, broken_by_member
from calaim_eval.design.matched_sets import MatchedSets
from calaim_eval.design.risk_months import risk_months
from calaim_eval.errors import DesignError
from calaim_eval.panel.measures import MEASURES

if TYPE_CHECKING:
    from calaim_eval.panel import MemberMonths

UseIn = Literal["lookback", "each_month"]
AGE = "age_years"
SINCE = "months_since_eligibility"


@dataclass(frozen=True, slots=True, eq=False)
class MatchCandidates:
    """Candidates, those who may be in a set, and what is known of them.

    Attributes
    ----------
    ids : np.ndarray
        Members who may be in a set, in order of their ids; shape (n,).
    entered : np.ndarray
        Their positions among all candidates; shape (n,).
    broken : np.ndarray
        Rule about the member that each candidate breaks, ``""`` for those entered.
    groups : pd.DataFrame
        County and the exact columns of those entered.
    age_years : np.ndarray
        In the month of eligibility; shape (n,).
    rules : RiskRules
        Who is at risk when.
    variables : tuple[str, ...]
        Names of the matching variables, in the order of ``rules.values``.
    mean_variables : tuple[str, ...]
        The same with the mean of the look-back in place of its months.
    n_not_in_panel : int
        Members with a record but no covered month.
    """

    ids: np.ndarray
    entered: np.ndarray
    broken: np.ndarray
    groups: pd.DataFrame
    age_years: np.ndarray
    rules: RiskRules
    variables: tuple[str, ...]
    mean_variables: tuple[str, ...]
    n_not_in_panel: int

    def reasons(self, sets: MatchedSets | None = None) -> np.ndarray:
        """Why each candidate is set aside, ``""`` for those in a set."""
        reason = self.broken.copy()
        exposed = np.flatnonzero(~np.isnan(self.rules.exposed))
        own = np.full(len(self.ids), NOT_CHOSEN, dtype=object)
        own[exposed] = self.rules.broken_at_exposure(exposed)
        unusable = np.isnan(self.rules.fixed).any(axis=1)
        own[unusable & ~np.isnan(self.rules.exposed) & (own == "")] = UNKNOWN
        if sets is not None:
            own = np.where(own == "", sets.reason, own)
            own[sets.exposed] = own[sets.comparison] = ""
        reason[self.entered] = own
        return reason


def match_outcomes(match_on: Sequence[str]) -> list[str]:
    """Measures among the matching variables; DesignError for names nobody knows."""
    if isinstance(match_on, str):
        raise DesignError(f'`match_on` is one text; give a list, such as ["{match_on}"].')
    unknown = [name for name in match_on if name not in (*MEASURES, AGE, SINCE)]
    if unknown or not match_on:
        what = f"names {', '.join(f'`{u}`' for u in unknown)}" if unknown else "is empty"
        raise DesignError(
            f"`match_on` {what}. Allowed: `{AGE}`, `{SINCE}`, "
            f"{', '.join(f'`{name}`' for name in MEASURES)}."
        )
    if len(set(match_on)) < len(match_on):
        raise DesignError("`match_on` names a variable twice; drop one.")
    return [name for name in match_on if name in MEASURES]


def match_candidates(
    panel: MemberMonths,
    months: pd.PeriodIndex,
    *,
    service: str,
    anchor: Anchor,
    eligibility: EligibilityRule,
    high_use: tuple[int, int],
    ages: tuple[int | None, int | None],
    age_bands: Sequence[int],
    population_of_focus: str | None,
    exact: Sequence[str],
    match_on: Sequence[str],
    use_in: UseIn,
    windows: tuple[int, int, int],
) -> MatchCandidates:
    """Read candidates from the panel; the arguments are those of `design_matched`."""
    exposures = service_exposures(panel, service)
    if eligibility == "listed":
        eligible = listed_months(exposures, service=service)
    else:
        eligible = high_ed_use_months(panel, visits=high_use[0], within_months=high_use[1])
    everyone = candidate_members(exposures, eligible, anchor=anchor)
    everyone.index = everyone.index.astype("str")
    everyone = everyone.sort_index()
    columns = dict.fromkeys(("county", AGE, *exact))
    columns.pop(AGE_BAND, None)
    found = at_index_month(panel, everyone["eligible"], lookback_months=0, columns=list(columns))
    is_in_panel = found["is_in_panel"].to_numpy()
    everyone, found = everyone[is_in_panel], found[is_in_panel]
    broken = broken_by_member(
        everyone,
        found,
        months=months,
        min_age=ages[0],
        max_age=ages[1],
        population_of_focus=population_of_focus,
    )
    entered = np.flatnonzero(broken == "")
    members, attributes = everyone.iloc[entered], found.iloc[entered]
    age = attributes[AGE].to_numpy(dtype=float, na_value=np.nan)
    exposed = members["exposed"].to_numpy()
    outcomes = match_outcomes(match_on)
    rules = RiskRules(
        months=months,
        use=risk_months(panel, members.index, months=months, outcomes=outcomes),
        eligible=members["eligible"].to_numpy(),
        exposed=np.where(exposed <= months[-1].ordinal, exposed, np.nan),
        fixed=age[:, None] if AGE in match_on else np.empty((len(age), 0)),
        lookback_months=windows[0],
        follow_up_months=windows[1],
        anticipation_months=windows[2],
        by_month=use_in == "each_month",
        since_eligibility=SINCE in match_on,
    )
    return MatchCandidates(
        ids=members.index.to_numpy(dtype=object),
        entered=entered,
        broken=broken,
        groups=exact_groups(attributes, exact, age_bands=age_bands),
        age_years=age,
        rules=rules,
        variables=_variables(outcomes, match_on, rules),
        mean_variables=_variables(outcomes, match_on, replace(rules, by_month=False)),
        n_not_in_panel=int((~is_in_panel).sum()),
    )


def _variables(outcomes: list[str], match_on: Sequence[str], rules: RiskRules) -> tuple[str, ...]:
    """Names of the matching variables in the order of ``rules.values``."""
    if rules.by_month:
        back = range(rules.lookback_months, rules.anticipation_months, -1)
        names = [f"{o}, {b} month{'s' if b > 1 else ''} before" for b in back for o in outcomes]
    else:
        names = [f"{outcome} per month before" for outcome in outcomes]
    return (*names, *(name for name in (AGE, SINCE) if name in match_on))
