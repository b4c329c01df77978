"""Files of one panel whose columns are of different types: values are kept, or it is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.moments import reduce_panel


def halves() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(40), 3),
            "month": np.tile([1, 2, 3], 40),
            "cohort": np.repeat([2.0, np.nan], 60),
            "group": np.repeat(np.arange(40) % 2, 3),
            "visits": rng.integers(0, 4, 120),
        }
    )
    return frame.iloc[:60].copy(), frame.iloc[60:].copy()


def reduced(source, **options):
    return reduce_panel(source, outcomes=["visits"], stratum="group", **options)


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("visits", "int64", lambda values: values + 0.6),
        ("group", "int64", lambda values: values + 0.5),
        ("member_id", "int64", lambda values: values + 0.25),
        ("member_id", "int64", lambda values: "CIN" + values.astype(str)),
    ],
)
def test_values_of_a_later_file_are_not_cast_to_the_types_of_the_first(
    tmp_path, column, first, second
):
    one, two = halves()
    one[column] = one[column].astype(first)
    two[column] = second(two[column])
    # Files in random order go by the engine, whatever their ids.
    one.sample(frac=1, random_state=1).to_parquet(tmp_path / "a.parquet")
    two.sample(frac=1, random_state=2).to_parquet(tmp_path / "b.parquet")
    whole = pd.concat([one, two])
    if column == "member_id":
        whole["member_id"] = whole["member_id"].astype(str)
    by_file, by_frame = reduced(tmp_path), reduced(whole)
    assert by_file.n_members.sum() == by_frame.n_members.sum() == 40
    np.testing.assert_allclose(np.sort(_totals(by_file)), np.sort(_totals(by_frame)))


def _totals(moments) -> np.ndarray:
    return moments.by_outcome["visits"].level_total(moments.at_risk).sum(axis=1)


def test_a_column_that_only_a_later_file_lacks_is_named(tmp_path):
    one, two = halves()
    one.to_parquet(tmp_path / "a.parquet")
    two.drop(columns="visits").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(TableError, match="lacks `visits`"):
        reduced(tmp_path)


def test_a_file_of_members_never_exposed_may_come_first(tmp_path):
    one, two = halves()
    two["cohort"] = pd.Series([None] * len(two), dtype=object, index=two.index)
    two.to_parquet(tmp_path / "a.parquet")
    one.to_parquet(tmp_path / "b.parquet")
    moments = reduced(tmp_path)
    assert moments.n_members.sum() == 40
    assert set(moments.cells["cohort"].dropna()) == {2}


def test_labels_over_the_whole_range_of_a_small_type_stay_apart(tmp_path):
    one, two = halves()
    frame = pd.concat([one, two])
    frame["group"] = np.where(frame["group"] == 1, 127, -128).astype("int8")
    frame.to_parquet(tmp_path / "a.parquet")
    moments = reduced(tmp_path / "a.parquet")
    assert sorted(set(moments.cells["group"])) == [-128, 127]
