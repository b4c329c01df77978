"""The main design: members exposed to a service against members eligible by the same rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.candidates import Anchor, candidate_members, check_population
from calaim_eval.design.checks import (
    analysis_months,
    check_option,
    check_windows,
    service_exposures,
)
from calaim_eval.design.design import Comparison, Design
from calaim_eval.design.eligibility import EligibilityRule, high_ed_use_months, listed_months
from calaim_eval.design.exposure_rules import NEVER_ELIGIBLE, REASONS, ExposureRules
from calaim_eval.design.exposure_words import (
    check_somebody,
    estimand_words,
    exposure_notes,
    no_support_message,
)
from calaim_eval.design.index_month import (
    at_index_month,
    check_no_overlap,
    check_strata,
    group_labels,
)
from calaim_eval.design.ledger import member_ledger
from calaim_eval.design.member_month_parts import month_starts
from calaim_eval.design.support import stratum_notes, unsupported
from calaim_eval.errors import DesignError
from calaim_eval.panel.grouped import group_notes

if TYPE_CHECKING:
    from calaim_eval.panel import MemberMonths

EligibilityCell = Literal["month", "quarter"]


def design_exposure(
    panel: MemberMonths,
    *,
    service: str = "ecm",
    anchor: Anchor = "first_service",
    eligibility: EligibilityRule = "listed",
    comparison: Comparison = "not_yet_exposed",
    lookback_months: int = 6,
    follow_up_months: int = 12,
    anticipation_months: int = 0,
    min_age: int | None = None,
    max_age: int | None = None,
    population_of_focus: str | None = None,
    high_use_visits: int = 5,
    high_use_months: int = 6,
    eligibility_cell: EligibilityCell = "month",
    strata: Sequence[str] = ("race_ethnicity",),
    window: tuple[str, str] | None = None,
) -> Design:
    """Compare members exposed to a service with members who became eligible when they did.

    Use after July 2022, when every county offers ECM and the contrast is enrolled against
    eligible and not (yet) enrolled.

    Parameters
    ----------
    panel : MemberMonths
    service : str
        ``"ecm"``, a Community Support, or ``"any_community_support"``.
    anchor : {"first_service", "first_outreach"}
        The event that makes a member exposed. First outreach counts everyone reached, served
        or not; where outreach falls in the month of eligibility its base month lies in the spike
        that made members eligible. First service is as treated. A member served without an earlier
        outreach record counts as reached in the month of the first service.
    eligibility : {"listed", "high_ed_use"}
        Rule that fixes the month of eligibility of *everyone*: first on the plan's list of
        eligible members, or first reaching `high_use_visits` ED visits in `high_use_months`.
    comparison : {"not_yet_exposed", "never_exposed"}
    lookback_months : int
        Months before eligibility that must all be covered; at least two beyond
        `anticipation_months`.
    follow_up_months : int
        Months, from the month of eligibility on, that the window must hold. Later coverage is
        *not* required: to require it would condition on the future.
    anticipation_months : int
        Months before exposure that exposure may already have changed; passed on to estimation.
    min_age, max_age : int, optional
        Age in completed years in the month of eligibility, both included.
    population_of_focus : str, optional
        Keep members whose records name this population of focus (code list
        `population_of_focus`). They overlap: make one design for each, never add them up.
    high_use_visits, high_use_months : int
        The high-use rule.
    eligibility_cell : {"month", "quarter"}
        Members are compared within the month of eligibility, or the calendar quarter where
        months are too thin. A quarter is coarser: members up to two months apart on the fall
        that follows a spike are then compared, which can hide most of an effect
        (`docs/methods/recovery.md`).
    strata : sequence of str
        Groups to carry along, as recorded in the month of eligibility.
    window : (str, str), optional
        First and last month analyzed, such as ``("2021-01", "2024-12")``; default the panel.

    Returns
    -------
    Design
        ``covariate_cells`` is ``("eligibility_month",)`` or ``("eligibility_quarter",)``, the
        cluster is the member.

    Raises
    ------
    DesignError
        The service is unknown or has no records, the window is too short, nobody is exposed, or
        no exposed member has a comparison member in the same cell.

    Notes
    -----
    *Regression to the mean.* High use falls back by itself. Exposed and comparison members became
    eligible in the same month by the same rule, so the fall is the same on both sides and
    differences out. *Immortal time.* Members enter at eligibility, not at exposure; the months
    between count as not yet exposed [1]_. *What is assumed*: among members who became eligible
    in the same month, those exposed later or never would have moved as the exposed did.

    References
    ----------
    .. [1] Hernan MA, Sauer BC, Hernandez-Diaz S, Platt R, Shrier I (2016). Specifying a target
       trial prevents immortal time bias and other self-inflicted injuries in observational
       analyses. J Clin Epidemiol 79:70-75. doi:10.1016/j.jclinepi.2016.04.014
    """
    check_option("anchor", anchor, get_args(Anchor))
    check_option("eligibility", eligibility, get_args(EligibilityRule))
    check_option("comparison", comparison, get_args(Comparison))
    check_option("eligibility_cell", eligibility_cell, get_args(EligibilityCell))
    check_no_overlap(strata)
    check_strata(strata)
    check_population(population_of_focus, eligibility)
    months = analysis_months(panel, window)
    check_windows(
        months,
        lookback_months=lookback_months,
        follow_up_months=follow_up_months,
        anticipation_months=anticipation_months,
    )

    exposures = service_exposures(panel, service)
    if eligibility == "listed":
        eligible = listed_months(exposures, service=service)
    else:
        eligible = high_ed_use_months(panel, visits=high_use_visits, within_months=high_use_months)
    columns = list(dict.fromkeys(("county", "age_years", *strata)))
    candidates = candidate_members(exposures, eligible, anchor=anchor)
    found = at_index_month(
        panel, candidates["eligible"], lookback_months=lookback_months, columns=columns
    )
    n_not_in_panel = int((~found["is_in_panel"]).sum())
    candidates, found = candidates[found["is_in_panel"]], found[found["is_in_panel"]]

    rules = ExposureRules(
        months, lookback_months, follow_up_months, min_age, max_age, population_of_focus
    )
    reason = rules.broken_by(candidates, found)
    cohort = candidates["exposed"].where(candidates["exposed"] <= months[-1].ordinal)
    cell = _cell_numbers(candidates["eligible"], eligibility_cell)
    entered = reason == ""
    check_somebody(reason, candidates, cohort, eligibility=eligibility, n_panel=panel.n_members)
    reason[entered] = unsupported(cell[entered], cohort[entered], comparison=comparison)

    kept = reason == ""
    ledger = _ledger(panel, reason, cohort.notna().to_numpy())
    if not kept.any():
        raise DesignError(no_support_message(ledger, eligibility_cell, comparison))
    cell_column = f"eligibility_{eligibility_cell}"
    members = _members(candidates[kept], found[kept], cohort[kept], columns, eligibility_cell)
    return Design(
        panel=panel,
        members=members,
        months=months,
        comparison=comparison,
        covariate_cells=(cell_column,),
        cluster="member",
        ledger=ledger,
        notes=(
            *exposure_notes(
                candidates,
                kept,
                reason,
                months,
                anchor=anchor,
                eligibility=eligibility,
                min_age=min_age,
                n_not_in_panel=n_not_in_panel,
                comparison=comparison,
            ),
            *stratum_notes(members, strata=strata, cell=cell_column, comparison=comparison),
            *group_notes(panel, strata),
        ),
        estimand_words=estimand_words(
            service, anchor, eligibility, comparison, high_use_visits, high_use_months
        ),
        kind="exposure",
        lookback_months=lookback_months,
        follow_up_months=follow_up_months,
        anticipation_months=anticipation_months,
    )


def _cell_numbers(eligible: pd.Series, cell: EligibilityCell) -> pd.Series:
    """First month of the eligibility cell of each member, as a month number."""
    return eligible if cell == "month" else eligible // 3 * 3


def _ledger(panel: MemberMonths, reason: np.ndarray, is_exposed: np.ndarray) -> pd.DataFrame:
    """Ledger of every member of the panel, those without any record included."""
    ledger = member_ledger(reason, is_exposed, REASONS)
    without_record = panel.n_members - len(reason)
    ledger.loc[ledger["reason"] == NEVER_ELIGIBLE, "n_members"] += without_record
    return ledger


def _members(
    candidates: pd.DataFrame,
    found: pd.DataFrame,
    cohort: pd.Series,
    columns: list[str],
    cell: EligibilityCell,
) -> pd.DataFrame:
    """The kept members with their months as dates and their groups as text."""
    members = pd.DataFrame(
        {
            "member_id": candidates.index.to_series().astype("str").reset_index(drop=True),
            "cohort": month_starts(cohort.to_numpy()),
            "eligibility_month": month_starts(candidates["eligible"].to_numpy()),
        }
    )
    if cell == "quarter":
        quarter = _cell_numbers(candidates["eligible"], cell)
        members["eligibility_quarter"] = month_starts(quarter.to_numpy())
    for name in columns:
        if name == "age_years":
            members[name] = found[name].to_numpy()
        else:
            members[name] = group_labels(found[name])
    return members
