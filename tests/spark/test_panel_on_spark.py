"""The panel from Spark is the panel from DuckDB: every value, every part, every count."""

from __future__ import annotations

import pandas as pd
import pyarrow.parquet as pq
import pytest

from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.panel.member_months import PANEL_TABLES
from calaim_eval.simulate import simulate_medi_cal
from calaim_eval.tables import read_tables

WINDOW = {"first_month": "2021-01", "last_month": "2024-12"}
CENT = 0.005
OTHER_RULES = PanelRules(
    month_rule="all_days",
    payer_types=("medicaid", "medicare"),
    benefit_scope="any",
    exclude_duals=False,
    plan_rule="latest_recorded",
    ed_definition="with_urgent_care",
    ed_join_days=0,
    stay_evidence="bill_type",
    transfer_rule="dates_and_status",
    readmission_ages=(18, 64),
    paid_claims="medical_and_pharmacy",
)


def _read(folder, members, n_buckets):
    simulate_medi_cal(folder / "study", members=members, seed=7)
    return read_tables(
        folder / "study" / "raw",
        work_dir=folder / "tables",
        n_buckets=n_buckets,
        extract_date="2025-06-30",
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return _read(tmp_path_factory.mktemp("small"), 500, 3)


def _both(tables, folder, **options):
    return {
        engine: build_member_months(
            tables, **WINDOW, **options, out_dir=folder / engine, engine=engine
        )
        for engine in ("duckdb", "spark")
    }


def _parts(panel, table):
    return [
        _read_part(panel.folder / table / f"part-{n:04d}.parquet") for n in range(panel.n_buckets)
    ]


def _read_part(path):
    frame = pq.read_table(path).to_pandas()
    # First days of months are dates in one file and dates with a time of 0:00 in the other.
    months = [column for column in frame if column == "month" or column.endswith("_month")]
    return frame.assign(**{each: pd.to_datetime(frame[each]).dt.as_unit("s") for each in months})


def _assert_same(duckdb, spark):
    for table in PANEL_TABLES:
        for ours, theirs in zip(_parts(duckdb, table), _parts(spark, table), strict=True):
            assert list(ours.columns) == list(theirs.columns)
            exact = [column for column in ours if ours[column].dtype.kind != "f"]
            pd.testing.assert_frame_equal(ours[exact], theirs[exact])
            for column in ours.columns.difference(exact):
                assert ours[column].isna().equals(theirs[column].isna())
                assert not ((ours[column] - theirs[column]).abs() >= CENT).any()
    pd.testing.assert_frame_equal(_ledger(duckdb), _ledger(spark))
    ours, theirs = _amounts(duckdb), _amounts(spark)
    assert ours.index.equals(theirs.index)
    assert ((ours - theirs).abs() < CENT).all()
    for name in ("n_members", "n_member_months", "n_unclassified", "measures", "notes", "rules"):
        assert getattr(duckdb, name) == getattr(spark, name)
    pd.testing.assert_frame_equal(duckdb.unclassified, spark.unclassified)
    assert dict(duckdb.unobserved_months) == dict(spark.unobserved_months)


def _ledger(panel):
    key = ["table", "stage", "reason"]
    return panel.ledger.to_frame().sort_values(key, ignore_index=True)


def _amounts(panel):
    return panel.amounts.set_index(["table", "reason"])["paid_usd"].sort_index()


def test_same_panel_under_other_rules(tables, spark, tmp_path):
    _assert_same(**_both(tables, tmp_path, rules=OTHER_RULES))


def test_same_panel_of_20_000_members(spark, tmp_path):
    built = _both(_read(tmp_path, 20_000, None), tmp_path)
    assert built["spark"].n_member_months > 600_000
    _assert_same(**built)


def test_a_build_leaves_the_session_alone_and_the_folder_to_one_engine(
    tables, spark, tmp_path, monkeypatch
):
    options = {**WINDOW, "measures": ["paid_usd"], "out_dir": tmp_path}
    of_bucket, of_all = (tmp_path / "buckets" / f"{name}.json" for name in ("bucket-0000", "all"))
    build_member_months(tables, **options)
    assert of_bucket.is_file()

    first = build_member_months(tables, **options, engine="spark")
    assert spark.conf.get("spark.sql.session.timeZone") == "America/Los_Angeles"
    assert spark.conf.get("spark.sql.ansi.enabled") == "false"
    assert spark.catalog.listTables() == []
    assert not (tmp_path / ".spill").exists()
    assert of_all.is_file()
    assert not of_bucket.is_file()

    # A finished panel is not built again; one that lacks a part is.
    monkeypatch.setattr("calaim_eval.engine.run_on_spark.run_on_spark", None)
    again = build_member_months(tables, **options, engine="spark")
    assert again.n_member_months == first.n_member_months
    (tmp_path / "member_month" / "part-0001.parquet").unlink()
    with pytest.raises(TypeError, match="not callable"):
        build_member_months(tables, **options, engine="spark")

    build_member_months(tables, **options)
    assert of_bucket.is_file()
    assert not of_all.is_file()


def test_a_damaged_part_is_said_without_its_content(tables, spark, tmp_path):
    from calaim_eval.engine.spark import spark_failures
    from calaim_eval.errors import TableError

    (tmp_path / "part-0000.parquet").write_bytes(b"a member's secret")
    with (
        pytest.raises(TableError, match=r"reading a part: Spark stopped") as caught,
        spark_failures(doing="reading a part"),
    ):
        spark.read.parquet(str(tmp_path / "part-0000.parquet")).count()
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_overflow_is_an_error(tables, spark, tmp_path):
    import ibis

    from calaim_eval.engine import Recipe
    from calaim_eval.engine.run_on_spark import run_on_spark
    from calaim_eval.engine.spark import open_spark, spark_failures
    from calaim_eval.errors import TableError

    recipe = Recipe()
    rows = ibis.memtable({"n": [2**62, 2**62]})
    recipe.fetch("sum", rows.agg(n=rows["n"].sum()))
    with (
        open_spark(temp_folder=tmp_path) as backend,
        pytest.raises(TableError, match="ARITHMETIC_OVERFLOW"),
        spark_failures(doing="adding up"),
    ):
        run_on_spark(
            recipe,
            backend,
            sources={},
            outputs={},
            part_of=("member_id", []),
            n_parts=1,
            held_folder=tmp_path / "held",
        )
