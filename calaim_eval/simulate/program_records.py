"""Rows of the `program_service` table while they are being made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.columns import date_column, id_column, text_column
from calaim_eval.simulate.counties import Counties
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.organizations import Organizations
from calaim_eval.simulate.people import FocusList, People

if TYPE_CHECKING:
    import pyarrow as pa

Records = dict[str, NDArray[Any]]

RECORD_TYPES = ("identified", "outreach", "authorization", "denial", "service")
SOURCES = (
    "member_information_file",
    "return_transmission_file",
    "outreach_tracker",
    "authorization_file",
)
PROGRAMS = ("ecm", "community_support")
ECM = 0


def make_records(
    member: NDArray[Any],
    month: NDArray[Any],
    day: NDArray[Any],
    *,
    record_type: str,
    source: str,
    service: NDArray[Any] | int = ECM,
    organization: NDArray[Any] | int = -1,
    focus: NDArray[Any] | int = -1,
) -> Records:
    """Make records of one type; `service` is a position in the organizations' service list."""
    n = len(member)
    columns = {
        "member": member,
        "month": month,
        "day": day,
        "record_type": RECORD_TYPES.index(record_type),
        "source": SOURCES.index(source),
        "service": service,
        "organization": organization,
        "focus": focus,
    }
    return {name: np.broadcast_to(np.asarray(c), n).astype(np.int64) for name, c in columns.items()}


def stack_records(parts: list[Records]) -> Records:
    """Put blocks one after the other, in order of member and day."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((joined["record_type"], joined["day"], joined["member"]))
    return {name: column[order] for name, column in joined.items()}


def record_columns(
    records: Records,
    *,
    first_number: int,
    people: People,
    coverage: Coverage,
    counties: Counties,
    organizations: Organizations,
    focus_list: FocusList,
) -> dict[str, pa.Array]:
    """Columns of the `program_service` table."""
    member, month = records["member"], records["month"]
    moved = month >= people.move_month[member]
    county = np.where(moved, people.new_county[member], people.county[member])
    return {
        "record_id": id_column("R", first_number + np.arange(len(member)), width=12),
        "member_id": id_column("M", people.number[member], width=9),
        "program": text_column((records["service"] != ECM).astype(np.int32), PROGRAMS),
        "service": text_column(records["service"], organizations.services),
        "record_type": text_column(records["record_type"], RECORD_TYPES),
        "record_date": date_column(records["day"]),
        "organization_id": id_column("O", records["organization"], width=5),
        "plan": text_column(coverage.plan[member, month], counties.plans),
        "county": text_column(county, counties.names),
        "population_of_focus": text_column(records["focus"], focus_list.codes),
        "record_source": text_column(records["source"], SOURCES),
    }
