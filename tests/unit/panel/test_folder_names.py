"""Names of folders are names: no brackets, blanks or quotes in them are patterns."""

import shutil

import numpy as np
import pandas as pd
import pytest

from calaim_eval.moments import reduce_panel
from calaim_eval.panel import build_member_months
from calaim_eval.panel.plan import plan_panel
from calaim_eval.panel.summary import summarize_panel
from calaim_eval.schema import check_table
from calaim_eval.tables import read_tables

WINDOW = {"first_month": "2022-01", "last_month": "2022-12"}


def _raw(folder, n_members, suffix):
    folder.mkdir(parents=True)
    members = [f"m{number}" for number in range(n_members)]
    spans = {"enrollment_start_date": "2022-01-01", "enrollment_end_date": "2022-12-31"}
    line = {"claim_line_number": 1, "claim_type": "professional", "claim_start_date": "2022-03-01"}
    claims = {"claim_id": [f"c{number}" for number in range(n_members)], **line}
    tables = {"eligibility": spans, "person": {"birth_date": "1980-01-01"}, "medical_claim": claims}
    for name, columns in tables.items():
        frame = pd.DataFrame({"member_id": members, **columns})
        if suffix == "csv":
            frame.to_csv(folder / f"{name}.csv", index=False)
        else:
            frame.to_parquet(folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_folder_with_brackets_is_not_taken_for_another(tmp_path, suffix):
    other, own = tmp_path / "data 1", tmp_path / "data [1]"
    for folder, n_members in ((other, 5), (own, 3)):
        tables = read_tables(
            _raw(folder / "raw", n_members, suffix), work_dir=folder / "tables", n_buckets=2
        )
        assert len(tables.frame("eligibility")) == n_members
        panel = build_member_months(tables, **WINDOW, out_dir=folder / "panel", keep_counts=True)
        assert (panel.n_members, len(panel.to_frame(["month"]))) == (n_members, 12 * n_members)
    totals = summarize_panel(panel).totals
    assert totals.loc[totals["measure"] == "member_months", "total"].sum() == 36
    plan = plan_panel(
        own / "raw",
        tables_folder=own / "tables",
        panel_folder=own / "panel",
        n_months=12,
        n_measures=37,
    )
    assert (plan.n_members, plan.n_lines) == (3, 3)


def test_cells_are_those_of_the_file_that_is_named(tmp_path):
    months = pd.period_range("2022-01", "2022-03", freq="M").to_timestamp()
    for name, visits in (("data 1", 7), ("data [1]", 2)):
        (tmp_path / name).mkdir()
        frame = pd.DataFrame(
            [(f"m{number}", month, pd.NaT, visits) for number in range(4) for month in months],
            columns=["member_id", "month", "cohort", "visits"],
        )
        frame.to_parquet(tmp_path / name / "panel.parquet")
    moments = reduce_panel(
        tmp_path / "data [1]" / "panel.parquet",
        outcomes=["visits"],
        member_id="member_id",
        month="month",
        cohort="cohort",
    )
    matrix = moments.matrices("visits", np.array([0]))[0]
    assert matrix[:3, -1].tolist() == [8, 8, 8], "visits of four members by month"


def test_the_folder_that_is_named_is_checked(tmp_path):
    for name, end in (("spans 1", "2022-12-31"), ("spans [1]", "2021-12-31")):
        (tmp_path / name).mkdir()
        span = {"member_id": ["a"], "enrollment_start_date": ["2022-01-01"]}
        frame = pd.DataFrame({**span, "enrollment_end_date": [end]})
        frame.to_parquet(tmp_path / name / "part-0000.parquet")
    assert check_table(tmp_path / "spans [1]", "eligibility")["n_rows"].tolist() == [1]


@pytest.mark.parametrize("name", ["O'Brien Übung 2024", "研究 [2024] 100%", "{x} #1; $HOME"])
def test_a_study_may_lie_anywhere(tmp_path, name):
    folder = tmp_path / name
    raw = _raw(folder / "raw", 4, "csv")
    tables = read_tables(raw, work_dir=folder / "tables", n_buckets=2)
    panel = build_member_months(tables, **WINDOW, out_dir=folder / "panel", keep_counts=True)
    assert len(panel.to_frame(["month"])) == 48
    shutil.rmtree(folder / "panel" / "member_month")
    again = build_member_months(tables, **WINDOW, out_dir=folder / "panel", keep_counts=True)
    assert len(again.to_frame(["month"])) == 48
