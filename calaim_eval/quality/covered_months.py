"""Covered months of a bucket with plan and county, as the panel sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.coverage import candidate_months, enrollment_spans, with_place
from calaim_eval.quality.counts import Counts

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.quality.questions import Questions


def covered_months(bucket: Bucket) -> Table:
    """One row per member and month with a counted day of coverage.

    Columns `member`, `month`, `plan`, `county` (empty text where not recorded), `is_in_panel`:
    the month counts by the rules of the study (a month with Medicare does not where duals are
    left out, and yet the member is covered).
    """
    spans = bucket.keep("spans", enrollment_spans(bucket))
    told = with_place(bucket, candidate_months(bucket, spans))
    places = {name: told[name].fill_null("") for name in ("plan", "county")}
    inside = told["reason"].isnull()
    rows = told.select("member", "month", **places, is_in_panel=inside)
    return bucket.keep("covered_months", rows)


def ask_member_months(questions: Questions, covered: Table) -> None:
    """Member-months of the panel by plan and month."""
    inside = covered.filter(covered["is_in_panel"])
    counted = inside.group_by("plan", "month").agg(n_member_months=inside.count())
    questions.ask("member_months", counted, _member_months)


def _member_months(answer: object) -> Counts:
    return {"member_months": answer}  # type: ignore[dict-item]
