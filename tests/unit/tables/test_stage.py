"""Rows put into member buckets: all of them, and few held at a time."""

import ibis
import pyarrow.parquet as pq
import pytest

from calaim_eval.engine import open_engine
from calaim_eval.schema.rules import REASON, REMARKS
from calaim_eval.tables import stage
from calaim_eval.tables.stage import rows_held, write_staged

N_ROWS, N_BUCKETS = 400_000, 4


def _staged(folder):
    """Row groups and rows of every bucket."""
    backend = open_engine(threads=1)
    number = ibis.range(N_ROWS).unnest().name("n").as_table()
    rows = number.mutate(
        member_id=number.n.cast("string"),
        **{REASON: ibis.null("string"), REMARKS: 0, "bucket": number.n % N_BUCKETS},
    )
    write_staged(rows, ["member_id"], folder, backend=backend, n_buckets=N_BUCKETS)
    backend.disconnect()
    told = {}
    for bucket in folder.iterdir():
        metadata = [pq.read_metadata(file) for file in bucket.glob("*.parquet")]
        told[bucket.name] = (
            sum(each.num_row_groups for each in metadata),
            sum(each.num_rows for each in metadata),
        )
    return told


def test_fewer_rows_held_are_written_sooner_and_none_is_lost(tmp_path, monkeypatch):
    at_most = _staged(tmp_path / "at_most")
    monkeypatch.setattr(stage, "_MOST_HELD", 8_192)
    at_least = _staged(tmp_path / "at_least")
    buckets = {f"bucket={number}" for number in range(N_BUCKETS)}
    assert set(at_most) == set(at_least) == buckets
    for bucket in buckets:
        assert at_most[bucket][1] == at_least[bucket][1] == N_ROWS / N_BUCKETS
        assert at_least[bucket][0] > at_most[bucket][0]


@pytest.mark.parametrize("n_threads", [1, 2, 16])
@pytest.mark.parametrize("n_buckets", [2, 16, 64, 232])
def test_rows_held_in_all_do_not_grow_with_the_state(n_buckets, n_threads):
    held = rows_held(n_buckets, n_threads)
    assert 8_192 <= held <= 131_072
    assert held * n_buckets * n_threads <= 4_000_000 or held == 8_192
