# ruff: noqa: PD003, PD004  (Ibis names: `fill_null(False)`, `isnull`, `notnull`)
"""Program records and lines outside coverage, and program codes that no list explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.panel.calendar import number_of
from calaim_eval.panel.spans import month_number
from calaim_eval.quality.counts import Counts, as_counts
from calaim_eval.quality.findings import NOT_RECORDED
from calaim_eval.tables.classify import MODIFIER_SLOTS, classify_program_lines, program_codes

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.quality.questions import Questions

_RECEIVED = ("outreach", "service")


def ask_records(questions: Questions, covered: Table) -> None:
    """Records of outreach and service in months without coverage, by plan and month."""
    bucket = questions.bucket
    records = bucket.read("program_service")
    first, last = number_of(bucket.months[0]), number_of(bucket.months[-1])
    dated = records.select(
        "member",
        "record_type",
        plan=records["plan"].fill_null(NOT_RECORDED),
        month=month_number(records["record_date"]),
    )
    inside = dated.filter(
        dated["month"].between(first, last) & dated["record_type"].isin(_RECEIVED)
    )
    months = covered.select("member", "month", cover_plan="plan")
    joined = inside.left_join(months, ["member", "month"])
    outside = joined.group_by("plan", "month").agg(
        of=joined.count(), n=joined["cover_plan"].isnull().sum()
    )
    questions.ask("records_outside", outside, _count_records)


def _count_records(found: pd.DataFrame) -> Counts:
    check = "program_records_outside_coverage"
    return {"counts": as_counts(found, check=check, table="program_service")}


def ask_program_lines(questions: Questions, lines: Table) -> None:
    """Program lines in months without coverage, and program codes that no list explains.

    `lines` are final lines as `claim_flags.final_lines` gives them.
    """
    codes = program_codes()
    mine = lines.filter(lines["hcpcs_code"].isin(sorted(set(codes["hcpcs"])))).select(
        "own_plan",
        "cover_plan",
        "month",
        "hcpcs_code",
        *MODIFIER_SLOTS,
        "claim_start_date",
        "claim_line_start_date",
    )
    told = questions.bucket.keep("program_lines_told", classify_program_lines(mine, codes))
    of_program = told.filter(told["program"].notnull())
    outside = of_program.group_by(plan=of_program["own_plan"], month=of_program["month"]).agg(
        of=of_program.count(), n=of_program["cover_plan"].isnull().sum()
    )
    questions.ask("program_lines_outside", outside, _count_lines)
    reasons = told.group_by(
        hcpcs=told["hcpcs_code"], reason=told["unclassified_reason"].fill_null("")
    ).agg(n_lines=told.count())
    questions.ask("program_codes", reasons, _count_codes)


def _count_lines(found: pd.DataFrame) -> Counts:
    named = found.assign(plan=found["plan"].replace("", NOT_RECORDED))
    check = "program_lines_outside_coverage"
    return {"counts": as_counts(named, check=check, table="medical_claim")}


def _count_codes(found: pd.DataFrame) -> Counts:
    """Lines by code and reason; those a list explains count among the lines looked at only."""
    is_open = found["reason"] != ""
    counted = pd.DataFrame(
        {
            "code": found["hcpcs"] + ": " + found["reason"].where(is_open, "explained"),
            "n": found["n_lines"].where(is_open, 0),
            "of": found["n_lines"],
        }
    )
    check = "program_codes_unexplained"
    return {"counts": as_counts(counted, check=check, table="medical_claim")}
