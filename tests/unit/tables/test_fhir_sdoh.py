"""Referral tasks of FHIR bundles: roots, steps, circles, versions, and every task accounted for."""

import json

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.integration.referral_roots import root_referrals
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.partners.fhir_sdoh import CIRCLE, read_fhir_sdoh

SNOMED = "http://snomed.info/sct"
REQUEST = {
    "resourceType": "ServiceRequest",
    "id": "s1",
    "code": {"coding": [{"system": SNOMED, "code": "467771000124109"}]},
}


def task(identifier, status="completed", *, code="fulfill", part_of=None, **more):
    found = {
        "resourceType": "Task",
        "id": identifier,
        "status": status,
        "code": {"coding": [{"code": code}]},
        "for": {"reference": "Patient/p1"},
        "focus": {"reference": "ServiceRequest/s1"},
        "authoredOn": "2025-03-01T10:00:00Z",
        "requester": {"reference": "Organization/clinic"},
        "owner": {"reference": "Organization/pantry"},
    }
    if part_of:
        found["partOf"] = [{"reference": f"Task/{part_of}"}]
    return found | more


def read(tmp_path, *resources, name="a.json"):
    folder = tmp_path / "fhir"
    folder.mkdir(exist_ok=True)
    entries = [{"resource": each} for each in (REQUEST, *resources)]
    content = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return read_fhir_sdoh(folder)


def counts(found, stage="source", table="fhir_sdoh Task"):
    frame = found.ledger.to_frame()
    here = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(here["reason"], here["n_rows"], strict=True))


def referrals(found):
    rows = found.frame("social_referral")
    return rows.set_index(rows["referral_id"].str.removeprefix("fhir_sdoh:"))


def test_the_gravity_examples_have_five_roots_three_of_them_completed(shared):
    """Counted by hand in the instances of the guide (reference rows `fhir_sdohcc_examples`)."""
    folder = shared / "reference" / "integration" / "data" / "fhir_sdohcc_examples"
    found = read_fhir_sdoh(folder)
    assert sum(counts(found).values()) == 11
    assert counts(found)["task for the patient, no referral (code is not `fulfill`)"] == 4
    rows = found.frame("social_referral")
    assert len(rows) == counts(found)[USED] == 7
    is_root = rows["referral_id"] == rows["root_referral_id"]
    assert (~is_root).sum() == 2
    assert is_root.sum() == 5
    closed = rows[is_root]["closure_reason"] == "services_received"
    assert closed.sum() == 3
    assert closed.mean() == pytest.approx(0.6, abs=1e-9)
    remark = "step that is older than the referral it is part of (kept)"
    assert counts(found, "notice")[remark] == 1


def test_roots_are_those_the_referral_measures_count(tmp_path):
    found = read(
        tmp_path,
        task("a"),
        task("b", part_of="a"),
        task("c", "accepted", part_of="b"),
        task("d", "requested"),
    )
    rows = found.frame("social_referral").assign(service="ecm")
    assert len(root_referrals(rows, as_of="2025-12-31")) == 2


def test_statuses_of_tasks_are_those_of_referrals(tmp_path):
    statuses = ("requested", "accepted", "in-progress", "rejected", "cancelled", "failed")
    rows = referrals(read(tmp_path, *(task(each, each) for each in (*statuses, "completed"))))
    assert rows["referral_status"].to_dict() == {
        "requested": "pending",
        "accepted": "accepted",
        "in-progress": "accepted",
        "rejected": "declined",
        "cancelled": "closed",
        "failed": "closed",
        "completed": "closed",
    }
    assert rows.loc["completed", "closure_reason"] == "services_received"
    assert rows.loc["failed", "closure_reason"] == "other"
    assert rows.loc["accepted", "closure_reason"] is None


def test_the_reason_of_a_status_is_kept_as_typed_and_mapped_by_the_study(tmp_path):
    folder = tmp_path / "fhir"
    folder.mkdir()
    (folder / "status_reason_map.csv").write_text(
        "status_reason,closure_reason\nNo answer,unable_to_reach\nOdd,nonsense\n", encoding="utf-8"
    )
    found = read(
        tmp_path,
        task("a", "failed", statusReason={"text": "No answer"}),
        task("b", "cancelled", statusReason={"coding": [{"display": "Odd"}]}),
        task("c", "rejected", statusReason={"concept": {"text": "No answer"}}),
    )
    rows = referrals(found)
    assert rows["status_reason"].tolist() == ["No answer", "Odd", "No answer"]
    assert rows["closure_reason"].tolist() == ["unable_to_reach", "other", "unable_to_reach"]
    assert found.version == "FHIR R4, FHIR R5"


def test_circles_of_parents_are_set_aside_and_counted(tmp_path):
    found = read(
        tmp_path,
        task("a", part_of="b"),
        task("b", part_of="a"),
        task("c", part_of="a"),
        task("d", part_of="d"),
        task("e"),
    )
    assert counts(found) == {CIRCLE: 4, USED: 1}


def test_a_step_of_a_task_that_is_not_there_is_no_root(tmp_path):
    found = read(tmp_path, task("a", part_of="gone"), task("b", part_of="a"))
    rows = referrals(found)
    assert rows["root_referral_id"].tolist() == ["fhir_sdoh:gone", "fhir_sdoh:gone"]
    assert (
        counts(found, "notice")[
            "part of a task that is not in the files, or is set aside (kept as a step)"
        ]
        == 1
    )


def test_closed_before_opened_keeps_the_referral_without_the_day(tmp_path):
    found = read(tmp_path, task("a", executionPeriod={"end": "2025-01-01"}))
    assert pd.isna(referrals(found).loc["a", "closed_date"])
    remark = "closed before it was opened (kept; the day of closing is read as missing)"
    assert counts(found, "notice")[remark] == 1


def test_the_day_of_closing_is_the_end_of_the_task_or_of_what_came_of_it(tmp_path):
    done = {"resourceType": "Procedure", "id": "x", "performedDateTime": "2025-03-20"}
    output = [{"valueReference": {"reference": "Procedure/x"}}]
    rows = referrals(
        read(
            tmp_path,
            done,
            task("a", executionPeriod={"end": "2025-03-09T01:00:00Z"}, output=output),
            task("b", output=output),
            task("c"),
        )
    )
    assert rows["closed_date"].dt.strftime("%m-%d").fillna("").tolist() == ["03-09", "03-20", ""]


def test_of_versions_of_a_task_the_latest_is_kept(tmp_path):
    found = read(
        tmp_path,
        task("a", "completed", meta={"lastUpdated": "2025-04-02T00:00:00Z"}),
        task("a", "requested", meta={"lastUpdated": "2025-03-02T00:00:00Z"}),
    )
    assert referrals(found)["referral_status"].tolist() == ["closed"]
    assert counts(found)["an older version of the task; the latest is kept"] == 1


def test_receivers_that_are_roles_or_services_are_their_organizations(tmp_path):
    found = read(
        tmp_path,
        {
            "resourceType": "HealthcareService",
            "id": "h",
            "providedBy": {"reference": "Organization/pantry"},
        },
        {"resourceType": "Organization", "id": "pantry", "name": "Pantry"},
        task("a", owner={"reference": "HealthcareService/h"}),
        task("b", owner={"reference": "PractitionerRole/unknown"}),
        task("c", owner={"display": "Somebody"}),
    )
    rows = referrals(found)
    assert rows["to_organization_id"].tolist() == ["fhir_sdoh:pantry", None, None]
    remark = "receiver is no organization that is known (kept without)"
    assert counts(found, "notice")[remark] == 2
    organization = found.frame("organization").iloc[0]
    assert (organization["organization_name"], organization["organization_type"]) == (
        "Pantry",
        "unknown",
    )


def test_a_service_map_makes_a_code_a_support(tmp_path):
    folder = tmp_path / "fhir"
    folder.mkdir()
    (folder / "service_map.csv").write_text(
        "kind,code,service\nsnomed,467771000124109,medically_tailored_meals\n", encoding="utf-8"
    )
    (folder / "member_link.csv").write_text("source_person_id,member_id\np1,m7\n", encoding="utf-8")
    found = read(tmp_path, task("a"), task("b", focus={"reference": "ServiceRequest/none"}))
    row = found.frame("referral").iloc[0]
    assert (row["service"], row["member_id"]) == ("medically_tailored_meals", "m7")
    assert referrals(found).index.tolist() == ["b"]
    assert counts(found, "notice")["service request not in the files (kept without a code)"] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"for": {"display": "Someone"}}, "`member` is missing"),
        ({"authoredOn": None}, "`referred` is missing"),
        ({"authoredOn": "soon"}, "`referred` cannot be read as a date of 1900 to 2100"),
        ({"status": "entered-in-error"}, "entered in error"),
        ({"status": ["odd"]}, "`status` is no FHIR task status"),
        ({"id": None}, "`id` is missing"),
    ],
)
def test_a_task_that_cannot_be_used_is_counted(tmp_path, change, reason):
    found = read(tmp_path, task("a") | change, task("b"))
    assert counts(found) == {reason: 1, USED: 1}


def test_other_resources_and_broken_lines_are_counted(tmp_path):
    folder = tmp_path / "fhir"
    folder.mkdir()
    lines = [json.dumps(task("a")), "{broken", json.dumps({"resourceType": "Patient", "id": "p1"})]
    (folder / "all.ndjson").write_text("\n".join(lines), encoding="utf-8")
    found = read_fhir_sdoh(folder)
    assert counts(found, table="fhir_sdoh entry") == {
        "line that is not JSON": 1,
        "resource of a type that is not needed": 1,
    }
    assert counts(found) == {USED: 1}


def test_a_bundle_that_is_no_json_is_refused_without_its_name(tmp_path):
    folder = tmp_path / "fhir"
    folder.mkdir()
    (folder / "jane_doe.json").write_text("{", encoding="utf-8")
    with pytest.raises(TableError) as problem:
        read_fhir_sdoh(folder)
    assert "jane" not in str(problem.value)


def test_a_reason_map_that_names_no_reason_of_ours_is_remarked_on(tmp_path):
    folder = tmp_path / "fhir"
    folder.mkdir()
    (folder / "status_reason_map.csv").write_text(
        "status_reason,closure_reason\nNo answer,unable_to_reach\nOdd,nonsense\n", encoding="utf-8"
    )
    found = read(tmp_path, task("a", "failed", statusReason={"text": "Odd"}))
    assert referrals(found).loc["a", "closure_reason"] == "other"
    assert counts(found, "notice", "fhir_sdoh status_reason_map") == {
        "`closure_reason` is none of ours (not used)": 1
    }


def test_the_snomed_code_of_a_request_counts_whatever_its_place(tmp_path):
    folder = tmp_path / "fhir"
    folder.mkdir()
    (folder / "service_map.csv").write_text(
        "kind,code,service\nsnomed,111,housing_deposits\nsnomed,S5170,housing_deposits\n",
        encoding="utf-8",
    )
    hcpcs = {"system": "http://www.cms.gov/hcpcs", "code": "S5170"}
    both = [hcpcs, {"system": SNOMED, "code": "111"}]
    found = read(
        tmp_path,
        {"resourceType": "ServiceRequest", "id": "s2", "code": {"coding": both}},
        {"resourceType": "ServiceRequest", "id": "s3", "code": {"coding": [hcpcs]}},
        task("a", focus={"reference": "ServiceRequest/s2"}),
        task("b", focus={"reference": "ServiceRequest/s3"}),
    )
    assert found.frame("referral")["referral_id"].tolist() == ["fhir_sdoh:a"]
    assert referrals(found)["social_service_code_system"].to_dict() == {"b": "other"}


def test_what_was_done_before_the_referral_did_not_come_of_it(tmp_path):
    folder = tmp_path / "fhir"
    folder.mkdir()
    (folder / "service_map.csv").write_text(
        "kind,code,service\nsnomed,467771000124109,housing_deposits\n", encoding="utf-8"
    )
    procedures = [
        {"resourceType": "Procedure", "id": name, "performedDateTime": day}
        for name, day in (("early", "2025-02-01"), ("late", "2025-03-20"))
    ]
    output = {
        name: [{"valueReference": {"reference": f"Procedure/{name}"}}] for name in ("early", "late")
    }
    found = read(tmp_path, *procedures, *(task(each, output=output[each]) for each in output))
    started = found.frame("referral").set_index("referral_id")["service_started_date"]
    assert pd.isna(started["fhir_sdoh:early"])
    assert started["fhir_sdoh:late"] == pd.Timestamp("2025-03-20")
    remark = "activity before the referral (kept; its day is read as missing)"
    assert counts(found, "notice")[remark] == 1


def test_a_name_that_is_no_text_does_not_keep_the_tables_from_being_saved(tmp_path):
    organizations = [
        {"resourceType": "Organization", "id": "o1", "name": "Pantry"},
        {"resourceType": "Organization", "id": "o2", "name": ["Pantry", "Two"]},
        {"resourceType": "Organization", "name": "Without an identifier"},
    ]
    found = read(tmp_path, *organizations, task("a"))
    saved = found.save(tmp_path / "saved")
    rows = pd.read_parquet(saved / "organization.parquet")
    assert rows["organization_id"].tolist() == ["fhir_sdoh:o1", "fhir_sdoh:o2"]
    assert rows["organization_name"].fillna("none").tolist() == ["Pantry", "none"]
    assert counts(found, table="fhir_sdoh Organization") == {"`id` is missing": 1, USED: 2}


def test_blanks_around_ids_and_references_are_no_part_of_them(tmp_path):
    pantry = {"resourceType": "Organization", "id": "pantry ", "name": " Pantry"}
    blank = {
        "for": {"reference": "Patient/p1 "},
        "owner": {"reference": " Organization/pantry"},
        "focus": {"reference": "ServiceRequest/ s1"},
    }
    folder = tmp_path / "fhir"
    folder.mkdir()
    (folder / "member_link.csv").write_text("source_person_id,member_id\np1,m1\n")
    found = read(tmp_path, pantry, task(" t1", **blank), task("t2", part_of="t1 "), task(" "))
    row = referrals(found).loc["t1"]
    assert row["member_id"] == "m1"
    assert row["to_organization_id"] == "fhir_sdoh:pantry"
    assert row["social_service_code"] == "467771000124109"
    assert found.frame("organization")["organization_id"].tolist() == ["fhir_sdoh:pantry"]
    assert found.frame("organization")["organization_name"].tolist() == ["Pantry"]
    assert referrals(found).loc["t2", "root_referral_id"] == "fhir_sdoh:t1"
    assert counts(found)["`id` is missing"] == 1
