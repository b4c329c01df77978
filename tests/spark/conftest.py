"""Spark once for all tests here; they are skipped, visibly, where it cannot run."""

from __future__ import annotations

import shutil

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/spark" in item.path.as_posix():
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A local session, active for every build of these tests."""
    sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed (extra `spark`)")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17 or newer; no `java` is on the path")
    session = (
        sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "2g")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.local.dir", str(tmp_path_factory.mktemp("spark_local")))
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        # What a session may have set otherwise must not change the panel.
        .config("spark.sql.session.timeZone", "America/Los_Angeles")
        .config("spark.sql.ansi.enabled", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()
