"""Closed-loop referrals: steps, competing endings, chains, and recent ones still open."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.claim_context import ClaimContext
from calaim_eval.simulate.columns import (
    NO_DAY,
    date_column,
    id_column,
    plain,
    text_column,
)
from calaim_eval.simulate.community_supports import SupportCourse
from calaim_eval.simulate.counties import Counties
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.ecm_course import EcmCourse
from calaim_eval.simulate.organizations import Organizations
from calaim_eval.simulate.parameters import Parameters

if TYPE_CHECKING:
    import pyarrow as pa

STATUSES = ("pending", "accepted", "declined", "closed")
REASONS = (
    "services_received",
    "member_declined",
    "unable_to_reach",
    "not_eligible",
    "no_capacity",
    "coverage_ended",
    "died",
    "other",
)
_ENDINGS = ("member_declined", "unable_to_reach", "no_capacity", "coverage_ended", "other")
_ENDING_SHARES = (0.34, 0.34, 0.12, 0.12, 0.08)
_CHAIN_SHARE, _CONFIRMED_SHARE, _OPEN_SHARE = 0.10, 0.85, 0.15

Steps = dict[str, NDArray[np.int64]]


def referral_columns(
    context: ClaimContext,
    coverage: Coverage,
    ecm: EcmCourse,
    supports: SupportCourse,
    organizations: Organizations,
    counties: Counties,
    *,
    parameters: Parameters,
    first_number: int,
    injected: Counter[str],
) -> dict[str, pa.Array]:
    """Columns of the `referral` table."""
    steps = _roots(ecm, supports)
    steps["sender"] = _senders(steps, context, organizations, parameters)
    steps = _with_endings(steps, context)
    children = _children(steps, context)
    injected["referral_roots"] += len(steps["member"])
    injected["referral_children"] += len(children["member"])
    steps["root"] = np.arange(len(steps["member"]))
    joined = {name: np.concatenate([steps[name], children[name]]) for name in steps}
    return _columns(joined, context, coverage, organizations, counties, first_number)


def _roots(ecm: EcmCourse, supports: SupportCourse) -> Steps:
    """One root referral for each member reached by ECM and each Community Support request."""
    rows = np.flatnonzero((ecm.outreach_day >= 0) & (ecm.listed_day >= 0))
    day = ecm.listed_day[rows]
    nothing = np.full(len(rows), -1)
    first = {
        "member": rows,
        "service": np.zeros(len(rows), dtype=np.int64),
        "sender": nothing,
        "receiver": ecm.organization[rows],
        "referred": day,
        "authorized": day,
        "reached": ecm.outreach_day[rows],
        "started": ecm.service_day[rows],
    }
    decided = supports.authorized_day
    second = {
        "member": supports.member,
        "service": supports.service,
        "sender": ecm.organization[supports.member],
        "receiver": supports.organization,
        "referred": supports.requested_day,
        "authorized": decided,
        "reached": np.where(
            supports.started_day >= 0, np.maximum(decided, supports.started_day - 3), -1
        ),
        "started": supports.started_day,
    }
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def _senders(
    steps: Steps, context: ClaimContext, organizations: Organizations, parameters: Parameters
) -> NDArray[np.int64]:
    """Who refers: in a county with a coordinator, it makes most requests for supports."""
    rng = context.rng.spawn(1)[0]
    month = context.calendar.month_of(steps["referred"].astype(np.int32)).astype(np.int64)
    coordinator = organizations.coordinator[context.county(steps["member"], month)]
    goes_through = rng.random(len(month)) < parameters.value("coordinator_request_share")
    is_request = (steps["service"] > 0) & (coordinator >= 0) & goes_through
    return np.where(is_request, coordinator, steps["sender"])


def _with_endings(steps: Steps, context: ClaimContext) -> Steps:
    """Add acceptance, closing day, status and reason; nothing after the extract."""
    rng, extract = context.rng, context.calendar.extract_day
    n = len(steps["member"])
    accepted = np.where(steps["authorized"] >= 0, steps["authorized"] + rng.integers(0, 9, n), -1)
    accepted = np.where(steps["reached"] >= 0, np.minimum(accepted, steps["reached"]), accepted)
    is_started = steps["started"] >= 0
    refused = (steps["authorized"] >= 0) & ~is_started & (rng.random(n) < 0.08)
    accepted = np.where(refused, -1, accepted)
    last = np.maximum.reduce([steps["referred"], accepted, steps["reached"], steps["started"]])
    closed = last + 3 + rng.integers(0, 45, n)
    stays_open = np.where(
        is_started, rng.random(n) >= _CONFIRMED_SHARE, rng.random(n) < _OPEN_SHARE
    )
    closed = np.where(stays_open | (closed > extract), -1, closed)
    ending = np.array([REASONS.index(name) for name in _ENDINGS])[
        rng.choice(len(_ENDINGS), size=n, p=_ENDING_SHARES)
    ]
    death = context.people.death_day[steps["member"]]
    died = (death <= closed) & ~is_started
    reason = np.select(
        [is_started, died, steps["authorized"] < 0, refused],
        [
            REASONS.index("services_received"),
            REASONS.index("died"),
            REASONS.index("not_eligible"),
            REASONS.index("no_capacity"),
        ],
        ending,
    )
    status = np.select(
        [closed >= 0, refused, accepted >= 0],
        [STATUSES.index("closed"), STATUSES.index("declined"), STATUSES.index("accepted")],
        STATUSES.index("pending"),
    )
    reached = np.where(refused, -1, steps["reached"])
    return {
        **steps,
        "reached": reached,
        "accepted": accepted,
        "closed": closed,
        "status": status,
        "reason": np.where(closed >= 0, reason, -1),
    }


def _children(steps: Steps, context: ClaimContext) -> Steps:
    """Hand-overs inside a referral: rows of their own that no measure may count."""
    rows = np.flatnonzero(context.rng.random(len(steps["member"])) < _CHAIN_SHARE)
    children = {name: column[rows] for name, column in steps.items()}
    children["root"] = rows
    children["sender"] = steps["receiver"][rows]
    return children


def _columns(
    steps: Steps,
    context: ClaimContext,
    coverage: Coverage,
    organizations: Organizations,
    counties: Counties,
    first_number: int,
) -> dict[str, pa.Array]:
    """Turn steps into table columns."""
    import pyarrow.compute as pc

    member = steps["member"]
    month = context.calendar.month_of(steps["referred"].astype(np.int32)).astype(np.int64)
    n = len(member)
    plan = plain(text_column(coverage.plan[member, month], counties.plans))
    sender = id_column("O", steps["sender"], width=5)
    dates = {
        f"{name}_date": date_column(np.where(steps[name] >= 0, steps[name], int(NO_DAY)))
        for name in ("referred", "authorized", "accepted", "reached", "closed")
    }
    started = np.where(steps["started"] >= 0, steps["started"], int(NO_DAY))
    return {
        "referral_id": id_column("F", first_number + np.arange(n), width=12),
        "root_referral_id": id_column("F", first_number + steps["root"], width=12),
        "member_id": id_column("M", context.people.number[member], width=9),
        "from_organization_id": pc.coalesce(sender, plan),
        "to_organization_id": id_column("O", steps["receiver"], width=5),
        "plan": plan,
        "service": text_column(steps["service"], organizations.services),
        "county": text_column(context.county(member, month), counties.names),
        "referred_date": dates["referred_date"],
        "authorized_date": dates["authorized_date"],
        "accepted_date": dates["accepted_date"],
        "reached_date": dates["reached_date"],
        "service_started_date": date_column(started),
        "closed_date": dates["closed_date"],
        "referral_status": text_column(steps["status"], STATUSES),
        "closure_reason": text_column(steps["reason"], REASONS),
    }
