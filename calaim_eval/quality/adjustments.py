# ruff: noqa: FBT003, PD004  (Ibis names: `fill_null(False)`, `isnull`, `notnull`)
"""Voids and replacements that do not fit the claims they change."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from calaim_eval.panel.claim_standing import line_status
from calaim_eval.quality.counts import Counts, as_counts
from calaim_eval.quality.findings import NOT_RECORDED

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.quality.questions import Questions

SMALLEST_AMOUNT = 0.005
"""US dollars: amounts that differ by less are the same to the cent."""


def ask_adjustments(questions: Questions, name: str, rows: Table) -> None:
    """Voids and replacements of claims that are not there, and voids that do not net out.

    `rows` are the lines of a claim table as they were read.
    """
    status = rows.mutate(status=line_status(rows), plan=rows["plan"].fill_null(NOT_RECORDED))
    acting = questions.bucket.keep(f"{name}_acting", _by_claim(_acting(status)))
    targets = acting.select(claim_id="target").distinct()
    # Only claims that something acts on: the rest of the table is passed over.
    named = questions.bucket.keep(
        f"{name}_acted_on",
        _by_claim(status.filter(status["status"] != "void").semi_join(targets, "claim_id")),
    )
    unknown = _unknown(acting, named)
    questions.ask(f"{name}_unknown", unknown, partial(_count_unknown, name))
    netting = _not_netting(acting, named)
    questions.ask(f"{name}_netting", netting, partial(_count_netting, name))


def _acting(lines: Table) -> Table:
    """Lines of voids and replacements."""
    return lines.filter(lines["status"].isin(["void", "replacement"]))


def _by_claim(lines: Table) -> Table:
    """One row per claim and status: the claim it names, and its amount (missing if any line's is).

    A claim that names no other is its own target.
    """
    grouped = lines.group_by("claim_id", "status").agg(
        named=lines["original_claim_id"].max(),
        plan=lines["plan"].min(),
        usd=ibis.ifelse(
            lines["paid_amount"].count() == lines.count(),
            lines["paid_amount"].sum(),
            ibis.null("float64"),
        ),
    )
    return grouped.mutate(target=ibis.coalesce(grouped["named"], grouped["claim_id"]))


def _unknown(acting: Table, named: Table) -> Table:
    """Voids and replacements by plan, and those whose claim is not in the files.

    A replacement that names no other claim can only replace a first version of its own number.
    """
    known = named.select(target="claim_id", known_status="status")
    joined = acting.left_join(known, "target")
    is_other = (joined["claim_id"] != joined["target"]) | (joined["known_status"] == "original")
    is_known = joined["known_status"].notnull() & ((joined["status"] == "void") | is_other)
    told = joined.group_by("claim_id", "status", "plan").agg(
        is_known=is_known.fill_null(False).max()
    )
    return told.group_by("status", "plan").agg(of=told.count(), n=(~told["is_known"]).sum())


def _count_unknown(name: str, found: pd.DataFrame) -> Counts:
    checks = {
        "void": "voids_of_unknown_claims",
        "replacement": "replacements_of_unknown_claims",
    }
    pieces = [
        as_counts(found.loc[found["status"] == status, ["plan", "n", "of"]], check=each, table=name)
        for status, each in checks.items()
    ]
    return {"counts": pd.concat(pieces)}


def _not_netting(acting: Table, named: Table) -> Table:
    """Voids of known claims, both with an amount, and those whose sum is not zero."""
    voids = acting.filter((acting["status"] == "void") & acting["usd"].notnull())
    claims = named.filter(named["usd"].notnull())
    voided = claims.group_by(target=claims["claim_id"]).agg(voided_usd=claims["usd"].sum())
    pairs = voids.join(voided, "target")
    is_off = (pairs["usd"] + pairs["voided_usd"]).abs() > SMALLEST_AMOUNT
    return pairs.group_by("plan").agg(of=pairs.count(), n=is_off.sum())


def _count_netting(name: str, found: pd.DataFrame) -> Counts:
    return {"counts": as_counts(found, check="voids_that_do_not_net_out", table=name)}
