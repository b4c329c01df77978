"""The sparse route gives the moments of the dense one, or leaves the rows to it."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.moments import CellMoments, reduce_panel, reduce_parquet, reduce_patterns

NAMES = {"member_id": "who", "month": "when", "cohort": "first_served"}


def panel(n_months: int = 30, *, dated: bool = True, seed: int = 1) -> pd.DataFrame:
    """Members with gaps, in random order; strata and clusters with missing labels."""
    rng = np.random.default_rng(seed)
    n = 300
    who = np.repeat(np.arange(n), n_months)
    month = np.tile(np.arange(n_months), n)
    cohort = rng.choice([n_months // 3, n_months // 2, -1], n)[who]
    when = pd.Timestamp("2021-11-01") + pd.to_timedelta(0, "D")
    dates = pd.date_range(when, periods=n_months, freq="MS")
    frame = pd.DataFrame(
        {
            "who": np.char.add("m", who.astype(str)),
            "when": dates[month] if dated else 5 * month,
            "first_served": pd.Series(dates[cohort] if dated else 5.0 * cohort).where(cohort >= 0),
            "race": rng.choice(["a", "b", None], n)[who],
            "age_band": rng.choice([0, 1], n)[who],
            "county": rng.choice(["x", "y", "z"], n)[who],
            "visits": rng.poisson(0.3, len(who)),
            "change": rng.integers(-1, 2, len(who)) * (rng.random(len(who)) < 0.3),
            "is_home": rng.random(len(who)) < 0.9,
        }
    )
    return frame[rng.random(len(frame)) < 0.8].sample(frac=1.0, random_state=seed)


def both(frame: pd.DataFrame, tmp_path, **options) -> tuple[CellMoments, CellMoments]:
    path = tmp_path / "panel.parquet"
    frame.to_parquet(path, index=False)
    asked = {**NAMES, "unbalanced": "cell_means", **options}
    return reduce_panel(path, **asked), reduce_panel(frame, **asked)


def assert_same(ours: CellMoments, theirs: CellMoments) -> None:
    pd.testing.assert_frame_equal(ours.cells, theirs.cells)
    assert ours.months.equals(theirs.months)
    np.testing.assert_array_equal(ours.n_members, theirs.n_members)
    for outcome in theirs.outcomes:
        np.testing.assert_array_equal(
            ours.matrices(outcome, np.arange(len(ours))),
            theirs.matrices(outcome, np.arange(len(theirs))),
        )
        one, other = ours.by_outcome[outcome], theirs.by_outcome[outcome]
        np.testing.assert_array_equal(one.nonzero, other.nonzero)
        assert (one.is_count, one.shift) == (other.is_count, other.shift)
    if theirs.clusters is not None:
        for part in ("cluster", "cell", "n_members", "at_risk"):
            np.testing.assert_array_equal(
                getattr(ours.clusters, part), getattr(theirs.clusters, part)
            )
        for outcome in theirs.outcomes:
            np.testing.assert_array_equal(
                ours.clusters.totals[outcome], theirs.clusters.totals[outcome]
            )
    assert ours.provenance["rows"] == theirs.provenance["rows"]


@pytest.fixture
def sparse_only(monkeypatch):
    """The dense route of parquet files must not run."""

    def refuse(*_args, **_options):
        raise AssertionError("the dense route ran")

    monkeypatch.setattr(reduce_parquet, "reduce_frame", refuse)


@pytest.mark.usefixtures("sparse_only")
@pytest.mark.parametrize(
    "options",
    [
        {"outcomes": ["visits"]},
        {"outcomes": ["visits", "change"], "stratum": "race", "covariate_cells": "age_band"},
        {"outcomes": ["visits"], "stratum": ["race", "age_band"], "cluster": "county"},
        {"outcomes": ["visits"], "at_risk": "is_home"},
    ],
    ids=["plain", "strata", "cluster", "at_risk"],
)
@pytest.mark.parametrize("dated", [True, False], ids=["dates", "numbers"])
@pytest.mark.parametrize("n_months", [12, 20], ids=["one word", "two words in numbers"])
def test_the_routes_agree_to_the_last_digit(options, dated, n_months, tmp_path):
    assert_same(*both(panel(n_months, dated=dated), tmp_path, **options))


@pytest.mark.usefixtures("sparse_only")
def test_a_window_of_two_words_of_dates(tmp_path):
    assert_same(*both(panel(80), tmp_path, outcomes=["visits"], cluster="county"))


@pytest.mark.usefixtures("sparse_only")
def test_members_in_shares_add_up(tmp_path, monkeypatch):
    monkeypatch.setattr(reduce_patterns, "MEMBERS_AT_ONCE", 60)
    assert_same(*both(panel(), tmp_path, outcomes=["visits"], stratum="race", cluster="county"))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("visits", lambda n: np.random.default_rng(1).normal(200, 90, n)),
        ("visits", lambda n: np.full(n, 2)),
        ("visits", lambda n: np.where(np.arange(n) % 9, 0, 10**7)),
        ("is_home", lambda n: np.where(np.arange(n) % 2, 0.5, 1.0)),
    ],
    ids=["amounts", "use in every month", "large", "fractions"],
)
def test_what_does_not_fit_takes_the_dense_route(column, values, tmp_path):
    frame = panel().assign(**{column: lambda rows: values(len(rows))})
    ours, theirs = both(frame, tmp_path, outcomes=["visits"], at_risk="is_home")
    np.testing.assert_allclose(
        ours.matrices("visits", np.arange(len(ours))),
        theirs.matrices("visits", np.arange(len(theirs))),
        rtol=1e-12,
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: pd.concat([rows, rows.head(3)]), "3 of .* rows repeat the key"),
        (lambda rows: rows.assign(race=np.arange(len(rows)) % 2), "`race` is not constant"),
        (lambda rows: rows.assign(visits=rows["visits"].where(rows["age_band"] == 0)), "`visits`"),
        (lambda rows: rows.assign(who=rows["who"].where(rows["age_band"] == 0)), "`who` is missi"),
    ],
    ids=["repeats", "changing stratum", "missing outcome", "missing member"],
)
def test_wrong_rows_get_the_words_of_the_dense_route(spoil, words, tmp_path):
    spoiled = spoil(panel())
    path = tmp_path / "panel.parquet"
    spoiled.to_parquet(path, index=False)
    with pytest.raises(TableError, match=words):
        reduce_panel(path, **NAMES, outcomes=["visits"], stratum="race", unbalanced="cell_means")


@pytest.mark.parametrize("kind", ["ibis", "duckdb", "polars"])
def test_queries_are_run_once_and_reduced(kind):
    frame = panel(dated=False)
    if kind == "polars":
        query = pytest.importorskip("polars").from_pandas(frame).lazy()
    elif kind == "duckdb":
        duckdb = pytest.importorskip("duckdb")
        query = duckdb.sql("SELECT * FROM frame")
    else:
        query = pytest.importorskip("ibis").memtable(frame)
    ours = reduce_panel(
        query, **NAMES, outcomes=["visits"], stratum="race", unbalanced="cell_means"
    )
    assert_same(
        ours,
        reduce_panel(frame, **NAMES, outcomes=["visits"], stratum="race", unbalanced="cell_means"),
    )
    assert ours.provenance["sources"] == ["the table"]


def test_a_query_without_a_column_is_told_so():
    query = pytest.importorskip("ibis").memtable(panel().drop(columns="visits"))
    with pytest.raises(TableError, match="the table lacks `visits`"):
        reduce_panel(query, **NAMES, outcomes=["visits"], unbalanced="cell_means")


@pytest.mark.parametrize("name", ["n", "id", "label", "word0", "bit", "place"])
def test_columns_may_be_called_anything(name, tmp_path):
    frame = panel().rename(columns={"visits": name})
    assert_same(*both(frame, tmp_path, outcomes=[name], stratum="race"))


def test_unknown_risk_is_refused_by_both_routes(tmp_path):
    frame = panel().assign(is_home=lambda rows: rows["is_home"].where(rows["visits"] == 0))
    path = tmp_path / "panel.parquet"
    frame.to_parquet(path, index=False)
    for data in (path, frame):
        with pytest.raises(TableError, match="`is_home` is missing"):
            reduce_panel(data, **NAMES, outcomes=["visits"], at_risk="is_home")


def test_days_given_for_months_are_repeats(tmp_path):
    frame = panel(12, dated=False).head(4)
    daily = pd.concat([frame] * 300).assign(who="m1", first_served=np.nan)
    path = tmp_path / "panel.parquet"
    daily.to_parquet(path, index=False)
    with pytest.raises(TableError, match="rows repeat the key"):
        reduce_panel(path, **NAMES, outcomes=["visits"], unbalanced="cell_means")


def test_a_number_that_is_none_is_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    frame = panel().assign(visits=lambda rows: rows["visits"].astype(float))
    visits = frame["visits"].to_numpy(copy=True)
    visits[3] = np.nan
    table = pa.Table.from_pandas(frame.drop(columns="visits"), preserve_index=False)
    table = table.append_column("visits", pa.array(visits, from_pandas=False))
    pa.parquet.write_table(table, tmp_path / "panel.parquet")
    with pytest.raises(TableError, match="`visits` is missing or infinite in 1 of"):
        reduce_panel(tmp_path / "panel.parquet", **NAMES, outcomes=["visits"])


@pytest.mark.usefixtures("sparse_only")
@pytest.mark.parametrize("name", ["when", "first_treated"])
def test_months_of_another_zone_are_refused_in_a_file(tmp_path, name):
    """Midnight of the first in Tokyo is the last day of the month before in UTC."""
    frame = pd.DataFrame(
        {
            "id": ["a", "a", "b", "b"],
            "when": pd.to_datetime(["2024-01-01", "2024-02-01"] * 2),
            "first_treated": pd.to_datetime([None, None, "2024-02-01", "2024-02-01"]),
            "y": [0, 1, 2, 3],
        }
    )
    zoned = frame.assign(**{name: frame[name].dt.tz_localize("Asia/Tokyo")})
    arguments = {"member_id": "id", "month": "when", "cohort": "first_treated", "outcomes": ["y"]}
    path = tmp_path / "rows.parquet"
    zoned.to_parquet(path, index=False)
    with pytest.raises(TableError, match=f"`{name}` holds times of the zone Asia/Tokyo"):
        reduce_panel(path, **arguments)


def test_months_with_a_zone_are_those_of_utc(tmp_path, monkeypatch):
    frame = panel(12)
    zoned = frame.assign(when=frame["when"].dt.tz_localize("UTC"))
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    if hasattr(time, "tzset"):
        time.tzset()
    path = tmp_path / "panel.parquet"
    zoned.to_parquet(path, index=False)
    found = reduce_panel(path, **NAMES, outcomes=["visits"], unbalanced="cell_means")
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()
    expected = reduce_panel(frame, **NAMES, outcomes=["visits"], unbalanced="cell_means")
    assert found.months.equals(expected.months)
    np.testing.assert_array_equal(found.at_risk, expected.at_risk)


@pytest.mark.usefixtures("sparse_only")
@pytest.mark.parametrize("at_risk", [None, "is_home"])
def test_balanced_members_are_counted_over_all_shares(at_risk, tmp_path, monkeypatch):
    frame = panel(3)
    options = {"outcomes": ["visits"], "unbalanced": "balanced_members", "at_risk": at_risk}
    monkeypatch.setattr(reduce_patterns, "MEMBERS_AT_ONCE", 3)
    ours, theirs = both(frame, tmp_path, **options, cluster="county")
    assert_same(ours, theirs)
    assert ours.provenance["coverage"] == theirs.provenance["coverage"]
    assert ours.provenance["notes"] == theirs.provenance["notes"]
