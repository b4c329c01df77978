"""The referral loop: how far root referrals get, and how many close with services received."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from calaim_eval.integration.clustered_shares import clustered_shares
from calaim_eval.integration.inputs import Day, as_day
from calaim_eval.integration.referral_groups import group_referrals
from calaim_eval.integration.referral_roots import STEP_DATES, Chain, root_referrals
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

STEPS = ("referred", "authorized", "accepted", "reached", "started", "closed")
EXEMPT_SERVICES = ("sobering_centers",)
CLUSTERED_WILSON = (
    "Dean N, Pagano M (2015). J Surv Stat Methodol 3(4):484-503. doi:10.1093/jssam/smv024"
)
_POLICY_NOTE = (
    "A referral is not a person: root referrals are counted, and a member may have several. "
    "Closed-loop referral tracking is required from 2025-07-01; earlier records were voluntary."
)


def referral_funnel(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    by: str | None = None,
    person: pd.DataFrame | None = None,
    organization: pd.DataFrame | None = None,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    chain: Chain = "root_record",
    ledger: RowLedger | None = None,
) -> RateTable:
    """Root referrals that reached each step: referred, authorized, ... started, closed.

    A step counts if it **or a later positive step** happened: a service that started was
    reached, accepted and authorized, whether or not those dates were typed in. The last step,
    ``closed``, is the loop closed by services received; a referral closed because the member
    declined or could not be reached stays at the step it got to.

    Parameters
    ----------
    referral : pd.DataFrame
        Columns of the table `referral`.
    as_of : day
        The day the loop is looked at; steps after it have not happened yet.
    by : optional
        ``"race_ethnicity"`` of the member (needs `person`); ``"service"``, ``"county"``,
        ``"plan"``; or ``"organization_type"``, ``"leadership"``, ``"ownership"``,
        ``"population_served"`` of the receiving organization (needs `organization`).
    person, organization : pd.DataFrame, optional
        Tables that `by` needs.
    referred_from, referred_to : day, optional
        Keep referrals made between these days, both included. The youngest have had little time:
        `referral_closure` and `time_to_service` are fair to them, this funnel is a stock-taking.
    chain : {"root_record", "whole_chain"}
        What the root record says, or the earliest of it and every referral forwarded from it.
        Use the second where the platform opens a new record for each forwarding and leaves the
        first as it was. Root referrals are counted either way.
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Keys `by` (with an ``"all"`` margin) and ``step``; numerator: root referrals that reached
        the step; denominator: root referrals; Wilson interval on the effective number of
        referrals, since those of one member go alike.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or referral ids repeat.
    EstimationError
        No root referral is left, or `by` cannot be used.
    """
    roots = root_referrals(
        referral,
        as_of=as_of,
        referred_from=referred_from,
        referred_to=referred_to,
        chain=chain,
        ledger=ledger,
        stage="referral_funnel",
    )
    reached = steps_reached(roots)
    group, groups = group_referrals(roots, by, person=person, organization=organization)
    shares = [
        clustered_shares(
            reached[step], group=group, cluster=roots["member_id"], groups=groups
        ).assign(step=step)
        for step in STEPS
    ]
    return _rate_table(
        _interleave(shares),
        by=by,
        step_keys=["step"],
        measure="Referral funnel",
        names=("root_referrals_reaching_step", "root_referrals"),
        unit="share of root referrals",
        options={"as_of": str(as_day(as_of, name="as_of").date()), "chain": chain},
        notes=(_POLICY_NOTE, "A step counts if it or a later positive step happened."),
    )


def referral_step_conversion(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    by: str | None = None,
    person: pd.DataFrame | None = None,
    organization: pd.DataFrame | None = None,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    chain: Chain = "root_record",
) -> RateTable:
    """Share of the referrals at one step that got to the next: where referrals are lost.

    Parameters
    ----------
    referral, as_of, by, person, organization, referred_from, referred_to, chain
        As in `referral_funnel`.

    Returns
    -------
    RateTable
        Keys `by` (with an ``"all"`` margin) and ``step`` (authorized ... closed); numerator: root
        referrals that reached the step; denominator: those that reached the step before it.
    """
    roots = root_referrals(
        referral, as_of=as_of, referred_from=referred_from, referred_to=referred_to, chain=chain
    )
    reached = steps_reached(roots)
    group, groups = group_referrals(roots, by, person=person, organization=organization)
    shares = []
    for before, step in pairwise(STEPS):
        at = reached[before].to_numpy()
        shares.append(
            clustered_shares(
                reached.loc[at, step],
                group=None if group is None else group[at],
                cluster=roots.loc[at, "member_id"],
                groups=groups,
            ).assign(step=step)
        )
    return _rate_table(
        _interleave(shares),
        by=by,
        step_keys=["step"],
        measure="Referral step conversion",
        names=("root_referrals_reaching_step", "root_referrals_reaching_step_before"),
        unit="share of root referrals at the step before",
        options={"as_of": str(as_day(as_of, name="as_of").date()), "chain": chain},
        notes=(_POLICY_NOTE,),
    )


def referral_closure(
    referral: pd.DataFrame,
    *,
    as_of: Day,
    maturation_days: int = 90,
    by: str | None = None,
    person: pd.DataFrame | None = None,
    organization: pd.DataFrame | None = None,
    referred_from: Day | None = None,
    referred_to: Day | None = None,
    exempt_services: Sequence[str] = EXEMPT_SERVICES,
    chain: Chain = "root_record",
    ledger: RowLedger | None = None,
) -> RateTable:
    """Matured root referrals whose loop closed with services received.

    A referral made last week cannot have closed; only referrals at least `maturation_days` old
    on the day looked at are in the denominator. "Services received" closes the loop on the
    provider's confirmation; no claim is needed.

    Parameters
    ----------
    referral, as_of, by, person, organization, referred_from, referred_to, chain
        As in `referral_funnel`.
    maturation_days : int
        Days a referral must have had by `as_of`.
    exempt_services : sequence of str
        Services that need not close a loop; set aside and counted. Default: sobering centers.
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Key `by` (with an ``"all"`` margin), or ``population`` = ``"all"`` without `by`;
        numerator: closed with services received by `as_of`; denominator: matured root referrals.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or referral ids repeat.
    EstimationError
        No root referral has matured, or `by` cannot be used.
    """
    day = as_day(as_of, name="as_of")
    matured = root_referrals(
        referral,
        as_of=day,
        referred_from=referred_from,
        referred_to=referred_to,
        maturation_days=maturation_days,
        exempt_services=exempt_services,
        chain=chain,
        ledger=ledger,
        stage="referral_closure",
    )
    group, groups = group_referrals(matured, by, person=person, organization=organization)
    shares = clustered_shares(
        matured["is_closed_by_services"],
        group=group,
        cluster=matured["member_id"],
        groups=groups,
    )
    return _rate_table(
        shares,
        by=by,
        step_keys=[],
        measure="Referral closure",
        names=(
            "root_referrals_closed_services_received",
            "matured_root_referrals" if exempt_services else "matured_root_referrals_any_service",
        ),
        unit="share of matured root referrals",
        options={
            "as_of": str(day.date()),
            "maturation_days": maturation_days,
            "exempt_services": tuple(exempt_services),
            "chain": chain,
        },
        notes=(_POLICY_NOTE,),
    )


def steps_reached(roots: pd.DataFrame) -> pd.DataFrame:
    """Whether each root referral reached each step, or a later positive one.

    Returns
    -------
    pd.DataFrame
        Boolean, one column per step of `STEPS`; never increasing from left to right.
    """
    dated = roots[list(STEP_DATES)].notna().to_numpy()
    happened = np.column_stack(
        [
            np.ones(len(roots), dtype=bool),
            dated[:, 0],
            roots["is_accepted"].to_numpy(dtype=bool),
            dated[:, 2],
            dated[:, 3],
            roots["is_closed_by_services"].to_numpy(dtype=bool),
        ]
    )
    reached = np.logical_or.accumulate(happened[:, ::-1], axis=1)[:, ::-1]
    return pd.DataFrame(reached, columns=list(STEPS), index=roots.index)


def _interleave(shares: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows of all steps, group by group in the order of the groups."""
    order = list(shares[0].index)
    stacked = pd.concat(shares)
    return pd.concat([stacked.loc[[group]] for group in order])


def _rate_table(
    shares: pd.DataFrame,
    *,
    by: str | None,
    step_keys: list[str],
    measure: str,
    names: tuple[str, str],
    unit: str,
    options: dict[str, object],
    notes: tuple[str, ...],
) -> RateTable:
    """Shares as a rate table; `by` is a margin."""
    keys = shares[step_keys].reset_index(drop=True)
    if by is not None:
        keys.insert(0, by, shares.index.to_numpy(dtype=object))
    elif not step_keys:
        keys = pd.DataFrame({"population": [ALL]})
    return RateTable(
        measure=measure,
        keys=keys,
        numerator=shares["numerator"].to_numpy(dtype=float),
        denominator=shares["denominator"].to_numpy(dtype=float),
        conf_low=shares["conf_low"].to_numpy(dtype=float),
        conf_high=shares["conf_high"].to_numpy(dtype=float),
        n_members=shares["n_clusters_with_success"].to_numpy(dtype=float),
        numerator_name=names[0],
        denominator_name=names[1],
        unit=unit,
        kind="proportion",
        method=Method(
            "Share with Wilson 95 % interval on effective trials, clustered by member",
            options,
            CLUSTERED_WILSON,
        ),
        margins=() if by is None else (by,),
        notes=notes,
    )
