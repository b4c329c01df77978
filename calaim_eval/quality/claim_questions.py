# ruff: noqa: FBT003, PD004  (Ibis names: `fill_null(False)`, `isnull`, `notnull`)
"""Questions on final claim lines: flags, near duplicates, stays, emergency days, payment lags.

The lines of a claim table are read once: each becomes one narrow row of flags and keys, and every
question is put to those.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from calaim_eval.panel.emergency_lines import PROCEDURE, REVENUE
from calaim_eval.panel.inpatient_lines import BILL_TYPE
from calaim_eval.quality.claim_flags import flag_columns, flags, is_fills, payment_lag
from calaim_eval.quality.counts import Counts, as_counts, as_members, from_wide
from calaim_eval.quality.findings import NOT_RECORDED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.code_patterns import CodePattern
    from calaim_eval.quality.questions import Questions

_WHOLE_OR_LAST = ("1", "4")
_STILL_A_PATIENT = "30"
_SAME_LINE = {
    False: (
        "member",
        "form",
        "day",
        "claim_line_end_date",
        "bill_type_code",
        "revenue_center_code",
        "hcpcs_code",
        *(f"hcpcs_modifier_{i}" for i in range(1, 6)),
        "place_of_service_code",
        "diagnosis_code_1",
        "facility_npi",
        "rendering_npi",
    ),
    True: ("member", "day", "ndc_code", "quantity", "days_supply"),
}
"""Lines (or, True, fills) that agree on all of these and are on two claims are near duplicates."""


def ask_claims(
    questions: Questions, name: str, lines: Table, *, max_stay_days: int, max_ed_days: int
) -> None:
    """Every question on the final lines of a claim table."""
    told = questions.bucket.keep(f"{name}_told", _told(lines))
    _ask_flags(questions, name, told, [each.check for each in flags(lines)])
    _ask_near_duplicates(questions, name, told)
    lagged = told.filter(told["lag"].notnull())
    paid = lagged.group_by("month", "lag").agg(n_lines=lagged.count())
    questions.ask(f"{name}_payments", paid, partial(_payments, name))
    if name == "medical_claim":
        questions.ask("stays", _stays(told, max_stay_days), _count_stays)
        questions.ask("ed_days", _ed_days(told, max_ed_days), _count_ed_days)
    questions.recipe.drop(f"{name}_told")


def _told(lines: Table) -> Table:
    """One narrow row a line: who, when, which plan, every flag, and keys for the questions."""
    what = ibis.struct({column: lines[column] for column in _SAME_LINE[is_fills(lines)]}).hash()
    extra = {} if is_fills(lines) else _medical_columns(lines)
    return lines.select(
        "member",
        "own_plan",
        "cover_plan",
        "is_in_panel",
        "month",
        "day",
        "form",
        **flag_columns(lines),
        **extra,
        lag=payment_lag(lines),
        claim=lines["claim_id"].hash(),
        what=_has_code(lines).ifelse(what, ibis.null("int64")),
    )


def _has_code(lines: Table) -> Value:
    """Whether a line says what was done."""
    if is_fills(lines):
        return lines["ndc_code"].notnull()
    return lines["hcpcs_code"].notnull() | lines["revenue_center_code"].notnull()


def _medical_columns(lines: Table) -> dict[str, Value]:
    """What stays and emergency days are told by."""
    is_acute = (lines["form"] == "institutional") & _has(lines, BILL_TYPE)
    n_days = lines["discharge_date"].epoch_days() - lines["admission_date"].epoch_days()
    return {
        "is_acute": is_acute,
        "is_final_bill": lines["frequency"].isin(_WHOLE_OR_LAST).fill_null(False),
        "is_still": (lines["discharge_disposition_code"] == _STILL_A_PATIENT).fill_null(False),
        "n_days": n_days.cast("int64"),
        "is_ed": _has(lines, REVENUE) | _has(lines, PROCEDURE),
    }


def _has(lines: Table, codes: CodePattern) -> Value:
    """Whether a line has a code of a kind."""
    return lines[codes.column].re_search(codes.pattern).fill_null(False)


def _ask_flags(questions: Questions, name: str, told: Table, checks: list[str]) -> None:
    """Counts of every flag by plan and month, members behind them, and lines in the panel."""
    columns = [column for check in checks for column in (check, f"{check}__of")]
    key = ["member", "own_plan", "cover_plan", "is_in_panel", "month", "form"]
    sums = {column: told[column].cast("int64").sum() for column in columns}
    grouped = questions.bucket.keep(
        f"{name}_by_member", told.group_by(key).agg(n_lines=told.count(), **sums)
    )
    by_plan = grouped.group_by(plan=grouped["own_plan"], month=grouped["month"]).agg(
        **{column: grouped[column].sum() for column in columns}
    )
    questions.ask(f"{name}_flags", by_plan, partial(_count_flags, name, checks))
    with_flag = {c: grouped["member"].nunique(where=grouped[c] > 0) for c in checks}
    questions.ask(f"{name}_members", grouped.agg(**with_flag), partial(_count_members, name))
    inside = grouped.filter(grouped["is_in_panel"])
    lines = inside.group_by(
        feed=inside["form"], plan=inside["cover_plan"], month=inside["month"]
    ).agg(n_lines=inside["n_lines"].sum())
    questions.ask(f"{name}_lines", lines, _lines)


def _count_flags(name: str, checks: list[str], found: pd.DataFrame) -> Counts:
    return {"counts": from_wide(_named(found), checks, table=name, by=["plan", "month"])}


def _count_members(name: str, found: pd.DataFrame) -> Counts:
    numbers = found.fillna(0).iloc[0].astype(int).to_dict()
    return {"members": as_members({str(k): int(n) for k, n in numbers.items()}, table=name)}


def _lines(found: pd.DataFrame) -> Counts:
    return {"lines": found}


def _payments(name: str, found: pd.DataFrame) -> Counts:
    return {"payments": found.assign(table=name)}


def _ask_near_duplicates(questions: Questions, name: str, told: Table) -> None:
    """Lines that are on a second claim with the same member, day, codes and providers."""
    coded = told.filter(told["what"].notnull())
    on_claims = coded.group_by("what").agg(
        n_claims=coded["claim"].nunique(),
        member=coded["member"].min(),
        plan=coded["own_plan"].min(),
    )
    several = questions.bucket.keep(
        f"{name}_near_duplicates", on_claims.filter(on_claims["n_claims"] > 1)
    )
    repeated = several.group_by("plan").agg(n=(several["n_claims"] - 1).sum())
    looked_at = coded.group_by(plan=coded["own_plan"]).agg(of=coded.count())
    joined = looked_at.left_join(repeated, "plan")
    questions.ask(
        f"{name}_repeated",
        joined.select("plan", "of", n=joined["n"].fill_null(0)),
        partial(_count, name, "near_duplicates"),
    )
    questions.ask(
        f"{name}_repeated_members",
        several.agg(near_duplicates=several["member"].nunique()),
        partial(_count_members, name),
    )


def _stays(told: Table, max_days: int) -> Table:
    """Acute inpatient claims: final bills of patients still there, and stays that are too long."""
    acute = told.filter(told["is_acute"])
    claims = acute.group_by("claim").agg(
        plan=acute["own_plan"].min(),
        is_final_bill=acute["is_final_bill"].max(),
        is_still=acute["is_still"].max(),
        n_days=acute["n_days"].max(),
    )
    return claims.group_by("plan").agg(
        n_final=claims["is_final_bill"].sum(),
        n_still=(claims["is_final_bill"] & claims["is_still"]).sum(),
        n_dated=claims["n_days"].count(),
        n_long=(claims["n_days"] > max_days).fill_null(False).sum(),
    )


def _count_stays(found: pd.DataFrame) -> Counts:
    named = _named(found)
    pieces = [
        as_counts(
            named.assign(n=named[n], of=named[of])[["plan", "n", "of"]],
            check=check,
            table="medical_claim",
        )
        for check, n, of in (
            ("still_a_patient_on_final_bill", "n_still", "n_final"),
            ("stays_too_long", "n_long", "n_dated"),
        )
    ]
    return {"counts": pd.concat(pieces)}


def _ed_days(told: Table, max_days: int) -> Table:
    """Member-months with emergency lines, and those with more such days than can be."""
    days = told.filter(told["is_ed"])
    by_month = days.group_by("member", "month").agg(
        n_days=days["day"].nunique(), plan=days["own_plan"].min()
    )
    return by_month.group_by("plan").agg(
        of=by_month.count(), n=(by_month["n_days"] > max_days).sum()
    )


def _count_ed_days(found: pd.DataFrame) -> Counts:
    return _count("medical_claim", "ed_days_implausible", found)


def _count(name: str, check: str, found: pd.DataFrame) -> Counts:
    """Rows with `plan`, `n` and `of` as counts of a check."""
    return {"counts": as_counts(_named(found), check=check, table=name)}


def _named(found: pd.DataFrame) -> pd.DataFrame:
    """Empty plan as a group with a name."""
    return found.assign(plan=found["plan"].replace("", NOT_RECORDED))
