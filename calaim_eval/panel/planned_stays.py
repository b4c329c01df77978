"""Planned stays: by the package's list of principal diagnoses and DRGs, and by lists a study gives.

A study that has procedure codes (`claim_procedure`) and a list (`planned_readmission_code`) gets
the rule of the CMS algorithm: a stay is planned with a procedure or principal diagnosis that always
is, or with one that may be, unless its principal diagnosis is acute.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from calaim_eval.panel.inpatient_lines import is_inpatient
from calaim_eval.schema.codes import load_codes
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.care import Care
    from calaim_eval.panel.rules import PanelRules

PROCEDURES, CODES = "claim_procedure", "planned_readmission_code"
ALWAYS_PROCEDURE, MAYBE_PROCEDURE = "always_planned_procedure", "potentially_planned_procedure"
ALWAYS_DIAGNOSIS, ACUTE_DIAGNOSIS = "always_planned_diagnosis", "acute_diagnosis"
NO_CLAIM = "names no claim of the member"
_DRG_SYSTEMS = {"ms_drg": "MS-DRG", "apr_drg": "APR-DRG"}


def with_planned(care: Care, stays: Table) -> Table:
    """Stays with `is_planned`.

    Parameters
    ----------
    care : Care
    stays : Table
        `member`, `admit_day`, `discharge_day`, `diagnosis` (principal), `drg`; a member's stays
        do not overlap.
    """
    import ibis

    listed = stays.mutate(is_planned=_by_package_list(stays, care.rules))
    if not care.bucket.has(CODES):
        return listed
    codes = care.bucket.read(CODES)
    for name, kind in (("has_planned_diagnosis", ALWAYS_DIAGNOSIS), ("is_acute", ACUTE_DIAGNOSIS)):
        named = _codes(codes, kind).mutate(**{name: ibis.literal(True)})
        listed = listed.left_join(named, listed["diagnosis"] == named["code"]).drop("code")
    is_planned = listed["is_planned"] | listed["has_planned_diagnosis"].fill_null(False)
    listed = listed.mutate(is_planned=is_planned)
    if care.bucket.has(PROCEDURES):
        listed = _by_procedure(care, listed, codes)
    return listed.select(*stays.columns, "is_planned")


def _by_package_list(stays: Table, rules: PanelRules) -> Value:
    """Whether the code list `planned_readmission` says that a stay was planned."""
    import ibis

    codes = load_codes("planned_readmission")
    columns = {"ICD-10-CM": "diagnosis"}
    if rules.drg_system != "unknown":
        columns[_DRG_SYSTEMS[rules.drg_system]] = "drg"
    tests = [
        stays[columns[row.code_system]].re_search(row.codes_regex).fill_null(False)
        for row in codes.itertuples(index=False)
        if row.code_system in columns
    ]
    return reduce(or_, tests, ibis.literal(False))


def _by_procedure(care: Care, stays: Table, codes: Table) -> Table:
    """Stays planned by a procedure on one of their inpatient claims, beside those planned else.

    A stay without a principal diagnosis is not planned by a procedure that may be.
    """
    done = _procedure_days(care, codes).rename(done_by="member")
    met = stays.select("member", "admit_day", "discharge_day").join(done, [("member", "done_by")])
    met = met.filter(met["day"].between(met["admit_day"], met["discharge_day"]))
    told = met.group_by(told_member=met["member"], told_day=met["admit_day"]).agg(
        has_always=(met["kind"] == ALWAYS_PROCEDURE).max(),
        has_maybe=(met["kind"] == MAYBE_PROCEDURE).max(),
    )
    joined = stays.left_join(told, [("member", "told_member"), ("admit_day", "told_day")])
    is_elective = joined["diagnosis"].notnull() & ~joined["is_acute"].fill_null(False)
    is_planned = (
        joined["is_planned"]
        | joined["has_always"].fill_null(False)
        | (joined["has_maybe"].fill_null(False) & is_elective)
    )
    return joined.mutate(is_planned=is_planned)


def _procedure_days(care: Care, codes: Table) -> Table:
    """Listed procedures by the first day of their inpatient claim: `member`, `day`, `kind`."""
    procedures = care.bucket.read(PROCEDURES).select("member", "claim_id", "procedure_code")
    named = codes.filter(codes["planned_code_kind"].isin([ALWAYS_PROCEDURE, MAYBE_PROCEDURE]))
    named = named.select(code="planned_code", kind="planned_code_kind").distinct()
    listed = procedures.join(named, procedures["procedure_code"] == named["code"])
    lines = care.lines_of(is_inpatient)
    claims = lines.group_by(on_member=lines["member"], on_claim=lines["claim_id"]).agg(
        day=lines["stay_start_day"].min()
    )
    met = listed.join(claims, [("member", "on_member"), ("claim_id", "on_claim")])
    return met.select("member", "day", "kind").distinct()


def _codes(codes: Table, kind: str) -> Table:
    """Distinct codes of a kind: `code`."""
    return codes.filter(codes["planned_code_kind"] == kind).select(code="planned_code").distinct()


def procedure_outcomes(bucket: Bucket) -> Table:
    """What became of each row of `claim_procedure`: `reason` and `n_rows`."""
    import ibis

    claims = bucket.raw("medical_claim").select("member_id", "claim_id").distinct()
    claims = claims.mutate(has_claim=ibis.literal(True))
    rows = bucket.raw(PROCEDURES).left_join(claims, ["member_id", "claim_id"])
    told = rows.select(reason=ibis.ifelse(rows["has_claim"].fill_null(False), USED, NO_CLAIM))
    return told.group_by("reason").agg(n_rows=told.count())


def planned_note(names: frozenset[str], rules: PanelRules) -> str:
    """What a panel cannot tell of planned readmissions; "" where it can, or need not."""
    lacking = [name for name in (PROCEDURES, CODES) if name not in names]
    if rules.planned_readmissions != "leave_out" or not lacking:
        return ""
    listed = " and no ".join(f"`{name}`" for name in lacking)
    return (
        "`readmissions_30d`: potentially planned procedures are not looked for, so that some "
        f"planned readmissions count: no {listed}, for you to fill."
    )
