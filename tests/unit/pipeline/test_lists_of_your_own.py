"""A study's own list files, from the study file to the measure, its release and its protection."""

from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.equity import rate_by_group
from calaim_eval.pipeline import build_panel, read_study_tables
from calaim_eval.study import init_study, read_study

N_MEMBERS = 300
WEIGHTS = "dx,noner,epct,edcnpa\nJ069,0.6,0.25,0.05\nR079,0.0,0.1,0.2\n"
SENSITIVE = (
    "diagnosis_code,condition,youngest_age_years,oldest_age_years\nI5021,heart failure,18,\n"
)
OF_FEW = 12
"""Members of the smallest group: more than 10, fewer than an estimate needs."""


@pytest.fixture
def study(tmp_path):
    """Every member has one visit; every tenth a stay for heart failure; two groups."""
    path = init_study(tmp_path / "study")
    raw = path.parent / "raw"
    raw.mkdir(exist_ok=True)
    (raw / "lists").mkdir()
    (raw / "lists" / "nyu_2017.csv").write_text(WEIGHTS, encoding="utf-8")
    (raw / "acsc_diagnosis.csv").write_text(SENSITIVE, encoding="utf-8")
    members = [f"m{i:03d}" for i in range(N_MEMBERS)]
    spans = {"enrollment_start_date": "2021-01-01", "enrollment_end_date": "2024-12-31"}
    eligibility = pd.DataFrame({"member_id": members, **spans, "plan": "A", "county": "Alameda"})
    eligibility.to_csv(raw / "eligibility.csv", index=False)
    codes = ["2" if i < OF_FEW else "1" for i in range(N_MEMBERS)]
    person = {"member_id": members, "birth_date": "1980-05-01", "race_code": codes}
    pd.DataFrame(person).assign(race_code_system="meds").to_csv(raw / "person.csv", index=False)
    visits = pd.DataFrame({"member_id": members, "claim_id": [f"v{i}" for i in range(N_MEMBERS)]})
    visits = visits.assign(
        claim_type="institutional",
        claim_start_date="2023-03-01",
        bill_type_code="0131",
        revenue_center_code="0450",
        facility_npi="1000000004",
        diagnosis_code_1=["J069" if i % 2 else "R079" for i in range(N_MEMBERS)],
    )
    stays = visits.iloc[::10].assign(
        claim_id=[f"s{i}" for i in range(0, N_MEMBERS, 10)],
        claim_start_date="2023-06-01",
        claim_end_date="2023-06-04",
        bill_type_code="0111",
        revenue_center_code="0120",
        diagnosis_code_1="I5021",
    )
    claims = pd.concat([visits, stays]).assign(claim_line_number=1)
    claims.to_csv(raw / "medical_claim.csv", index=False)
    return path


def with_lists(path):
    """The study file with the lists named and the outcomes asked for."""
    text = path.read_text(encoding="utf-8")
    start = text.index("outcomes = [")
    end = text.index("]", start) + 1
    asked = 'outcomes = ["ed_visits", "ed_visits_avoidable", "acsc_stays"]'
    text = text[:start] + asked + text[end:]
    mapped = (
        '[input.files]\ned_avoidable_weight = "lists/nyu_2017.csv"\n'
        "[input.rename.ed_avoidable_weight]\n"
        'dx = "diagnosis_code"\nnoner = "non_emergent_share"\n'
        'epct = "primary_care_treatable_share"\nedcnpa = "preventable_share"\n\n[coverage]'
    )
    path.write_text(text.replace("[coverage]", mapped, 1), encoding="utf-8")
    return read_study(path)


def test_from_a_list_file_to_a_released_rate(study):
    read = with_lists(study)
    panel = build_panel(read, read_study_tables(read))
    # By hand: 150 visits of 0.9 and 150 of 0.3; 30 stays for heart failure.
    totals = panel.to_frame(["ed_visits_avoidable", "acsc_stays", "ed_visits"]).sum()
    assert totals.tolist() == pytest.approx([150 * 0.9 + 150 * 0.3, 30, 300])
    rates = rate_by_group(panel, outcome="ed_visits_avoidable", by=("race_ethnicity",))
    frame = release({"avoidable": rates}, quarter="2024Q4").tables["avoidable"].frame
    told = frame.set_index("race_ethnicity")
    # 288 of 300: 144 visits of each kind; in 288 members' 48 months.
    assert told.loc["white", "rate"] == pytest.approx(1000 * 144 * 1.2 / (288 * 48), rel=1e-6)
    assert not told.loc["white", "is_suppressed"]


def test_a_group_of_fewer_members_than_an_estimate_needs_is_withheld(study):
    read = with_lists(study)
    panel = build_panel(read, read_study_tables(read))
    rates = {
        name: rate_by_group(panel, outcome=name, by=("race_ethnicity",))
        for name in ("ed_visits_avoidable", "ed_visits")
    }
    released = release(rates, quarter="2024Q4").tables
    hidden = {
        name: table.frame.set_index("race_ethnicity").loc["hispanic", "is_suppressed"]
        for name, table in released.items()
    }
    # Twelve members: their visits are a count above 10, their probabilities are of few people.
    assert hidden == {"ed_visits_avoidable": True, "ed_visits": False}


def test_without_the_lists_measures_are_missing_and_said_so(study):
    (study.parent / "raw" / "acsc_diagnosis.csv").unlink()
    read = read_study(study)
    panel = build_panel(read, read_study_tables(read))
    assert panel.to_frame(["acsc_stays", "ed_visits_avoidable"]).isna().all().all()
    told = " ".join(panel.notes)
    assert "no `acsc_diagnosis`, a table for you to fill" in told
    assert "no `ed_avoidable_weight`, a table for you to fill" in told
