import ibis
import pandas as pd
import pytest

from calaim_eval.engine import bucket_count, bucket_of, engine_failures, open_engine, track
from calaim_eval.errors import OutputError, TableError


def test_buckets_are_sixteen_a_million_and_at_least_one():
    assert [bucket_count(n) for n in (0, 1, 62_500, 62_501, 1_000_000)] == [1, 1, 1, 2, 16]


def test_each_member_is_in_one_bucket_and_all_are_used():
    backend = open_engine()
    ids = pd.DataFrame({"member_id": [f"m{i}" for i in range(2_000)] * 2})
    rows = ibis.memtable(ids)
    buckets = backend.execute(rows.mutate(bucket=bucket_of(rows.member_id, n_buckets=7)))
    assert buckets.groupby("member_id")["bucket"].nunique().eq(1).all()
    assert set(buckets["bucket"]) == set(range(7))
    # Equal shares of 2,000 members: 286 each, standard deviation under 16.
    assert buckets.drop_duplicates()["bucket"].value_counts().between(206, 366).all()


def test_memory_limit_must_be_positive():
    with pytest.raises(OutputError, match="`memory_limit_gb` is 0; the engine needs"):
        open_engine(memory_limit_gb=0)


def test_options_the_engine_refuses():
    with pytest.raises(OutputError, match=r"engine cannot be opened with .* `threads` 0"):
        open_engine(threads=0)


def test_spill_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match=r"cannot use .* for temporary files"):
        open_engine(temp_folder=tmp_path / "file" / "spill")


def test_engine_text_never_passes_into_a_message(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,2\n"SECRET,3\n', encoding="utf-8")
    backend = open_engine()
    with (
        pytest.raises(TableError, match=r"reading `x`: the file cannot be read") as caught,
        engine_failures(doing="reading `x`"),
    ):
        backend.execute(backend.read_csv(str(path), header=True, delim=",", quote='"').count())
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_too_little_memory_says_what_to_raise():
    backend = open_engine(memory_limit_gb=0.02, threads=1)
    numbers = ibis.range(0, 4_000_000).unnest().name("n").as_table()
    with (
        pytest.raises(OutputError, match=r"memory limit was not enough.*\n.*`memory_limit_gb`"),
        engine_failures(doing="testing"),
    ):
        backend.execute(numbers.mutate(t=numbers.n.cast("string")).order_by("t").t.collect())


def test_track_gives_the_items_in_order(capsys):
    assert list(track(range(5), description="buckets")) == [0, 1, 2, 3, 4]
    assert list(track(iter("ab"), description="letters", total=2)) == ["a", "b"]
    assert capsys.readouterr().out == ""
