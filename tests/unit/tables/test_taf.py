"""The annual TAF eligibility file: columns a month become covered months."""

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import build_member_months
from calaim_eval.tables import read_tables

MM = [f"{i:02d}" for i in range(1, 13)]


def base_row(member, year, *, days, chip=None, scope="1", dual="00", **person):
    """One row of the file; `days` and the others are one value or twelve."""
    given = {"MDCD_ENRLMT_DAYS": days, "CHIP_ENRLMT_DAYS": chip or [0] * 12}
    given |= {"RSTRCTD_BNFTS_CD": scope, "DUAL_ELGBL_CD": dual}
    row = {"STATE_CD": "CA", "MSIS_ID": member, "RFRNC_YR": year, "BENE_CNTY_CD": "029"}
    row |= {"BIRTH_DT": "01JAN1990", "SEX_CD": "F", "RACE_ETHNCTY_CD": "3", **person}
    for name, values in given.items():
        each = values if isinstance(values, list) else [values] * 12
        row |= {f"{name}_{mm}": value for mm, value in zip(MM, each, strict=True)}
    return row


FULL_YEAR = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
ROWS = [
    # Covered all year, limited benefits until March, dual from July.
    base_row("a", 2022, days=FULL_YEAR, scope=["2"] * 3 + ["7"] * 9, dual=["00"] * 6 + ["02"] * 6),
    # Begins on 12 January: 20 days; ends on 5 February.
    base_row("b", 2022, days=[20, 5] + [0] * 10, RACE_ETHNCTY_CD="7", BENE_CNTY_CD="37"),
    # CHIP in January, nothing afterwards.
    base_row("c", 2022, days=[0] * 12, chip=[31] + [0] * 11, scope="C"),
    # Never enrolled.
    base_row("d", 2022, days=[None] * 12, scope="0"),
    # The year before, with an older race code.
    base_row("a", 2021, days=[0] * 11 + [31], scope=None, RACE_ETHNCTY_CD="1"),
]


def plans_row(member, **plans):
    row = {"STATE_CD": "CA", "MSIS_ID": member, "RFRNC_YR": 2022}
    for slot in ("01", "02"):
        for mm in MM:
            row[f"MC_PLAN_ID_{slot}_{mm}"] = plans.get(f"plan_{slot}")
            row[f"MC_PLAN_TYPE_CD_{slot}_{mm}"] = plans.get(f"type_{slot}")
    return row


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taf")
    pd.DataFrame([row for row in ROWS if row["RFRNC_YR"] == 2022]).to_csv(
        folder / "taf_demog_elig_base_2022.csv", index=False
    )
    lower = pd.DataFrame([row for row in ROWS if row["RFRNC_YR"] == 2021])
    lower.to_csv(folder / "taf_demog_elig_base_2021.csv", index=False)
    plans = [
        # Slot 1 is a dental plan, slot 2 the medical one.
        plans_row("a", plan_01="DENTAL", type_01="07", plan_02="HEALTH", type_02="01"),
        plans_row("b", plan_01="COHS"),
        plans_row("z", plan_01="NOBODY"),
    ]
    pd.DataFrame(plans).to_csv(folder / "taf_demog_elig_mngd_care_2022.csv", index=False)
    return read_tables(folder, work_dir=folder / "w", source="taf")


def counts(tables, table, stage="source"):
    frame = tables.ledger.to_frame()
    rows = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(rows["reason"], rows["n_rows"], strict=True))


def test_every_row_and_month_is_accounted_for(tables):
    assert counts(tables, "taf base") == {"used": 4, "year without a covered month": 1}
    assert counts(tables, "taf base months") == {
        "used": 12 + 2 + 1,
        "CHIP enrollment (kept as another line of business)": 1,
        "no day of enrollment in the month": 5 * 12 - 15,
    }
    assert counts(tables, "taf mngd_care") == {
        "used": 2,
        "managed care row without a base row": 1,
    }
    assert counts(tables, "taf base months", "notice") == {
        "covered month whose scope of benefits is not known (read as full)": 1
    }
    assert counts(tables, "eligibility_month", "read") == {"used": 16}


def test_spans(tables):
    spans = tables.frame("eligibility").fillna({"plan": "", "benefit_scope": ""})
    columns = ["member_id", "enrollment_start_date", "enrollment_end_date", "plan", "payer_type"]
    columns += ["benefit_scope", "dual_status_code", "county"]
    rows = sorted(tuple(row) for row in spans[columns].astype(str).to_numpy().tolist())
    assert rows == [
        ("CA-a", "2021-12-01", "2021-12-31", "", "medicaid", "", "00", "Kern"),
        ("CA-a", "2022-01-01", "2022-03-31", "HEALTH", "medicaid", "limited", "00", "Kern"),
        ("CA-a", "2022-04-01", "2022-06-30", "HEALTH", "medicaid", "full", "00", "Kern"),
        ("CA-a", "2022-07-01", "2022-12-31", "HEALTH", "medicaid", "full", "02", "Kern"),
        ("CA-b", "2022-01-12", "2022-02-05", "COHS", "medicaid", "full", "00", "Los Angeles"),
        ("CA-c", "2022-01-01", "2022-01-31", "", "other", "limited", "00", "Kern"),
    ]


def test_persons(tables):
    persons = tables.frame("person").set_index("member_id")
    assert persons["race_ethnicity"].to_dict() == {
        "CA-a": "asian",  # of the latest year
        "CA-b": "hispanic",
        "CA-c": "asian",
        "CA-d": "asian",
    }
    assert (persons["birth_date"] == pd.Timestamp("1990-01-01")).all()


def test_a_county_is_of_the_state_of_the_address(tmp_path):
    addresses = {
        "a": ("NV", "003"),  # Clark County
        "b": ("32", "3"),
        "c": ("CA", "037"),
        "d": (None, "037"),
        "e": ("6", "37"),
        "f": ("NV", None),
        "g": ("QQ", "003"),  # no state
    }
    rows = [
        base_row(member, 2022, days=FULL_YEAR, BENE_STATE_CD=state, BENE_CNTY_CD=county)
        for member, (state, county) in addresses.items()
    ]
    rows.append(base_row("h", 2022, days=FULL_YEAR, STATE_CD="OR", BENE_CNTY_CD="051"))
    pd.DataFrame(rows).to_csv(tmp_path / "taf_demog_elig_base_2022.csv", index=False)
    tables = read_tables(tmp_path, work_dir=tmp_path / "w", source="taf")
    persons = tables.frame("person").set_index("member_id")
    assert persons["county"].fillna("").to_dict() == {
        "CA-a": "32003",
        "CA-b": "32003",
        "CA-c": "Los Angeles",
        "CA-d": "Los Angeles",
        "CA-e": "Los Angeles",
        "CA-f": "",
        "CA-g": "",
        "OR-h": "41051",  # Multnomah County
    }


def test_months_of_the_panel(tables):
    panel = build_member_months(tables, first_month="2022-01", last_month="2022-12")
    frame = panel.to_frame(["member_id", "month", "covered_days"])
    frame["month"] = frame["month"].astype(str).str[5:7].astype(int)
    days = frame.set_index(["member_id", "month"])["covered_days"].to_dict()
    # Full scope, not dual, Medicaid: member a from April to June, member b.
    assert days == {
        ("CA-a", 4): 30,
        ("CA-a", 5): 31,
        ("CA-a", 6): 30,
        ("CA-b", 1): 20,
        ("CA-b", 2): 5,
    }


def test_what_is_lacking_is_named(tmp_path):
    with pytest.raises(TableError, match="has no TAF eligibility file; it holds nothing"):
        read_tables(tmp_path, work_dir=tmp_path.parent / "w", source="taf")
    row = {name: value for name, value in ROWS[0].items() if name != "MDCD_ENRLMT_DAYS_07"}
    pd.DataFrame([row]).to_csv(tmp_path / "de_base.csv", index=False)
    with pytest.raises(TableError, match=r"`MDCD_ENRLMT_DAYS_12`; it has 11 of them"):
        read_tables(tmp_path, work_dir=tmp_path / "w", source="taf")


@pytest.mark.parametrize("numbers", ["base", "plans"])
def test_keys_may_be_numbers_in_one_file_and_text_in_the_other(tmp_path, numbers):
    base = pd.DataFrame([base_row("a", 2022, days=FULL_YEAR)])
    plans = pd.DataFrame([plans_row("a", plan_01="HEALTH", type_01="01")])
    names = ["taf_demog_elig_base_2022", "taf_demog_elig_mngd_care_2022"]
    for name, frame, kind in zip(names, (base, plans), ("base", "plans"), strict=True):
        if kind == numbers:
            frame.to_parquet(tmp_path / f"{name}.parquet")
        else:
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
    claims = {"STATE_CD": ["CA"], "CLM_ID": [1]}
    header = {"MSIS_ID": ["a"], "CLM_TYPE_CD": ["3"], "SRVC_BGN_DT": ["01MAR2022"]}
    pd.DataFrame(claims | header).to_parquet(tmp_path / "taf_ot_header.parquet")
    pd.DataFrame(claims | {"LINE_NUM": ["1"]}).to_csv(tmp_path / "taf_ot_line.csv", index=False)
    read = read_tables(tmp_path, work_dir=tmp_path / "w", source="taf")
    assert read.frame("eligibility")["plan"].tolist() == ["HEALTH"]
    assert len(read.frame("medical_claim")) == 1
