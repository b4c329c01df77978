"""Synthetic difference-in-differences against diff-diff on random panels of counties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import synthetic_did

diff_diff = pytest.importorskip("diff_diff")

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def random_panel(seed: int, *, exposed: int | None = None) -> tuple[pd.DataFrame, int]:
    """Counties with two factors; how many, how long and when exposed is random."""
    rng = np.random.default_rng(seed)
    n_exposed = exposed or int(rng.integers(2, 6))
    n, months = n_exposed + int(rng.integers(8, 25)), int(rng.integers(10, 30))
    first = int(rng.integers(4, months - 2))
    factors = np.cumsum(rng.normal(size=(2, months)), axis=1)
    rate = 20 + 3 * rng.normal(size=(n, 1)) + rng.random((n, 2)) @ factors
    rate += rng.normal(size=(n, months))
    rate[:n_exposed, first:] += 1.5
    is_exposed = np.arange(n) < n_exposed
    frame = pd.DataFrame(
        {
            "county": np.repeat(np.arange(n), months),
            "month": np.tile(np.arange(months), n),
            "cohort": np.repeat(np.where(is_exposed, float(first), np.nan), months),
            "is_exposed": np.repeat(is_exposed.astype(int), months),
            "rate": rate.ravel(),
        }
    )
    return frame, first


def peer(frame: pd.DataFrame, first: int, **options: object) -> object:
    return diff_diff.SyntheticDiD(**options).fit(
        frame,
        outcome="rate",
        treatment="is_exposed",
        unit="county",
        time="month",
        post_periods=list(range(first, int(frame["month"].max()) + 1)),
    )


@pytest.mark.parametrize("seed", range(10))
def test_effect_and_jackknife(seed: int) -> None:
    frame, first = random_panel(seed)
    theirs = peer(frame, first, variance_method="jackknife")
    ours = synthetic_did(frame, outcome="rate", std_error="jackknife")
    # 1e-6: where Frank-Wolfe stops turns on rounding.
    assert ours.estimate[0] == pytest.approx(theirs.att, abs=1e-6)
    assert ours.std_error[0] == pytest.approx(theirs.se, rel=1e-6)


@pytest.mark.parametrize("seed", range(10, 13))
def test_every_placebo_beside_random_ones(seed: int) -> None:
    # 1,000 random placebos against all of them: the difference is chance, three errors of it.
    frame, first = random_panel(seed, exposed=1)
    theirs = peer(frame, first, variance_method="placebo", n_bootstrap=1_000, seed=seed)
    ours = synthetic_did(frame, outcome="rate")
    assert ours.estimate[0] == pytest.approx(theirs.att, abs=1e-6)
    apart = ours.draws[:, 0] - ours.draws[:, 0].mean()
    kurtosis = (apart**4).mean() / (apart**2).mean() ** 2
    chance = ours.std_error[0] * np.sqrt((kurtosis - 1) / (4 * 1_000))
    assert abs(ours.std_error[0] - theirs.se) < 3 * chance


def test_bootstrap_beside_the_peers() -> None:
    # Two bootstraps of 200 draws each; four errors of their difference, near normal draws.
    frame, first = random_panel(20, exposed=5)
    theirs = peer(frame, first, variance_method="bootstrap", n_bootstrap=200, seed=1)
    ours = synthetic_did(
        frame, outcome="rate", std_error="bootstrap", solver="exact", rng=np.random.default_rng(1)
    )
    chance = ours.std_error[0] * np.sqrt(2 / (2 * 200))
    assert abs(ours.std_error[0] - theirs.se) < 4 * chance
