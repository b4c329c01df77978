"""What all chunks of a simulated study share: calendar, facts, facilities, organizations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.community_supports import SupportCodes, load_support_codes
from calaim_eval.simulate.counties import Counties, load_counties
from calaim_eval.simulate.facilities import Facilities, make_facilities
from calaim_eval.simulate.organizations import (
    Organizations,
    contract_columns,
    draw_organizations,
    organization_columns,
)
from calaim_eval.simulate.parameters import Parameters, load_parameters
from calaim_eval.simulate.partner_feeds import (
    data_sharing_columns,
    payment_columns,
    requirement_columns,
    survey_columns,
    survey_item_columns,
    tie_columns,
)
from calaim_eval.simulate.people import FocusList, load_focus_list
from calaim_eval.simulate.write import StudyWriter


@dataclass(frozen=True, slots=True)
class World:
    """What every chunk of members is drawn from."""

    calendar: Calendar
    parameters: Parameters
    counties: Counties
    focus_list: FocusList
    facilities: Facilities
    organizations: Organizations
    support_codes: SupportCodes


def make_world(calendar: Calendar, *, rng: np.random.Generator) -> World:
    """Load the facts and draw facilities and organizations."""
    parameters = load_parameters()
    counties = load_counties(parameters)
    facilities = make_facilities(len(counties.names))
    organizations = draw_organizations(counties, facilities, rng=rng)
    return World(
        calendar=calendar,
        parameters=parameters,
        counties=counties,
        focus_list=load_focus_list(calendar),
        facilities=facilities,
        organizations=organizations,
        support_codes=load_support_codes(organizations.services),
    )


def write_shared_tables(world: World, writer: StudyWriter, *, rng: np.random.Generator) -> None:
    """Write the tables about organizations and plans."""
    organizations, counties, calendar = world.organizations, world.counties, world.calendar
    writer.table("organization", organization_columns(organizations, counties))
    writer.table("contract", contract_columns(organizations, counties, calendar=calendar, rng=rng))
    writer.table("tie", tie_columns(organizations, rng=rng))
    writer.table("survey_response", survey_columns(organizations, rng=rng))
    writer.table("plan_requirement", requirement_columns(counties, rng=rng))
    writer.table("payment", payment_columns(organizations, counties, calendar=calendar, rng=rng))
    writer.table("survey_item", survey_item_columns())
    writer.table("data_sharing", data_sharing_columns(organizations, counties, rng=rng))
