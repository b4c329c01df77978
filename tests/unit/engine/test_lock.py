"""Two runs in one folder: the second waits for the end of the first, however it comes."""

import logging
import subprocess
import sys
import threading

import pytest

from calaim_eval.engine.lock import one_at_a_time

WAIT_S = 20
HOLD = """
import sys, time
from pathlib import Path
from calaim_eval.engine.lock import one_at_a_time
with one_at_a_time(Path(sys.argv[1]), doing="x"):
    print("held", flush=True)
    time.sleep(60)
"""


def _second(folder, entered):
    with one_at_a_time(folder, doing="building"):
        entered.set()


def test_a_second_run_waits_and_says_so(tmp_path, caplog):
    entered = threading.Event()
    with one_at_a_time(tmp_path, doing="building"):
        second = threading.Thread(target=_second, args=(tmp_path, entered))
        with caplog.at_level(logging.WARNING):
            second.start()
            assert not entered.wait(0.5)
    assert entered.wait(WAIT_S)
    second.join(WAIT_S)
    assert [record.message for record in caplog.records] == [
        f"building: another run is at work in `{tmp_path}`; waiting for its end"
    ]


def test_other_folders_are_free(tmp_path):
    entered = threading.Event()
    with one_at_a_time(tmp_path / "a", doing="building"):
        second = threading.Thread(target=_second, args=(tmp_path / "b", entered))
        second.start()
        assert entered.wait(WAIT_S)
        second.join(WAIT_S)


def test_a_run_that_failed_or_was_killed_holds_nothing(tmp_path):
    entered = threading.Event()
    with pytest.raises(KeyError), one_at_a_time(tmp_path, doing="building"):
        raise KeyError
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        second = threading.Thread(target=_second, args=(tmp_path, entered))
        second.start()
        assert not entered.wait(0.5)
    finally:
        process.kill()
        process.wait()
    assert entered.wait(WAIT_S)
    second.join(WAIT_S)


def test_where_nothing_can_be_written_work_goes_on(tmp_path):
    (tmp_path / "file").touch()
    with one_at_a_time(tmp_path / "file" / "folder", doing="building"):
        pass
