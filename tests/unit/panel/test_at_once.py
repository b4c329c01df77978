"""Two panels in one folder at once, and tables that are read anew while a panel is built."""

import shutil
import threading

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import MemberMonths, build, build_member_months
from calaim_eval.tables import read_tables

YEAR = {"first_month": "2022-01", "last_month": "2022-12"}
HALF = {"first_month": "2022-01", "last_month": "2022-06"}
WAIT_S = 60


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    members = [f"m{number}" for number in range(20)]
    spans = {"enrollment_start_date": "2022-01-01", "enrollment_end_date": "2022-12-31"}
    line = {"claim_line_number": 1, "claim_type": "professional", "claim_start_date": "2022-03-01"}
    claims = {"claim_id": [f"c{number}" for number in range(20)], **line, "hcpcs_code": "99213"}
    tables = {"eligibility": spans, "person": {"birth_date": "1980-01-01"}, "medical_claim": claims}
    for name, columns in tables.items():
        pd.DataFrame({"member_id": members, **columns}).to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture
def tables(raw, tmp_path):
    return read_tables(raw, work_dir=tmp_path / "tables", n_buckets=3)


def test_a_second_panel_in_the_folder_is_begun_when_the_first_is_done(
    tables, tmp_path, monkeypatch
):
    out = tmp_path / "panel"
    built, panels = [], {}
    other_is_at_work = threading.Event()
    work = build.run_recipe

    def other():
        panels["half"] = build_member_months(tables, **HALF, out_dir=out)

    second = threading.Thread(target=other, name="half")

    def watched(*arguments, **options):
        name = threading.current_thread().name
        built.append("half" if name == "half" else "year")
        if name == "half":
            other_is_at_work.set()
        elif not second.is_alive() and len(built) == 1:
            second.start()
            assert not other_is_at_work.wait(1)
        return work(*arguments, **options)

    monkeypatch.setattr(build, "run_recipe", watched)
    year = build_member_months(tables, **YEAR, out_dir=out)
    second.join(WAIT_S)
    assert built == ["year"] * 3 + ["half"] * 3
    assert (year.n_member_months, panels["half"].n_member_months) == (240, 120)
    assert len(MemberMonths.open(out).to_frame(["month"])) == 120


def test_a_panel_whose_tables_changed_while_it_was_built_is_not_finished(
    tables, tmp_path, monkeypatch
):
    work = build.run_recipe
    part = tables.parts("eligibility")[2]

    def changed(*arguments, **options):
        shutil.copy(tables.parts("eligibility")[1], part)
        return work(*arguments, **options)

    monkeypatch.setattr(build, "run_recipe", changed)
    with pytest.raises(TableError, match="changed while the panel was built"):
        build_member_months(tables, **YEAR, out_dir=tmp_path / "panel")
    assert not (tmp_path / "panel" / "manifest.json").exists()
    monkeypatch.setattr(build, "run_recipe", work)
    built = build_member_months(tables, **YEAR, out_dir=tmp_path / "panel")
    assert len(built.to_frame(["month"])) == built.n_member_months


def test_a_second_reading_waits_and_uses_the_first(raw, tmp_path, monkeypatch):
    from calaim_eval.tables import read

    work, staged, readings = read.stage_all, [], []

    def other():
        readings.append(read_tables(raw, work_dir=tmp_path / "tables", n_buckets=3))

    second = threading.Thread(target=other)

    def watched(*arguments):
        staged.append(threading.current_thread() is second)
        if not second.is_alive():
            second.start()
            second.join(1)
        return work(*arguments)

    monkeypatch.setattr(read, "stage_all", watched)
    first = read_tables(raw, work_dir=tmp_path / "tables", n_buckets=3)
    second.join(WAIT_S)
    assert staged == [False], "the second reading staged too"
    assert [len(each.frame("eligibility")) for each in (first, *readings)] == [20, 20]
