# ruff: noqa: FBT003, PD004  (Ibis names: `fill_null(False)`, `isnull`, `notnull`)
"""Codes that cannot be right: each distinct code is held against its shape or list once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

from calaim_eval.quality import code_shapes as shapes
from calaim_eval.quality.counts import Counts, as_counts, as_members
from calaim_eval.quality.findings import NOT_RECORDED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.quality.questions import Questions

CODES_OF: dict[str, dict[str, tuple[str, ...]]] = {
    "medical_claim": {
        "procedure_codes_invalid": ("hcpcs_code",),
        "modifiers_invalid": tuple(f"hcpcs_modifier_{i}" for i in range(1, 6)),
        "diagnosis_codes_invalid": tuple(f"diagnosis_code_{i}" for i in range(1, 6)),
        "revenue_codes_invalid": ("revenue_center_code",),
        "bill_types_invalid": ("bill_type_code",),
        "places_of_service_invalid": ("place_of_service_code",),
        "discharge_status_invalid": ("discharge_disposition_code",),
        "npis_invalid": ("facility_npi", "rendering_npi"),
    },
    "pharmacy_claim": {"drug_codes_invalid": ("ndc_code",)},
    "organization": {"npis_invalid": ("npi",)},
}
"""Columns each check reads, by table."""


def is_right(check: str, code: Value) -> Value:
    """Whether a code has the shape, or is in the list, that a check asks for."""
    return _TESTS[check](code)


def _shape(pattern: str) -> Callable[[Any], Any]:
    return lambda code: code.re_search(pattern)


_TESTS: dict[str, Callable[[Any], Any]] = {
    "procedure_codes_invalid": _shape(shapes.PROCEDURE),
    "modifiers_invalid": _shape(shapes.MODIFIER),
    "diagnosis_codes_invalid": _shape(shapes.DIAGNOSIS),
    "revenue_codes_invalid": _shape(shapes.REVENUE),
    "bill_types_invalid": _shape(shapes.BILL_TYPE),
    "places_of_service_invalid": lambda code: code.isin(shapes.PLACES_OF_SERVICE),
    "discharge_status_invalid": lambda code: code.isin(shapes.DISCHARGE_STATUS),
    "drug_codes_invalid": lambda code: code.re_search(shapes.DRUG) & (code != shapes.NO_DRUG),
    "npis_invalid": shapes.is_npi,
}


def ask_codes(questions: Questions, table: str, rows: Table) -> None:
    """Codes that cannot be right among those recorded, by plan, and members behind them.

    Every line is looked at, whatever its standing. `rows` are those of the table as on disk.
    """
    for check, columns in CODES_OF[table].items():
        codes = _recorded(rows, check, columns)
        name = f"{table}_{check}"
        judged = questions.bucket.keep(f"{name}_judged", _judged(codes, check))
        by_plan = judged.group_by("plan").agg(
            n=judged["n_codes"].sum(where=~judged["is_right"]).fill_null(0),
            of=judged["n_codes"].sum(),
        )
        questions.ask(name, by_plan, partial(_count, table, check, columns))
        if "member_id" in rows.columns:
            wrong = judged.filter(~judged["is_right"]).select("code").distinct()
            members = codes.semi_join(wrong, "code")
            n_members = members.agg(n=members["member_id"].nunique())
            questions.ask(f"{name}_members", n_members, partial(_members, table, check))


def _count(table: str, check: str, columns: tuple[str, ...], found: pd.DataFrame) -> Counts:
    named = found.assign(plan=found["plan"].replace("", NOT_RECORDED))
    if table == "organization":
        named = named.drop(columns="plan")
    return {"counts": as_counts(named, check=check, table=table, columns=",".join(columns))}


def _members(table: str, check: str, found: pd.DataFrame) -> Counts:
    return {"members": as_members({check: int(found["n"].iloc[0])}, table=table)}


def _recorded(rows: Table, check: str, columns: tuple[str, ...]) -> Table:
    """Codes of the columns under one another: `member_id`, `plan`, `code`."""
    if check == "diagnosis_codes_invalid":
        rows = rows.filter(rows["claim_start_date"] >= ibis.date(str(shapes.ICD_10_FROM)))
    member = rows["member_id"] if "member_id" in rows.columns else ibis.literal("")
    plan = rows["plan"].fill_null("") if "plan" in rows.columns else ibis.literal("")
    pieces = [rows.select(member_id=member, plan=plan, code=rows[column]) for column in columns]
    stacked = pieces[0] if len(pieces) == 1 else ibis.union(*pieces)
    return stacked.filter(stacked["code"].notnull())


def _judged(codes: Table, check: str) -> Table:
    """Distinct codes by plan with their number and whether they can be right."""
    distinct = codes.group_by("plan", "code").agg(n_codes=codes.count())
    return distinct.mutate(is_right=is_right(check, distinct["code"]).fill_null(False))
