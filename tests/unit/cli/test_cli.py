from __future__ import annotations

import subprocess
import sys

import pytest

from calaim_eval import cli
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
    code = _run(monkeypatch, "init", str(tmp_path / "s"), "--format", "fhir")
    assert code == StudyFileError.exit_code
    assert "is not one of 'calaim', 'synthea'" in capsys.readouterr().err


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, calaim_eval\n"
        "heavy = ['duckdb', 'ibis', 'plotnine', 'matplotlib', 'statsmodels', 'great_tables',\n"
        "         'nbclient', 'scipy.stats', 'linearmodels', 'networkx', 'typst', 'pypandoc']\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
