"""A plan counts what can be counted, scales what was measured, and says when it will not fit."""

from __future__ import annotations

import math
import shutil
from collections import namedtuple
from importlib.resources import files

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from calaim_eval.cli import FINDINGS_EXIT_CODE, app
from calaim_eval.engine import machine
from calaim_eval.errors import TableError
from calaim_eval.panel import plan, plan_costs
from calaim_eval.panel.plan import plan_panel
from calaim_eval.panel.plan_costs import measured_costs, reading_scratch_gb
from calaim_eval.panel.resume import one_share_file, share_file
from calaim_eval.pipeline.plan import plan_study
from calaim_eval.simulate import simulate_medi_cal
from calaim_eval.study import init_study, read_study
from calaim_eval.tables import read_tables
from calaim_eval.tables.tables import DERIVED_FOLDER

MEMBERS = 300
MEASURES = 10
Usage = namedtuple("Usage", "total used free")
GB = 1024**3


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan") / "study"
    simulate_medi_cal(folder, members=MEMBERS, seed=3)
    init_study(folder)
    return folder


@pytest.fixture(scope="module")
def tables(study):
    # Apart from the study's own folder: its plan is of a study nobody has begun.
    raw = study.parent / "raw"
    shutil.copytree(study / "raw" / "medical_claim", raw / "medical_claim")
    for name in ("eligibility", "person", "pharmacy_claim"):
        shutil.copy(study / "raw" / f"{name}.parquet", raw)
    return read_tables(raw, work_dir=study.parent / "tables", n_buckets=2)


def _plan(raw, tables_folder, panel_folder, **options):
    return plan_panel(
        raw,
        tables_folder=tables_folder,
        panel_folder=panel_folder,
        **{"n_months": 48, "n_measures": MEASURES, **options},
    )


def test_before_reading_rows_are_those_the_files_tell_of(study, tmp_path):
    made = _plan(study / "raw", tmp_path / "tables", tmp_path / "panel")
    others = [file for file in (study / "raw").rglob("*.parquet") if file.stem != "eligibility"]
    assert made.n_lines == sum(pq.read_metadata(file).num_rows for file in others)
    assert made.n_members == pytest.approx(MEMBERS, rel=0.2)
    assert not made.is_counted
    assert made.reading_cpu_s > 0
    assert made.tables_gb > 0
    assert "nothing of the reading; 0 of 1 buckets" in str(made)


def test_text_files_are_estimated_by_their_size(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "medical_claim.csv").write_bytes(b"x" * 2_000_000)
    small = _plan(tmp_path / "raw", tmp_path / "t", tmp_path / "p")
    (tmp_path / "raw" / "medical_claim.csv").write_bytes(b"x" * 4_000_000)
    large = _plan(tmp_path / "raw", tmp_path / "t", tmp_path / "p")
    assert large.n_lines == pytest.approx(2 * small.n_lines, abs=1)
    assert small.n_members > 0


@pytest.mark.parametrize("name", ["eob.ndjson", "bundle.json.gz", "claims.CSV.GZ"])
def test_a_line_of_a_fhir_file_is_longer_and_a_packed_one_shorter(tmp_path, name):
    costs = measured_costs()
    per_row = {
        "eob.ndjson": costs["raw_bytes_per_row_json"],
        "bundle.json.gz": costs["raw_bytes_per_row_json_packed"],
        "claims.CSV.GZ": costs["raw_bytes_per_row_packed"],
    }
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).write_bytes(b"x" * 1_000_000)
    made = _plan(tmp_path / "raw", tmp_path / "t", tmp_path / "p")
    assert made.n_lines == round(1_000_000 / per_row[name])
    assert per_row["eob.ndjson"] > costs["raw_bytes_per_row"] > per_row["claims.CSV.GZ"]


def test_after_reading_everything_is_counted_and_only_the_panel_is_left(tables, tmp_path):
    made = _plan(None, tables.folder, tmp_path)
    claims = ("medical_claim", "pharmacy_claim")
    assert made.n_lines == sum(len(tables.frame(name, ["claim_id"])) for name in claims)
    members = tables.frame("eligibility", ["member_id"])["member_id"].nunique()
    assert made.n_members == pytest.approx(members, rel=0.1)
    assert made.is_counted
    assert (made.n_buckets, made.n_buckets_built) == (2, 0)
    assert made.reading_cpu_s == made.tables_gb == made.scratch_gb == 0
    assert made.panel_cpu_s > 0


def test_tables_of_an_earlier_extract_are_planned_anew(tables, study, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(study.parent / "raw", raw)
    assert _plan(raw, tables.folder, tmp_path / "panel").is_read
    pd.read_parquet(raw / "person.parquet").head(5).to_parquet(raw / "person.parquet")
    assert not _plan(raw, tables.folder, tmp_path / "panel").is_read


def test_an_extract_in_files_of_other_names_is_planned_anew(tables, study, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("eligibility", "medical_claim_2025q1"):
        shutil.copy(study.parent / "raw" / "eligibility.parquet", raw / f"{name}_2025q1.parquet")
    assert not _plan(raw, tables.folder, tmp_path / "panel").is_read


def test_a_finished_panel_costs_nothing_and_half_of_one_half_and_all_the_counting(
    tables, tmp_path, monkeypatch
):
    monkeypatch.setattr(plan, "calibration_s", lambda: measured_costs()["calibration_cpu_s"])
    whole = _plan(None, tables.folder, tmp_path)
    (tmp_path / "buckets").mkdir()
    for number in range(2):
        share_file(tmp_path, number).write_text("{}")
    finished = _plan(None, tables.folder, tmp_path)
    assert finished.panel_cpu_s == finished.panel_gb == 0
    share_file(tmp_path, 1).unlink()
    half = _plan(None, tables.folder, tmp_path)
    assert half.n_buckets_built == 1
    # Care is counted of every bucket, of those that are built too: later panels begin from it.
    counting_s, counting_gb = _counting(whole.n_lines)
    assert half.panel_cpu_s == pytest.approx((whole.panel_cpu_s - counting_s) / 2 + counting_s)
    assert half.panel_gb == pytest.approx((whole.panel_gb - counting_gb) / 2 + counting_gb)


def _counting(n_lines):
    """Processor seconds and GB of counting the care of all buckets."""
    costs = measured_costs()
    seconds = costs["counting_us_per_line"] * n_lines / 1e6
    return seconds, costs["counted_share"] * costs["tables_bytes_per_line"] * n_lines / GB


def test_nothing_is_counted_for_spark_and_the_panel_begins_from_the_claims(
    tables, tmp_path, monkeypatch
):
    monkeypatch.setattr(plan, "calibration_s", lambda: measured_costs()["calibration_cpu_s"])
    ours = _plan(None, tables.folder, tmp_path)
    sparks = _plan(None, tables.folder, tmp_path, engine="spark")
    _, counting_gb = _counting(ours.n_lines)
    assert ours.panel_gb - sparks.panel_gb == pytest.approx(counting_gb)
    (tables.folder / DERIVED_FOLDER).mkdir()
    for number in range(2):
        (tables.folder / DERIVED_FOLDER / f"bucket-{number:04d}.json").write_text("{}")
    from_counts = _plan(None, tables.folder, tmp_path, engine="spark")
    shutil.rmtree(tables.folder / DERIVED_FOLDER)
    assert from_counts.panel_cpu_s == sparks.panel_cpu_s, "Spark reads no counts"
    assert "Spark" in str(sparks)
    assert "Spark" not in str(ours)


def test_a_panel_of_the_other_engine_is_built_again(tables, tmp_path):
    (tmp_path / "buckets").mkdir()
    share_file(tmp_path, 0).write_text("{}")
    assert _plan(None, tables.folder, tmp_path).n_buckets_built == 1
    # Spark begins again from the beginning, whatever an earlier run left.
    assert _plan(None, tables.folder, tmp_path, engine="spark").n_buckets_built == 0
    share_file(tmp_path, 0).unlink()
    one_share_file(tmp_path).write_text('{"stamp": "a"}')
    assert _plan(None, tables.folder, tmp_path).n_buckets_built == 0
    assert _plan(None, tables.folder, tmp_path, engine="spark").n_buckets_built == 2


def test_spark_holds_its_whole_heap(tables, tmp_path):
    small = _plan(None, tables.folder, tmp_path, engine="spark", memory_limit_gb=1.0)
    large = _plan(None, tables.folder, tmp_path, engine="spark", memory_limit_gb=8.0)
    assert large.peak_gb - small.peak_gb == pytest.approx(7)


def test_scratch_is_staged_rows_and_a_bounded_number_on_their_way(monkeypatch):
    def half_a_gb_at_most():
        return {"scratch_share": 1.5, "scratch_bytes_per_line": 100, "scratch_most_gb": 0.5}

    monkeypatch.setattr(plan_costs, "measured_costs", half_a_gb_at_most)
    few, many = 1_000_000, 1_000_000_000
    assert reading_scratch_gb(few, 0.02) == pytest.approx(0.03 + few * 100 / GB)
    assert reading_scratch_gb(many, 20.0) == pytest.approx(30.0 + 0.5)


def test_an_unknown_engine_cannot_be_planned(tables, tmp_path):
    with pytest.raises(TableError, match="no engine is named 'polars'"):
        _plan(None, tables.folder, tmp_path, engine="polars")


def test_a_study_is_planned_with_its_own_engine_and_memory(study, tmp_path):
    text = (study / "study.toml").read_text(encoding="utf-8")
    other = tmp_path / "study.toml"
    text += '\n[computing]\nengine = "spark"\nmemory_limit_gb = 64\n'
    other.write_text(text, encoding="utf-8")
    shutil.copytree(study / "raw", tmp_path / "raw")
    made = plan_study(read_study(other))
    assert made.engine == "spark"
    assert made.peak_gb > 64
    assert plan_study(read_study(study)).peak_gb < 4


def test_a_broken_off_reading_is_seen(study, tmp_path):
    under_way = tmp_path / "tables" / ".reading" / "abc"
    (under_way / "staged").mkdir(parents=True)
    for name in ("staged/eligibility", "staged/person", "bucket-0000"):
        (under_way / f"{name}.json").write_text("{}")
    made = _plan(study / "raw", tmp_path / "tables", tmp_path / "panel")
    assert "broken off after 2 tables and 1 checked buckets" in str(made)


def test_a_machine_half_as_fast_takes_twice_the_time(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "calibration_s", lambda: 0.1)
    fast = _plan(None, tables.folder, tmp_path)
    monkeypatch.setattr(plan, "calibration_s", lambda: 0.2)
    slow = _plan(None, tables.folder, tmp_path)
    assert slow.panel_cpu_s == pytest.approx(2 * fast.panel_cpu_s)


def test_more_months_and_measures_take_longer(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "calibration_s", lambda: 0.1)
    base = _plan(None, tables.folder, tmp_path)
    for options in ({"n_months": 96}, {"n_measures": 2 * MEASURES}):
        assert _plan(None, tables.folder, tmp_path, **options).panel_cpu_s > base.panel_cpu_s


def test_a_full_disk_and_little_memory_are_said_with_what_to_do(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(GB, GB, 1000))
    monkeypatch.setattr(plan, "free_memory_gb", lambda: 0.1)
    made = _plan(None, tables.folder, tmp_path)
    disk, memory = made.problems
    assert "Free space" in disk
    assert "memory_limit_gb" in memory
    assert "It will fit." not in str(made)


def test_unknown_memory_is_said_to_be_unknown(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "free_memory_gb", lambda: math.nan)
    made = _plan(None, tables.folder, tmp_path)
    assert "unknown free" in str(made)
    assert made.problems == ()


def test_a_database_or_an_empty_folder_cannot_be_planned(tmp_path):
    with pytest.raises(TableError, match="a database holds none"):
        _plan(None, tmp_path, tmp_path)
    (tmp_path / "raw").mkdir()
    with pytest.raises(TableError, match="is empty"):
        _plan(tmp_path / "raw", tmp_path / "t", tmp_path / "p")


def test_every_cost_says_where_it_was_measured():
    costs = pd.read_csv(files("calaim_eval.panel") / "plan_costs.csv", dtype=str)
    assert not costs.isna().any(axis=None)
    assert costs["cost"].is_unique
    assert (costs["value"].astype(float) > 0).all()


def test_the_command_plans_and_builds_nothing(study, monkeypatch):
    told = CliRunner().invoke(app, ["panel", str(study), "--plan"])
    assert told.exit_code == 0, told.output
    assert "It will fit." in told.output
    assert "48 months" in told.output
    assert not (study / "restricted" / "panel").exists()
    monkeypatch.setattr(plan, "free_memory_gb", lambda: 0.01)
    assert CliRunner().invoke(app, ["panel", str(study), "--plan"]).exit_code == FINDINGS_EXIT_CODE


def test_care_that_is_counted_is_not_planned_again(tables, tmp_path):
    before = _plan(None, tables.folder, tmp_path)
    (tables.folder / DERIVED_FOLDER).mkdir()
    for number in range(2):
        (tables.folder / DERIVED_FOLDER / f"bucket-{number:04d}.json").write_text("{}")
    after = _plan(None, tables.folder, tmp_path)
    shutil.rmtree(tables.folder / DERIVED_FOLDER)
    counting_s, counting_gb = _counting(before.n_lines)
    left_s = before.panel_cpu_s / before.speed - after.panel_cpu_s / after.speed
    assert left_s == pytest.approx(counting_s)
    assert before.panel_gb - after.panel_gb == pytest.approx(counting_gb)


@pytest.mark.parametrize(
    ("n_lines", "n_months", "n_buckets", "measured"),
    [
        (6_450_000, 3_476_408, 2, {"read": 64, "count": 18, "panel": 10, "reading_gb": 1.79}),
        (
            258_100_000,
            139_279_006,
            64,
            {"read": 2728, "count": 670, "panel": 281, "reading_gb": 2.14},
        ),
    ],
    ids=["100,000 members", "4,000,000 members"],
)
def test_the_costs_are_those_that_were_measured(n_lines, n_months, n_buckets, measured):
    """`benchmarks/README.md`: claim lines and fills, member-months, CPU seconds and memory."""
    assert plan_costs.reading_cpu_s(n_lines) == pytest.approx(measured["read"], rel=0.1)
    assert plan_costs.counting_cpu_s(n_lines) == pytest.approx(measured["count"], rel=0.1)
    panel_s = plan_costs.panel_cpu_s(n_lines, n_months, 37, n_buckets)
    assert panel_s == pytest.approx(measured["panel"], rel=0.1)
    assert plan_costs.reading_peak_gb(n_lines, 1.5) == pytest.approx(
        measured["reading_gb"], rel=0.1
    )
