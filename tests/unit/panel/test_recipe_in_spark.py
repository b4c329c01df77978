"""Every step of the panel can be said in Spark's language; no Spark is started."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from calaim_eval.engine.spark_language import statement
from calaim_eval.panel import EXPOSURES, MEASURES, PanelRules
from calaim_eval.panel.resume import INPUTS, LOOKUPS

WINDOW = pd.period_range("2021-01", "2024-12", freq="M")


@pytest.fixture(scope="module")
def statements():
    pytest.importorskip("pyspark", reason="PySpark is not installed (extra `spark`)")
    import ibis

    from calaim_eval.panel.build_bucket import bucket_recipe

    steps = bucket_recipe(
        (*INPUTS, *LOOKUPS),
        months=WINDOW,
        rules=PanelRules(),
        measures=[*MEASURES.values(), *EXPOSURES.values()],
        unobserved={},
    )
    compiler = ibis.pyspark.compile.__self__.compiler
    backend = SimpleNamespace(compiler=compiler, dialect=compiler.dialect)
    return {
        step.name: statement(step, backend) for step in steps.recipe.steps if step.rows is not None
    }


def test_every_step_has_a_statement(statements):
    assert {"spans", "claim_lines", "events", "panel_months"} <= set(statements)


def test_no_number_without_an_order_brings_all_rows_together(statements):
    assert "MONOTONICALLY_INCREASING_ID() + 1" in statements["spans"]
    assert not [
        name for name, sql in statements.items() if "ROW_NUMBER() OVER (ORDER BY NULL" in sql
    ]


def test_days_are_numbers_not_differences_of_timestamps(statements):
    for sql in statements.values():
        assert "DATEDIFF(DAY, MAKE_DATE(1970" not in sql
        assert "AS INTERVAL)" not in sql


def test_bits_are_shifted_in_64_bits(statements):
    shifted = [sql for sql in statements.values() if "SHIFTLEFT(" in sql]
    assert shifted
    for sql in shifted:
        assert sql.count("SHIFTLEFT(") == sql.count("SHIFTLEFT(CAST(1 AS BIGINT), ")
