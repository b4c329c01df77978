from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys

import pandas as pd
import pytest

from calaim_eval import cli
from calaim_eval.cli.check import _ledger_text
from calaim_eval.errors import (
    CalaimEvalError,
    DesignError,
    DisclosureError,
    EstimationError,
    MissingExtraError,
    OutputError,
    StudyFileError,
    TableError,
)
from calaim_eval.study import init_study, read_study


def _run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["calaim-eval", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def test_every_command_is_listed(monkeypatch, capsys):
    assert _run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    commands = {command.callback.__name__ for command in cli.app.registered_commands}
    assert commands == {
        "init",
        "check",
        "panel",
        "moments",
        "estimate",
        "integration",
        "release",
        "report",
        "run",
        "simulate",
        "dictionary",
    }
    for command in commands:
        assert command in shown


def test_a_user_error_is_a_message_and_a_code_without_traceback(monkeypatch, capsys, tmp_path):
    assert _run(monkeypatch, "check", str(tmp_path)) == StudyFileError.exit_code
    shown = capsys.readouterr().err
    assert "StudyFileError" in shown
    assert "calaim-eval init DIR" in shown
    assert "Traceback" not in shown


def test_exit_codes_are_distinct():
    classes = [
        CalaimEvalError,
        StudyFileError,
        TableError,
        DesignError,
        EstimationError,
        DisclosureError,
        MissingExtraError,
        OutputError,
    ]
    codes = [c.exit_code for c in classes]
    assert len(set(codes)) == len(codes)
    assert cli.UNEXPECTED_EXIT_CODE not in codes


def test_an_unforeseen_error_keeps_its_text_off_the_screen(monkeypatch, capsys, tmp_path):
    secret = "member 91234567A born 1970-01-01"

    def fail(*_: object, **__: object) -> None:
        raise KeyError(secret)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "app", fail)
    assert _run(monkeypatch, "check", "x") == cli.UNEXPECTED_EXIT_CODE
    shown = "".join(capsys.readouterr())
    assert "Unexpected KeyError" in shown
    assert "91234567A" not in shown
    assert "91234567A" in (tmp_path / "restricted" / "last_error.txt").read_text(encoding="utf-8")


def test_an_unknown_format_is_refused(monkeypatch, capsys, tmp_path):
    code = _run(monkeypatch, "init", str(tmp_path / "s"), "--format", "omop")
    assert code == StudyFileError.exit_code
    assert "is not one of 'calaim', 'synthea'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [RuntimeError("query interrupted"), OutputError("cannot write"), KeyboardInterrupt()],
    ids=["library", "own", "plain"],
)
def test_ctrl_c_is_never_called_a_defect(error, monkeypatch, capsys, tmp_path):
    def interrupted(*_: object, **__: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "app", interrupted)
    before = signal.getsignal(signal.SIGINT)
    assert _run(monkeypatch, "run", "x") == cli.INTERRUPTED_EXIT_CODE
    shown = capsys.readouterr().err
    assert "Interrupted" in shown
    assert "defect" not in shown
    assert not (tmp_path / "restricted").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_the_text_of_an_unforeseen_error_stays_with_the_study(monkeypatch, capsys, tmp_path):
    def fail(*_: object, **__: object) -> None:
        raise KeyError("secret")

    study = init_study(tmp_path / "study")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "app", fail)
    assert _run(monkeypatch, "check", str(study)) == cli.UNEXPECTED_EXIT_CODE
    assert (tmp_path / "study" / "restricted" / "last_error.txt").is_file()
    assert not (tmp_path / "restricted").exists()
    capsys.readouterr()


def test_raw_files_are_found_from_where_the_user_is(monkeypatch, capsys, tmp_path):
    (tmp_path / "exports").mkdir()
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, "init", "deep/study", "--raw", "exports") == 0
    assert read_study("deep/study").input_folder == (tmp_path / "exports").resolve()
    assert _run(monkeypatch, "init", "other", "--raw", "exprots") == StudyFileError.exit_code
    assert "no such folder" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_simulation_is_kept_only_if_it_is_the_one_asked_for(monkeypatch, capsys, tmp_path):
    def members() -> int:
        about = (tmp_path / "truth" / "simulation.json").read_text(encoding="utf-8")
        return int(json.loads(about)["members"])

    for asked, said in (("200", "Next"), ("200", "they are kept"), ("210", "Next")):
        assert _run(monkeypatch, "simulate", str(tmp_path), "--members", asked, "--keep") == 0
        assert said in capsys.readouterr().out
        assert members() == int(asked)


def test_the_report_of_nothing_released_names_the_command(monkeypatch, capsys, tmp_path):
    study = init_study(tmp_path)
    assert _run(monkeypatch, "report", str(study), "--quarter", "2024Q4") == OutputError.exit_code
    assert f"calaim-eval release {study} --quarter 2024Q4" in capsys.readouterr().err


def test_no_stage_of_the_ledger_is_left_out():
    ledger = pd.DataFrame(
        {
            "table": ["person", "person", "person"],
            "stage": ["notice", "read", "later"],
            "reason": ["remark", "used", "reason"],
            "n_rows": [1, 12345, 7],
        }
    )
    shown = _ledger_text(ledger)
    assert [line.split() for line in shown.splitlines() if line.startswith("  ")] == [
        ["person", "12,345", "used"],
        ["person", "1", "remark"],
        ["person", "7", "reason"],
    ]


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, calaim_eval\n"
        "heavy = ['duckdb', 'ibis', 'plotnine', 'matplotlib', 'statsmodels', 'great_tables',\n"
        "         'nbclient', 'scipy.stats', 'linearmodels', 'networkx', 'typst', 'pypandoc']\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
