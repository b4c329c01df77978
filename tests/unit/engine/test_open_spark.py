"""What is said where Spark cannot run, and paths as it takes them."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from calaim_eval.engine.run_on_spark import _address, _address_to_read
from calaim_eval.engine.spark import open_spark
from calaim_eval.errors import MissingExtraError, TableError
from calaim_eval.panel import build_member_months
from calaim_eval.tables import Tables


def test_without_pyspark_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with (
        pytest.raises(MissingExtraError, match=r"calaim-eval\[spark\]"),
        open_spark(temp_folder=tmp_path),
    ):
        pass


def test_without_java_java_is_named(monkeypatch, tmp_path):
    sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed (extra `spark`)")
    if sql.SparkSession.getActiveSession() is not None:
        pytest.skip("a Spark session is active in this process")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(MissingExtraError, match="Java 17"), open_spark(temp_folder=tmp_path):
        pass


def test_an_unknown_engine_is_refused(tmp_path):
    spans = pd.DataFrame(
        {
            "member_id": ["a"],
            "enrollment_start_date": ["2022-01-10"],
            "enrollment_end_date": ["2022-02-28"],
        }
    )
    tables = Tables.from_frames({"eligibility": spans})
    with pytest.raises(TableError, match=r"'polars'.\n  Engines: 'duckdb', 'spark'"):
        build_member_months(
            tables, first_month="2022-01", last_month="2022-03", engine="polars", out_dir=tmp_path
        )
    assert not list(tmp_path.iterdir())


def test_spark_takes_names_of_folders_as_they_are_and_patterns_where_it_reads():
    folder = Path("/data/Ü [1] 100%/{a}*?")
    assert _address(folder) == "file:///data/Ü [1] 100%/{a}*?"
    assert _address_to_read(folder) == r"file:///data/Ü \[1\] 100%/\{a\}\*\?"
