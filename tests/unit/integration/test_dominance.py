"""General dominance and selection: against brute force and what chance does."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.errors import EstimationError
from calaim_eval.integration import factor_selection, general_dominance
from calaim_eval.integration.success.factor_rows import FactorRows
from calaim_eval.integration.success.factor_selection import _first_terms


def r_squared(frame, names):
    """R² of the outcome on some factors, categories as indicators."""
    if not names:
        return 0.0
    x = pd.get_dummies(frame[list(names)], drop_first=True, dtype=float)
    return sm.OLS(frame["y"], sm.add_constant(x)).fit().rsquared


@pytest.fixture
def units():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=60),
            "model": rng.choice(["x", "y", "z"], 60),
            "c": rng.integers(0, 2, 60),
        }
    )
    frame["b"] = 0.6 * frame["a"] + rng.normal(size=60)
    frame["y"] = frame["a"] + 0.5 * frame["b"] + (frame["model"] == "z") + rng.normal(size=60)
    return frame


def test_shares_are_the_average_gain_over_all_orders(units):
    table = general_dominance(
        units, outcome="y", factors=["a", "b", "c"], categorical=["model"], cluster=None, n_draws=20
    )
    names = ["a", "b", "c", "model"]
    gains = dict.fromkeys(names, 0.0)
    orders = list(permutations(names))
    for order in orders:
        for place, name in enumerate(order):
            gain = r_squared(units, order[: place + 1]) - r_squared(units, order[:place])
            gains[name] += gain / len(orders)
    found = table.shares.set_index("factor")["share"]
    np.testing.assert_allclose([found[n] for n in names], [gains[n] for n in names], atol=1e-10)
    assert table.r_squared == pytest.approx(r_squared(units, names), abs=1e-10)
    assert found.is_monotonic_decreasing


def test_draws_resample_whole_clusters(units):
    doubled = pd.concat([units.assign(county=np.arange(60))] * 2)
    arguments = {"outcome": "y", "factors": ["a", "b"], "n_draws": 200, "seed": 4}
    alone = general_dominance(units, cluster=None, **arguments).shares
    clustered = general_dominance(doubled, cluster="county", **arguments).shares
    pd.testing.assert_frame_equal(
        alone.drop(columns="noise"), clustered.drop(columns="noise"), rtol=1e-9
    )


def test_a_factor_of_chance_takes_its_noise_on_average():
    rng = np.random.default_rng(8)
    county = np.repeat(np.arange(20), 3)
    taken = []
    for _ in range(300):
        frame = pd.DataFrame(
            {
                "county": county,
                "of_county": np.repeat(rng.normal(size=20), 3),
                "of_unit": rng.normal(size=60),
                "y": np.repeat(rng.normal(size=20), 3),
            }
        )
        table = general_dominance(
            frame, outcome="y", factors=["of_county", "of_unit"], n_draws=2
        ).shares.set_index("factor")
        taken.append(table.loc["of_county", "share"])
    assert table["noise"].to_dict() == pytest.approx({"of_county": 1 / 19, "of_unit": 1 / 59})
    # A share that both could take is split between them, by a thousandth at most here.
    assert abs(np.mean(taken) - 1 / 19) < 4 * np.std(taken) / np.sqrt(300) + 0.001


def test_draws_without_a_varying_factor_are_told():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=20), "rare": [1] + [0] * 19})
    frame["y"] = frame["a"] + rng.normal(size=20)
    table = general_dominance(frame, outcome="y", factors=["a", "rare"], cluster=None, n_draws=300)
    # A unit is in no draw of 20 with chance (1 - 1/20)^20 = 0.36.
    left_out = int(table.notes[-1].split()[0])
    assert 300 * 0.36 - 40 < left_out < 300 * 0.36 + 40


def test_no_draw_is_no_interval(units):
    with pytest.raises(EstimationError, match="an interval needs draws"):
        general_dominance(units, outcome="y", factors=["a", "c"], cluster=None, n_draws=0)


def test_one_factor_and_thirteen_are_refused(units):
    with pytest.raises(EstimationError, match="1 factors: general dominance takes 2 to 12"):
        general_dominance(units, outcome="y", factors=["a"], cluster=None)
    many = units.assign(**{f"f{i}": np.random.default_rng(i).normal(size=60) for i in range(13)})
    with pytest.raises(EstimationError, match="5 a term are needed"):
        general_dominance(many, outcome="y", factors=[f"f{i}" for i in range(13)], cluster=None)


def test_the_picture_says_what_it_shows(units, tmp_path):
    table = general_dominance(units, outcome="y", factors=["a", "b"], cluster=None, n_draws=20)
    table.plot().save(tmp_path / "shares.png", verbose=False)
    assert (tmp_path / "shares.png").stat().st_size > 1000
    assert table.alt_text.startswith("Share of the variance between 60 units by factor: a ")


def test_selection_finds_the_factor_behind_the_outcome(units):
    rng = np.random.default_rng(2)
    noise = {f"n{i}": rng.normal(size=60) for i in range(5)}
    frame = units.assign(**noise, y=2 * units["a"] + rng.normal(size=60))
    found = factor_selection(
        frame, outcome="y", factors=["a", *noise], cluster=None, n_chosen=2, n_pairs=20
    ).set_index("term")
    assert found.loc["a", "frequency"] == 1
    assert found.loc["a", "is_positive"] == 1
    # Two of six are chosen in each half; one place is always taken.
    assert found["frequency"].sum() == pytest.approx(2)
    assert found.loc["a", "false_choices"] == pytest.approx(4 / 6)
    assert (found.loc[list(noise), "frequency"] < 0.6).all()


def test_selection_follows_a_change_of_sign_and_scale(units):
    arguments = {"outcome": "y", "factors": ["a", "b", "c"], "cluster": None, "n_pairs": 5}
    one = factor_selection(units, **arguments).set_index("term")
    two = factor_selection(units.assign(a=-50 * units["a"]), **arguments).set_index("term")
    assert one["frequency"].to_dict() == two["frequency"].to_dict()
    assert two.loc["a", "is_positive"] == pytest.approx(1 - one.loc["a", "is_positive"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"n_chosen": 3}, "1 to 2 can be chosen"), ({"lasso_share": 0}, "above 0 and at most 1")],
)
def test_selection_refuses_what_makes_no_choice(units, arguments, message):
    with pytest.raises(EstimationError, match=message):
        factor_selection(units, outcome="y", factors=["a", "b", "c"], cluster=None, **arguments)


def test_intervals_are_those_of_counties_drawn_again_and_again(units):
    """The same draws, made as data: a county drawn twice is there twice."""
    frame = units.assign(county=np.arange(60) // 4)
    n_draws, seed = 30, 11
    arguments = {"outcome": "y", "factors": ["a", "b"]}
    found = general_dominance(frame, cluster="county", n_draws=n_draws, seed=seed, **arguments)
    times = np.random.default_rng(seed).multinomial(15, np.full(15, 1 / 15), size=n_draws)
    drawn = []
    for row in times:
        again = pd.concat([frame[frame["county"] == g] for g in np.repeat(np.arange(15), row)])
        both, only_a, only_b = (r_squared(again, n) for n in (["a", "b"], ["a"], ["b"]))
        drawn.append([(only_a + both - only_b) / 2, (only_b + both - only_a) / 2])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    shares = found.shares.set_index("factor").loc[["a", "b"]]
    np.testing.assert_allclose(shares["conf_low"], low, atol=1e-10)
    np.testing.assert_allclose(shares["conf_high"], high, atol=1e-10)
    first = np.array(drawn)[:, 0] > np.array(drawn)[:, 1]
    assert shares.loc["a", "first"] == pytest.approx(first.mean())


def test_terms_that_are_not_correlated_enter_by_their_correlation_with_the_outcome():
    """Orthogonal columns: each enters where the penalty falls below its own |z'y|/n, in order."""
    z = np.linalg.qr(np.random.default_rng(5).normal(size=(64, 5)))[0] * 8
    z -= z.mean(axis=0)
    z = np.linalg.qr(z)[0] * 8
    slopes = np.array([3.0, -2.0, 1.0, 0.5, 0.1])
    y = z @ slopes
    for q in (1, 2, 3, 4):
        signs = _first_terms(
            FactorRows(
                outcome=y,
                values=z,
                terms=tuple("abcde"),
                factor=np.arange(5),
                factors=tuple("abcde"),
                cluster=np.arange(64),
                cluster_names=pd.RangeIndex(64),
                members=None,
                notes=(),
            ),
            np.ones(64, dtype=bool),
            q,
            0.8,
        )
        assert signs.tolist() == [*np.sign(slopes[:q]), *[0.0] * (5 - q)]


def test_terms_of_chance_are_chosen_no_more_often_than_the_bound_says():
    """Ten terms, three chosen in each half: above .7 the bound is 9 / (.4 * 10) on average."""
    rng = np.random.default_rng(6)
    names = [f"n{i}" for i in range(10)]
    reached = []
    for _ in range(8):
        frame = pd.DataFrame(rng.normal(size=(60, 10)), columns=names)
        frame["y"] = rng.normal(size=60)
        found = factor_selection(
            frame, outcome="y", factors=names, cluster=None, n_chosen=3, n_pairs=5
        )
        reached.append(int((found["frequency"] >= 0.7).sum()))
    assert np.mean(reached) <= 2.25 + 3 * np.std(reached) / np.sqrt(8)
    assert np.mean(reached) > 0
