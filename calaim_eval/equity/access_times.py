"""How long members wait in each stage of access, by group, and what ends the wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from calaim_eval.design.checks import service_exposures, to_month
from calaim_eval.design.index_month import check_no_overlap, check_strata
from calaim_eval.design.ledger import count_words
from calaim_eval.design.member_month_parts import month_numbers
from calaim_eval.equity.members import last_groups
from calaim_eval.equity.stage_spells import (
    COVERAGE_ENDED,
    NEXT_STAGE,
    REACHED,
    FollowUp,
    check_exits,
    covered_until,
    stage_spells,
    with_text_ids,
)
from calaim_eval.equity.stage_times import StageTimes, stage_times
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.panel import MemberMonths

MONTHS = (1, 3, 6)


def access_times(
    panel: MemberMonths,
    *,
    service: str = "ecm",
    by: str = "race_ethnicity",
    months: Sequence[int] = MONTHS,
    matured_months: int | None = None,
    through: str | None = None,
    max_gap_months: int = 0,
    exits: pd.DataFrame | None = None,
    closed: pd.DataFrame | None = None,
) -> StageTimes:
    r"""Months from each stage of access to the next, other endings competing.

    Use beside `access_funnel`, which says how many get to a stage, to say how long it takes. A
    member who loses coverage can no longer be reached: that is a competing ending, not a
    censoring, so the estimate is Aalen-Johansen's and never one minus Kaplan-Meier, which would
    overstate.

    Parameters
    ----------
    panel : MemberMonths
    service : str
        ``"ecm"``, a Community Support, or ``"any_community_support"``.
    by : str
        Grouping column of the panel, as recorded in each member's last covered month.
    months : sequence of int
        Months after a stage began to report; the last is the horizon of the mean.
    matured_months : int, optional
        Follow-up a stage must leave room for; default the horizon, so that everybody is followed
        over it and shares are counts over members. With fewer months later members are followed
        as far as the data go.
    through : str, optional
        Last month observed, such as ``"2024-12"``; default the last of the panel.
    max_gap_months : int
        Uncovered months in a row that do not end coverage.
    exits : pd.DataFrame, optional
        What else ends a stage: `member_id`, `month` and `exit` (``"died"``, ``"declined"`` ...).
        The panel holds none of these: without it deaths are ends of coverage, and a member who
        declined is waiting.
    closed : pd.DataFrame, optional
        `member_id` and `month` in which the loop was closed with services received; adds the
        stage "served".

    Returns
    -------
    StageTimes
        `curves`, `mean_months` and, where everybody is followed over the horizon, `counts`.

    Raises
    ------
    EstimationError
        Nobody can be followed in any stage, a horizon is not positive, `matured_months` is
        negative, an exit's name is taken, or `exits` or `closed` has a row without member, month
        or name.
    DesignError
        The service is unknown or has no record, `by` is not a grouping column, or `through` is
        after the panel.

    Notes
    -----
    Stages: "eligible" (ECM: the first month claims show a population of focus, no earlier than
    the service identified anybody) to identified;
    "identified" to reached by outreach; "outreached" to served; "served" to the loop closed. A
    member served without an outreach record counts as reached in the month of service. Enrolled
    is not recorded apart from served. A stage that began before the first month of the panel is
    left out, not entered late: those who still wait then are the slow ones (left truncation).
    Coverage ends with the first uncovered month; the next stage counts if it came before.
    """
    check_no_overlap((by,))
    check_strata((by,))
    steps = _months(months)
    if matured_months is not None and matured_months < 0:
        raise EstimationError(
            f"access_times: `matured_months` is {matured_months}.\n  A stage leaves room for 0 "
            "months of follow-up or more."
        )
    last = panel.last_month if through is None else to_month(through, name="through")
    follow_up = FollowUp(
        first=panel.first_month.ordinal,
        last=last.ordinal,
        matured=steps[-1] if matured_months is None else matured_months,
        max_gap_months=max_gap_months,
    )
    if last > panel.last_month:
        raise DesignError(
            f"`through` is {last}; the panel ends in {panel.last_month}, and coverage after it is "
            "not known.\n  Choose a month of the panel."
        )
    exits = None if exits is None else with_text_ids(exits, "exits", ("month", "exit"))
    closed = None if closed is None else with_text_ids(closed, "closed", ("month",))
    names = check_exits(exits)
    outcomes = (REACHED, COVERAGE_ENDED, *names)
    members = _members(panel, service=service, closed=closed)
    n_recorded = len(members)
    members = members.merge(last_groups(panel, by=by), on="member_id", how="inner")
    coverage = covered_until(
        panel, ids=pd.Index(members["member_id"]), last=last, max_gap_months=max_gap_months
    )
    spells: dict[str, pd.DataFrame] = {}
    notes = _without_coverage(n_recorded - len(members))
    for stage in (s for s in NEXT_STAGE if f"start_{s}" in members):
        found, said = stage_spells(
            members,
            coverage,
            stage=stage,
            follow_up=_from_opening(follow_up, members) if stage == "eligible" else follow_up,
            by=by,
            exits=exits,
            exit_names=names,
        )
        notes += said
        if len(found):
            spells[stage] = found
    if not spells:
        raise EstimationError(
            f"access_times: nobody with a record of `{service}` can be followed for "
            f"{follow_up.matured} months from a stage that began in the panel.\n"
            "  Choose shorter `months`, or a panel of more months."
        )
    options = {
        "service": service,
        "months": steps,
        "matured_months": follow_up.matured,
        "through": str(last),
        "max_gap_months": max_gap_months,
    }
    notes += _notes(names, matured=follow_up.matured, last=last)
    return stage_times(
        spells, by=by, months=steps, outcomes=outcomes, options=options, notes=tuple(notes)
    )


def _members(panel: MemberMonths, *, service: str, closed: pd.DataFrame | None) -> pd.DataFrame:
    """Start and end of every stage of every member, as month numbers; NaN where there is none."""
    exposures = service_exposures(panel, service)
    found = exposures[["member_id"]].assign(
        start_identified=month_numbers(exposures["identified_month"]),
        start_outreached=month_numbers(exposures["outreach_month"]),
        reached_outreached=month_numbers(exposures["service_month"]),
    )
    found["reached_identified"] = found[["start_outreached", "reached_outreached"]].min(axis=1)
    if closed is not None:
        first = closed.assign(n=month_numbers(closed["month"])).groupby("member_id")["n"].min()
        found["start_served"] = found["reached_outreached"]
        found["reached_served"] = found["member_id"].map(first)
    if service != "ecm":
        return found
    known = panel.population_frame().dropna(subset="claims_month")
    if known.empty:
        return found
    eligible = known.assign(n=month_numbers(known["claims_month"])).groupby("member_id")["n"].min()
    found = found.merge(
        eligible.rename("start_eligible"), left_on="member_id", right_index=True, how="outer"
    )
    found["reached_eligible"] = found[["start_identified", "reached_identified"]].min(axis=1)
    return found.reset_index(drop=True)


def _without_coverage(n_lost: int) -> list[str]:
    """Members with a record of the service and no month in the panel."""
    if not n_lost:
        return []
    return [f"Left out, no covered month in the panel: {count_words(n_lost)} members."]


def _from_opening(follow_up: FollowUp, members: pd.DataFrame) -> FollowUp:
    """Nobody waits to be identified before the service identifies anybody."""
    opening = members["start_identified"].min()
    return replace(follow_up, first=int(max(follow_up.first, opening)))


def _months(months: Sequence[int]) -> tuple[int, ...]:
    """Horizons, checked and in order."""
    steps = tuple(sorted({int(m) for m in months}))
    if not steps or steps[0] < 0 or steps[-1] < 1:
        raise EstimationError(
            f"access_times: `months` are {list(months)}; give whole months after a stage began, 0 "
            "or more, the last of them above 0."
        )
    return steps


def _notes(exits: tuple[str, ...], *, matured: int, last: pd.Period) -> list[str]:
    """What a reader of the times must know."""
    notes = [
        f"Members whose stage began at least {matured} months before {last}, within the panel and "
        "in a covered month. Month 0 is the month it began.",
        "Who loses coverage first can no longer be reached: a competing ending, not a censoring.",
    ]
    if not exits:
        notes.append(
            "Deaths are among the ends of coverage, and members who declined among those waiting: "
            "the panel does not record them."
        )
    return notes
