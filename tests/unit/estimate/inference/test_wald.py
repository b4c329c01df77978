"""Joint tests: units of the rows do not matter, clusters behind the tested rows do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import joint_test
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.smallest_support import SUPPORT_COLUMNS


def effects(keys: dict[str, list], estimate: list[float], influence: np.ndarray) -> EffectTable:
    """A table clustered by county, from the influence of each county (rows) on each effect."""
    size = len(estimate)
    return EffectTable(
        keys=pd.DataFrame(keys),
        estimate=np.array(estimate),
        covariance=influence.T @ influence,
        support=pd.DataFrame(100, index=range(size), columns=list(SUPPORT_COLUMNS)),
        estimand=Estimand(name="Effect", contrast="", unit=""),
        method=Method("by hand", {}, ""),
        cluster_influence=pd.DataFrame(influence),
    )


def test_a_row_in_a_small_unit_counts_as_much_as_one_in_a_large_unit() -> None:
    # Uncorrelated effects 0 and 6 standard errors from 0: chi-square of 36 on 2 degrees.
    columns = np.linalg.qr(np.random.default_rng(1).normal(size=(30, 2)))[0]
    keys = {"outcome": ["paid_usd", "deaths"]}
    found = joint_test(effects(keys, [0.0, 6 * 2e-4], columns * [50.0, 2e-4]))
    assert found["df"].item() == 2
    assert found["statistic"].item() == pytest.approx(36)
    assert found["p_value"].item() == pytest.approx(stats.chi2.sf(36, 2))


def test_rows_that_repeat_one_another_count_once() -> None:
    column = np.random.default_rng(2).normal(size=(30, 1))
    error = float(np.sqrt((column**2).sum()))
    once, twice = [2 * error], [2 * error, 2 * error * 1e-6]
    found = joint_test(effects({"outcome": ["a", "b"]}, twice, column * [1.0, 1e-6]))
    alone = joint_test(effects({"outcome": ["a"]}, once, column))
    assert found["df"].item() == alone["df"].item() == 1
    assert found["statistic"].item() == pytest.approx(alone["statistic"].item()) == 4


def test_only_clusters_behind_the_tested_rows_count() -> None:
    rng = np.random.default_rng(3)
    influence = np.zeros((40, 8))
    influence[:4, :4] = rng.normal(size=(4, 4))
    influence[4:, 4:] = rng.normal(size=(36, 4))
    keys = {"stratum": ["few"] * 4 + ["many"] * 4, "months_earlier": [1, 2, 3, 4] * 2}
    table = effects(keys, [0.0] * 8, influence)
    with pytest.raises(EstimationError, match="4 rows and 4 clusters"):
        joint_test(table)
    assert joint_test(table.select(keys["stratum"] == np.array("many")))["df"].item() == 4
