import errno
import json

import ibis
import pandas as pd
import pytest

from calaim_eval.engine import atomic_file, atomic_folder, open_engine, write_json, write_parquet
from calaim_eval.errors import OutputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(path):
    with atomic_file(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyError


def fill_half(path):
    with atomic_folder(path) as filling:
        (filling / "new").touch()
        raise KeyError


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json({"a": 1}, path)
    with pytest.raises(KeyError):
        write_half(path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 1}
    assert names(tmp_path) == ["x.json"]


def test_a_failed_folder_leaves_the_old_folder(tmp_path):
    path = tmp_path / "out"
    with atomic_folder(path) as filling:
        (filling / "old").touch()
    with pytest.raises(KeyError):
        fill_half(path)
    assert names(path) == ["old"]
    with atomic_folder(path) as filling:
        (filling / "new").touch()
    assert names(path) == ["new"]
    assert names(tmp_path) == ["out"]


def test_parquet_is_written_whole(tmp_path):
    backend = open_engine()
    write_parquet(ibis.memtable({"a": [1, 2]}), tmp_path / "deep" / "x.parquet", backend=backend)
    assert pd.read_parquet(tmp_path / "deep" / "x.parquet")["a"].tolist() == [1, 2]
    assert names(tmp_path / "deep") == ["x.parquet"]


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"writing .*x\.json.*cannot be written"):
        write_json({}, tmp_path / "file" / "x.json")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        atomic_folder(tmp_path / "file" / "x"),
    ):
        pass


def test_a_full_disk_says_so(tmp_path):
    with (
        pytest.raises(OutputError, match=r"the disk is full\.\n  Free space"),
        atomic_file(tmp_path / "x"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
