"""Files of the partners of a simulated study: read back, they are what they were written from.

What a format cannot carry is named beside each comparison.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pandas as pd
import pytest
from partner_worlds import rows_in_files, same_rows

from calaim_eval.errors import StudyFileError
from calaim_eval.simulate import SimulatedPartners, SimulatedStudy, simulate_partner_files
from calaim_eval.simulate.partner_files import (
    PARTNER_FILES,
    partner_lines,
    workbook_renames,
    write_contract_workbook,
    write_survey_export,
)
from calaim_eval.tables import InputMap, read_partner_files, read_tables
from calaim_eval.tables.partners.partner_tables import PartnerTables

UNITS = ("units_available", "units_in_all", "unit_name")


@pytest.fixture(scope="module")
def partners(study: SimulatedStudy) -> SimulatedPartners:
    return simulate_partner_files(study.folder)


def read_back(partners: SimulatedPartners, name: str) -> PartnerTables:
    """Files of one folder as read; every row of them is in the ledger, as used."""
    read = read_partner_files(partners.folders[name], source=partners.sources[name])
    ledger = read.ledger.to_frame()
    own = ledger[ledger["stage"] == "source"]
    assert own["n_rows"].sum() == rows_in_files(partners.folders[name])
    assert set(own["reason"]) == {"used"}
    return read


@pytest.mark.parametrize("name", ["hmis_fy2024", "hmis_fy2026"])
def test_homeless_services(partners: SimulatedPartners, name: str):
    """Lost: the sex of persons in FY2024, which has no such column."""
    read = read_back(partners, name)
    assert read.version == name.removeprefix("hmis_").upper()
    assert set(read.names) == set(partners.tables[name])
    for table, rows in partners.tables[name].items():
        without = ("sex",) if name == "hmis_fy2024" and table == "homeless_person" else ()
        same_rows(read.frame(table), rows, without=without)
    linked = read.frame("homeless_person")["member_id"].str.startswith("hmis:")
    assert 0 < linked.sum() < len(linked) / 2


@pytest.mark.parametrize("name", ["hsds_2x", "hsds_30", "hsds_31", "icarol"])
def test_directories(partners: SimulatedPartners, name: str):
    """Lost but in HSDS 3.1: units; in HSDS 2.x: the day of the last change."""
    read = read_back(partners, name)
    lost = () if name == "hsds_31" else UNITS
    lost = (*lost, "last_updated_date") if name == "hsds_2x" else lost
    rows = partners.tables[name]["resource"]
    marked = rows.assign(resource_id=f"{partners.sources[name]}:" + rows["resource_id"])
    same_rows(read.frame("resource"), marked, without=lost)
    assert read.names == ("resource",)  # organizations are the study's own


def test_referrals_in_fhir(partners: SimulatedPartners):
    """Lost: plan, county, and the days of authorization, acceptance and reaching.

    A task says why it ended in words: they are `status_reason`. A referral that was declined
    without a reason reads as declined for another one. What ended without a day of ending, and
    began, ended on the day it began.
    """
    read = read_back(partners, "fhir_sdoh").frame("referral")
    rows = partners.tables["fhir_sdoh"]["referral"]
    is_final = rows["referral_status"].isin(["closed", "declined"])
    reason = rows["closure_reason"].where(rows["closure_reason"].notna() | ~is_final, "other")
    is_said = rows["closure_reason"].notna() & (rows["closure_reason"] != "services_received")
    closed = pd.to_datetime(rows["closed_date"])
    closed = closed.where(closed.notna() | ~is_final, pd.to_datetime(rows["service_started_date"]))
    carried = rows.assign(
        closure_reason=reason,
        status_reason=rows["closure_reason"].str.replace("_", " ").where(is_said),
        closed_date=closed,
        service_started_date=pd.to_datetime(rows["service_started_date"]),
        referred_date=pd.to_datetime(rows["referred_date"]),
        referral_id="fhir_sdoh:" + rows["referral_id"],
        root_referral_id="fhir_sdoh:" + rows["root_referral_id"],
    )
    days = ("authorized_date", "accepted_date", "reached_date")
    same_rows(read, carried, without=("plan", "county", *days))
    assert read[["plan", "county", *days]].isna().all(axis=None)
    is_step = read["referral_id"] != read["root_referral_id"]
    assert is_step.sum() == (rows["referral_id"] != rows["root_referral_id"]).sum() > 0


def test_exchange_files(partners: SimulatedPartners):
    """Lost: steps, number, county, days of authorization and of the first service.

    Referrals of one plan, member, provider and service that overlap are one loop; a status without
    a day has that of the file; attempts that reached a member for a support are records.
    """
    read = read_back(partners, "plan_exchange")
    tables = partners.tables["plan_exchange"]
    same_rows(read.frame("program_enrollment"), tables["program_enrollment"])
    key = ["plan", "member_id", "organization_id", "service", "record_type", "record_date"]
    records = tables["program_service"]
    records = records.assign(record_date=pd.to_datetime(records["record_date"]))
    told = read.frame("program_service")
    known = told[key].merge(records[key].drop_duplicates(), how="left", indicator=True)
    assert len(records[key].drop_duplicates()) == (known["_merge"] == "both").sum()
    added = known[known["_merge"] == "left_only"]
    assert set(added["record_type"]) <= {"outreach"}
    roots = tables["referral"]
    roots = roots[roots["referral_id"] == roots["root_referral_id"]]
    pair = ["plan", "member_id", "to_organization_id", "service"]
    is_single = ~roots.duplicated(pair, keep=False)
    read_roots = read.frame("referral")
    both = roots[is_single].merge(read_roots, on=pair, suffixes=("", "_read"))
    assert len(both) == is_single.sum() > 50
    assert len(read_roots) >= len(roots[pair].drop_duplicates())
    for column in ("referral_status", "closure_reason"):
        assert (both[column].fillna("") == both[f"{column}_read"].fillna("")).all()
    is_dated = both["closed_date"].notna() | both["referral_status"].isin(["pending", "accepted"])
    for column in ("referred_date", "accepted_date", "reached_date", "closed_date"):
        written = pd.to_datetime(both[column])[is_dated]
        found = both[f"{column}_read"][is_dated]
        same = (written == found) | (written.isna() & found.isna())
        assert same.all(), column


@pytest.mark.parametrize("tool", ["qualtrics", "redcap"])
def test_survey_exports(partners: SimulatedPartners, tool: str):
    """Lost: nothing. Qualtrics has two more rows of headers; a skipped question is counted."""
    name = f"survey_{tool}"
    read = read_partner_files(partners.folders[name], source="survey")
    rows = partners.tables[name]["survey_response"]
    written = rows.assign(wave_date=pd.to_datetime(rows["wave_date"]))
    same_rows(read.frame("survey_response"), written.astype({"response": float}))
    counts = read.ledger.to_frame().groupby(["table", "reason"])["n_rows"].sum()
    n_headers = 2 if tool == "qualtrics" else 0
    export = counts["survey export"]
    n_people = rows["respondent_id"].nunique()
    assert export["used"] == n_people
    assert export.sum() == n_people + n_headers
    answers = counts["survey answers"]
    assert answers["used"] == len(rows)
    assert answers["no answer"] == n_people * rows["item"].nunique() - len(rows) > 0


@pytest.mark.parametrize("missing", [float("nan"), pd.NA])
@pytest.mark.parametrize("tool", ["qualtrics", "redcap"])
def test_a_question_that_was_skipped_is_an_empty_cell(tmp_path: Path, tool: str, missing: object):
    rows = pd.DataFrame(
        {
            "respondent_id": ["r1", "r1", "r2"],
            "organization_id": ["o1", "o1", "o2"],
            "respondent_role": "manager",
            "wave_date": pd.Timestamp("2024-03-01"),
            "item": ["trust", "shared_plan", "trust"],
            "response": pd.Series([4, missing, missing], dtype=object),
        }
    )
    write_survey_export({"survey_response": rows}, tmp_path, tool=tool)
    text = (tmp_path / "export.csv").read_text(encoding="utf-8")
    assert "nan" not in text
    assert "r2" not in text
    read = read_partner_files(tmp_path, source="survey").frame("survey_response")
    assert read[["respondent_id", "item", "response"]].to_numpy().tolist() == [["r1", "trust", 4]]


def test_contracts_and_roster_as_a_workbook(study: SimulatedStudy, tmp_path: Path):
    """Lost: nothing; heads are renamed, and the titles above them are remarked on."""
    pytest.importorskip("openpyxl", reason="openpyxl is not installed (extra `excel`)")
    pytest.importorskip("python_calamine", reason="python-calamine is not installed")
    folder = tmp_path / "raw"
    shutil.copytree(study.raw, folder)
    written = {}
    for table in ("contract", "organization"):
        written[table] = pd.read_parquet(folder / f"{table}.parquet")
        (folder / f"{table}.parquet").unlink()
    write_contract_workbook(written, folder / "Contracted CBOs.xlsx")
    input_map = InputMap(
        files=dict.fromkeys(written, "Contracted CBOs.xlsx"), rename=workbook_renames()
    )
    tables = read_tables(folder, work_dir=tmp_path / "work", input_map=input_map)
    for table, rows in written.items():
        days = {name: pd.to_datetime(rows[name]) for name in rows if name.endswith("_date")}
        read, rows = tables.frame(table), rows.assign(**days)
        if table == "contract":
            read, rows = (each.astype({"capacity_members": float}) for each in (read, rows))
        same_rows(read, rows)


def test_partners_lie_beside_the_study(
    study: SimulatedStudy, partners: SimulatedPartners, tmp_path: Path
):
    """Persons without a link are counted and left out; linked ones are there with their races."""
    hmis = {"hmis": partners.folders["hmis_fy2026"]}
    tables = read_tables(study.raw, work_dir=tmp_path, partners=hmis)
    persons = partners.tables["hmis_fy2026"]["homeless_person"]
    linked = persons[~persons["member_id"].str.startswith("hmis:")]
    ledger = tables.ledger.to_frame()
    left = ledger[ledger["reason"].str.startswith("person of the hmis files without a link")]
    n_left = int(left.loc[left["table"] == "homeless_person", "n_rows"].sum())
    assert n_left == len(persons) - len(linked)


def test_columns_are_those_of_the_published_formats(partners: SimulatedPartners, shared: Path):
    """Heads of HMIS FY2026 and HSDS files are in the published lists."""
    data = shared / "reference" / "integration" / "data"
    published = pd.read_csv(data / "hmis_spec_columns_fy26" / "columns_fy2026_eva.csv")
    columns = published.groupby("File")["Column"].agg(lambda names: {n.strip() for n in names})
    for path in sorted(partners.folders["hmis_fy2026"].glob("[A-Z]*.csv")):
        assert heads(path) <= columns[path.stem], path.stem
    for name, example in (
        ("hsds_2x", "hsds20_sample_datapackage"),
        ("hsds_30", "hsds30_spec_example"),
    ):
        for path in sorted(partners.folders[name].glob("*.csv")):
            if path.stem not in ("organization_link", "service_map"):
                assert heads(path) <= heads(data / example / path.name), path.name


def test_heads_of_exchange_files_are_those_of_the_templates(
    partners: SimulatedPartners, shared: Path
):
    """But for the plan's own `Service` and the three fields that close the loop."""
    data = shared / "reference" / "integration" / "data" / "dhcs_file_formats"
    own = {"Service", "Referral Status", "Date of Referral Status Update"}
    own |= {"Reason for Referral Loop Closure"}
    for kind, listed in (("return_transmission", "rtf"), ("outreach_tracker", "otf")):
        published = set(pd.read_csv(data / f"{listed}_columns.csv")["column"])
        path = next(partners.folders["plan_exchange"].rglob(f"{kind}_*.csv"))
        assert heads(path) - own <= published, kind


def heads(path: Path) -> set[str]:
    """Heads of a delimited file."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return {head.strip() for head in next(csv.reader(stream))}


def test_the_study_file_can_name_the_folders(partners: SimulatedPartners):
    lines = partner_lines(partners).splitlines()
    assert lines[0] == "[input.partners]"
    assert 'hmis = "partners/hmis_fy2026"' in lines
    assert 'hsds = "partners/hsds_31"' in lines
    # What raw/ holds already is not to be counted twice.
    assert '# fhir_sdoh = "partners/fhir_sdoh"  # in place of raw/referral' in lines
    assert len([line for line in lines[1:] if not line.startswith("#")]) == 2


def test_an_unknown_format_and_a_folder_without_a_simulation_are_refused(
    study: SimulatedStudy, tmp_path: Path
):
    with pytest.raises(StudyFileError, match="Allowed: `hmis_fy2024`"):
        simulate_partner_files(study.folder, formats=["hmis"])
    with pytest.raises(StudyFileError, match="no simulation in Parquet"):
        simulate_partner_files(tmp_path)


def test_the_same_seed_writes_the_same_files(study: SimulatedStudy, partners: SimulatedPartners):
    paths = sorted(partners.folders["hmis_fy2026"].glob("*.csv"))
    before = [path.read_bytes() for path in paths]
    simulate_partner_files(study.folder, formats=["hmis_fy2026"])
    assert [path.read_bytes() for path in paths] == before
    assert PARTNER_FILES[0] == "hmis_fy2024"
