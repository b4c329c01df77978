"""Codes that mark a kind of claim line: a column and a pattern, from the code list or typed in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from calaim_eval.errors import TableError
from calaim_eval.schema.codes import load_codes

DIAGNOSES = tuple(f"diagnosis_code_{i}" for i in range(1, 6))
MODIFIERS = tuple(f"hcpcs_modifier_{i}" for i in range(1, 6))

_COLUMNS = {
    "revenue_code": "revenue_center_code",
    "procedure_code": "hcpcs_code",
    "place_of_service": "place_of_service_code",
    "type_of_bill": "bill_type_code",
    "discharge_status": "discharge_disposition_code",
    "drg": "drg_code",
    "diagnosis": "diagnosis_code_1",
    "primary_diagnosis": "diagnosis_code_1",
    "rendering_taxonomy": "rendering_taxonomy_code",
    "billing_taxonomy": "billing_taxonomy_code",
}


@dataclass(frozen=True, slots=True)
class CodePattern:
    """Codes of one column of the claim lines.

    Attributes
    ----------
    column : str
        Column of `medical_claim`.
    pattern : str
        Regular expression that a code of the kind matches.
    """

    column: str
    pattern: str


@cache
def listed(measure: str, component: str) -> CodePattern:
    """One component of a measure, from the code list `utilization_definitions`.

    A diagnosis is the principal one: the first of the line.

    Raises
    ------
    TableError
        The code list has no such component, or its field is no column of the claim lines.

    Examples
    --------
    >>> listed("ed_visit", "place of service")
    CodePattern(column='place_of_service_code', pattern='^23$')
    """
    row = _row(measure, component)
    if row["claim_field"] not in _COLUMNS:
        raise TableError(
            f"code list `utilization_definitions`: measure `{measure}`, component `{component}` "
            f"rests on `{row['claim_field']}`, which is no column of the claim lines.\n"
            f"  Columns: {', '.join(f'`{each}`' for each in _COLUMNS)}."
        )
    return CodePattern(_COLUMNS[row["claim_field"]], row["codes_regex"])


def code_pattern(measure: str, component: str) -> str:
    """Regular expression of one component of a measure, from the code list.

    Raises
    ------
    TableError
        The code list `utilization_definitions` has no such component.
    """
    return _row(measure, component)["codes_regex"]


@cache
def _row(measure: str, component: str) -> dict[str, str]:
    """Row of the code list."""
    codes = load_codes("utilization_definitions")
    row = codes[(codes["measure"] == measure) & (codes["component"] == component)]
    if len(row) != 1 or not row["codes_regex"].iloc[0]:
        raise TableError(
            f"code list `utilization_definitions`: {len(row)} rows for measure `{measure}`, "
            f"component `{component}`, where one with a pattern is needed.\n"
            "  Restore the row, or change the measure that asks for it."
        )
    return {str(key): str(value) for key, value in row.iloc[0].items()}
