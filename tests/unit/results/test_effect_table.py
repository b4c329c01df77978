from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.errors import EstimationError
from calaim_eval.results import (
    EffectTable,
    Estimand,
    Method,
    load_results,
    save_results,
    stack,
)


def _table(estimate, covariance, *, scale="difference", unit="visits", support=None):
    k = len(estimate)
    return EffectTable(
        keys=pd.DataFrame({"stratum": list("abcdef")[:k]}),
        estimate=np.array(estimate, dtype=float),
        covariance=np.array(covariance, dtype=float),
        support=pd.DataFrame(
            support
            or {"n_members": [100.0] * k, "n_events": [50.0] * k, "member_months": [900.0] * k}
        ),
        estimand=Estimand("ATT", "exposed minus comparison", unit, scale),
        method=Method("by hand"),
    )


def test_combine_propagates_the_joint_covariance():
    covariance = np.array([[4.0, 1.0, 0.5], [1.0, 9.0, 2.0], [0.5, 2.0, 1.0]])
    table = _table([1.0, 2.0, 5.0], covariance)
    weights = np.array([[1.0, -1.0, 0.0], [0.2, 0.3, 0.5]])
    new = table.combine(weights, keys=pd.DataFrame({"row": ["gap", "mean"]}))
    assert new.estimate == pytest.approx([-1.0, 0.2 + 0.6 + 2.5])
    assert new.covariance == pytest.approx(weights @ covariance @ weights.T)
    # Var(a - b) = Var a + Var b - 2 Cov
    assert new.std_error[0] == pytest.approx(np.sqrt(4 + 9 - 2))


def test_the_average_keeps_the_covariances_a_naive_average_drops():
    # equicorrelated estimates: se of the mean is sqrt((1 + (k - 1) rho) / k), not 1 / sqrt(k)
    rho, k = 0.5, 4
    covariance = np.full((k, k), rho) + (1 - rho) * np.eye(k)
    mean = _table([1.0] * k, covariance).combine(
        np.full((1, k), 1 / k), keys=pd.DataFrame({"row": ["mean"]})
    )
    assert mean.std_error[0] == pytest.approx(np.sqrt((1 + (k - 1) * rho) / k))


def test_an_undefined_row_spoils_only_what_uses_it():
    covariance = np.eye(3)
    covariance[2, :] = covariance[:, 2] = np.nan
    table = _table([1.0, 2.0, np.nan], covariance)
    new = table.combine([[1, 1, 0], [1, 0, 1]], keys=pd.DataFrame({"row": ["ok", "undefined"]}))
    assert new.estimate[0] == 3.0
    assert new.std_error[0] == pytest.approx(np.sqrt(2))
    assert np.isnan(new.estimate[1])
    assert np.isnan(new.std_error[1])


def test_default_support_is_the_smallest_used():
    support = {"n_members": [100, 7, 50], "n_events": [9, 3, 2], "member_months": [10, 20, 30]}
    table = _table([1, 2, 3], np.eye(3), support=support)
    new = table.combine([[1, 0, 1]], keys=pd.DataFrame({"row": ["x"]}))
    assert new.support.iloc[0].tolist() == [50, 2, 10]


def test_default_support_of_no_event_and_a_few_is_the_few():
    support = {"n_members": [100, 7, 50], "n_events": [0, 3, 80], "member_months": [10, 20, 30]}
    table = _table([1, 2, 3], np.eye(3), support=support)
    new = table.combine([[1, 1, 1], [1, 0, 0], [0, 0, 0]], keys=pd.DataFrame({"row": list("xyz")}))
    assert new.support.to_numpy().tolist() == [[7, 3, 10], [100, 0, 10], [0, 0, 0]]


def test_zero_variance_is_undefined_not_certain():
    frame = _table([2.0], [[0.0]]).to_frame()
    assert frame[["std_error", "conf_low", "p_value"]].isna().all(axis=None)


def test_intervals_difference_and_ratio():
    frame = _table([1.0], [[0.25]]).to_frame()
    z = stats.norm.ppf(0.975)
    assert frame.conf_low[0] == pytest.approx(1 - z * 0.5)
    assert frame.p_value[0] == pytest.approx(2 * stats.norm.sf(2.0))
    ratio = _table([2.0], [[0.16]], scale="ratio").to_frame()
    assert ratio.conf_low[0] == pytest.approx(2 * np.exp(-z * 0.2))
    assert ratio.p_value[0] == pytest.approx(2 * stats.norm.sf(np.log(2) / 0.2))


def test_select_keeps_the_block():
    covariance = np.array([[4.0, 1.0, 0.5], [1.0, 9.0, 2.0], [0.5, 2.0, 1.0]])
    part = _table([1, 2, 3], covariance).select(np.array([True, False, True]))
    assert part.covariance == pytest.approx(np.array([[4.0, 0.5], [0.5, 1.0]]))
    assert part.keys.stratum.tolist() == ["a", "c"]


def test_stacked_tables_have_no_joint_covariance():
    one = _table([1.0], [[1.0]], unit="visits")
    two = _table([5.0], [[4.0]], unit="days")
    both = stack([one, two], key="outcome", labels=["ed_visits", "inpatient_days"])
    assert both.keys.columns.tolist() == ["outcome", "unit", "stratum"]
    assert both.keys.unit.tolist() == ["visits", "days"]
    across = both.combine([[1, -1]], keys=pd.DataFrame({"row": ["across"]}))
    assert np.isnan(across.std_error[0])
    within = both.combine([[0, 2]], keys=pd.DataFrame({"row": ["within"]}))
    assert within.std_error[0] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"covariance": np.eye(3)}, "covariance of shape"),
        ({"support": pd.DataFrame({"n_members": [1.0, 1.0]})}, "lacks"),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(change, message):
    good = _table([1.0, 2.0], np.eye(2))
    fields = {name: getattr(good, name) for name in good.__dataclass_fields__}
    with pytest.raises(EstimationError, match=message):
        EffectTable(**{**fields, **change})


def test_weights_of_the_wrong_shape_are_refused():
    with pytest.raises(EstimationError, match="expected"):
        _table([1.0], [[1.0]]).combine([[1, 2]], keys=pd.DataFrame({"row": ["x"]}))


def test_intervals_are_students_t_where_degrees_of_freedom_are_known(tmp_path):
    """t(3) and t(9) from scipy; the third row has none and is normal."""
    plain = _table([2.0, 3.0, 1.0], np.diag([1.0, 4.0, 0.25]))
    table = replace(plain, degrees=np.array([3.0, 9.0, np.nan]))
    reach = np.array(
        [stats.t.ppf(0.975, 3), 2 * stats.t.ppf(0.975, 9), 0.5 * stats.norm.ppf(0.975)]
    )
    frame = table.to_frame()
    np.testing.assert_allclose(frame["conf_low"], table.estimate - reach)
    np.testing.assert_allclose(frame["conf_high"], table.estimate + reach)
    p_value = [2 * stats.t.sf(2, 3), 2 * stats.t.sf(1.5, 9), 2 * stats.norm.sf(2)]
    np.testing.assert_allclose(frame["p_value"], p_value)
    save_results({"t": table, "plain": plain}, tmp_path / "results")
    back = load_results(tmp_path / "results")
    pd.testing.assert_frame_equal(back["t"].to_frame(), frame)
    assert back["plain"].degrees is None
    both = table.combine([[1, 1, 0], [0, 1, 1], [0, 0, 1]], keys=pd.DataFrame({"row": list("abc")}))
    np.testing.assert_array_equal(both.degrees, [3.0, 9.0, np.nan])
    np.testing.assert_array_equal(table.select([True, False, True]).degrees, [3.0, np.nan])
    under = stack([plain, table], key="which", labels=["normal", "t"])
    np.testing.assert_array_equal(under.degrees, [np.nan] * 3 + [3.0, 9.0, np.nan])


def test_nothing_but_arrays_is_saved_as_one(tmp_path, monkeypatch):
    """NumPy 2.0, which is allowed, takes every keyword of `savez_compressed` for an array."""
    given, save = set(), np.savez_compressed

    def oldest(file, **arrays):
        given.update(arrays)
        save(file, **arrays)

    monkeypatch.setattr(np, "savez_compressed", oldest)
    save_results({"t": _table([1.0, 2.0], np.eye(2))}, tmp_path / "results")
    assert given == {"estimate", "covariance"}
