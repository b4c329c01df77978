"""The Goodman-Bacon decomposition: its sum, its weights by hand, what it refuses and draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel, clustered, influence, mean

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import bacon_decomposition, two_way_fixed_effects
from calaim_eval.moments import CellMoments, reduce_panel


def panel(cohorts: dict[float, int], n_months: int, seed: int = 0) -> pd.DataFrame:
    """Members of each cohort (NaN = never) in every month, with counts."""
    cohort = np.concatenate([np.full(n, c) for c, n in cohorts.items()])
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(len(cohort)), n_months),
            "month": np.tile(np.arange(n_months), len(cohort)),
            "cohort": np.repeat(cohort, n_months),
        }
    )
    rng = np.random.default_rng(seed)
    return frame.assign(
        visits=rng.poisson(2 + (frame["month"] >= frame["cohort"]) * frame["month"])
    )


def cells(frame: pd.DataFrame, **options) -> CellMoments:
    return reduce_panel(frame, outcomes=["visits"], **options, unbalanced="cell_means")


@pytest.mark.parametrize(
    "cohorts",
    [
        {2.0: 9, 4.0: 7, np.nan: 11},
        {2.0: 9, 4.0: 7, 5.0: 4},
        {0.0: 6, 2.0: 9, 4.0: 7, np.nan: 11},
        {-3.0: 6, 2.0: 9},
        {2.0: 5, 3.0: 9, 30.0: 8},
    ],
)
def test_weighted_sum_is_the_regression(cohorts: dict[float, int]) -> None:
    moments = cells(panel(cohorts, 7))
    found = bacon_decomposition(moments, outcome="visits", per=100)
    naive = two_way_fixed_effects(moments, outcome="visits", per=100)
    assert (found.weight > 0).all()
    assert found.weight.sum() == pytest.approx(1)
    assert found.two_way()["estimate"].to_numpy() == pytest.approx(naive.estimate)
    kinds = found.by_comparison()
    assert kinds["weight"].sum() == pytest.approx(1)
    assert (kinds["weight"] * kinds["estimate"]).sum() == pytest.approx(naive.estimate[0])


def test_weights_by_hand() -> None:
    # 4 months; exposed in 1 (share 3/4, 2 members) and in 3 (share 1/4, 4), never 6.
    found = bacon_decomposition(cells(panel({1.0: 2, 3.0: 4, np.nan: 6}, 4)), outcome="visits")
    frame = found.to_frame()
    expected = {
        ("exposed_vs_never", 1): 2 * 6 * 3 / 4 * 1 / 4,
        ("exposed_vs_never", 3): 4 * 6 * 1 / 4 * 3 / 4,
        ("earlier_vs_later", 1): 2 * 4 * (3 / 4 - 1 / 4) * 1 / 4,
        ("later_vs_earlier", 3): 2 * 4 * (3 / 4 - 1 / 4) * 1 / 4,
    }
    keys = list(zip(frame["comparison"], frame["exposed_cohort"], strict=True))
    assert set(keys) == set(expected)
    whole = sum(expected.values())
    assert frame["weight"].tolist() == pytest.approx([expected[key] / whole for key in keys])


def test_comparisons_and_their_errors_written_out() -> None:
    frame = awkward_panel(seed=3, members=50, gap=0.0)
    windows = {
        ("exposed_vs_never", 3.0): (range(3), range(3, 7)),
        ("exposed_vs_never", 5.0): (range(5), range(5, 7)),
        ("earlier_vs_later", 3.0): (range(3), range(3, 5)),
        ("later_vs_earlier", 5.0): (range(3, 5), range(5, 7)),
    }
    found = bacon_decomposition(cells(frame), outcome="visits")
    keys = found.comparisons.keys

    def by_hand(weight: np.ndarray) -> np.ndarray:
        values = []
        for kind, exposed, other in keys.itertuples(index=False):
            before, after = windows[kind, exposed]
            own = frame["cohort"] == exposed
            against = frame["cohort"].isna() if pd.isna(other) else frame["cohort"] == other
            m = [
                mean(frame, weight, side & frame["month"].isin(months), "visits")
                for side in (own, against)
                for months in (after, before)
            ]
            values.append(m[0] - m[1] - m[2] + m[3])
        return np.array(values)

    assert found.comparisons.estimate == pytest.approx(by_hand(np.ones(50)))
    covariance = clustered(influence(by_hand, 50))
    assert found.comparisons.covariance == pytest.approx(covariance, abs=1e-7)


def test_strata_and_single_members() -> None:
    frame = panel({2.0: 1, 4.0: 7, np.nan: 11}, 7).assign(group="x")
    other = panel({3.0: 5, np.nan: 5}, 7, seed=1).assign(group="y")
    other["member_id"] += 100
    moments = cells(pd.concat([frame, other]), stratum="group")
    found = bacon_decomposition(moments, outcome="visits")
    naive = two_way_fixed_effects(moments, outcome="visits")
    assert found.two_way()["estimate"].to_numpy() == pytest.approx(naive.estimate)
    weights = found.to_frame().groupby("group")["weight"].sum()
    assert weights.to_numpy() == pytest.approx([1, 1])
    single = found.comparisons.support["n_members"] < 2
    assert single.any()
    assert np.isnan(found.comparisons.std_error[single]).all()
    assert np.isfinite(found.comparisons.std_error[~single]).all()


def test_what_is_refused() -> None:
    frame = awkward_panel(seed=3, members=50)
    with pytest.raises(EstimationError, match="bacon_decomposition needs every member in every"):
        bacon_decomposition(cells(frame), outcome="visits")
    whole = awkward_panel(seed=3, members=50, gap=0.0)
    with pytest.raises(EstimationError, match=r"moments.pooled\('risk'\)"):
        bacon_decomposition(cells(whole, covariate_cells="risk"), outcome="visits")
    with pytest.raises(EstimationError, match="the same in all"):
        bacon_decomposition(cells(whole.assign(visits=2)), outcome="visits")
    for cohort in (np.nan, 3.0, -1.0, 70.0):
        with pytest.raises(DesignError, match="no two cohorts differ"):
            bacon_decomposition(cells(whole.assign(cohort=cohort)), outcome="visits")


def test_picture_and_its_words() -> None:
    moments = cells(panel({1.0: 20, 3.0: 40, np.nan: 60}, 4))
    found = bacon_decomposition(moments, outcome="visits")
    kinds = found.by_comparison().set_index("comparison")
    words = found.alt_text()
    share = kinds.loc["exposed_vs_never", "weight"]
    assert f"exposed and never exposed {share:.0%} of the weight" in words
    assert f"coefficient {found.two_way()['estimate'][0]:.3g}" in words
    plot = found.plot()
    assert plot.draw(show=False) is not None
    assert "25 comparisons" not in repr(found)
    assert "4 comparisons" in repr(found)
