"""Medicare research files: every row and dollar counted without the reader."""

import calendar
import csv
import shutil
from collections import Counter, defaultdict
from datetime import datetime

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.tables import read_tables
from calaim_eval.tables.cms_rif import kind_of

COVERED = {"1", "2", "3", "A", "B", "C"}
MONTH_NAMES = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEPT", "OCT", "NOV", "DEC"]
WHOLE_CLAIM = ("inpatient", "snf", "hha", "hospice")
BY_LINE = {
    "outpatient": "REV_CNTR_PMT_AMT_AMT",
    "carrier": "LINE_NCH_PMT_AMT",
    "dme": "LINE_NCH_PMT_AMT",
}


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="|"))


def counts(tables, table, stage="source"):
    frame = tables.ledger.to_frame()
    chosen = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(chosen["reason"], chosen["n_rows"], strict=True))


def day(text):
    return datetime.strptime(text, "%d-%b-%Y")


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data" / "bfd_rif_synthea"


@pytest.fixture(scope="module")
def tables(folder, tmp_path_factory):
    return read_tables(folder, work_dir=tmp_path_factory.mktemp("rif"), source="cms_rif")


def years_of(folder):
    return [row for path in folder.glob("beneficiary_2*.csv") for row in rows(path)]


def covered_months(folder):
    """(member, year, month) with Medicare, as the files say."""
    return {
        (row["BENE_ID"], int(row["RFRNC_YR"]), number)
        for row in years_of(folder)
        for number in range(1, 13)
        if row[f"MDCR_ENTLMT_BUYIN_{number}_IND"] in COVERED
    }


@pytest.mark.shared
def test_every_row_of_every_file_is_accounted_for(folder, tables):
    for kind in ("carrier", "dme", "hha", "hospice", "inpatient", "outpatient", "snf", "pde"):
        paths = [path for path in folder.iterdir() if kind_of(path.name) == kind]
        n_rows = sum(len(rows(path)) for path in paths)
        assert counts(tables, f"cms_rif {kind}") == {"used": n_rows}
    years = years_of(folder)
    assert counts(tables, "cms_rif beneficiary") == {"used": len(years)}
    codes = Counter(
        row[f"MDCR_ENTLMT_BUYIN_{number}_IND"].strip() for row in years for number in range(1, 13)
    )
    assert counts(tables, "cms_rif beneficiary months") == {
        "used": sum(n for code, n in codes.items() if code in COVERED),
        "no entry for the month": codes[""],
    }
    # One year is there under two names: its months are copies.
    assert counts(tables, "eligibility_month", "read") == {
        "used": len(covered_months(folder)),
        "exact duplicate": len(years) * 12 - codes[""] - len(covered_months(folder)),
    }


@pytest.mark.shared
def test_dollars_are_those_of_the_files(folder, tables):
    members = {member for member, _, _ in covered_months(folder)}
    expected = 0.0
    for kind in (*WHOLE_CLAIM, *BY_LINE):
        lines = [row for row in rows(folder / f"{kind}.csv") if row["BENE_ID"] in members]
        if kind in BY_LINE:
            expected += sum(float(row[BY_LINE[kind]]) for row in lines)
        else:
            # One payment a claim, however many lines repeat it.
            expected += sum({row["CLM_ID"]: float(row["CLM_PMT_AMT"]) for row in lines}.values())
    claims = tables.frame("medical_claim")
    assert claims["paid_amount"].sum() == pytest.approx(expected, abs=0.005)
    n_lines = sum(len(rows(folder / f"{kind}.csv")) for kind in (*WHOLE_CLAIM, *BY_LINE))
    assert len(claims) == n_lines
    fills = rows(folder / "pde.csv")
    paid = sum(float(row["CVRD_D_PLAN_PD_AMT"]) + float(row["NCVRD_PLAN_PD_AMT"]) for row in fills)
    assert tables.frame("pharmacy_claim")["paid_amount"].sum() == pytest.approx(paid, abs=0.005)


@pytest.mark.shared
def test_claims_carry_the_codes_of_their_rows(folder, tables):
    claims = tables.frame("medical_claim").set_index(["claim_id", "claim_line_number"])
    for kind in ("inpatient", "carrier", "hha"):
        number = "LINE_NUM" if kind == "carrier" else "CLM_LINE_NUM"
        for row in rows(folder / f"{kind}.csv"):
            line = claims.loc[(row["CLM_ID"], int(row[number]))].fillna("")
            assert line["hcpcs_code"] == row["HCPCS_CD"].strip()
            codes = [row[f"ICD_DGNS_CD{i}"].strip() for i in range(1, 6)]
            principal = row["PRNCPAL_DGNS_CD"].strip()
            codes = codes if codes[0] == principal else [principal, *codes[:4]]
            assert line[[f"diagnosis_code_{i}" for i in range(1, 6)]].tolist() == codes
            assert line["claim_start_date"] == day(row["CLM_FROM_DT"])
            assert line["claim_end_date"] == day(row["CLM_THRU_DT"])
            if kind == "carrier":
                assert line["claim_type"] == "professional"
                assert line["place_of_service_code"] == row["LINE_PLACE_OF_SRVC_CD"]
                assert line["rendering_npi"] == row["PRF_PHYSN_NPI"]
                assert line["bill_type_code"] == ""
            else:
                parts = ("CLM_FAC_TYPE_CD", "CLM_SRVC_CLSFCTN_TYPE_CD", "CLM_FREQ_CD")
                assert line["bill_type_code"] == "".join(row[part] for part in parts)
                assert line["revenue_center_code"] == row["REV_CNTR"]
                assert line["admission_date"] == day(row["CLM_ADMSN_DT"])
                assert line["facility_npi"] == row["ORG_NPI_NUM"]
            if kind == "inpatient":
                assert line["discharge_date"] == day(row["NCH_BENE_DSCHRG_DT"])
                assert line["drg_code"] == row["CLM_DRG_CD"].strip()


@pytest.mark.shared
def test_months_of_the_panel_are_those_of_the_indicators(folder, tables, tmp_path):
    rules = PanelRules(payer_types=("medicare",), benefit_scope="any", exclude_duals=False)
    panel = build_member_months(
        tables, first_month="2011-01", last_month="2021-12", rules=rules, out_dir=tmp_path
    )
    frame = panel.to_frame(["member_id", "month", "covered_days", "plan", "is_dual"])
    frame["month"] = frame["month"].astype("datetime64[ns]")
    found = {
        (row.member_id, row.month.year, row.month.month): row
        for row in frame.itertuples(index=False)
    }
    assert found.keys() == covered_months(folder)
    for (_, year, month), row in found.items():
        assert row.covered_days == calendar.monthrange(year, month)[1]
    # Plan and dual status, month by month, of the member with the most plans.
    plans = defaultdict(set)
    said = {}
    for row in years_of(folder):
        for number, name in enumerate(MONTH_NAMES, start=1):
            contract = row[f"PTC_CNTRCT_{name}_ID"].strip()
            dual = row[f"META_DUAL_ELGBL_STUS_{name}_CD"].strip()
            plans[row["BENE_ID"]].add(contract)
            key = (row["BENE_ID"], int(row["RFRNC_YR"]), number)
            said[key] = (contract, dual not in ("", "NA", "0", "00", "9", "99"))
    member = max(plans, key=lambda each: (len(plans[each]), each))
    checked = [key for key in found if key[0] == member]
    assert len(checked) > 100
    for key in checked:
        plan = "" if pd.isna(found[key].plan) else found[key].plan
        assert (plan.split("-")[0], bool(found[key].is_dual)) == said[key]


# --- by hand: one rule each ---------------------------------------------------------------------


def write(folder, name, given, delimiter="|"):
    pd.DataFrame(given).to_csv(folder / name, sep=delimiter, index=False)


def year(member, number, codes="3" * 12, **others):
    row = {"BENE_ID": member, "RFRNC_YR": number, "BENE_BIRTH_DT": "02-FEB-1950"}
    row |= {f"MDCR_ENTLMT_BUYIN_IND_{i:02d}": code for i, code in enumerate(codes, start=1)}
    return row | {"BENE_SEX_IDENT_CD": "2", "BENE_RACE_CD": "4", **others}


def line(claim, number=1, member="a", **others):
    row = {"DML_IND": "INSERT", "FINAL_ACTION": "F", "BENE_ID": member, "CLM_ID": claim}
    row |= {"CLM_FROM_DT": "05-MAR-2015", "CLM_THRU_DT": "07MAR2015", "CLM_PMT_AMT": "100.00"}
    return row | {"CLM_LINE_NUM": number, "REV_CNTR": "450", **others}


@pytest.fixture
def small(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    names = [f"STATE_CNTY_FIPS_CD_{i:02d}" for i in range(1, 13)]
    others = dict.fromkeys(names, "6037") | {"DML_IND": "INSERT"}
    others |= {f"DUAL_STUS_CD_{i:02d}": "2" for i in range(1, 13)}
    others |= {f"PTC_CNTRCT_ID_{i:02d}": "N" for i in range(1, 13)}
    given = [
        year("a", 2015, "0C3A1B2  0X3", **others),
        year("a", 2014, "000000000000", **others | {"BENE_RACE_CD": "6"}),
        year("b", 2015, **others | {"DML_IND": "DELETE"}),
        year("c", 2015, **others),
        year("c", 2015, "333333000000", **others | {"DML_IND": "UPDATE"}),
    ]
    write(raw, "mbsf_2015.csv", given, delimiter=",")
    return raw


def test_entitlement_scope_dual_status_and_county(small, tmp_path):
    tables = read_tables(small, work_dir=tmp_path / "w", source="cms_rif")
    spans = tables.frame("eligibility").sort_values(["member_id", "enrollment_start_date"])
    spans["start"] = spans["enrollment_start_date"].astype(str).str[5:7].astype(int)
    spans["end"] = spans["enrollment_end_date"].astype(str).str[5:7].astype(int)
    columns = ["member_id", "start", "end", "benefit_scope"]
    assert spans[columns].to_numpy().tolist() == [
        ["a", 2, 3, "full"],
        ["a", 4, 7, "limited"],
        ["a", 12, 12, "full"],
        ["c", 1, 6, "full"],
    ]
    assert set(spans["dual_status_code"]) == {"02"}
    assert set(spans["county"]) == {"Los Angeles"}
    assert spans["plan"].isna().all()
    assert set(spans["payer_type"]) == {"medicare"}
    assert counts(tables, "cms_rif beneficiary") == {
        "used": 2,
        "beneficiary year without a covered month": 1,
        "withdrawn (DML_IND is DELETE, in this row or another of the claim)": 1,
        "replaced by an UPDATE row": 1,
    }
    assert counts(tables, "cms_rif beneficiary months") == {
        "used": 7 + 6,
        "not entitled to Medicare in the month": 2 + 12 + 6,
        "no entry for the month": 2,
        "entitlement indicator without a known meaning": 1,
    }
    persons = tables.frame("person").set_index("member_id")
    assert persons["race_ethnicity"].to_dict() == {"a": "asian_pi_unsplit", "c": "asian_pi_unsplit"}
    assert set(persons["sex"]) == {"female"}
    assert (persons["birth_date"] == pd.Timestamp("1950-02-02")).all()


def test_history_gives_the_persons_no_year_tells_of(small, tmp_path):
    history = [
        {"DML_IND": "INSERT", "BENE_ID": "a", "BENE_RACE_CD": "1", "EFCTV_BGN_DT": ""},
        {"DML_IND": "INSERT", "BENE_ID": "z", "BENE_RACE_CD": "1", "EFCTV_BGN_DT": "01-JAN-2010"},
        {"DML_IND": "INSERT", "BENE_ID": "z", "BENE_RACE_CD": "2", "EFCTV_BGN_DT": "01-FEB-2012"},
        {"DML_IND": "DELETE", "BENE_ID": "z", "BENE_RACE_CD": "5", "EFCTV_BGN_DT": "01-JAN-2014"},
    ]
    write(small, "beneficiary_history.csv", history)
    tables = read_tables(small, work_dir=tmp_path / "w", source="cms_rif")
    persons = tables.frame("person").set_index("member_id")["race_ethnicity"].to_dict()
    assert persons == {"a": "asian_pi_unsplit", "c": "asian_pi_unsplit", "z": "black"}
    assert counts(tables, "cms_rif beneficiary_history") == {
        "used": 1,
        "history of a beneficiary told by a beneficiary year": 1,
        "history of a beneficiary, a later entry is used": 1,
        "withdrawn (DML_IND is DELETE, in this row or another of the claim)": 1,
    }


def test_claims_by_hand(small, tmp_path):
    dx = {f"ICD_DGNS_CD{i}": f"A0{i}" for i in range(1, 6)}
    inpatient = [
        line("i1", 2, **dx, PRNCPAL_DGNS_CD="A01", ORG_NPI_NUM="0000000000", PRVDR_NUM="050001"),
        line("i1", 1, **dx, PRNCPAL_DGNS_CD="Z99", ORG_NPI_NUM="1234567893"),
        line("i2", DML_IND="DELETE"),
        line("i3", FINAL_ACTION="N"),
        line("i4", FI_CLM_ACTN_CD="4"),
        line("i5", CLM_FAC_TYPE_CD="1", CLM_SRVC_CLSFCTN_TYPE_CD="1", CLM_FREQ_CD="7"),
    ]
    write(small, "sample-a-inpatient.txt", inpatient)
    carrier = [
        {**line(f"c{i}"), "LINE_NUM": 1, "LINE_NCH_PMT_AMT": 40 + i, **others}
        for i, others in enumerate(
            [
                {"LINE_PRCSG_IND_CD": "A", "HCPCS_1ST_MDFR_CD": "25", "HCPCS_2ND_MDFR_CD": "GT"},
                {"LINE_PRCSG_IND_CD": "N"},
                {"CARR_CLM_PMT_DNL_CD": "0"},
                {"CLM_DISP_CD": "03"},
                {"CARR_CLM_ENTRY_CD": "5"},
                {"LINE_1ST_EXPNS_DT": "06-Mar-2015"},
            ]
        )
    ]
    write(small, "carrier.csv", carrier)
    tables = read_tables(small, work_dir=tmp_path / "w", source="cms_rif")
    claims = tables.frame("medical_claim").set_index(["claim_id", "claim_line_number"]).sort_index()
    # The payment of the claim on its first line, whatever the order of the rows.
    assert claims.loc["i1", "paid_amount"].fillna(0).tolist() == [100.0, 0.0]
    assert claims.loc["i1", "facility_npi"].tolist() == ["1234567893", "050001"]
    codes = claims[[f"diagnosis_code_{i}" for i in range(1, 6)]]
    assert codes.loc[("i1", 2)].tolist() == ["A01", "A02", "A03", "A04", "A05"]
    # A principal diagnosis that is not listed first pushes the others back.
    assert codes.loc[("i1", 1)].tolist() == ["Z99", "A01", "A02", "A03", "A04"]
    first = claims.loc[("i1", 1)]
    assert first["claim_end_date"] == pd.Timestamp("2015-03-07")
    assert first["revenue_center_code"] == "0450"
    assert claims.loc[("i5", 1), "bill_type_code"] == "117"
    status = claims["claim_status"].dropna()
    assert {key[0]: value for key, value in status.items()} == {
        "i4": "void",
        "c1": "denied",
        "c2": "denied",
        "c3": "void",
        "c4": "replacement",
    }
    assert claims.loc[("c0", 1), ["hcpcs_modifier_1", "hcpcs_modifier_2"]].tolist() == ["25", "GT"]
    assert claims.loc[("c5", 1), "claim_line_start_date"] == pd.Timestamp("2015-03-06")
    assert counts(tables, "cms_rif inpatient") == {
        "used": 4,
        "withdrawn (DML_IND is DELETE, in this row or another of the claim)": 1,
        "not the final action (FINAL_ACTION is N)": 1,
    }
    unequal = "line of a claim whose lines' payments do not add up to the claim's (lines are used)"
    assert counts(tables, "cms_rif carrier", "notice") == {unequal: 6}


def test_drug_events_by_hand(small, tmp_path):
    event = {"BENE_ID": "a", "SRVC_DT": "05-MAR-2015", "PD_DT": "", "PROD_SRVC_ID": "00093742456"}
    event |= {"PLAN_CNTRCT_REC_ID": "S1234", "PLAN_PBP_REC_NUM": "7", "DAYS_SUPLY_NUM": "30"}
    amounts = [("10.5", "2"), ("", "3"), ("4", "1")]
    given = [
        {"PDE_ID": f"p{i}", **event, "CVRD_D_PLAN_PD_AMT": covered, "NCVRD_PLAN_PD_AMT": other}
        for i, (covered, other) in enumerate(amounts)
    ]
    given[2]["ADJSTMT_DLTN_CD"] = "D"
    write(small, "pde_2015.csv", given)
    tables = read_tables(small, work_dir=tmp_path / "w", source="cms_rif")
    fills = tables.frame("pharmacy_claim").set_index("claim_id").sort_index()
    assert fills["paid_amount"].tolist() == [12.5, 3.0, 5.0]
    assert fills["claim_status"].fillna("").tolist() == ["", "", "void"]
    assert set(fills["plan"]) == {"S1234-007"}
    assert (fills["dispensing_date"] == pd.Timestamp("2015-03-05")).all()
    assert counts(tables, "cms_rif pde") == {"used": 3}


def test_what_is_lacking_is_named(tmp_path, small):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TableError, match="has no Medicare beneficiary file; it holds nothing"):
        read_tables(empty, work_dir=tmp_path / "w", source="cms_rif")
    write(small, "outpatient.csv", [line("o1")])
    with pytest.raises(TableError, match="`outpatient` lacks column `REV_CNTR_PMT_AMT_AMT`"):
        read_tables(small, work_dir=tmp_path / "w", source="cms_rif")
    shutil.rmtree(small)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("beneficiary_2011.csv", "beneficiary"),
        ("beneficiary_history.csv", "beneficiary_history"),
        ("mbsf_abcd_summary_2015.csv.gz", "beneficiary"),
        ("samhsa_sample-a-snf.txt", "snf"),
        ("export_summary.csv", ""),
        ("prehospice.csv", ""),
    ],
)
def test_kind_of_a_file(name, kind):
    assert kind_of(name) == kind
