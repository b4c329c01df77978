"""From identified as eligible to served, by group: where members are lost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.design.checks import service_exposures, to_month
from calaim_eval.design.index_month import check_no_overlap, check_strata
from calaim_eval.design.ledger import count_words
from calaim_eval.design.member_month_parts import month_numbers
from calaim_eval.equity.groups import in_group_order, with_margins
from calaim_eval.equity.members import last_groups
from calaim_eval.equity.overlapping_groups import rates_in_combination
from calaim_eval.errors import EstimationError
from calaim_eval.panel import MemberMonths
from calaim_eval.panel.grouped import group_notes
from calaim_eval.results import Method, RateTable
from calaim_eval.results.intervals import wilson_interval
from calaim_eval.schema.overlapping import overlapping_columns

STAGES = ("identified", "outreached", "served", "cbo_served")


def access_funnel(
    panel: MemberMonths,
    *,
    service: str = "ecm",
    by: str = "race_ethnicity",
    through: str | None = None,
) -> RateTable:
    """Members identified, reached by outreach, served, and served by a CBO, by group.

    Parameters
    ----------
    panel : MemberMonths
    service : str
        ``"ecm"``, a Community Support, or ``"any_community_support"``.
    by : str
        Grouping column of the panel, as recorded in each member's last covered month. Groups may
        overlap (`race_ethnicity_in_combination`): a member counts in each.
    through : str, optional
        Count what happened up to and including this month, such as ``"2024-12"``; default
        everything on record.

    Returns
    -------
    RateTable
        Keys `by` (with an "all" row) and `stage`; numerator members who reached the stage,
        denominator members identified; Wilson intervals (none for "identified", which is the
        whole).

    Raises
    ------
    EstimationError
        Nobody was identified by `through`.
    DesignError
        The service is unknown or has no record, or `by` is not a grouping column.

    Notes
    -----
    The stages are nested: a member who reached a later stage reached the earlier ones, so a
    member served without an outreach record counts as reached, and one reached without being on
    the list counts as identified. The notes say how many. `cbo_served` looks at the organization
    that gave the *first* service; it is left out where no organization is classified.
    """
    exposures = service_exposures(panel, service)
    members = funnel_members(panel, service=service, by=by, through=through, may_overlap=True)
    stages = stages_reached(members)
    counts = _counts(members, by=by, stages=stages)
    count = counts["count"].to_numpy(dtype=float)
    total = counts["identified"].to_numpy(dtype=float)
    is_whole = (counts["stage"] == "identified").to_numpy()
    low, high = (np.where(is_whole, np.nan, each) for each in wilson_interval(count, total))
    until = "" if through is None else f"_through_{through}"
    table = RateTable(
        measure=f"Access to {'ECM' if service == 'ecm' else service.replace('_', ' ')}",
        keys=counts[[by, "stage"]],
        numerator=count,
        denominator=total,
        conf_low=low,
        conf_high=high,
        n_members=count,
        numerator_name=f"members_reaching_stage_of_{service}{until}",
        denominator_name=f"members_identified_for_{service}{until}",
        unit="share of members identified",
        kind="proportion",
        method=Method(
            "Proportion; Wilson interval",
            {"service": service, "through": through, "stages": "nested"},
            "Wilson EB (1927). doi:10.1080/01621459.1927.10502953",
        ),
        margins=(by,),
        denominator_keys=(by,),
        notes=(
            *_notes(
                members,
                n_outside=len(exposures) - exposures["member_id"].isin(members["member_id"]).sum(),
                stages=stages,
                through=through,
            ),
            *group_notes(panel, (by,)),
        ),
    )
    return rates_in_combination(table) if overlapping_columns((by,)) else table


def funnel_members(
    panel: MemberMonths,
    *,
    service: str,
    by: str,
    through: str | None = None,
    may_overlap: bool = False,
) -> pd.DataFrame:
    """Members identified, one row each, with their group and whether they reached each stage.

    Parameters and errors as in `access_funnel`. A stage that cannot be known has no column.
    Groups that overlap are refused unless `may_overlap`: a member's group is then the label.
    """
    if not may_overlap:
        check_no_overlap((by,))
    check_strata((by,))
    exposures = service_exposures(panel, service)
    members = exposures.merge(last_groups(panel, by=by), on="member_id", how="inner")
    reached = _stages(members, None if through is None else to_month(through, name="through"))
    members = members.assign(**reached)
    members = members[members["identified"]]
    if members.empty:
        raise EstimationError(
            f"access_funnel: none of {len(exposures):,} members with a record of `{service}` was "
            f"identified by {through}.\n  Choose a later month."
        )
    return members


def stages_reached(members: pd.DataFrame) -> list[str]:
    """Stages that are known of the members, in order."""
    return [stage for stage in STAGES if stage in members]


def _stages(members: pd.DataFrame, through: pd.Period | None) -> dict[str, np.ndarray]:
    """Whether each member reached each stage; a later stage implies the earlier ones."""
    last = np.inf if through is None else through.ordinal
    own = {
        name: month_numbers(members[column]) <= last
        for name, column in (
            ("own_identified", "identified_month"),
            ("own_outreached", "outreach_month"),
            ("served", "service_month"),
        )
    }
    outreached = own["own_outreached"] | own["served"]
    reached = {**own, "outreached": outreached, "identified": own["own_identified"] | outreached}
    organization = members["organization_type"].astype("string").fillna("unknown")
    if organization[own["served"]].ne("unknown").any():
        reached["cbo_served"] = own["served"] & organization.eq("cbo").to_numpy(dtype=bool)
    return reached


def _counts(members: pd.DataFrame, *, by: str, stages: list[str]) -> pd.DataFrame:
    """Members who reached each stage by group, one row per group and stage."""
    sums = pd.concat(
        [part.groupby(by, as_index=False)[stages].sum() for part in with_margins(members, (by,))],
        ignore_index=True,
    )
    sums = in_group_order(sums, [by])
    blocks = [sums[[by, "identified"]].assign(stage=stage, count=sums[stage]) for stage in stages]
    long = pd.concat(blocks, ignore_index=True)
    position = {group: i for i, group in enumerate(sums[by])}
    order = long[by].map(position) * len(stages) + long["stage"].map(stages.index)
    return long.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _notes(
    members: pd.DataFrame, *, n_outside: int, stages: list[str], through: str | None
) -> tuple[str, ...]:
    """What a reader must know about the stages."""
    notes = []
    unlisted = int((~members["own_identified"]).sum())
    unreached = int((members["served"] & ~members["own_outreached"]).sum())
    if unlisted:
        notes.append(
            "Reached or served without being on the list of eligible members, counted as "
            f"identified: {count_words(unlisted)} members."
        )
    if unreached:
        notes.append(
            "Served without an outreach record, counted as reached: "
            f"{count_words(unreached)} members."
        )
    if n_outside:
        why = "without a covered month in the panel"
        if through is not None:
            why += f" or identified after {through}"
        notes.append(f"With a record of the service but {why}: {count_words(n_outside)} members.")
    if "cbo_served" in stages:
        unknown = members["organization_type"].astype("string").fillna("unknown").eq("unknown")
        n_unknown = int((members["served"] & unknown.to_numpy(dtype=bool)).sum())
        if n_unknown:
            notes.append(
                "Served by an organization that is not classified, counted as not served by a "
                f"CBO: {count_words(n_unknown)} members."
            )
    else:
        notes.append(
            "`cbo_served` is left out: no organization that served a member is classified."
        )
    return tuple(notes)
