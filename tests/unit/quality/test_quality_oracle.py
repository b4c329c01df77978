"""The simulated world counted again with pandas alone, from the checked tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.pipeline.check import check_study
from calaim_eval.pipeline.panel import build_panel, read_study_tables
from calaim_eval.quality.run_out import LONGEST_LAG
from calaim_eval.simulate import simulate_medi_cal
from calaim_eval.study import init_study, read_study


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A simulated study, its tables, and what the check says of them."""
    folder = tmp_path_factory.mktemp("quality_world")
    simulated = simulate_medi_cal(folder, members=1_500, seed=5)
    study = read_study(init_study(folder))
    tables = read_study_tables(study)
    return study, tables, check_study(study, tables).report, simulated, folder


@pytest.fixture(scope="module")
def lines(world):
    """Final claim lines in the window by the rules of voids and replacements, in pandas."""
    _, tables, _, _, _ = world
    claims = tables.frame("medical_claim")
    bill = claims["bill_type_code"].astype(object).where(claims["bill_type_code"].notna(), "")
    digit = bill.str.removeprefix("0").str[2:3]
    status = claims["claim_status"].astype(object).where(claims["claim_status"].notna(), "original")
    status[(digit == "8") & (status != "denied")] = "void"
    status[(digit == "7") & ~status.isin(["denied", "void"])] = "replacement"
    claims = claims.assign(status=status)
    acts = claims[status.isin(["void", "replacement"])]
    named = acts["original_claim_id"].fillna(acts["claim_id"])
    voided = set(named[acts["status"] == "void"])
    # The simulated replacements each name one claim, and no claim is named by two.
    replaced = set(named[acts["status"] == "replacement"]) - set(
        acts.loc[acts["original_claim_id"].isna(), "claim_id"]
    )
    gone = claims["claim_id"].isin(voided | replaced) | claims["status"].isin(["void", "denied"])
    final = claims[~gone].copy()
    day = final["claim_line_start_date"].fillna(final["claim_start_date"])
    final["month"] = day.dt.year * 12 + day.dt.month - 1
    return final[final["month"].between(2021 * 12, 2024 * 12 + 11)]


@pytest.fixture(scope="module")
def covered(world):
    """Every member and month with a day of Medicaid full-scope coverage, up to death."""
    _, tables, _, _, _ = world
    spans = tables.frame("eligibility").merge(
        tables.frame("person", ["member_id", "birth_date", "death_date"]), "left", "member_id"
    )
    payer = spans["payer_type"].fillna("medicaid").eq("medicaid")
    scope = spans["benefit_scope"].fillna("full").eq("full")
    end = pd.concat(
        [
            spans["enrollment_end_date"].fillna(pd.Timestamp("2024-12-31")),
            spans["death_date"].fillna(pd.Timestamp("2024-12-31")),
        ],
        axis=1,
    ).min(axis=1)
    start = pd.concat([spans["enrollment_start_date"], spans["birth_date"]], axis=1).max(axis=1)
    pairs = set()
    for member, first, last, counts in zip(
        spans["member_id"], start, end, payer & scope, strict=True
    ):
        if counts and first <= last:
            a, b = first.year * 12 + first.month - 1, last.year * 12 + last.month - 1
            pairs |= {(member, month) for month in range(a, b + 1)}
    return pairs


def _finding(report, check, table="medical_claim"):
    return next(f for f in report.findings if f.check.id == check and f.table == table)


def test_lines_outside_coverage(world, lines, covered):
    _, _, report, simulated, _ = world
    found = _finding(report, "claims_outside_coverage")
    outside = [
        (member, month) not in covered
        for member, month in zip(lines["member_id"], lines["month"], strict=True)
    ]
    assert (found.n, found.of) == (sum(outside), len(lines))
    assert found.n >= simulated.injected["claim_lines_outside_coverage"] > 0
    by_plan = lines.assign(outside=outside).groupby("plan")["outside"].agg(["sum", "size"])
    told = {g.name: (g.n, g.of) for g in found.by("plan")}
    assert told == {plan: (int(n), int(of)) for plan, n, of in by_plan.itertuples() if n > 0}
    assert found.n_members == lines.loc[outside, "member_id"].nunique()


def test_voids_without_their_claim_are_those_that_were_put_in(world):
    _, tables, report, _, _ = world
    found = _finding(report, "voids_of_unknown_claims")
    claims = tables.frame(
        "medical_claim", ["claim_id", "original_claim_id", "bill_type_code", "claim_status"]
    )
    is_void = claims["claim_status"].eq("void") | (
        claims["bill_type_code"].fillna("").str.removeprefix("0").str[2:3].eq("8")
        & ~claims["claim_status"].fillna("").eq("denied")
    )
    voids = claims[is_void].drop_duplicates("claim_id")
    lost = ~voids["original_claim_id"].isin(claims.loc[~is_void, "claim_id"])
    assert (found.n, found.of) == (int(lost.sum()), len(voids))


def test_rates_of_every_plan_and_month(world, lines):
    study, tables, report, _, _ = world
    panel = build_panel(study, tables).to_frame(["member_id", "month", "plan"])
    month = panel["month"].dt.year * 12 + panel["month"].dt.month - 1
    panel = panel.assign(number=month, plan=panel["plan"].astype(object))
    members = panel.groupby(["plan", "number"]).size()
    inside = lines[["member_id", "month", "claim_type"]].merge(
        panel[["member_id", "number", "plan"]],
        left_on=["member_id", "month"],
        right_on=["member_id", "number"],
    )
    counted = inside.groupby(["claim_type", "plan", "number"]).size()
    told = report.completeness
    told = told[told["feed"] != "pharmacy"]
    assert len(told) == 2 * len(members)
    for row in told.itertuples(index=False):
        n = counted.get((row.feed, row.plan, row.month), 0)
        of = members[(row.plan, row.month)]
        assert (row.n_lines, row.n_member_months) == (n, of)
        assert row.per_1000 == pytest.approx(1_000 * n / of)


def test_completeness_by_months_since_service(world, lines):
    _, _, report, _, _ = world
    found = report.run_out["medical_claim"]
    paid = lines[lines["paid_date"].notna()]
    lag = paid["paid_date"].dt.year * 12 + paid["paid_date"].dt.month - 1 - paid["month"]
    lag = lag.clip(lower=0)
    extract = 2025 * 12 + 5
    last = min(extract, int((paid["month"] + lag).max()))
    keep = paid["month"] + lag <= last
    month, lag = paid.loc[keep, "month"], lag[keep].clip(upper=LONGEST_LAG)
    factor = 1.0
    expected = np.ones(LONGEST_LAG + 1)
    for k in range(LONGEST_LAG, 0, -1):
        followed = month <= last - k
        factor *= ((lag <= k) & followed).sum() / ((lag <= k - 1) & followed).sum()
        expected[k - 1] = 1 / factor
    np.testing.assert_allclose(found.factors, expected)


def test_no_member_is_in_anything_that_is_written(world):
    _, tables, _, _, folder = world
    members = set(tables.frame("person", ["member_id"])["member_id"])
    claims = set(tables.frame("medical_claim", ["claim_id"])["claim_id"])
    for name in ("quality.html", "quality.json"):
        words = set(
            (folder / "restricted" / "quality" / name)
            .read_text(encoding="utf-8")
            .replace('"', " ")
            .replace("<", " ")
            .replace(">", " ")
            .split()
        )
        assert len(words) > 100
        assert words.isdisjoint(members | claims)
    for path in (folder / "restricted" / "results").glob("quality*"):
        text = "".join(p.read_text(encoding="utf-8", errors="ignore") for p in path.rglob("*.json"))
        assert not any(member in text for member in sorted(members)[:200])
