"""One spoiled extract through the command: every kind of defect people ask after is named.

What the kinds are called by those who ask, and the check that answers; each check alone, with its
count, is in `test_quality_findings.py`.
"""

from __future__ import annotations

import json
import sys

import pytest
from clean_tables import MEMBERS, add, clean_frames, put, visit

from calaim_eval import cli
from calaim_eval.study import init_study

ANSWERED_BY = {
    "keys": ("keys_repeated", "values_missing", "members_not_in_eligibility"),
    "dates": ("dates_impossible", "dates_out_of_order", "values_unreadable", "paid_before_service"),
    "overlaps": ("spans_overlap_same_plan", "spans_overlap_other_plan"),
    "months after death": ("coverage_after_death", "claims_after_death"),
    "duplicates": ("exact_duplicates", "near_duplicates"),
    "reversals that do not net out": ("voids_that_do_not_net_out", "voids_of_unknown_claims"),
    "claims outside coverage": ("claims_outside_coverage",),
    "code validity": ("procedure_codes_invalid", "revenue_codes_invalid", "npis_invalid"),
    "encounter completeness by plan and month": ("encounter_gaps",),
    "run-out": ("months_incomplete",),
    "missing race by plan and county": ("race_unknown",),
    "exposure while not enrolled": ("program_records_outside_coverage",),
}
A, B, C, D = MEMBERS


def spoiled_frames():
    """The clean tables with one defect of each kind; rows of their own, so that none hides one."""
    frames = clean_frames()
    line = dict(frames["medical_claim"].iloc[0])
    void = visit("visit-x", B, "2022-02-11", claim_status="void", paid_amount=-70.0)
    late = [visit(f"late-{i}", C, "2022-11-20", paid_date="2023-06-20") for i in range(40)]
    late += [visit(f"late-b-{i}", D, "2022-11-21", paid_date="2023-05-20") for i in range(40)]
    add(
        frames,
        "medical_claim",
        line,
        line | {"paid_amount": 81.0, "paid_date": "2022-03-01"},
        visit("no-day", B, "2022-02-12") | {"claim_start_date": None},
        visit("stranger", "nobody-99", "2022-02-13"),
        visit("old", B, "1822-02-13"),
        visit("order", B, "2022-02-14", claim_end_date="2022-02-01"),
        visit("words", B, "2022-02-15", paid_amount="eighty"),
        visit("early", B, "2022-02-16", paid_date="2022-01-02"),
        visit("again", B, "2022-02-10"),
        visit("to-void", B, "2022-02-11"),
        void | {"claim_id": "void-1", "original_claim_id": "to-void"},
        void | {"claim_id": "void-2", "original_claim_id": "no-such-claim"},
        visit("code", B, "2022-02-18", hcpcs_code="9921", rendering_npi="1245319598"),
        *late,
    )
    put(frames, "medical_claim", 48, revenue_center_code="0050")
    span = dict(frames["eligibility"].iloc[1])
    within = {"enrollment_start_date": "2022-06-01", "enrollment_end_date": "2022-06-10"}
    add(frames, "eligibility", span | within, span | within | {"plan": "South Plan"})
    put(frames, "person", 0, death_date="2022-10-20")
    put(frames, "eligibility", 3, enrollment_start_date="2022-06-01")
    put(frames, "person", 1, race_code="unknown")
    claims = frames["medical_claim"]
    in_august = claims["claim_start_date"].astype(str).str.startswith("2022-08")
    frames["medical_claim"] = claims[~in_august].reset_index(drop=True)
    return frames


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """What `calaim-eval check` wrote about the spoiled extract."""
    folder = tmp_path_factory.mktemp("spoiled")
    path = init_study(folder)
    for name, frame in spoiled_frames().items():
        frame.to_csv(folder / "raw" / f"{name}.csv", index=False)
    text = path.read_text(encoding="utf-8")
    for old, new in (
        ('"2021-01"', '"2022-01"'),
        ('"2024-12"', '"2022-12"'),
        ("2025-06-30", "2023-06-30"),
        ("[quality]\n", "[quality]\nmin_expected_lines = 1\n"),
    ):
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["calaim-eval", "check", str(path), "--exact"])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    assert stopped.value.code in (3, 18)
    return json.loads((folder / "restricted/quality/quality.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("asked", ANSWERED_BY)
def test_every_kind_of_defect_is_named(content, asked):
    named = {finding["id"] for finding in content["findings"]}
    assert set(ANSWERED_BY[asked]) <= named


def test_missing_race_is_told_by_plan_and_county(content):
    (race,) = [finding for finding in content["findings"] if finding["id"] == "race_unknown"]
    assert {group["dimension"] for group in race["groups"]} >= {"plan", "county"}
