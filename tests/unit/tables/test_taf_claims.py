"""TAF claims: headers and lines of four kinds of files become claim lines and fills.

Column names are those of the public layouts of the files (ResDAC, TAF IP, LT, OT and RX).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import build_member_months
from calaim_eval.tables import read_tables
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.taf_claims import claim_file_kind

YEAR = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
INPATIENT_HEADER = """
STATE_CD            | CA         | CA        | CA         | CA         | CA        | CA
MSIS_ID             | a          | a         | b          | b          | b         | c
CLM_ID              | 1          | 2         | 3          | 3          | 4         | 5
CLM_TYPE_CD         | 3          | 2         | 1          | 1          | 1         | C
ADJUST_CD           | 0          | 0         | 0          | 0          | 6         | 0
BILL_TYPE_CD        | 0111       |           | 0111       | 0111       |           | 111
SRVC_BGN_DT         | 05MAR2022  | 01MAR2022 | 01MAY2022  | 01MAY2022  | 01JUN2022 | 10JUL2022
SRVC_END_DT         | 09MAR2022  | 31MAR2022 | 03MAY2022  | 03MAY2022  | 01JUN2022 | 12JUL2022
ADMSN_DT            | 05MAR2022  |           | 01MAY2022  | 01MAY2022  |           |
DSCHRG_DT           | 09MAR2022  |           | 03MAY2022  | 03MAY2022  |           |
DGNS_CD_1           | I5021      |           | J189       | J189       |           | O80
DGNS_CD_2           | E119       |           |            |            |           |
DRG_CD              | 291        |           |            |            |           |
PTNT_DSCHRG_STUS_CD | 01         |           | 01         | 01         |           | 01
BLG_PRVDR_NPI       | 1000000004 |           | 1000000004 | 1000000004 |           | 1000000012
MDCD_PD_AMT         | 900.00     | 250.00    | 700.00     | 700.00     | 5000.00   |
PYMT_LVL_IND        | 1          |           |            |            |           |
MDCD_PD_DT          | 01APR2022  |           |            |            |           |
MC_PLAN_ID          | HEALTH     | HEALTH    |            |            |           |
"""
INPATIENT_LINE = """
STATE_CD         | CA     | CA     | CA     | CA   | CA   | CA
CLM_ID           | 1      | 1      | 2      | 3    | 3    | 77
LINE_NUM         | 1      | 2      | 1      | 1    | 2    | 1
REV_CNTR_CD      | 120    | 0450   |        | 0120 | 0300 | 0120
LINE_MDCD_PD_AMT | 600.00 | 300.00 | 250.00 |      |      | 10.00
"""
OTHER_HEADER = """
state_cd           | CA         | CA         | CA         | CA
msis_id            | a          | a          | b          | b
clm_id             | 1          | 2          | 3          | 4
clm_type_cd        | 3          | 3          | 3          | 1
adjust_cd          | 0          | 0          | 0          | 1
bill_type_cd       | 0131       |            |            |
srvc_bgn_dt        | 2022-04-02 | 2022-04-20 | 2022-05-10 | 2022-05-11
srvc_end_dt        | 2022-04-02 | 2022-04-20 | 2022-05-10 | 2022-05-11
dgns_cd_1          | R079       | Z590       | I10        | I10
pos_cd             |            | 12         | 11         | 11
blg_prvdr_npi      | 1000000004 | 1000000020 | 1000000020 | 1000000020
blg_prvdr_txnmy_cd | 282N00000X |            |            |
mdcd_pd_amt        | 80.00      |            | 44.00      | 44.00
pymt_lvl_ind       | 2          |            | 2          | 2
"""
OTHER_LINE = """
state_cd             | CA         | CA         | CA         | CA         | CA
clm_id               | 1          | 2          | 3          | 3          | 4
line_num             | 1          | 1          | 1          | 2          | 1
rev_cntr_cd          | 0450       |            |            |            |
line_prcdr_cd        | 99284      | G9012      | 99213      | 85025      | 99213
line_prcdr_cd_sys    | 01         | 06         | 01         | 01         | 01
line_prcdr_mdfr_cd_1 |            | U2         | 25         |            |
line_prcdr_mdfr_cd_2 |            | GQ         |            |            |
line_srvc_bgn_dt     | 2022-04-02 | 2022-04-20 | 2022-05-10 | 2022-05-10 | 2022-05-11
srvc_prvdr_npi       |            | 1000000038 | 1000000038 | 1000000038 | 1000000038
srvc_prvdr_txnmy_cd  |            |            | 207Q00000X | 207Q00000X | 207Q00000X
line_mdcd_pd_amt     | 80.00      |            | 40.00      | 4.00       | 44.00
cll_stus_cd          |            |            |            | 585        |
"""
RX_HEADER = """
STATE_CD    | CA
MSIS_ID     | a
CLM_ID      | 1
CLM_TYPE_CD | 1
ADJUST_CD   | 0
RX_FILL_DT  | 2022-02-03
MDCD_PD_DT  | 2022-02-20
"""
RX_LINE = """
STATE_CD         | CA
CLM_ID           | 1
LINE_NUM         | 1
NDC              | 00093721410
NDC_QTY          | 30
DAYS_SUPPLY      | 30
LINE_MDCD_PD_AMT | 12.50
"""
FILES = {
    "taf_inpatient_header_2022": INPATIENT_HEADER,
    "taf_inpatient_line_2022": INPATIENT_LINE,
    "tafr22_other_services_header": OTHER_HEADER,
    "tafr22_other_services_line": OTHER_LINE,
    "taf_rx_header_2022": RX_HEADER,
    "taf_rx_line_2022": RX_LINE,
}


def rows_of(text):
    """Rows of a table that is written on its side: a column a line."""
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return pd.DataFrame({name: values for name, *values in lines})


def write(folder, files):
    folder.mkdir(exist_ok=True)
    base = pd.DataFrame({"STATE_CD": "CA", "MSIS_ID": ["a", "b", "c"], "RFRNC_YR": 2022})
    for month, days in enumerate(YEAR, start=1):
        base[f"MDCD_ENRLMT_DAYS_{month:02d}"] = days
        base[f"RSTRCTD_BNFTS_CD_{month:02d}"] = "1"
    base.to_csv(folder / "taf_demog_elig_base_2022.csv", index=False)
    for name, text in files.items():
        rows_of(text).to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("taf_claims"), FILES)
    return read_tables(folder, work_dir=folder / "w", source="taf")


@pytest.fixture(scope="module")
def claims(tables):
    frame = tables.frame("medical_claim")
    return frame.set_index(["claim_id", "claim_line_number"]).sort_index()


def counts(tables, table, stage="source"):
    frame = tables.ledger.to_frame()
    rows = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(rows["reason"], rows["n_rows"], strict=True))


def test_every_header_and_line_is_accounted_for(tables):
    assert counts(tables, "taf inpatient header") == {
        "used": 3,
        "payment record, not a service (capitation, service tracking, supplemental)": 1,
        "gross adjustment of no single claim": 1,
        "header of a claim that another header is of": 1,
    }
    assert counts(tables, "taf inpatient line") == {
        "used": 4,
        "line of a header that is not used": 1,
        "line without a header": 1,
    }
    assert counts(tables, "taf inpatient header", "notice") == {
        "header without a line (read as one line)": 1
    }
    assert counts(tables, "taf other_services line") == {"used": 5}
    assert counts(tables, "medical_claim", "read") == {"used": 5 + 5}
    assert counts(tables, "pharmacy_claim", "read") == {"used": 1}


def test_a_hospital_claim_carries_its_header_on_every_line(claims):
    first = claims.loc[("CA-inpatient-1", 1)]
    assert first["member_id"] == "CA-a"
    assert first["claim_type"] == "institutional"
    assert f"{first['admission_date']:%Y-%m-%d}" == "2022-03-05"
    assert f"{first['discharge_date']:%Y-%m-%d}" == "2022-03-09"
    assert f"{first['paid_date']:%Y-%m-%d}" == "2022-04-01"
    told = ["bill_type_code", "revenue_center_code", "drg_code", "discharge_disposition_code"]
    assert first[told].tolist() == ["0111", "0120", "291", "01"]
    assert first[["diagnosis_code_1", "diagnosis_code_2", "plan"]].tolist() == [
        *("I5021", "E119", "HEALTH")
    ]
    assert claims.loc[("CA-inpatient-1", 2), "revenue_center_code"] == "0450"
    assert claims.loc[("CA-inpatient-5", 1), "diagnosis_code_1"] == "O80"


def test_amounts_are_those_of_the_level_that_was_paid(claims):
    paid = claims["paid_amount"].astype(float)
    # 1: paid as a claim, though its lines have amounts; 3: nothing says, and no line has one.
    assert paid.loc["CA-inpatient-1"].fillna(0).tolist() == [900.0, 0.0]
    assert paid.loc["CA-inpatient-3"].fillna(0).tolist() == [700.0, 0.0]
    assert paid.loc["CA-other_services-3"].tolist() == [40.0, 4.0]
    assert paid.loc["CA-inpatient-5"].isna().all()


def test_other_services_are_told_apart_by_bill_type_or_revenue_code(claims):
    types = claims["claim_type"].groupby("claim_id").first()
    assert types["CA-other_services-1"] == "institutional"
    assert types["CA-other_services-2"] == types["CA-other_services-3"] == "professional"
    ecm = claims.loc[("CA-other_services-2", 1)]
    told = ["hcpcs_code", "hcpcs_modifier_1", "hcpcs_modifier_2", "place_of_service_code"]
    assert ecm[told].tolist() == ["G9012", "U2", "GQ", "12"]
    assert pd.isna(ecm["facility_npi"])
    office = claims.loc[("CA-other_services-3", 1)]
    assert office[["rendering_npi", "rendering_taxonomy_code"]].tolist() == [
        *("1000000038", "207Q00000X")
    ]


def test_voids_and_denied_lines(claims):
    status = claims["claim_status"]
    assert status[("CA-other_services-4", 1)] == "void"
    assert status[("CA-other_services-3", 2)] == "denied"
    assert (
        pd.isna(status[("CA-other_services-3", 1)])
        or status[("CA-other_services-3", 1)] == "original"
    )


def test_a_fill(tables):
    (fill,) = tables.frame("pharmacy_claim").to_dict("records")
    assert fill["member_id"] == "CA-a"
    assert f"{fill['dispensing_date']:%Y-%m-%d}" == "2022-02-03"
    assert (fill["ndc_code"], float(fill["days_supply"])) == ("00093721410", 30)
    assert float(fill["paid_amount"]) == 12.5


def test_measures_from_taf_claims(tables, tmp_path):
    panel = build_member_months(
        tables, first_month="2022-01", last_month="2022-06", out_dir=tmp_path / "panel"
    )
    measures = ["inpatient_stays", "inpatient_days", "ed_visits", "ecm_services", "pharmacy_fills"]
    frame = panel.to_frame(["member_id", "month", *measures, "primary_care_visits"])
    sums = (
        frame.groupby("member_id")[[*measures, "primary_care_visits"]].sum().loc[["CA-a", "CA-b"]]
    )
    # Stays of March (4 nights) and May (2); the emergency line of March is part of the stay.
    assert sums.to_numpy().tolist() == [[1, 4, 1, 1, 1, 0], [1, 2, 0, 0, 0, 1]]


@pytest.mark.parametrize("lacking", ["taf_inpatient_line_2022", "taf_inpatient_header_2022"])
def test_a_header_without_its_lines_is_refused(tmp_path, lacking):
    files = {name: text for name, text in FILES.items() if name != lacking}
    folder = write(tmp_path / "taf", files)
    part = "line" if "line" in lacking else "header"
    with pytest.raises(TableError, match=f"no `inpatient {part}`"):
        read_tables(folder, work_dir=tmp_path / "w", source="taf")


def test_a_file_that_lacks_a_column_is_named(tmp_path):
    files = FILES | {"taf_rx_header_2022": RX_HEADER.replace("RX_FILL_DT", "FILLED")}
    folder = write(tmp_path / "taf", files)
    with pytest.raises(TableError, match=r"`rx header`.*`RX_FILL_DT`"):
        read_tables(folder, work_dir=tmp_path / "w", source="taf")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tafr18_inpatient_header_06.parquet", "inpatient header"),
        ("taf_long_term_line_2022.csv.gz", "long_term line"),
        ("TAF_OT_HEADER_2021.csv", "other_services header"),
        ("taf_rx_line.csv", "rx line"),
        ("taf_other_services_occurrence_2021.csv", ""),
        ("readme.txt", ""),
    ],
)
def test_kinds_by_name(name, kind):
    assert claim_file_kind(name) == kind


def test_the_column_map_of_the_page_reads_joined_lines(tmp_path):
    page = (Path(__file__).parents[3] / "docs/formats/taf.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, flags=re.S)
    said = tomllib.loads(block)["input"]
    lines = rows_of(OTHER_LINE.upper()).merge(rows_of(OTHER_HEADER.upper()), on="CLM_ID")
    folder = tmp_path / "raw"
    folder.mkdir()
    lines.to_parquet(folder / "ot_joined_2022_01.parquet")
    spans = {"member_id": ["A", "B"], "enrollment_start_date": "2022-01-01"}
    pd.DataFrame(spans).assign(enrollment_end_date="2022-12-31").to_csv(
        folder / "eligibility.csv", index=False
    )
    people = pd.DataFrame({"member_id": ["A", "B"], "birth_date": "1980-01-01"})
    people.to_csv(folder / "person.csv", index=False)
    given = InputMap(files=said["files"], rename=said["rename"], constants=said["constants"])
    read = read_tables(folder, work_dir=tmp_path / "w", source=said["format"], input_map=given)
    claims = read.frame("medical_claim")
    assert sorted(claims["hcpcs_code"]) == ["85025", "99213", "99213", "99284", "G9012"]
    assert claims.loc[claims["hcpcs_code"] == "G9012", "hcpcs_modifier_1"].tolist() == ["U2"]
    assert claims["paid_amount"].astype(float).sum() == 80 + 40 + 4 + 44


def test_programs_and_lists_lie_beside(tmp_path, caplog):
    folder = write(tmp_path / "taf", FILES)
    record = {"record_id": "r1", "member_id": "CA-a", "program": "ecm", "service": "ecm"}
    record |= {"record_type": "service", "record_date": "2022-03-20", "organization_id": "o1"}
    pd.DataFrame([record]).to_csv(folder / "program_service.csv", index=False)
    (folder / "lists").mkdir()
    pd.DataFrame({"dx": ["R079"], "condition": ["chest pain"]}).to_csv(
        folder / "lists" / "mine.csv", index=False
    )
    given = InputMap(
        files={"acsc_diagnosis": "lists/mine.csv"},
        rename={"acsc_diagnosis": {"dx": "diagnosis_code"}},
    )
    read = read_tables(folder, work_dir=tmp_path / "w", source="taf", input_map=given)
    assert read.frame("program_service")["member_id"].tolist() == ["CA-a"]
    assert read.frame("acsc_diagnosis")["diagnosis_code"].tolist() == ["R079"]
    assert len(read.frame("medical_claim")) == 10
    assert counts(read, "taf inpatient header")["used"] == 3
    assert "`program_service.csv`" not in caplog.text


def test_a_table_the_format_gives_is_not_named(tmp_path):
    folder = write(tmp_path / "taf", FILES)
    given = InputMap(files={"medical_claim": "taf_inpatient_line_2022.csv"})
    with pytest.raises(TableError, match="comes from files of the format itself"):
        read_tables(folder, work_dir=tmp_path / "w", source="taf", input_map=given)


def test_the_amount_of_a_claim_is_on_its_first_line_that_is_not_denied(tmp_path):
    header = """
STATE_CD     | CA        | CA
MSIS_ID      | a         | b
CLM_ID       | 1         | 2
CLM_TYPE_CD  | 1         | 1
ADJUST_CD    | 0         | 0
SRVC_BGN_DT  | 05MAR2022 | 05MAR2022
MDCD_PD_AMT  | 900.00    | 70.00
PYMT_LVL_IND | 1         | 1
"""
    line = """
STATE_CD    | CA  | CA | CA | CA
CLM_ID      | 1   | 1  | 1  | 2
LINE_NUM    | 1   | 2  | 10 | 1
CLL_STUS_CD | 542 |    |    | 585
"""
    files = {"taf_inpatient_header": header, "taf_inpatient_line": line}
    read = read_tables(write(tmp_path / "taf", files), work_dir=tmp_path / "w", source="taf")
    claims = read.frame("medical_claim").set_index(["claim_id", "claim_line_number"])
    paid = claims["paid_amount"].astype(float).dropna()
    assert paid.to_dict() == {("CA-inpatient-1", 2): 900.0, ("CA-inpatient-2", 1): 70.0}


def test_files_without_codes_or_amounts_of_lines_are_read(tmp_path):
    header = "\n".join(
        line for line in OTHER_HEADER.splitlines() if not line.startswith(("bill_type", "pymt"))
    )
    line = "\n".join(
        line for line in OTHER_LINE.splitlines() if not line.startswith(("rev_", "line_mdcd"))
    )
    files = {"taf_ot_header": header, "taf_ot_line": line}
    read = read_tables(write(tmp_path / "taf", files), work_dir=tmp_path / "w", source="taf")
    claims = read.frame("medical_claim").set_index(["claim_id", "claim_line_number"])
    assert set(claims["claim_type"]) == {"professional"}
    # No line has an amount, so that of the claim is on its first line.
    assert claims["paid_amount"].astype(float).dropna().to_dict() == {
        ("CA-other_services-1", 1): 80.0,
        ("CA-other_services-3", 1): 44.0,
        ("CA-other_services-4", 1): 44.0,
    }


def test_codes_that_a_file_holds_as_numbers_with_a_point_are_codes(tmp_path):
    folder = write(tmp_path / "taf", {})
    for name, text in (("header", INPATIENT_HEADER), ("line", INPATIENT_LINE)):
        rows = rows_of(text)
        codes = [column for column in ("BILL_TYPE_CD", "REV_CNTR_CD", "CLM_ID") if column in rows]
        numbers = rows[codes].replace("", None).astype(float)
        rows.assign(**dict(numbers.items())).to_parquet(folder / f"taf_inpatient_{name}.parquet")
    read = read_tables(folder, work_dir=tmp_path / "w", source="taf")
    claims = read.frame("medical_claim").set_index(["claim_id", "claim_line_number"]).sort_index()
    assert claims["revenue_center_code"].dropna().to_dict() == {
        ("CA-inpatient-1", 1): "0120",
        ("CA-inpatient-1", 2): "0450",
        ("CA-inpatient-3", 1): "0120",
        ("CA-inpatient-3", 2): "0300",
    }
    # The rules take a type of bill with and without the 0 that a number has lost.
    assert set(claims["bill_type_code"]) == {"111"}


@pytest.mark.parametrize(
    ("codes", "paid", "status", "amount"),
    [
        (["0", "4"], ["01APR2022", "01MAY2022"], "final", 450.0),
        (["4", "0"], ["01APR2022", ""], "final", 900.0),
        (["0", "1"], ["01APR2022", ""], "void", 450.0),
        (["4", "1"], ["01APR2022", "01MAY2022"], "void", 450.0),
        (["1", "4"], ["01APR2022", "01MAY2022"], "final", 450.0),
        (["1", "4"], ["01MAY2022", "01MAY2022"], "final", 450.0),
        (["", "4"], ["", ""], "final", 450.0),
    ],
)
def test_of_several_headers_of_a_claim_the_one_that_stands_is_kept(
    tmp_path, codes, paid, status, amount
):
    header = f"""
STATE_CD     | CA        | CA        | CA
MSIS_ID      | a         | a         | b
CLM_ID       | 1         | 1         | 2
CLM_TYPE_CD  | 1         | 1         | 1
ADJUST_CD    | {codes[0]} | {codes[1]} | 0
SRVC_BGN_DT  | 05MAR2022 | 05MAR2022 | 05MAR2022
MDCD_PD_AMT  | 900.00    | 450.00    | 1.00
PYMT_LVL_IND | 1         | 1         | 1
MDCD_PD_DT   | {paid[0]} | {paid[1]} |
"""
    line = """
STATE_CD    | CA   | CA
CLM_ID      | 1    | 2
LINE_NUM    | 1    | 1
REV_CNTR_CD | 10450 | 450
"""
    files = {"taf_inpatient_header_2022": header, "taf_inpatient_line_2022": line}
    read = read_tables(write(tmp_path / "taf", files), work_dir=tmp_path / "w", source="taf")
    kept, other = read.frame("medical_claim").sort_values("claim_id").to_dict("records")
    assert (kept["claim_status"] == "void") == (status == "void")
    assert float(kept["paid_amount"]) == amount
    assert counts(read, "taf inpatient header") == {
        "used": 2,
        "header of a claim that another header is of": 1,
    }
    # A revenue code of five digits is none, and not that of its first four.
    assert (kept["revenue_center_code"], other["revenue_center_code"]) == ("10450", "0450")
