"""Coverage history of the Integrated Data Repository: versions, sentinels, overlays, merges."""

import csv
import random
from collections import Counter, defaultdict
from datetime import date, timedelta

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.tables import read_tables

OPEN = "9999-12-31"
FULL, PARTIAL = {"02", "04", "08", "10"}, {"01", "03", "05", "06", "07"}
KNOWN = FULL | PARTIAL | {"00", "09", "NA"}


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def counts(tables, table, stage="source"):
    frame = tables.ledger.to_frame()
    chosen = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(chosen["reason"], chosen["n_rows"], strict=True))


def in_force(row):
    return {"IDR_LTST_TRANS_FLG": "Y", "IDR_TRANS_OBSLT_TS": f"{OPEN}T00:00:00.000000"} | row


def status(member, begin, end=OPEN, code="10", **others):
    return in_force(
        {"BENE_SK": member, "BENE_MDCR_STUS_CD": code}
        | {"MDCR_STUS_BGN_DT": begin, "MDCR_STUS_END_DT": end, **others}
    )


def dual(member, begin, end=OPEN, code="02", **others):
    return in_force(
        {"BENE_SK": member, "BENE_DUAL_STUS_CD": code, "BENE_DUAL_TYPE_CD": "F"}
        | {"BENE_MDCD_ELGBLTY_BGN_DT": begin, "BENE_MDCD_ELGBLTY_END_DT": end, **others}
    )


def plan(member, begin, end=OPEN, contract="H0001", program="3"):
    return in_force(
        {"BENE_SK": member, "BENE_CNTRCT_NUM": contract, "BENE_PBP_NUM": "001"}
        | {"BENE_ENRLMT_PGM_TYPE_CD": program}
        | {"BENE_ENRLMT_BGN_DT": begin, "BENE_ENRLMT_END_DT": end}
    )


def buyin(member, begin, end=OPEN, code="A", part="B"):
    return in_force(
        {"BENE_SK": member, "BENE_TP_TYPE_CD": part, "BENE_BUYIN_CD": code}
        | {"BENE_RNG_BGN_DT": begin, "BENE_RNG_END_DT": end}
    )


def read(tmp_path, **files):
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, given in files.items():
        pd.DataFrame(given).to_csv(folder / f"V2_BENE_{name}.csv", index=False)
    return read_tables(folder, work_dir=tmp_path / "w", source="cms_idr")


def spans_of(tables, payer):
    spans = tables.frame("eligibility")
    spans = spans[spans["payer_type"] == payer].fillna({"plan": "", "dual_status_code": ""})
    days = ["enrollment_start_date", "enrollment_end_date"]
    for name in days:
        spans[name] = spans[name].dt.strftime("%Y-%m-%d").fillna("open")
    columns = ["member_id", *days, "plan", "dual_status_code", "benefit_scope"]
    return sorted(tuple(row) for row in spans[columns].to_numpy().tolist())


def test_versions_and_sentinel_days(tmp_path):
    given = [
        status("1", "2019-01-01"),
        status("2", "2019-01-01", "2019-12-31", code="20"),
        status("2", "2018-01-01", IDR_LTST_TRANS_FLG="N"),
        status("2", "2018-01-01", IDR_TRANS_OBSLT_TS="2020-05-05T00:00:00.000000"),
        status("3", "1000-01-01"),
        status("3", "0001-01-01"),
        status("4", "2020-02-01", code="40"),
        status("5", "2020-02-01", code="00"),
    ]
    tables = read(tmp_path, MDCR_STUS=given)
    assert spans_of(tables, "medicare") == [
        ("1", "2019-01-01", "open", "", "", "full"),
        ("2", "2019-01-01", "2019-12-31", "", "", "full"),
        ("4", "2020-02-01", "open", "", "", "limited"),
    ]
    assert counts(tables, "cms_idr BENE_MDCR_STUS") == {
        "used": 3,
        "obsolete version of a row": 2,
        "begin that is missing or stands for an unknown day": 2,
        "Medicare status that says nothing": 1,
    }


def test_medicare_is_cut_where_dual_status_or_plan_changes(tmp_path):
    tables = read(
        tmp_path,
        MDCR_STUS=[status("1", "2019-01-01", "2020-12-31"), status("2", "2019-01-01")],
        CMBND_DUAL_MDCR=[
            dual("1", "2019-03-01", "2019-06-30", code="01"),
            dual("1", "2019-07-01", code="02"),
            dual("2", "2018-01-01", code="~"),
        ],
        MAPD_ENRLMT=[
            plan("1", "2018-01-01", "2019-04-30"),
            plan("1", "2019-05-01", program="2", contract="S9999"),
            plan("2", "2019-02-01", contract="H2"),
            plan("2", "2017-02-01", "2018-12-31", contract="H3"),
        ],
    )
    assert spans_of(tables, "medicare") == [
        ("1", "2019-01-01", "2019-02-28", "H0001-001", "", "full"),
        ("1", "2019-03-01", "2019-04-30", "H0001-001", "01", "full"),
        ("1", "2019-05-01", "2019-06-30", "", "01", "full"),
        ("1", "2019-07-01", "2020-12-31", "", "02", "full"),
        ("2", "2019-01-01", "2019-01-31", "", "", "full"),
        ("2", "2019-02-01", "open", "H2-001", "", "full"),
    ]
    # The Medicaid side of the dual status: limited where Medicare costs alone are paid.
    assert spans_of(tables, "medicaid") == [
        ("1", "2019-03-01", "2019-06-30", "", "01", "limited"),
        ("1", "2019-07-01", "open", "", "02", "full"),
    ]
    assert counts(tables, "cms_idr BENE_MAPD_ENRLMT") == {
        "used": 2,
        "drug plan alone (Part D)": 1,
        "outside every span of Medicare": 1,
    }
    assert counts(tables, "cms_idr BENE_CMBND_DUAL_MDCR") == {
        "used": 2,
        "dual status without Medicaid coverage, or not known": 1,
    }


def test_only_the_end_of_time_and_no_value_are_an_open_end(tmp_path):
    ends = [OPEN, f"{OPEN}T00:00:00", "", "~", "1000-01-01", "0001-01-01", "2019-02-30", "soon"]
    given = [status(str(n), "2019-01-01", end) for n, end in enumerate(ends)]
    tables = read(
        tmp_path,
        MDCR_STUS=given,
        CMBND_DUAL_MDCR=[dual("0", "2019-01-01", "1000-01-01"), dual("1", "2019-01-01", "~")],
    )
    assert [span[0] for span in spans_of(tables, "medicare")] == ["0", "1", "2", "3"]
    assert {span[2] for span in spans_of(tables, "medicare")} == {"open"}
    assert counts(tables, "cms_idr BENE_MDCR_STUS") == {
        "used": 4,
        "end that cannot be read or stands for an unknown day": 4,
    }
    assert [span[0] for span in spans_of(tables, "medicaid")] == ["1"]
    assert counts(tables, "cms_idr BENE_CMBND_DUAL_MDCR") == {
        "used": 1,
        "end that cannot be read or stands for an unknown day": 1,
    }


def test_status_without_medicaid_coverage_is_not_dual(tmp_path):
    tables = read(
        tmp_path,
        MDCR_STUS=[status(str(member), "2024-01-01", "2024-02-29") for member in (1, 2, 3)],
        CMBND_DUAL_MDCR=[
            dual("1", "2024-01-01", "2024-02-29", code="09"),
            dual("2", "2024-01-01", "2024-01-31", code="02"),
            dual("3", "2024-01-01", "2024-02-29", code="99"),
        ],
    )
    rules = PanelRules(payer_types=("medicare",), benefit_scope="any", exclude_duals=False)
    panel = build_member_months(
        tables, first_month="2024-01", last_month="2024-02", rules=rules, out_dir=tmp_path
    )
    frame = panel.to_frame(["member_id", "month", "is_dual"])
    assert len(frame) == 6
    duals = frame[frame["is_dual"].astype(bool)]
    assert [(row.member_id, f"{row.month:%Y-%m}") for row in duals.itertuples()] == [
        ("2", "2024-01")
    ]


def test_changes_on_the_first_and_the_last_day_of_medicare(tmp_path):
    tables = read(
        tmp_path,
        MDCR_STUS=[
            status("1", "2019-01-01", "2019-01-31"),
            status("2", "2019-01-01", "2019-01-31"),
        ],
        CMBND_DUAL_MDCR=[dual("1", "2019-01-31"), dual("2", "2019-01-01", "2019-01-31")],
    )
    assert spans_of(tables, "medicare") == [
        ("1", "2019-01-01", "2019-01-30", "", "", "full"),
        ("1", "2019-01-31", "2019-01-31", "", "02", "full"),
        ("2", "2019-01-01", "2019-01-31", "", "02", "full"),
    ]


def test_premiums_paid_by_the_state_are_limited_medicaid(tmp_path):
    given = [
        buyin("1", "2019-03-01", "2019-06-30"),
        buyin("1", "2019-03-01", "2019-06-30", part="A"),
        buyin("1", "2020-01-01", code="~"),
    ]
    tables = read(tmp_path, MDCR_STUS=[status("1", "2019-01-01")], TP=given)
    assert spans_of(tables, "medicaid") == [("1", "2019-03-01", "2019-06-30", "", "", "limited")]
    assert counts(tables, "cms_idr BENE_TP") == {
        "used": 2,
        "third party without a buy-in code": 1,
    }
    # Part A and Part B in the same months are one span.
    assert counts(tables, "eligibility", "read")["exact duplicate"] == 1


def test_merged_identifiers_and_persons(tmp_path):
    def merge(old, new, code="2", obsolete=OPEN):
        row = {"BENE_SK": new, "BENE_XREF_SK": old, "BENE_KILL_CRED_CD": code}
        row |= {"IDR_TRANS_OBSLT_TS": f"{obsolete}T00:00:00", "BENE_HICN_NUM": "x"}
        return row | {"SRC_REC_CRTE_TS": "2020-02-03 10:00:00.5"}

    def person(member, **others):
        row = {"BENE_SK": member, "BENE_BRTH_DT": "1950-01-01", "BENE_DEATH_DT": OPEN}
        return in_force(row | {"BENE_SEX_CD": "1", "BENE_RACE_CD": "2", **others})

    tables = read(
        tmp_path,
        MDCR_STUS=[status("1", "2019-01-01", "2019-05-31"), status("2", "2019-06-01")],
        XREF=[merge("1", "2"), merge("8", "2", code="1"), merge("9", "2", obsolete="2019-01-01")],
        HSTRY=[
            person("2"),
            person("7", BENE_DEATH_DT="2020-01-01", BENE_RACE_CD="~", BENE_SEX_CD="2"),
            person("2", BENE_RACE_CD="1", IDR_LTST_TRANS_FLG="N"),
        ],
        LIS=[in_force({"BENE_SK": "1"})],
    )
    spans = tables.frame("eligibility")
    assert set(spans["member_id"]) == {"2"}
    assert len(spans) == 2
    assert counts(tables, "cms_idr BENE_XREF") == {
        "used": 1,
        "cross-reference that is not confirmed (BENE_KILL_CRED_CD is not 2)": 1,
        "obsolete version of a row": 1,
    }
    persons = tables.frame("person").set_index("member_id")
    assert persons["race_ethnicity"].to_dict() == {"2": "black", "7": "unknown"}
    assert persons["sex"].to_dict() == {"2": "male", "7": "female"}
    assert persons["death_date"].isna().to_dict() == {"2": True, "7": False}
    assert counts(tables, "cms_idr BENE_LIS") == {"not needed (no declared table)": 1}


def test_claims_and_persons_that_the_repository_did_not_give_lie_beside(tmp_path, caplog):
    folder = tmp_path / "raw"
    folder.mkdir()
    claim = {"claim_id": "c", "claim_line_number": 1, "claim_type": "dental", "member_id": "former"}
    pd.DataFrame([claim | {"claim_start_date": "2022-03-01"}]).to_csv(
        folder / "medical_claim.csv", index=False
    )
    fill = {"claim_id": "f", "member_id": "a", "dispensing_date": "2022-03-01"}
    pd.DataFrame([fill]).to_csv(folder / "Pharmacy_Claim.csv", index=False)
    pd.DataFrame([{"member_id": "a", "birth_date": "1950-01-01"}]).to_csv(
        folder / "person.csv", index=False
    )
    merged = in_force({"BENE_SK": "a", "BENE_XREF_SK": "former", "BENE_KILL_CRED_CD": "2"})
    pd.DataFrame([merged]).to_csv(folder / "BENE_XREF.csv", index=False)
    pd.DataFrame([status("a", "2022-01-01")]).to_csv(folder / "BENE_MDCR_STUS.csv", index=False)
    tables = read_tables(folder, work_dir=tmp_path / "w", source="cms_idr")
    assert tables.frame("medical_claim")["member_id"].tolist() == ["a"]
    assert tables.frame("pharmacy_claim")["claim_id"].tolist() == ["f"]
    assert tables.frame("person")["birth_date"].dt.year.tolist() == [1950]
    assert "not read" not in caplog.text
    history = {"BENE_SK": "a", "BENE_BRTH_DT": "1950-01-01", "BENE_DEATH_DT": OPEN}
    history |= {"BENE_SEX_CD": "1", "BENE_RACE_CD": "1"}
    pd.DataFrame([in_force(history)]).to_csv(folder / "BENE_HSTRY.csv", index=False)
    with pytest.raises(TableError, match=r"`person` comes from .* beside them \(`person.csv`\)"):
        read_tables(folder, work_dir=tmp_path / "w", source="cms_idr")


def test_what_is_lacking_is_named(tmp_path):
    with pytest.raises(TableError, match=r"lacks the IDR table `BENE_MDCR_STUS`; it holds `V2_"):
        read(tmp_path, XREF=[{"BENE_SK": "1"}])
    pd.DataFrame([{"BENE_SK": "1"}]).to_csv(tmp_path / "raw" / "BENE_MDCR_STUS.csv", index=False)
    with pytest.raises(TableError, match="`BENE_MDCR_STUS` lacks column `BENE_MDCR_STUS_CD`"):
        read_tables(tmp_path / "raw", work_dir=tmp_path / "w", source="cms_idr")


def test_overlay_agrees_with_a_count_of_days(tmp_path):
    """Every day of Medicare carries the dual status and the plan of that day."""
    rng = random.Random(11)
    first = date(2019, 1, 1)

    def spans(maker, member, n, **others):
        for _ in range(n):
            start = first + timedelta(days=rng.randrange(400))
            end = start + timedelta(days=rng.randrange(200))
            given = {name: rng.choice(values) for name, values in others.items()}
            yield maker(member, start.isoformat(), rng.choice([end.isoformat(), OPEN]), **given)

    members = [str(i) for i in range(25)]
    medicare = [status(m, "2019-03-01", "2019-12-31") for m in members]
    duals = [row for m in members for row in spans(dual, m, rng.randrange(3), code=["02", "03"])]
    plans = [row for m in members for row in spans(plan, m, rng.randrange(3), contract=["A", "B"])]
    tables = read(tmp_path, MDCR_STUS=medicare, CMBND_DUAL_MDCR=duals, MAPD_ENRLMT=plans)

    def on(row, day, begin, end):
        return row[begin] <= day <= row[end]

    expected = {}
    for member in members:
        own_duals = [row for row in duals if row["BENE_SK"] == member]
        own_plans = [row for row in plans if row["BENE_SK"] == member]
        for offset in range(59, 365):
            day = (first + timedelta(days=offset)).isoformat()
            dual_days = ("BENE_MDCD_ELGBLTY_BGN_DT", "BENE_MDCD_ELGBLTY_END_DT")
            codes = [r["BENE_DUAL_STUS_CD"] for r in own_duals if on(r, day, *dual_days)]
            plan_days = ("BENE_ENRLMT_BGN_DT", "BENE_ENRLMT_END_DT")
            of_day = [
                (r["BENE_ENRLMT_BGN_DT"], r["BENE_CNTRCT_NUM"] + "-001")
                for r in own_plans
                if on(r, day, *plan_days)
            ]
            # A full dual before a partial one; of several plans the one that began last.
            expected[member, day] = (min(codes, default=""), max(of_day, default=("", ""))[1])
    found = {}
    for member, start, end, plan_name, code, _ in spans_of(tables, "medicare"):
        for stamp in pd.date_range(start, end):
            key = (member, stamp.date().isoformat())
            assert key not in found, "spans of one member do not overlap"
            found[key] = (code, plan_name)
    assert found == expected


# --- the synthetic coverage files -----------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data" / "bfd_idr_bene"


@pytest.fixture(scope="module")
def tables(folder, tmp_path_factory):
    work = tmp_path_factory.mktemp("idr")
    return read_tables(folder, work_dir=work, source="cms_idr", n_buckets=2)


@pytest.mark.shared
def test_every_row_of_every_file_is_accounted_for(folder, tables):
    for path in folder.glob("SYNTHETIC_BENE_*.csv"):
        name = path.stem.removeprefix("SYNTHETIC_")
        assert sum(counts(tables, f"cms_idr {name}").values()) == len(rows(path)), name
    codes = Counter(
        r["BENE_DUAL_STUS_CD"] for r in rows(folder / "SYNTHETIC_BENE_CMBND_DUAL_MDCR.csv")
    )
    used = counts(tables, "cms_idr BENE_CMBND_DUAL_MDCR")["used"]
    assert used == sum(n for code, n in codes.items() if code in FULL | PARTIAL)
    merges = Counter(r["BENE_KILL_CRED_CD"] for r in rows(folder / "SYNTHETIC_BENE_XREF.csv"))
    assert counts(tables, "cms_idr BENE_XREF")["used"] == merges["2"]
    assert counts(tables, "member_xref", "read") == {"used": merges["2"]}


@pytest.mark.shared
def test_days_of_medicare_are_those_of_the_status_file(folder, tables):
    # Each member has one span of status, so its pieces must add up to it.
    horizon = pd.Timestamp("2030-01-01")
    spans = tables.frame("eligibility")
    spans = spans[spans["payer_type"] == "medicare"]
    ends = spans["enrollment_end_date"].fillna(horizon)
    days = (ends - spans["enrollment_start_date"]).dt.days + 1
    found = days.groupby(spans["member_id"]).sum().to_dict()
    expected = {}
    for row in rows(folder / "SYNTHETIC_BENE_MDCR_STUS.csv"):
        end = "2030-01-01" if row["MDCR_STUS_END_DT"] == OPEN else row["MDCR_STUS_END_DT"]
        begin = date.fromisoformat(row["MDCR_STUS_BGN_DT"])
        expected[row["BENE_SK"]] = (date.fromisoformat(end) - begin).days + 1
    assert found == expected


@pytest.mark.shared
def test_months_of_the_panel(folder, tables, tmp_path):
    rules = PanelRules(payer_types=("medicare",), benefit_scope="any", exclude_duals=False)
    panel = build_member_months(
        tables, first_month="2020-01", last_month="2020-12", rules=rules, out_dir=tmp_path
    )
    frame = panel.to_frame(["member_id", "month", "covered_days", "is_dual", "plan"])
    status_of = {r["BENE_SK"]: r for r in rows(folder / "SYNTHETIC_BENE_MDCR_STUS.csv")}
    # Whoever is covered on any day of the month is in it.
    expected = defaultdict(int)
    for row in status_of.values():
        begin, end = row["MDCR_STUS_BGN_DT"], row["MDCR_STUS_END_DT"]
        for month in range(1, 13):
            first = f"2020-{month:02d}-01"
            last = f"2020-{month:02d}-31"
            expected[month] += begin <= last and end >= first
    months = frame["month"].astype("datetime64[ns]").dt.month
    assert months.value_counts().to_dict() == {m: n for m, n in expected.items() if n}
    # In December the dual members are those whose code of that month says so.
    december = frame[months == 12].set_index("member_id")["is_dual"].astype(bool)
    not_dual = {"00", "09", "NA", "99", "*", "~", "XX"}  # 09 is without Medicaid coverage
    duals = {
        r["BENE_SK"]
        for r in rows(folder / "SYNTHETIC_BENE_CMBND_DUAL_MDCR.csv")
        if r["BENE_DUAL_STUS_CD"] not in not_dual and r["BENE_MDCD_ELGBLTY_BGN_DT"] <= "2020-12-31"
    }
    assert set(december[december].index) == duals & set(december.index)
