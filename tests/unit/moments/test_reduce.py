"""Frames, files and designs to cell moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel

from calaim_eval.design import Design
from calaim_eval.errors import TableError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.panel import MemberMonths


def member_vectors(frame: pd.DataFrame, outcome: str, months: list) -> tuple[pd.DataFrame, dict]:
    """v = (y_1..y_T, r_1..r_T, 1) of each member, by a plain pivot."""
    table = frame.pivot_table(index="member_id", columns="month", values=outcome, aggfunc="sum")
    y = table.reindex(columns=months)
    v = np.hstack([y.fillna(0).to_numpy(), y.notna().to_numpy(float), np.ones((len(y), 1))])
    return y, dict(zip(y.index, v, strict=True))


def assert_same(left: CellMoments, right: CellMoments, *, rtol: float = 0.0) -> None:
    """Same cells, same matrices."""
    pd.testing.assert_frame_equal(left.cells, right.cells)
    rows = np.arange(len(left))
    for outcome in left.outcomes:
        a, b = left.matrices(outcome, rows), right.matrices(outcome, rows)
        if rtol:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(a).max())
        else:
            np.testing.assert_array_equal(a, b)


def test_matrices_are_the_cross_products_of_member_vectors() -> None:
    frame = awkward_panel(seed=1)
    moments = reduce_panel(
        frame,
        outcomes=["visits"],
        stratum="group",
        covariate_cells=["risk"],
        cluster="county",
        unbalanced="cell_means",
    )
    _, v = member_vectors(frame, "visits", list(range(7)))
    keys = ["group", "cohort", "risk"]
    cells = frame.drop_duplicates("member_id").set_index("member_id")
    assert moments.cells.columns.tolist() == keys
    assert moments.n_members.sum() == frame["member_id"].nunique()
    for row, cell in moments.cells.iterrows():
        own = cells[(cells["group"] == cell["group"]) & (cells["risk"] == cell["risk"])]
        never = pd.isna(cell["cohort"])
        own = own[own["cohort"].isna() if never else own["cohort"] == cell["cohort"]]
        expected = sum(np.outer(v[i], v[i]) for i in own.index)
        np.testing.assert_array_equal(moments.matrices("visits", np.array([row]))[0], expected)
        sums = moments.clusters
        in_cell = sums.cell == row
        totals = np.hstack([sums.totals["visits"], sums.at_risk, sums.n_members[:, None]])
        np.testing.assert_array_equal(totals[in_cell].sum(axis=0), sum(v[i] for i in own.index))
    assert moments.by_outcome["visits"].yy.dtype == np.int16
    assert moments.by_outcome["visits"].is_count


def test_amounts_are_centred_and_put_back() -> None:
    frame = awkward_panel(seed=1)
    moments = reduce_panel(frame, outcomes=["paid_usd"], unbalanced="cell_means")
    paid = moments.by_outcome["paid_usd"]
    assert paid.shift == pytest.approx(frame["paid_usd"].mean())
    levels = paid.level_total(moments.at_risk).sum(axis=0)
    np.testing.assert_allclose(levels, frame.groupby("month")["paid_usd"].sum(), rtol=1e-12)


def test_row_order_and_ids_do_not_matter() -> None:
    frame = awkward_panel(seed=1)
    shuffled = frame.sample(frac=1, random_state=1)
    renamed = shuffled.assign(member_id="m" + shuffled["member_id"].astype(str))
    options = {"outcomes": ["visits"], "stratum": ["group"], "covariate_cells": "risk"}
    assert_same(
        reduce_panel(frame, **options, unbalanced="cell_means"),
        reduce_panel(renamed, **options, unbalanced="cell_means"),
    )


def test_the_frame_is_not_changed() -> None:
    frame = awkward_panel(seed=1)
    before = frame.copy(deep=True)
    reduce_panel(
        frame, outcomes=["visits"], stratum="group", cluster="county", unbalanced="cell_means"
    )
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("kind", ["file", "folder", "glob", "buckets"])
def test_parquet_files_in_any_order_give_the_same(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = awkward_panel(seed=1)
    start = pd.Timestamp("2023-10-01")
    for column in ("month", "cohort"):
        dates = frame[column].map(
            lambda n: start + pd.DateOffset(months=int(n)), na_action="ignore"
        )
        frame[column] = pd.to_datetime(dates).dt.date
    shuffled = frame.sample(frac=1, random_state=2)
    place: Path | str = tmp_path
    if kind == "file":
        place = tmp_path / "all.parquet"
        shuffled.to_parquet(place)
    else:
        # A member's rows are spread over both files.
        shuffled.iloc[:300].to_parquet(tmp_path / "a.parquet")
        shuffled.iloc[300:].to_parquet(tmp_path / "b.parquet")
        place = str(tmp_path / "*.parquet") if kind == "glob" else tmp_path
    if kind == "buckets":
        # The dense route, a bucket of members at a time.
        monkeypatch.setattr("calaim_eval.moments.reduce_parquet.ROWS_PER_BUCKET", 100)
        monkeypatch.setattr(
            "calaim_eval.moments.reduce_parquet.reduce_patterns", lambda *_a, **_o: None
        )
    options = {"outcomes": ["visits"], "stratum": "group", "cluster": "county"}
    found, expected = (
        reduce_panel(place, **options, unbalanced="cell_means"),
        reduce_panel(frame, **options, unbalanced="cell_means"),
    )
    assert_same(found, expected)
    assert found.provenance["rows"]["used"] == len(frame)
    np.testing.assert_array_equal(
        found.clusters.totals["visits"], expected.clusters.totals["visits"]
    )


def design_of(frame: pd.DataFrame, *, cluster: str = "member") -> Design:
    """A design on a panel that holds more members and months than it analyzes."""
    start = pd.Timestamp("2023-10-01")

    def dated(values: pd.Series) -> pd.Series:
        dates = values.map(lambda n: start + pd.DateOffset(months=int(n)), na_action="ignore")
        return pd.to_datetime(dates)

    months = frame.assign(
        member_id=frame["member_id"].astype(str),
        month=dated(frame["month"]),
        ed_visits=frame["visits"],
        covered_days=30,
    )
    panel = MemberMonths.from_frames(
        months[["member_id", "month", "covered_days", "ed_visits", "county"]]
    )
    members = frame[frame["member_id"] >= 10].drop_duplicates("member_id")
    members = members.assign(
        member_id=members["member_id"].astype(str),
        cohort=dated(members["cohort"]),
        eligibility_month=pd.Timestamp("2023-11-01"),
    ).drop(columns=["month", "visits", "paid_usd", "level"])
    n_aside = panel.n_members - len(members)
    ledger = pd.DataFrame(
        {
            "reason": ["kept", "aside"],
            "n_members": [len(members), n_aside],
            "is_kept": [True, False],
        }
    )
    return Design(
        panel=panel,
        members=members.sample(frac=1, random_state=3).reset_index(drop=True),
        months=pd.period_range("2023-10", "2024-03", freq="M"),
        comparison="not_yet_exposed",
        covariate_cells=("eligibility_month", "risk"),
        cluster=cluster,
        ledger=ledger,
        notes=("A note of the design.",),
        estimand_words="exposed minus what they would have had",
    )


def test_a_design_reduces_its_members_and_months_only() -> None:
    frame = awkward_panel(seed=1)
    moments = reduce_panel(
        design_of(frame), outcomes=["ed_visits"], stratum="group", unbalanced="cell_means"
    )
    inside = frame[(frame["member_id"] >= 10) & (frame["month"] < 6)]
    expected = reduce_panel(
        inside,
        outcomes=["visits"],
        stratum="group",
        covariate_cells="risk",
        unbalanced="cell_means",
    )
    assert moments.covariate_cells == ("eligibility_month", "risk")
    rows = np.arange(len(expected))
    np.testing.assert_array_equal(
        moments.matrices("ed_visits", rows), expected.matrices("visits", rows)
    )
    assert moments.provenance["rows"] == {
        "used": len(inside),
        "not at risk": 0,
        "outside the design's members or months": len(frame) - len(inside),
    }
    effects = group_time_att(moments, outcome="ed_visits", per=1_000)
    np.testing.assert_allclose(
        aggregate(effects).std_error,
        1_000 * aggregate(group_time_att(expected, outcome="visits")).std_error,
    )
    assert effects.estimand.contrast == "exposed minus what they would have had"
    assert effects.estimand.unit == "ed_visits per 1,000 member-months"
    assert "A note of the design." in effects.notes


def test_a_county_design_keeps_county_sums() -> None:
    moments = reduce_panel(
        design_of(awkward_panel(seed=1), cluster="county"),
        outcomes=["ed_visits"],
        unbalanced="cell_means",
    )
    assert moments.clusters.name == "county"
    assert moments.clusters.n_clusters == 12


def test_a_design_refuses_column_names_and_unknown_strata() -> None:
    design = design_of(awkward_panel(seed=1))
    with pytest.raises(TableError, match=r"leave out `member_id`, `month` and `cohort`"):
        reduce_panel(design, outcomes=["ed_visits"], month="month", unbalanced="cell_means")
    with pytest.raises(TableError, match=r"the design.s members lack `language`\. They have"):
        reduce_panel(design, outcomes=["ed_visits"], stratum="language", unbalanced="cell_means")


def test_arrow_and_polars_like_tables_are_converted_once() -> None:
    import pyarrow as pa

    frame = awkward_panel(seed=1)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    assert_same(
        reduce_panel(table, outcomes=["visits"], unbalanced="cell_means"),
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
    )


def test_rows_not_at_risk_are_set_aside_and_counted() -> None:
    frame = awkward_panel(seed=1)
    covered = np.arange(len(frame)) % 5 != 0
    moments = reduce_panel(
        frame.assign(covered=covered),
        outcomes=["visits"],
        at_risk="covered",
        unbalanced="cell_means",
    )
    assert_same(moments, reduce_panel(frame[covered], outcomes=["visits"], unbalanced="cell_means"))
    assert moments.provenance["rows"] == {
        "used": int(covered.sum()),
        "not at risk": int((~covered).sum()),
    }


def test_fractions_of_a_month_are_the_denominator() -> None:
    rows = [("a", 0, 1.0, 2), ("a", 1, 0.5, 3), ("b", 0, 0.25, 1), ("b", 1, 1.0, 1)]
    frame = pd.DataFrame(rows, columns=["member_id", "month", "share", "visits"])
    frame["cohort"] = np.where(frame["member_id"] == "a", 1.0, np.nan)
    moments = reduce_panel(frame, outcomes=["visits"], at_risk="share", unbalanced="cell_means")
    effect = group_time_att(moments, outcome="visits")
    assert effect.estimate == pytest.approx([(3 / 0.5 - 2 / 1) - (1 / 1 - 1 / 0.25)])


def test_missing_stratum_is_a_stratum() -> None:
    frame = awkward_panel(seed=1)
    frame["group"] = frame["group"].where(frame["member_id"] % 3 > 0)
    moments = reduce_panel(frame, outcomes=["visits"], stratum="group", unbalanced="cell_means")
    assert moments.cells["group"].isna().sum() == 3
    assert moments.n_members.sum() == frame["member_id"].nunique()


def broken(**columns: object) -> pd.DataFrame:
    return awkward_panel(seed=1).assign(**columns)


def test_refuses_repeated_member_months() -> None:
    frame = awkward_panel(seed=1)
    twice = pd.concat([frame, frame.iloc[:7]])
    with pytest.raises(TableError, match=rf"7 of {len(twice)} rows repeat the key \(`member_id`"):
        reduce_panel(twice, outcomes=["visits"], unbalanced="cell_means")


def test_refuses_a_cohort_that_changes() -> None:
    frame = awkward_panel(seed=1)
    frame.loc[frame.index[::9], "cohort"] = 4.0
    with pytest.raises(TableError, match="`cohort` is not constant within"):
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")


def test_refuses_outcomes_that_are_not_finite() -> None:
    frame = awkward_panel(seed=1)
    frame["visits"] = frame["visits"].astype(float)
    frame.loc[frame.index[:3], "visits"] = [np.nan, np.inf, -np.inf]
    with pytest.raises(TableError, match="`visits` is missing or infinite in 3 of"):
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")


@pytest.mark.parametrize("amount", [1e200, -1e160])
def test_refuses_amounts_whose_squares_are_infinite(amount: float) -> None:
    frame = awkward_panel(seed=1).astype({"visits": float})
    frame.loc[frame.index[0], "visits"] = amount
    with pytest.raises(TableError, match="`visits` is missing or infinite in 1 of"):
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")


def test_refuses_zero_and_infinity_as_never_exposed() -> None:
    frame = awkward_panel(seed=1)
    years = frame.assign(month=frame["month"] + 2000, cohort=frame["cohort"] + 2000)
    with pytest.raises(TableError, match="Never exposed is coded as missing here"):
        reduce_panel(
            years.assign(cohort=years["cohort"].fillna(0)),
            outcomes=["visits"],
            unbalanced="cell_means",
        )
    with pytest.raises(TableError, match="never exposed is missing, not infinity"):
        reduce_panel(
            years.assign(cohort=years["cohort"].fillna(np.inf)),
            outcomes=["visits"],
            unbalanced="cell_means",
        )


def test_refuses_columns_that_are_not_there() -> None:
    with pytest.raises(TableError, match=r"lacks `ed_visits`\. It has `member_id`, `cohort`"):
        reduce_panel(awkward_panel(seed=1), outcomes=["ed_visits"], unbalanced="cell_means")
    with pytest.raises(TableError, match="`group` is named twice"):
        reduce_panel(
            awkward_panel(seed=1),
            outcomes=["visits"],
            stratum="group",
            covariate_cells="group",
            unbalanced="cell_means",
        )


def test_refuses_days_read_as_months() -> None:
    frame = awkward_panel(seed=1)
    frame["month"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["month"], unit="D")
    frame["cohort"] = pd.NaT
    with pytest.raises(TableError, match="plain dates are read as months"):
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")


def test_refuses_year_month_codes() -> None:
    frame = awkward_panel(seed=1)
    codes = dict(enumerate([202310, 202311, 202312, 202401, 202402, 202403, 202404]))
    coded = frame.assign(month=frame["month"].map(codes), cohort=frame["cohort"].map(codes))
    with pytest.raises(TableError, match="whole numbers of the form YYYYMM"):
        reduce_panel(coded, outcomes=["visits"], unbalanced="cell_means")


def test_messages_hold_no_member_id() -> None:
    frame = awkward_panel(seed=1)
    frame["member_id"] = "secret-" + frame["member_id"].astype(str)
    for damaged in (pd.concat([frame, frame.iloc[:1]]), frame.assign(visits=np.nan)):
        with pytest.raises(TableError) as caught:
            reduce_panel(damaged, outcomes=["visits"], unbalanced="cell_means")
        assert "secret" not in str(caught.value)
    assert "secret" not in repr(reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"))
