"""Feeds about organizations: ties, survey, data sharing, plan requirements, payments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.simulate.calendar import Calendar, day_number
from calaim_eval.simulate.columns import (
    NO_DAY,
    boolean_column,
    constant_column,
    date_column,
    id_column,
    integer_column,
    number_column,
    text_column,
)
from calaim_eval.simulate.counties import Counties
from calaim_eval.simulate.organizations import TYPES, Organizations

if TYPE_CHECKING:
    import pyarrow as pa

WAVES = ("2023-07-01", "2024-07-01")
TIES = ("referral", "data", "money", "coordination")
ROLES = ("frontline", "manager", "executive", "other")
ITEMS = (
    "care_is_better_coordinated",
    "members_get_more_services",
    "referrals_reach_the_right_partner",
    "data_are_shared",
    "payment_is_workable",
    "equity_is_addressed",
)
SCALES = ("perceived_improvement", "working_conditions")
_SCALE_OF_ITEM = (0, 0, 0, 1, 1, 1)
REQUIREMENTS = {
    "authorization_form": ("own form", "state form"),
    "authorization_days": ("3", "5", "10"),
    "portal": ("own portal", "shared exchange", "email"),
    "return_file_cadence": ("weekly", "monthly"),
    "return_file_layout": ("state layout", "own layout"),
    "claim_route": ("837", "invoice"),
    "rate_basis": ("per member per month", "fee for service"),
    "outreach_payment": ("paid", "not paid"),
    "credentialing": ("required", "waived for CBOs"),
    "reauthorization_months": ("6", "12"),
}
_PAYMENT_STATUSES = ("paid", "denied", "pending")
_CHANGED_SHARE = 0.2


def tie_columns(organizations: Organizations, *, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Columns of the `tie` table: ties among organizations that share a county, in two waves."""
    home = np.maximum(organizations.home, 0)
    sender, receiver = np.nonzero(home[:, None] == home)
    other = sender != receiver
    sender, receiver = sender[other], receiver[other]
    is_cbo = organizations.kind == TYPES.index("cbo")
    blocks = []
    for wave in range(len(WAVES)):
        chance = 0.12 + 0.06 * wave + 0.08 * (is_cbo[sender] & is_cbo[receiver])
        for kind in range(len(TIES)):
            rows = np.flatnonzero(rng.random(len(sender)) < chance * (1.0, 0.5, 0.3, 0.8)[kind])
            strength = rng.integers(1, 5, len(rows))
            blocks.append(
                (
                    np.full(len(rows), wave),
                    sender[rows],
                    receiver[rows],
                    np.full(len(rows), kind),
                    strength,
                )
            )
    wave_of, senders, receivers, kinds, strengths = (
        np.concatenate(c) for c in zip(*blocks, strict=True)
    )
    days = np.array([day_number(date) for date in WAVES])
    return {
        "wave_date": date_column(days[wave_of]),
        "from_organization_id": id_column("O", senders, width=5),
        "to_organization_id": id_column("O", receivers, width=5),
        "tie_type": text_column(kinds, TIES),
        "tie_strength": integer_column(strengths),
    }


def survey_columns(
    organizations: Organizations, *, rng: np.random.Generator
) -> dict[str, pa.Array]:
    """Columns of the `survey_response` table: one to three respondents an organization, 1 to 5.

    Frontline staff answer higher than executives, and organizations share an opinion.
    """
    answers = rng.random(organizations.n) < 0.65
    number = np.where(answers, rng.integers(1, 4, organizations.n), 0)
    organization = np.repeat(np.arange(organizations.n), number)
    n = len(organization)
    role = rng.choice(len(ROLES), size=n, p=(0.4, 0.35, 0.2, 0.05))
    opinion = rng.normal(0, 0.5, organizations.n)[organization]
    person = opinion + rng.normal(0, 0.6, n) + np.array([0.45, 0.3, 0.0, 0.1])[role]
    respondent = np.repeat(np.arange(n), len(ITEMS))
    item = np.tile(np.arange(len(ITEMS)), n)
    hardness = np.array([0.2, 0.1, 0.0, -0.2, -0.5, -0.3])[item]
    score = 3.1 + person[respondent] + hardness + rng.normal(0, 0.7, len(item))
    skipped = rng.random(len(item)) < 0.04
    rows = np.flatnonzero(~skipped)
    return {
        "respondent_id": id_column("S", respondent[rows], width=5),
        "organization_id": id_column("O", organization[respondent[rows]], width=5),
        "respondent_role": text_column(role[respondent[rows]], ROLES),
        "wave_date": date_column(np.full(len(rows), day_number(WAVES[0]))),
        "item": text_column(item[rows], ITEMS),
        "response": number_column(np.clip(np.rint(score[rows]), 1, 5)),
    }


def survey_item_columns() -> dict[str, pa.Array]:
    """Columns of the `survey_item` table: the codebook of the six items."""
    n = len(ITEMS)
    return {
        "item": text_column(np.arange(n), ITEMS),
        "scale": text_column(np.array(_SCALE_OF_ITEM), SCALES),
        "lowest_response": number_column(np.full(n, 1.0)),
        "highest_response": number_column(np.full(n, 5.0)),
        "is_reversed": boolean_column(np.zeros(n, dtype=bool)),
        "missing_codes": text_column(np.zeros(n, dtype=np.int64), ("8;9",)),
        "asked_if_item": constant_column(None, n),
        "asked_if_responses": constant_column(None, n),
    }


def data_sharing_columns(
    organizations: Organizations, counties: Counties, *, rng: np.random.Generator
) -> dict[str, pa.Array]:
    """Columns of the `data_sharing` table: most pairs of plan and organization that share a county.

    Community-based organizations share at lower levels than clinics; a fifth is not recorded.
    """
    is_there = np.zeros((len(counties.names), len(counties.plans)), dtype=bool)
    for plans in (counties.plan_before, counties.plan_after):
        place, slot = np.nonzero(np.arange(plans.shape[1]) < counties.n_plans[:, None])
        is_there[place, plans[place, slot]] = True
    organization, plan = np.nonzero(organizations.serves.astype(int) @ is_there.astype(int))
    known = rng.random(len(organization)) < 0.8
    organization, plan = organization[known], plan[known]
    is_cbo = organizations.kind[organization] == TYPES.index("cbo")
    level = rng.binomial(4, np.where(is_cbo, 0.35, 0.6))
    return {
        "plan": text_column(plan, counties.plans),
        "organization_id": id_column("O", organization, width=5),
        "effective_date": date_column(np.full(len(plan), day_number(WAVES[0]))),
        "data_sharing_level": integer_column(level),
    }


def requirement_columns(counties: Counties, *, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Columns of the `plan_requirement` table: each plan's setting, some changed in 2024."""
    names, texts = (
        tuple(REQUIREMENTS),
        sorted({v for values in REQUIREMENTS.values() for v in values}),
    )
    rows = []
    for plan in range(len(counties.plans)):
        for number, values in enumerate(REQUIREMENTS.values()):
            first, second = rng.integers(0, len(values), 2)
            rows.append((plan, number, texts.index(values[first]), day_number("2022-01-01")))
            if rng.random() < _CHANGED_SHARE:
                rows.append((plan, number, texts.index(values[second]), day_number("2024-01-01")))
    plan_of, requirement, value, day = np.array(rows).T
    return {
        "plan": text_column(plan_of, counties.plans),
        "requirement": text_column(requirement, names),
        "requirement_value": text_column(value, texts),
        "effective_date": date_column(day),
    }


def payment_columns(
    organizations: Organizations,
    counties: Counties,
    *,
    calendar: Calendar,
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    """Columns of the `payment` table: monthly invoices of active organizations to a plan.

    Some plans pay slowly: days to payment vary by plan, a tenth of invoices is denied.
    """
    active = np.flatnonzero(~organizations.is_idle)
    months = np.arange(max(calendar.index("2022-01"), 0), calendar.n_months)
    organization, month = (a.ravel() for a in np.meshgrid(active, months, indexing="ij"))
    kept = rng.random(len(organization)) < 0.35
    organization, month = organization[kept], month[kept]
    received = calendar.starts[month] + calendar.lengths[month] + rng.integers(0, 20, len(month))
    kept = (organizations.entry_day[organization] < received) & (received <= calendar.extract_day)
    organization, month, received = organization[kept], month[kept], received[kept]
    home = np.maximum(organizations.home[organization], 0)
    is_new = month >= calendar.index("2024-01")
    plan = np.where(is_new, counties.plan_after[home, 0], counties.plan_before[home, 0])
    slowness = rng.gamma(4, 6, len(counties.plans))
    days = np.rint(5 + slowness[plan] * rng.gamma(2, 0.5, len(plan))).astype(np.int64)
    billed = np.rint(rng.gamma(1.5, 3000, len(plan)))
    status = np.where(rng.random(len(plan)) < 0.1, 1, 0)
    paid_day = received + days
    status = np.where(paid_day > calendar.extract_day, 2, status)
    return {
        "payment_id": id_column("Y", np.arange(len(plan)), width=8),
        "plan": text_column(plan, counties.plans),
        "organization_id": id_column("O", organization, width=5),
        "invoice_received_date": date_column(received),
        "paid_date": date_column(np.where(status == 2, NO_DAY, paid_day)),
        "billed_amount": number_column(billed),
        "paid_amount": number_column(np.where(status == 0, billed, 0.0), missing=status == 2),
        "payment_status": text_column(status, _PAYMENT_STATUSES),
    }
