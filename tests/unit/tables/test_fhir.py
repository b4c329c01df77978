"""FHIR: counts made with plain json, every mapped field by hand, and the flattened shape."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections import Counter

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.tables import fhir_scan, parquet_rows, read_tables
from calaim_eval.tables.fhir_files import find_fhir_files
from calaim_eval.tables.fhir_values import first_day, instant, last_day, reference
from calaim_eval.tables.input_map import InputMap

CARIN = "http://hl7.org/fhir/us/carin-bb/CodeSystem"
TERMS = "http://terminology.hl7.org/CodeSystem"
NPI = "http://hl7.org/fhir/sid/us-npi"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"


def coded(system, *codes):
    return {"coding": [{"system": system, "code": code} for code in codes]}


def info(category, sequence, **value):
    return {
        "sequence": sequence,
        "category": coded(f"{CARIN}/C4BBSupportingInfoType", category),
        **value,
    }


def paid(code, value, system=f"{TERMS}/adjudication"):
    return {"category": coded(system, code), "amount": {"value": value, "currency": "USD"}}


def diagnosis(sequence, code, kind):
    return {
        "sequence": sequence,
        "diagnosisCodeableConcept": coded("http://hl7.org/fhir/sid/icd-10-cm", code),
        "type": [coded(f"{TERMS}/ex-diagnosistype", kind)],
    }


PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "gender": "other",
    "birthDate": "1980-05-06",
    "deceasedDateTime": "2024-07-08T10:00:00Z",
    "address": [
        {"use": "old", "district": "Kern"},
        {"use": "home", "district": "Alameda County"},
    ],
    "communication": [
        {"language": coded("urn:ietf:bcp:47", "en")},
        {"language": coded("urn:ietf:bcp:47", "es"), "preferred": True},
    ],
    "extension": [
        {
            "url": f"{US_CORE}/us-core-race",
            "extension": [
                {"url": "ombCategory", "valueCoding": {"code": "2106-3"}},
                {"url": "ombCategory", "valueCoding": {"code": "1002-5"}},
                {"url": "detailed", "valueCoding": {"code": "2034-7"}},
            ],
        },
        {
            "url": f"{US_CORE}/us-core-ethnicity",
            "extension": [{"url": "ombCategory", "valueCoding": {"code": "2186-5"}}],
        },
        {"url": f"{US_CORE}/us-core-birthsex", "valueCode": "F"},
    ],
}
PAYER = {"resourceType": "Organization", "id": "plan", "name": "Example Health Plan"}
HOSPITAL = {
    "resourceType": "Organization",
    "id": "hospital",
    "identifier": [{"system": NPI, "value": "1111111112"}],
}
DOCTOR = {
    "resourceType": "Practitioner",
    "id": "doctor",
    "identifier": [{"system": NPI, "value": "2222222228"}],
}
COVERAGE = {
    "resourceType": "Coverage",
    "id": "cov",
    "status": "active",
    "beneficiary": {"reference": "Patient/p1"},
    "payor": [{"reference": "Organization/plan"}],
    "type": coded("https://nahdo.org/sopt", "2"),
    "period": {"start": "2023", "end": "2024-06"},
}


def eob(resource_id, kind, **more):
    return {
        "resourceType": "ExplanationOfBenefit",
        "id": resource_id,
        "identifier": [
            {"type": coded(f"{CARIN}/C4BBIdentifierType", "uc"), "value": f"claim-{resource_id}"}
        ],
        "status": "active",
        "use": "claim",
        "outcome": "complete",
        "type": coded(f"{TERMS}/claim-type", kind),
        "patient": {"reference": "Patient/p1"},
        "insurer": {"reference": "Organization/plan"},
        "provider": {"reference": "https://example.org/fhir/Organization/hospital/_history/2"},
        "insurance": [{"focal": True, "coverage": {"reference": "Coverage/cov"}}],
        "billablePeriod": {"start": "2024-01-02", "end": "2024-01-05"},
        "created": "2024-02-01T00:00:00+00:00",
        "item": [{"sequence": 1}],
        **more,
    }


INPATIENT = eob(
    "in",
    "institutional",
    supportingInfo=[
        info(
            "admissionperiod",
            1,
            timingPeriod={"start": "2024-01-02T03:04:05Z", "end": "2024-01-05"},
        ),
        info("typeofbill", 2, code=coded("https://www.nubc.org/CodeSystem/TypeOfBill", "111")),
        info("discharge-status", 3, code=coded("https://www.nubc.org/x", "30")),
        info("drg", 4, code=coded("https://www.cms.gov/MS-DRG", "470")),
        info("clmrecvddate", 5, timingDate="2024-01-20"),
    ],
    diagnosis=[
        diagnosis(1, "I10", "admitting"),
        diagnosis(2, "E78.5", "secondary"),
        diagnosis(3, "I21.4", "principal"),
    ],
    item=[
        {"sequence": 2, "revenue": coded("https://www.nubc.org/CodeSystem/RevenueCodes", "0450")},
        {"sequence": 1, "revenue": coded("https://www.nubc.org/CodeSystem/RevenueCodes", "0120")},
    ],
    total=[paid("submitted", 7147.2), paid("benefit", 1393.57)],
    payment={"date": "2024-02-15", "type": coded("x", "paid"), "amount": {"value": 1.0}},
)
PROFESSIONAL = eob(
    "pro",
    "professional",
    careTeam=[
        {
            "sequence": 1,
            "provider": {"reference": "Practitioner/other"},
            "role": coded("x", "referring"),
        },
        {
            "sequence": 2,
            "provider": {"reference": "Practitioner/doctor"},
            "role": coded("x", "rendering"),
            "qualification": coded("http://nucc.org/provider-taxonomy", "207Q00000X"),
        },
    ],
    diagnosis=[diagnosis(n, f"Z{n}", "secondary") for n in range(1, 8)],
    item=[
        {
            "sequence": 1,
            "productOrService": coded("http://www.ama-assn.org/go/cpt", "99214"),
            "modifier": [coded("x", "25"), coded("x", "U1")],
            "locationCodeableConcept": coded("https://www.cms.gov/place-of-service-codes", "11"),
            "servicedPeriod": {"start": "2024-01-03", "end": "2024-01-04"},
            "diagnosisSequence": [4, 2],
            "careTeamSequence": [2],
            "adjudication": [
                paid("benefit", 99.0),
                paid("paidtoprovider", 60.25, f"{CARIN}/C4BBAdjudication"),
                paid("paidtopatient", 10.0, f"{CARIN}/C4BBAdjudication"),
            ],
        }
    ],
)
PHARMACY = eob(
    "rx",
    "pharmacy",
    supportingInfo=[info("dayssupply", 1, valueQuantity={"value": 30})],
    item=[
        {
            "sequence": 1,
            "productOrService": coded("http://hl7.org/fhir/sid/ndc", "0777-3105-02"),
            "servicedDate": "2024-01-03",
            "quantity": {"value": 60},
            "adjudication": [paid("benefit", 20.0)],
        }
    ],
)
BASE = [PATIENT, PAYER, HOSPITAL, DOCTOR, COVERAGE, INPATIENT, PROFESSIONAL, PHARMACY]


def bundle(path, resources):
    entries = [{"fullUrl": f"http://x/{i}", "resource": each} for i, each in enumerate(resources)]
    content = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def read(tmp_path):
    def read(resources, **options):
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        bundle(folder / "bundle.json", resources)
        return read_tables(folder, work_dir=tmp_path / "work", source="fhir", **options)

    return read


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """One reading of one resource of each profile."""
    folder = tmp_path_factory.mktemp("raw")
    bundle(folder / "bundle.json", BASE)
    return read_tables(folder, work_dir=tmp_path_factory.mktemp("work"), source="fhir")


def fates(tables, kind):
    frame = tables.ledger.to_frame()
    frame = frame[(frame["table"] == f"fhir {kind}") & (frame["stage"] == "source")]
    return dict(zip(frame["reason"], frame["n_rows"], strict=True))


def only(frame, **chosen):
    for column, value in chosen.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def expect(row, **values):
    for column, value in values.items():
        found = row[column]
        if value is None:
            assert pd.isna(found), column
        else:
            is_date = isinstance(found, pd.Timestamp)
            assert (f"{found:%Y-%m-%d}" if is_date else found) == value, column


def test_patient_becomes_a_person(base):
    person = only(base.frame("person"))
    expect(
        person,
        member_id="p1",
        birth_date="1980-05-06",
        death_date="2024-07-08",
        sex="female",
        race_code="2106-3;1002-5",
        race_code_system="cdc_omb",
        ethnicity_code="2186-5",
        ethnicity_code_system="cdc_omb",
        language="es",
        county="Alameda",
        race_ethnicity="multiple",
    )


def test_coverage_becomes_a_span(base):
    span = only(base.frame("eligibility"))
    expect(
        span,
        member_id="p1",
        enrollment_start_date="2023-01-01",
        enrollment_end_date="2024-06-30",
        plan="Example Health Plan",
        payer_type="medicaid",
        dual_status_code=None,
    )


def test_inpatient_benefit(base):
    lines = base.frame("medical_claim")
    first = only(lines, claim_id="claim-in", claim_line_number=1)
    expect(
        first,
        member_id="p1",
        claim_type="institutional",
        plan="Example Health Plan",
        claim_start_date="2024-01-02",
        claim_end_date="2024-01-05",
        admission_date="2024-01-02",
        discharge_date="2024-01-05",
        bill_type_code="111",
        revenue_center_code="0120",
        discharge_disposition_code="30",
        drg_code="470",
        diagnosis_code_1="I214",
        diagnosis_code_2="E785",
        diagnosis_code_3=None,
        facility_npi="1111111112",
        claim_status="original",
        original_claim_id=None,
        paid_date="2024-02-15",
        paid_amount=1393.57,
        hcpcs_code=None,
    )
    second = only(lines, claim_id="claim-in", claim_line_number=2)
    expect(second, revenue_center_code="0450", bill_type_code="111", paid_amount=None)


def test_professional_benefit(base):
    line = only(base.frame("medical_claim"), claim_id="claim-pro")
    expect(
        line,
        claim_type="professional",
        hcpcs_code="99214",
        hcpcs_modifier_1="25",
        hcpcs_modifier_2="U1",
        hcpcs_modifier_3=None,
        place_of_service_code="11",
        claim_line_start_date="2024-01-03",
        claim_line_end_date="2024-01-04",
        diagnosis_code_1="Z4",
        diagnosis_code_2="Z2",
        diagnosis_code_3="Z1",
        diagnosis_code_4="Z3",
        diagnosis_code_5="Z5",
        rendering_npi="2222222228",
        paid_date="2024-02-01",
        paid_amount=70.25,
        bill_type_code=None,
    )
    notes = base.ledger.to_frame().set_index("reason")["n_rows"]
    assert notes["more than five diagnoses; the first five are kept"] == 1


def test_pharmacy_benefit(base):
    fill = only(base.frame("pharmacy_claim"))
    expect(
        fill,
        claim_id="claim-rx",
        member_id="p1",
        dispensing_date="2024-01-03",
        ndc_code="00777310502",
        quantity=60.0,
        days_supply=30,
        paid_amount=20.0,
        plan="Example Health Plan",
        claim_status="original",
    )


def test_other_kinds_of_claims(read):
    kinds = {"oral": "dental", "vision": "vision"}
    lines = read([*BASE, *(eob(kind, kind) for kind in kinds)]).frame("medical_claim")
    for kind, claim_type in kinds.items():
        expect(only(lines, claim_id=f"claim-{kind}"), claim_type=claim_type)


def test_standing_of_claims(read):
    by_number = {"relationship": coded("x", "prior"), "reference": {"value": "claim-old"}}
    by_resource = {"relationship": coded("x", "prior"), "claim": {"reference": "Claim/pro"}}
    tables = read(
        [
            *BASE,
            eob("void", "professional", status="cancelled"),
            eob("denied", "professional", payment={"type": coded("x", "denied")}),
            eob("new1", "professional", related=[by_number]),
            eob("new2", "professional", related=[by_resource]),
            eob("error", "professional", status="entered-in-error"),
            eob("draft", "professional", status="draft"),
            eob("pre", "professional", use="preauthorization"),
            eob("nobody", "professional", patient={"display": "somebody"}),
            eob("odd", "something"),
        ]
    )
    lines = tables.frame("medical_claim")
    expect(only(lines, claim_id="claim-void"), claim_status="void")
    expect(only(lines, claim_id="claim-denied"), claim_status="denied")
    expect(
        only(lines, claim_id="claim-new1"),
        claim_status="replacement",
        original_claim_id="claim-old",
    )
    expect(
        only(lines, claim_id="claim-new2"),
        claim_status="replacement",
        original_claim_id="claim-pro",
    )
    assert fates(tables, "ExplanationOfBenefit") == {
        "used": 7,
        "entered in error or a draft": 2,
        "preauthorization or predetermination": 1,
        "no reference to a patient": 1,
        "claim type that no table holds": 1,
    }


def test_the_version_updated_last_counts(read):
    def version(start, updated):
        return {**COVERAGE, "period": {"start": start}, "meta": {"lastUpdated": updated}}

    late, early = version("2024-03-01", "2024-09-01"), version("2023-01-01", "2024-01-01")
    tables = read([*BASE[:4], late, early, *BASE[5:]])
    expect(only(tables.frame("eligibility")), enrollment_start_date="2024-03-01")
    assert fates(tables, "Coverage") == {"used": 1, "older or repeated version of a resource": 1}


def version_of(resource, updated, **more):
    """A version of a resource, updated at a time."""
    return {**resource, **more, "meta": {"lastUpdated": updated}}


def test_versions_are_compared_as_instants(read):
    late = version_of(COVERAGE, "2024-01-01T20:00:00-08:00", period={"start": "2024-03-01"})
    early = version_of(COVERAGE, "2024-01-02T01:00:00Z", period={"start": "2023-01-01"})
    tables = read([*BASE[:4], late, early, *BASE[5:]])
    expect(only(tables.frame("eligibility")), enrollment_start_date="2024-03-01")
    assert fates(tables, "Coverage") == {"used": 1, "older or repeated version of a resource": 1}


@pytest.mark.parametrize("is_last_in_file", [True, False])
def test_a_withdrawn_newest_version_does_not_bring_the_older_back(read, is_last_in_file):
    withdrawn = [
        ({**COVERAGE, "id": "v1"}, {"status": "entered-in-error"}),
        ({**COVERAGE, "id": "v2"}, {"status": "draft"}),
        ({**COVERAGE, "id": "v3"}, {"status": "cancelled", "period": {"start": "2023"}}),
        (eob("v4", "professional"), {"status": "entered-in-error"}),
        (eob("v5", "pharmacy", item=PHARMACY["item"]), {"status": "draft"}),
    ]
    versions = []
    for resource, change in withdrawn:
        older = version_of(resource, "2024-05-01T00:00:00Z")
        newest = version_of(resource, "2024-06-01T00:00:00Z", **change)
        versions += [older, newest] if is_last_in_file else [newest, older]
    tables = read([*BASE, *versions])
    assert fates(tables, "Coverage") == {
        "used": 1,
        "entered in error or a draft": 2,
        "cancelled coverage without an end": 1,
        "older or repeated version of a resource": 3,
    }
    assert fates(tables, "ExplanationOfBenefit") == {
        "used": 3,
        "entered in error or a draft": 2,
        "older or repeated version of a resource": 2,
    }
    assert len(tables.frame("eligibility")) == 1
    assert set(tables.frame("medical_claim")["claim_id"]) == {"claim-in", "claim-pro"}
    assert list(tables.frame("pharmacy_claim")["claim_id"]) == ["claim-rx"]


def test_coverage_that_is_not_valid_or_ends_at_a_switch(read):
    def coverage(name, **more):
        return {**COVERAGE, "id": name, **more}

    at = "2024-06-15T10:00:00Z"
    tables = read(
        [
            *BASE[:4],
            *BASE[5:],
            coverage("a", period={"start": "2024-01-01", "end": at}, status="cancelled"),
            coverage("b", period={"start": at}, type=coded("https://nahdo.org/sopt", "141")),
            coverage("c", status="cancelled", period={"start": "2020-01-01"}),
            coverage("d", status="entered-in-error"),
            coverage("e", beneficiary={}),
        ]
    )
    spans = tables.frame("eligibility").sort_values("enrollment_start_date")
    assert len(spans) == 2
    expect(spans.iloc[0], enrollment_end_date="2024-06-14", payer_type="medicaid")
    expect(
        spans.iloc[1],
        enrollment_start_date="2024-06-15",
        enrollment_end_date=None,
        payer_type="medicaid",
        dual_status_code="DUAL",
    )
    assert fates(tables, "Coverage") == {
        "used": 2,
        "cancelled coverage without an end": 1,
        "entered in error or a draft": 1,
        "no reference to a patient": 1,
    }


def test_payer_type_by_name_where_the_type_does_not_say(read):
    payers = {
        "Medi-Cal Managed Care": "medicaid",
        "Medicare": "medicare",
        "NO_INSURANCE": "self_pay",
        "Acme Insurance": "other",
    }
    coverages = [
        {
            **COVERAGE,
            "id": payer,
            "payor": [{"display": payer}],
            "type": coded(f"{TERMS}/v3-ActCode", "HIP"),
        }
        for payer in payers
    ]
    tables = read([*BASE[:4], *coverages, *BASE[5:]])
    for payer, payer_type in payers.items():
        expect(only(tables.frame("eligibility"), plan=payer), payer_type=payer_type)
    ledger = tables.ledger.to_frame()
    remarks = ledger[ledger["reason"].str.contains("line of business not told")]
    assert remarks["n_rows"].tolist() == [1]


def test_setting_comes_from_the_encounter_where_the_claim_has_none(read):
    encounter = {
        "resourceType": "Encounter",
        "id": "e1",
        "class": {"code": "EMER"},
        "subject": {"reference": "Patient/p1"},
        "period": {"start": "2024-03-04T05:06:07Z", "end": "2024-03-05T00:00:00Z"},
    }
    idle = {**encounter, "id": "e2"}
    claim = {
        **eob("c9", "professional"),
        "resourceType": "Claim",
        "item": [{"sequence": 1, "encounter": [{"reference": "Encounter/e1"}]}],
    }
    benefit = eob("b9", "professional", claim={"reference": "Claim/c9"})
    del benefit["billablePeriod"]
    tables = read([*BASE, encounter, idle, claim, benefit])
    expect(
        only(tables.frame("medical_claim"), claim_id="claim-b9"),
        claim_type="institutional",
        bill_type_code="131",
        revenue_center_code="0450",
        claim_start_date="2024-03-04",
        claim_end_date="2024-03-05",
    )
    assert fates(tables, "Claim") == {"claim whose explanation of benefit is there": 1}
    assert fates(tables, "Encounter") == {
        "used": 1,
        "not needed (its claims say the setting themselves)": 1,
    }


@pytest.mark.parametrize("kind", ["pharmacy", "professional"])
def test_a_claim_gives_way_to_a_benefit_of_either_kind(read, kind):
    claim = {**PHARMACY, "resourceType": "Claim", "id": "c1", "identifier": [{"value": "x"}]}
    benefit = eob("b1", kind, claim={"reference": "Claim/c1"}, item=PHARMACY["item"])
    tables = read([*BASE, claim, benefit])
    assert fates(tables, "Claim") == {"claim whose explanation of benefit is there": 1}
    fills = tables.frame("pharmacy_claim")["claim_id"]
    expected = ["claim-rx", *(["claim-b1"] if kind == "pharmacy" else [])]
    assert sorted(fills) == sorted(expected)


def test_a_claim_is_used_where_its_benefit_is_withdrawn(read):
    claim = {**eob("c1", "professional"), "resourceType": "Claim"}
    benefit = eob("b1", "professional", claim={"reference": "Claim/c1"})
    versions = [
        version_of(benefit, "2024-05-01T00:00:00Z"),
        version_of(benefit, "2024-06-01T00:00:00Z", status="entered-in-error"),
    ]
    tables = read([*BASE, claim, *versions])
    assert fates(tables, "Claim") == {"used": 1}
    assert sorted(tables.frame("medical_claim")["claim_id"].unique()) == [
        "claim-c1",
        "claim-in",
        "claim-pro",
    ]


def test_a_claim_without_benefit_is_used_and_has_no_payment(read):
    claim = {**eob("c1", "professional"), "resourceType": "Claim", "total": {"value": 125.0}}
    line = only(read([*BASE, claim]).frame("medical_claim"), claim_id="claim-c1")
    expect(line, paid_amount=None, paid_date=None)


def test_bulk_export_gives_what_bundles_give(base, tmp_path):
    folder = tmp_path / "bulk"
    folder.mkdir()
    for kind in {each["resourceType"] for each in BASE}:
        own = [json.dumps(each) for each in BASE if each["resourceType"] == kind]
        with gzip.open(folder / f"{kind}.ndjson.gz", "wt", encoding="utf-8") as stream:
            stream.write("\n".join(own) + "\n\n")
    with (folder / "more.ndjson").open("w", encoding="utf-8") as stream:
        stream.write('{"resourceType": "Patient", "id": \n{"id": "p9"}\n')
    bulk = read_tables(folder, work_dir=tmp_path / "bulk_work", source="fhir")
    for name in base.names:
        one, other = base.frame(name), bulk.frame(name)
        order = list(one.columns)
        pd.testing.assert_frame_equal(
            one.sort_values(order, ignore_index=True), other.sort_values(order, ignore_index=True)
        )
    assert fates(bulk, "Bundle") == {
        "line that is not JSON": 1,
        "object without a resource type": 1,
    }


def test_many_rows_are_written_in_parts(read, monkeypatch):
    monkeypatch.setattr(parquet_rows, "ROWS_PER_GROUP", 3)
    items = [{"sequence": n, "revenue": coded("x", "0300")} for n in range(1, 11)]
    lines = read([*BASE, eob("long", "institutional", item=items)]).frame("medical_claim")
    own = lines[lines["claim_id"] == "claim-long"]
    assert sorted(own["claim_line_number"]) == list(range(1, 11))


def test_other_tables_may_lie_beside(read, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "jail.csv").write_text("member_id,booking_date\np1,2024-01-02\n")
    tables = read(BASE, input_map=InputMap(files={"custody": "jail.csv"}))
    assert len(tables.frame("custody")) == 1
    with pytest.raises(TableError, match="`person` comes from files of the format itself"):
        read(BASE, input_map=InputMap(files={"person": "jail.csv"}))


def test_unchanged_files_are_not_read_again(read, monkeypatch):
    read(BASE)
    monkeypatch.setattr(fhir_scan, "read_entries", None)
    assert len(read(BASE).frame("person")) == 1


def test_file_names_are_not_recorded_and_not_in_messages(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    bundle(folder / "Maria_Garcia_p1.json", BASE)
    tables = read_tables(folder, work_dir=tmp_path / "work", source="fhir")
    assert "Maria" not in json.dumps(tables.manifest)
    (folder / "Maria_Garcia_p1.json").write_text('{"resourceType": "Bundle", "entry": [')
    with pytest.raises(TableError, match="FHIR file 1 of 1 cannot be read") as raised:
        read_tables(folder, work_dir=tmp_path / "work", source="fhir")
    assert "Maria" not in str(raised.value)


def zipped(content, *names):
    """Bytes of an archive with a file of each name."""
    with io.BytesIO() as held:
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, content)
        return held.getvalue()


def locked(content):
    """Bytes of an archive whose one file says that it is encrypted."""
    packed = bytearray(zipped(content, "a.json"))
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    packed[packed.index(b"PK\x03\x04") + 6] |= 1
    return bytes(packed)


def spoilt(content):
    """Bytes of a gzip file whose first block is of no known kind."""
    packed = gzip.compress(content, mtime=0)
    return packed[:10] + bytes([packed[10] | 0b110]) + packed[11:]


DAMAGED = {
    "Garcia.json.gz": spoilt,
    "Garcia.ndjson.gz": spoilt,
    "Garcia.json.zip": locked,
    "Garcia.ndjson.zip": lambda text: zipped(text, "a.json", "b.json"),
    "Garcia.json.bz2": lambda text: b"no bzip2 file",
    "Garcia.json.zst": lambda text: b"no zstd file",
    "Garcia.json": lambda text: b"\xff\xfe",
    "Garcia.json.xz": lambda text: b"no xz file",
    "Garcia.NDJSON.7z": lambda text: b"7z",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_cannot_be_opened_is_not_passed_over(tmp_path, name):
    folder = tmp_path / "raw"
    folder.mkdir()
    bundle(folder / "good.json", BASE)
    (folder / name).write_bytes(DAMAGED[name]((folder / "good.json").read_bytes()))
    message = r"(?s)FHIR (file 1 of 2 cannot be read|files packed or named in a way).*pack"
    with pytest.raises(TableError, match=message) as raised:
        read_tables(folder, work_dir=tmp_path / "work", source="fhir")
    assert "Garcia" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.json.bz2", bz2.compress),
        ("a.json.xz", lzma.compress),
        ("a.json.zip", lambda text: zipped(text, "a.json")),
    ],
)
def test_other_packings_are_read(tmp_path, name, pack):
    folder = tmp_path / "raw"
    folder.mkdir()
    bundle(tmp_path / "a.json", BASE)
    (folder / name).write_bytes(pack((tmp_path / "a.json").read_bytes()))
    tables = read_tables(folder, work_dir=tmp_path / "work", source="fhir")
    assert len(tables.frame("person")) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-01T20:00:00-08:00", "2024-01-02T04:00:00.000000+00:00"),
        ("2024-01-02T04:00:00Z", "2024-01-02T04:00:00.000000+00:00"),
        ("2024-01-02T04:00:00.5", "2024-01-02T04:00:00.500000+00:00"),
        ("2024-03", "2024-03-01T00:00:00.000000+00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000000+00:00"),
        ("2016-12-31T15:59:60.25-08:00", "2016-12-31T23:59:59.250000+00:00"),
        ("2024-01-02T25:00:00Z", "2024-01-02T00:00:00.000000+00:00"),
        ("2024-01-02T04:00:00 Pacific", "2024-01-02T00:00:00.000000+00:00"),
        ("2024-02-30T04:00:00Z", None),
        ("0001-01-01T00:00:00+08:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        ({}, None),
    ],
)
def test_instants_sort_in_time(text, expected):
    assert instant(text) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("b.ndjson.tar.gz", "export.zip", "c.ndjson.lzma", "d.json.tgz", "Claim.ndjson.1.gz"),
        *("EXPORT.TAR", "deep/e.json.lz4", "f.csv.lz4", "g.tar.xz"),
    ],
)
def test_an_archive_beside_fhir_files_is_refused(tmp_path, name):
    bundle(tmp_path / "a.json", BASE)
    (tmp_path / "deep").mkdir()
    (tmp_path / name).touch()
    with pytest.raises(
        TableError, match=r"holds 1 archives or FHIR files packed or named in a way"
    ) as raised:
        find_fhir_files(tmp_path)
    assert name not in str(raised.value)


@pytest.mark.parametrize("name", ["Claim.ndjson.1", "a.JSON.002", "b.ndjson.part3"])
def test_a_numbered_fhir_file_is_not_passed_over(tmp_path, name):
    bundle(tmp_path / "a.json", BASE)
    (tmp_path / name).touch()
    with pytest.raises(TableError, match="1 archives or FHIR files packed or named") as raised:
        find_fhir_files(tmp_path)
    assert name not in str(raised.value)


def test_packed_tables_beside_fhir_files_are_no_archives(tmp_path):
    bundle(tmp_path / "a.json", BASE)
    for name in ("referral.csv.gz", "custody.txt.zip", "service_line.parquet"):
        (tmp_path / name).touch()
    assert [path.name for path in find_fhir_files(tmp_path)] == ["a.json"]


def test_a_folder_without_fhir_files_says_what_is_read(tmp_path):
    with pytest.raises(TableError, match=r"(?s)holds no FHIR files.*\.ndjson"):
        read_tables(tmp_path, work_dir=tmp_path / "work", source="fhir")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", "2024-01-01", "2024-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2024-02-03", "2024-02-03", "2024-02-03"),
        ("2024-02-03T23:59:59-08:00", "2024-02-03", "2024-02-03"),
        ("2024-13", "2024-13-01", "2024-13"),
        (None, None, None),
    ],
)
def test_dates_of_less_than_a_day(text, first, last):
    assert (first_day(text), last_day(text)) == (first, last)


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("Patient/1", "Patient/1"),
        ("https://x.org/fhir/Patient/1", "Patient/1"),
        ("https://x.org/fhir/Patient/1/_history/3", "Patient/1"),
        ("urn:uuid:ab", "Patient/own"),
        ("urn:uuid:cd", "?/cd"),
        ("#inside", None),
        ("", None),
    ],
)
def test_references(text, pointer):
    assert reference({"reference": text}, {"urn:uuid:ab": "Patient/own"}) == pointer


# --- Synthea bundles ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundles(shared):
    folder = shared / "data" / "synthea_ca" / "fhir"
    if not folder.is_dir():
        pytest.skip("../shared/data/synthea_ca/fhir is absent")
    return folder


@pytest.fixture(scope="module")
def synthea(bundles, tmp_path_factory):
    return read_tables(bundles, work_dir=tmp_path_factory.mktemp("work"), source="fhir")


def resources_in(folder):
    for path in sorted(folder.glob("*.json.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for entry in json.load(stream)["entry"]:
                yield entry["resource"]


@pytest.mark.shared
def test_every_resource_of_synthea_is_accounted_for(bundles, synthea):
    expected = Counter(each["resourceType"] for each in resources_in(bundles))
    ledger = synthea.ledger.to_frame()
    source = ledger[ledger["stage"] == "source"]
    found = source.groupby(source["table"].str.removeprefix("fhir "))["n_rows"].sum()
    assert found.to_dict() == dict(expected)


@pytest.mark.shared
def test_synthea_money_and_lines_by_plain_json(bundles, synthea):
    benefit, n_items = 0.0, 0
    for each in resources_in(bundles):
        if each["resourceType"] == "ExplanationOfBenefit":
            for item in each["item"]:
                n_items += 1
                for part in item["adjudication"]:
                    if part["category"]["coding"][0]["code"] == "benefit":
                        benefit += part["amount"]["value"]
    lines = synthea.frame("medical_claim")
    assert len(lines) == n_items
    assert lines["paid_amount"].sum() == pytest.approx(benefit, rel=1e-12)


@pytest.fixture(scope="module")
def flattened(shared, bundles, tmp_path_factory):
    """The flattened files of the people whose bundles are there, read as such."""
    own = {each["id"] for each in resources_in(bundles) if each["resourceType"] == "Patient"}
    folder = tmp_path_factory.mktemp("flattened")
    for name in ("patients", "coverage", "encounters", "claim_lines"):
        with (shared / "data" / "synthea_ca" / f"{name}.csv").open(encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if row["patient_id"] in own]
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    return read_tables(folder, work_dir=tmp_path_factory.mktemp("work"), source="synthea")


@pytest.mark.shared
def test_bundles_say_what_the_flattened_files_say(synthea, flattened):
    columns = {
        "person": "member_id birth_date death_date sex race_ethnicity language",
        "eligibility": "member_id enrollment_start_date enrollment_end_date plan",
        "medical_claim": (
            "member_id claim_line_number claim_type claim_start_date claim_end_date "
            "admission_date discharge_date bill_type_code revenue_center_code hcpcs_code "
            "place_of_service_code facility_npi"
        ),
    }
    for name, listed in columns.items():
        own = listed.split()
        one, other = (
            each.frame(name)[own].sort_values(own, ignore_index=True)
            for each in (synthea, flattened)
        )
        assert len(one)
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.shared
def test_the_panel_of_synthea_bundles_has_the_visits_of_their_encounters(
    bundles, synthea, tmp_path
):
    """Encounters by class and month, counted without the coding that the reader gives them."""
    first, last = "2023-01", "2025-12"
    starts, visits = {}, []
    for each in resources_in(bundles):
        if each["resourceType"] == "Coverage":
            member = each["beneficiary"]["reference"]
            begin = each["period"]["start"][:7]
            starts[member] = min(starts.get(member, begin), begin)
        if each["resourceType"] == "Encounter":
            visits.append(
                (each["subject"]["reference"], each["class"]["code"], each["period"]["start"][:7])
            )
    expected = Counter(
        kind for member, kind, month in visits if max(first, starts[member]) <= month <= last
    )
    panel = build_member_months(
        synthea,
        first_month=first,
        last_month=last,
        rules=PanelRules(payer_types=("medicaid", "other"), exclude_duals=False),
        out_dir=tmp_path / "panel",
    ).to_frame()
    assert panel["ed_visits"].sum() == expected["EMER"] > 0
    assert panel["outpatient_visits"].sum() == expected["AMB"] > 0
    assert panel["inpatient_stays"].sum() == expected["IMP"]
