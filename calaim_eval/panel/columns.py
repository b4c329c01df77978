"""Columns of the member-month table: who and where, then one column a measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from calaim_eval.panel.measure import Measure
from calaim_eval.panel.measures import EXPOSURES, MEASURES
from calaim_eval.schema.field import Table
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import TABLES

BASE_COLUMNS = TABLES["member_month"].fields
"""Columns before the measures."""

EXPOSURE_COLUMNS = (
    "member_id",
    "service",
    "identified_month",
    "outreach_month",
    "service_month",
    "last_service_month",
    "n_service_months",
    "authorized_month",
    "n_authorizations",
    "organization_type",
    "population_of_focus",
)
"""Columns of the table `member_exposure`."""

POPULATION_COLUMNS = (
    "member_id",
    "population",
    "age_group",
    "basis",
    "evidence",
    "first_month",
    "claims_month",
    "program_month",
)
"""Columns of the table `member_population`."""

UNCLASSIFIED_KEY = ("hcpcs_code", "modifiers", "reason")
"""What unclassified program lines are counted by."""

_TYPES = {
    **dict.fromkeys(("n_service_months", "n_authorizations"), "integer"),
    **dict.fromkeys(("population", "age_group", "basis", "evidence"), "string"),
}


def declared_tables() -> dict[str, Table]:
    """Every declared table, the member months with a column for each measure."""
    base = TABLES["member_month"]
    measures = (*MEASURES.values(), *EXPOSURES.values())
    return {**TABLES, base.name: replace(base, own_fields=tuple(each.field for each in measures))}


def column_types(columns: Iterable[str], measures: Mapping[str, Measure]) -> dict[str, str]:
    """Declared type of columns of the panel; months of first contact are months."""
    types: dict[str, str] = {}
    for column in columns:
        if column in measures:
            types[column] = measures[column].dtype
        else:
            own = _TYPES.get(column, "month")
            types[column] = FIELDS[column].dtype if column in FIELDS else own
    return types
