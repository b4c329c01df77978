"""Streamed routes give the moments of the frame to the last digit, or leave the rows to others."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, OutputError, TableError
from calaim_eval.moments import CellMoments, reduce_panel, reduce_parquet, stream_parts
from calaim_eval.moments import reduce_addressed as addressed
from calaim_eval.moments import reduce_processes as in_processes
from calaim_eval.moments import streamed_rows as streamed
from calaim_eval.moments.cell_moments import recentred
from calaim_eval.moments.panel_rows import PanelColumns

NAMES = {"member_id": "who", "month": "when", "cohort": "first_served"}
EVERY_PART = ("cluster", "cell", "n_members", "at_risk")


def panel(n_months: int = 12, *, when: str = "dates", who: str = "numbers", seed: int = 3):
    """Members with gaps; labels of every kind, some missing; sorted by member and month."""
    rng = np.random.default_rng(seed)
    n = 400
    member = np.repeat(np.sort(rng.permutation(3 * n)[:n]) - 50, n_months)
    one = np.repeat(np.arange(n), n_months)
    month = np.tile(np.arange(n_months), n)
    dates = pd.date_range("2021-11-01", periods=n_months, freq="MS")
    cohort = rng.choice([n_months // 3, n_months // 2, -1], n)[one]
    held = {
        "dates": (dates[month], pd.Series(dates[cohort]).where(cohort >= 0)),
        "numbers": (month + 7, pd.Series(cohort + 7).astype("Int64").where(cohort >= 0)),
        "every fifth": (5 * month, pd.Series(5.0 * cohort).where(cohort >= 0)),
    }
    day = {"days": (held["dates"][0].date, held["dates"][1].dt.date)}
    frame = pd.DataFrame(
        {
            "who": np.char.mod("m%05d", member + 50) if who == "texts" else member,
            "when": (held | day)[when][0],
            "first_served": (held | day)[when][1],
            "race": rng.choice(["a", "b", None], n)[one],
            "age_band": pd.Series(rng.choice([0, 1, 2, 60_000], n)[one], dtype="Int64"),
            "is_dual": pd.Series(rng.choice([True, False], n)[one], dtype="boolean"),
            "score": rng.choice([0.5, 1.5, np.nan], n)[one],
            "county": rng.choice(["x", "y", "z"], n)[one],
            "visits": rng.poisson(0.3, len(one)),
            "change": rng.integers(-300, 301, len(one)) * (rng.random(len(one)) < 0.3),
            "days": rng.poisson(2.0, len(one)).astype(float),
            "is_home": rng.random(len(one)) < 0.9,
        }
    )
    frame["age_band"] = frame["age_band"].where(frame["age_band"] != 2)
    frame["is_dual"] = frame["is_dual"].where(frame["race"].notna())
    return frame[rng.random(len(frame)) < 0.8].reset_index(drop=True)


def assert_same(ours: CellMoments, theirs: CellMoments) -> None:
    pd.testing.assert_frame_equal(ours.cells, theirs.cells)
    assert ours.months.equals(theirs.months)
    np.testing.assert_array_equal(ours.n_members, theirs.n_members)
    for outcome in theirs.outcomes:
        rows = np.arange(len(theirs))
        np.testing.assert_array_equal(
            ours.matrices(outcome, rows), theirs.matrices(outcome, rows), strict=True
        )
        one, other = ours.by_outcome[outcome], theirs.by_outcome[outcome]
        np.testing.assert_array_equal(one.nonzero, other.nonzero)
        assert (one.is_count, one.shift) == (other.is_count, other.shift)
        for part in ("total", "yy", "yr"):
            assert getattr(one, part).dtype == getattr(other, part).dtype
    if theirs.clusters is not None:
        pd.testing.assert_series_equal(ours.clusters.labels, theirs.clusters.labels)
        for part in EVERY_PART:
            np.testing.assert_array_equal(
                getattr(ours.clusters, part), getattr(theirs.clusters, part)
            )
        for outcome in theirs.outcomes:
            np.testing.assert_array_equal(
                ours.clusters.totals[outcome], theirs.clusters.totals[outcome]
            )
    assert ours.provenance["rows"] == theirs.provenance["rows"]
    assert ours.provenance["coverage"] == theirs.provenance["coverage"]
    assert ours.provenance["notes"] == theirs.provenance["notes"]


def reduced(frame: pd.DataFrame, folder, *, group: int = 97, **options) -> CellMoments:
    """Moments of the frame as a file of many small row groups."""
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / "panel.parquet", index=False, row_group_size=group)
    return reduce_panel(folder, **{**NAMES, "unbalanced": "cell_means", **options})


def of_frame(frame: pd.DataFrame, **options) -> CellMoments:
    # As a file is read: whole numbers that miss a value are floats, true and false are objects.
    frame = frame.assign(
        age_band=frame["age_band"].astype(float),
        is_dual=frame["is_dual"].astype(object).where(frame["is_dual"].notna(), None),
    )
    return reduce_panel(frame, **{**NAMES, "unbalanced": "cell_means", **options})


@pytest.fixture
def only(monkeypatch):
    """Let one streamed route run and no other."""

    def choose(route: str) -> None:
        def refuse(*_args, **_options):
            raise AssertionError("the engine ran")

        given = reduce_parquet.reduce_streamed

        def chosen(files, columns, asked, **options):
            return given(files, columns, asked, **options) if asked == route else None

        monkeypatch.setattr(reduce_parquet, "reduce_streamed", chosen)
        monkeypatch.setattr(reduce_parquet, "reduce_by_engine", refuse)

    return choose


OPTIONS = {
    "plain": {"outcomes": ["visits"]},
    "strata": {"outcomes": ["visits", "change"], "stratum": "race", "covariate_cells": "age_band"},
    "every label": {"outcomes": ["days"], "stratum": ["race", "is_dual", "score"]},
    "cluster": {"outcomes": ["visits"], "stratum": "race", "cluster": "county"},
    "cluster of numbers": {"outcomes": ["visits"], "cluster": "age_band"},
    "at risk": {"outcomes": ["visits", "days"], "at_risk": "is_home", "stratum": "race"},
    "throughout": {"outcomes": ["visits"], "unbalanced": "balanced_members", "at_risk": "is_home"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("when", ["dates", "days", "numbers", "every fifth"])
@pytest.mark.parametrize(
    ("route", "who", "is_shuffled"),
    [
        (reduce_parquet.IN_ORDER, "numbers", False),
        (reduce_parquet.IN_ORDER, "texts", False),
        (reduce_parquet.ADDRESSED, "numbers", False),
        (reduce_parquet.ADDRESSED, "numbers", True),
    ],
)
def test_every_route_gives_the_moments_of_the_frame(
    options, when, route, who, is_shuffled, tmp_path, only, monkeypatch
):
    only(route)
    monkeypatch.setattr(stream_parts, "MEMBERS_PER_PART", 70)
    monkeypatch.setattr(stream_parts, "MEMBERS_A_LABEL", 1)
    n_months = 5 if "balanced_members" in options.values() else 12
    frame = panel(n_months, when=when, who=who)
    if is_shuffled:
        frame = frame.sample(frac=1.0, random_state=1)
    assert_same(reduced(frame, tmp_path / "panel", **options), of_frame(frame, **options))


def test_a_window_of_two_words_and_members_in_several_passes(tmp_path, only, monkeypatch):
    only(reduce_parquet.ADDRESSED)
    monkeypatch.setattr(addressed, "HELD_BYTES", 2 * 100 * 250)
    frame = panel(100, when="numbers").sample(frac=1.0, random_state=2)
    options = {"outcomes": ["visits"], "stratum": "race"}
    assert_same(reduced(frame, tmp_path / "p", group=2_000, **options), of_frame(frame, **options))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("at_risk", [None, "is_home"])
def test_a_row_group_with_another_range_of_members_than_its_file_says(
    processes, at_risk, tmp_path, monkeypatch
):
    # Several passes: rows that a range keeps out of the pass that they belong to would be lost.
    monkeypatch.setattr(addressed, "HELD_BYTES", 2 * 12 * 250)
    given = streamed._groups

    def wrong(metadata, member):
        groups = list(given(metadata, member))
        last = groups.pop()
        yield from groups
        yield replace(last, high=last.low)

    monkeypatch.setattr(streamed, "_groups", wrong)
    monkeypatch.setattr(in_processes, "_all_shares", in_one_process)
    frame = panel().sample(frac=1.0, random_state=2)
    options = {"outcomes": ["visits"], "stratum": "race", "at_risk": at_risk}
    ours = reduced(frame, tmp_path / "p", group=2_000, processes=processes, **options)
    assert_same(ours, of_frame(frame, **options))


def in_one_process(work, n_shares: int):
    found = [work((k, n_shares)) for k in range(n_shares)]
    return None if None in found else found


def parts_of(frame: pd.DataFrame, folder, of_file: pd.Series) -> None:
    folder.mkdir()
    for number, rows in frame.groupby(of_file):
        rows.to_parquet(folder / f"part-{number:04d}.parquet", index=False, row_group_size=500)


@pytest.mark.parametrize("who", ["numbers", "texts"])
def test_parts_that_are_each_sorted_by_member_are_in_order(who, tmp_path, only):
    only(reduce_parquet.IN_ORDER)
    frame = panel(who=who)
    parts_of(frame, tmp_path / "parts", pd.factorize(frame["who"])[0] % 4)
    options = {"outcomes": ["visits"], "stratum": "race", "cluster": "county"}
    ours = reduce_panel(tmp_path / "parts", **NAMES, **options, unbalanced="cell_means")
    assert_same(ours, of_frame(frame, **options))


@pytest.mark.parametrize("who", ["numbers", "texts"])
def test_files_by_month_are_for_other_routes_and_right(who, tmp_path):
    frame = panel(who=who)
    parts_of(frame, tmp_path / "months", frame["when"].dt.month)
    ours = reduce_panel(tmp_path / "months", **NAMES, outcomes=["visits"], unbalanced="cell_means")
    assert_same(ours, of_frame(frame, outcomes=["visits"]))


def test_a_member_in_two_files_far_from_their_beginnings_is_found(tmp_path):
    frame = panel(who="texts")
    ids = frame["who"].unique()
    of_file = frame["who"].isin(ids[::2]).astype(int)
    # One member of the middle has his last month in the other file.
    last = frame.index[frame["who"] == ids[301]][-1]
    of_file[last] = 1 - of_file[last]
    parts_of(frame, tmp_path / "parts", of_file)
    options = {"outcomes": ["visits"], "stratum": "race"}
    columns = PanelColumns(("visits",), "who", "when", "first_served", ("race",))
    files = reduce_parquet.parquet_files(tmp_path / "parts")
    asked = {"where": "", "balanced_only": False}
    assert reduce_parquet.reduce_streamed(files, columns, reduce_parquet.IN_ORDER, **asked) is None
    for processes in (1, 2):
        ours = reduce_panel(
            tmp_path / "parts", **NAMES, **options, unbalanced="cell_means", processes=processes
        )
        assert_same(ours, of_frame(frame, **options))


def spoiled(frame: pd.DataFrame, how: str) -> pd.DataFrame:
    rows = frame.copy()
    if how == "repeats":
        return pd.concat([rows, rows.iloc[[5, 700]]]).sort_values(["who", "when"])
    if how == "changing stratum":
        rows.loc[rows.index[801], "race"] = "z"
    elif how == "missing outcome":
        rows["visits"] = rows["visits"].astype("Int64").mask(rows.index == 801)
    elif how == "missing member":
        rows["who"] = rows["who"].astype("Int64").mask(rows.index == 801)
    return rows


WRONG = {
    "repeats": "2 of .* rows repeat the key",
    "changing stratum": "`race` is not constant",
    "missing outcome": "`visits` is missing or infinite in 1 of",
    "missing member": "`who` is missing in 1 of",
}


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("is_shuffled", [False, True], ids=["sorted", "shuffled"])
def test_wrong_rows_get_the_words_of_the_dense_route(how, is_shuffled, tmp_path):
    frame = spoiled(panel(), how)
    if is_shuffled:
        frame = frame.sample(frac=1.0, random_state=1)
    with pytest.raises(TableError, match=WRONG[how]):
        reduced(frame, tmp_path / "p", outcomes=["visits"], stratum="race")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.assign(visits=rows["visits"] + 0.25),
        lambda rows: rows.assign(visits=rows["visits"] * 40_000),
        lambda rows: rows.assign(is_home=rows["is_home"].astype(float)),
        lambda rows: rows.assign(when=rows["when"].astype(str) + "-01"),
        lambda rows: rows.assign(when=rows["when"] * 40),
    ],
    ids=["amounts", "large", "fractions", "texts for months", "wide window"],
)
def test_what_does_not_fit_is_declined(change, tmp_path):
    frame = change(panel(when="numbers"))
    path = tmp_path / "panel.parquet"
    frame.to_parquet(path, index=False)
    columns = PanelColumns(("visits",), "who", "when", "first_served", at_risk="is_home")
    for route in (reduce_parquet.IN_ORDER, reduce_parquet.ADDRESSED):
        assert (
            reduce_parquet.reduce_streamed([path], columns, route, where="", balanced_only=False)
            is None
        )


def test_statistics_are_not_taken_on_trust(monkeypatch, tmp_path):
    frame = panel(when="numbers").assign(visits=lambda rows: rows["visits"] * 90)
    path = tmp_path / "panel.parquet"
    frame.to_parquet(path, index=False)
    monkeypatch.setattr(streamed, "_smallest", lambda *_: np.dtype(np.uint8))
    columns = PanelColumns(("visits",), "who", "when", "first_served")
    assert frame["visits"].max() > 255
    assert (
        reduce_parquet.reduce_streamed(
            [path], columns, reduce_parquet.IN_ORDER, where="", balanced_only=False
        )
        is None
    )


@pytest.mark.parametrize("n_shares", [2, 3, 7, 40])
@pytest.mark.parametrize("route", [reduce_parquet.IN_ORDER, reduce_parquet.ADDRESSED])
@pytest.mark.parametrize("at_risk", [None, "is_home"])
def test_shares_hold_every_member_once(n_shares, route, at_risk, tmp_path):
    # Row groups of 5 rows: members begin and end in any of them, and span up to four.
    frame = panel(who="numbers").head(700)
    path = tmp_path / "panel.parquet"
    frame.to_parquet(path, index=False, row_group_size=5)
    columns = PanelColumns(("visits",), "who", "when", "first_served", ("race",), at_risk=at_risk)
    total, n_parts, to_check = None, 0, reduce_parquet.ToCheck()
    asked = {"where": "", "balanced_only": False, "to_check": to_check}
    for k in range(n_shares):
        parts = reduce_parquet.reduce_streamed([path], columns, route, share=(k, n_shares), **asked)
        assert parts is not None, "a share did not fit"
        for part in parts:
            total = part if total is None else total + part
            n_parts += 1
    whole = of_frame(frame, outcomes=["visits"], stratum="race", at_risk=at_risk)
    reduce_parquet.account_for_rows([total], columns, to_check.not_at_risk, n_rows=len(frame))
    assert total.provenance["rows"] == whole.provenance["rows"]
    assert n_parts > 1
    pd.testing.assert_frame_equal(total.cells, whole.cells)
    np.testing.assert_array_equal(total.n_members, whole.n_members)
    rows = np.arange(len(whole))
    np.testing.assert_array_equal(total.matrices("visits", rows), whole.matrices("visits", rows))


@pytest.mark.parametrize("n_shares", [2, 5])
@pytest.mark.parametrize("outcome", ["visits", "days"], ids=["patterns", "dense"])
def test_shares_of_the_engine_hold_every_member_once(n_shares, outcome, tmp_path, monkeypatch):
    monkeypatch.setattr(reduce_parquet, "ROWS_PER_BUCKET", 300)
    frame = panel(who="texts").sample(frac=1.0, random_state=1)
    path = tmp_path / "panel.parquet"
    frame.to_parquet(path, index=False)
    columns = PanelColumns(
        (outcome,), "who", "when", "first_served", ("age_band", "is_dual"), cluster="county"
    )
    months = reduce_parquet.engine_months([path], columns, where="")
    total = None
    for k in range(n_shares):
        for part in reduce_parquet.reduce_by_engine(
            [path],
            columns,
            where="",
            balanced_only=False,
            share=(k, n_shares),
            months=months,
            engines=2,
        ):
            total = part if total is None else total + part
    whole = of_frame(frame, outcomes=[outcome], stratum=["age_band", "is_dual"], cluster="county")
    pd.testing.assert_frame_equal(total.cells, whole.cells)
    rows = np.arange(len(whole))
    np.testing.assert_array_equal(total.matrices(outcome, rows), whole.matrices(outcome, rows))
    assert total.provenance["rows"] == whole.provenance["rows"]


@pytest.mark.parametrize("outcome", ["visits", "days"], ids=["patterns", "dense"])
def test_shares_and_buckets_with_nobody_at_risk_add_nothing(outcome, tmp_path, monkeypatch):
    monkeypatch.setattr(reduce_parquet, "ROWS_PER_BUCKET", 30)
    frame = panel(who="texts").assign(days=lambda rows: rows["days"] + 0.5)
    # Four members of 320 and more: most of 20 shares and of some hundred buckets have none of them.
    frame["is_home"] = frame["who"].isin(frame["who"].unique()[:4])
    path = tmp_path / "panel.parquet"
    frame.sample(frac=1.0, random_state=1).to_parquet(path, index=False)
    columns = PanelColumns(
        (outcome,), "who", "when", "first_served", ("race",), cluster="county", at_risk="is_home"
    )
    months = reduce_parquet.engine_months([path], columns, where="")
    asked = {"where": "", "balanced_only": False, "months": months}
    parts = [
        part
        for k in range(20)
        for part in reduce_parquet.reduce_by_engine([path], columns, share=(k, 20), **asked)
    ]
    total = reduce(add, parts)
    whole = of_frame(frame, outcomes=[outcome], stratum="race", cluster="county", at_risk="is_home")
    pd.testing.assert_frame_equal(total.cells, whole.cells)
    pd.testing.assert_series_equal(total.clusters.labels, whole.clusters.labels)
    centred = [part.by_outcome[outcome].shift for part in parts if len(part)]
    assert len(centred) < len(parts)
    assert total.by_outcome[outcome].shift == centred[0]
    total = recentred(total, outcome, whole.by_outcome[outcome].shift)
    rows = np.arange(len(whole))
    np.testing.assert_allclose(
        total.matrices(outcome, rows), whole.matrices(outcome, rows), rtol=0, atol=1e-9
    )
    np.testing.assert_array_equal(total.clusters.n_members, whole.clusters.n_members)
    assert total.provenance["rows"] == whole.provenance["rows"]


def test_more_combinations_of_labels_than_there_are_numbers_are_for_another_route(tmp_path):
    # 8 columns of 400 members' own numbers: more than 2^63 combinations could be in a batch.
    frame = panel(who="numbers")
    member = pd.factorize(frame["who"])[0]
    wide = {f"code_{j}": member * 7 + j for j in range(8)}
    names = list(wide)
    frame = frame.assign(**wide)
    options = {"outcomes": ["visits"], "covariate_cells": names}
    assert 400**8 > 2**63
    assert_same(reduced(frame, tmp_path / "p", group=5_000, **options), of_frame(frame, **options))


@pytest.mark.parametrize(
    ("who", "is_shuffled", "options"),
    [
        ("texts", False, OPTIONS["strata"] | {"cluster": "county"}),
        ("numbers", True, OPTIONS["at risk"]),
        ("texts", True, OPTIONS["every label"]),
        ("texts", True, OPTIONS["at risk"]),
    ],
    ids=["in order", "addressed", "dense", "patterns"],
)
def test_processes_give_the_moments_of_one(who, is_shuffled, options, tmp_path, caplog):
    frame = panel(who=who)
    if is_shuffled:
        frame = frame.sample(frac=1.0, random_state=1)
    with caplog.at_level(logging.INFO, logger="calaim_eval"):
        ours = reduced(frame, tmp_path / "p", **options, processes=2)
    assert_same(ours, of_frame(frame, **options))
    assert "reduced share 2 of 2" in caplog.text


def test_processes_raise_what_one_raises(tmp_path):
    frame = spoiled(panel(who="texts").sample(frac=1.0, random_state=1), "changing stratum")
    with pytest.raises(TableError, match="`race` is not constant"):
        reduced(frame, tmp_path / "p", outcomes=["visits"], stratum="race", processes=2)


def end_process(_share: tuple[int, int]) -> None:
    os._exit(3)


def test_a_process_that_is_ended_says_what_to_do():
    with pytest.raises(OutputError, match="fewer `processes`"):
        in_processes._all_shares(end_process, 2)


@pytest.mark.parametrize("processes", [0, -1, 1.5, True])
def test_a_number_of_processes_that_is_none_is_refused(processes):
    with pytest.raises(EstimationError, match="whole number from 1 on"):
        of_frame(panel(), outcomes=["visits"], processes=processes)


def test_a_frame_is_not_shared_out():
    with pytest.raises(EstimationError, match="a frame is reduced by one"):
        of_frame(panel(), outcomes=["visits"], processes=2)
