"""`calaim-eval moments --out`: a file that cannot be written is said, not left out silently."""

from __future__ import annotations

import sys

import pytest

from calaim_eval import cli, pipeline
from calaim_eval.errors import DesignError
from calaim_eval.study import init_study


@pytest.mark.parametrize("share", [[], ["--share"]])
def test_a_main_design_that_is_left_out_writes_no_file(tmp_path, monkeypatch, capsys, share):
    init_study(tmp_path / "study")
    refused = {pipeline.MAIN_ANCHOR: "nobody is served"}
    monkeypatch.setattr(pipeline, "build_panel", lambda study: None)
    monkeypatch.setattr(pipeline, "build_moments", lambda study, panel: ({}, refused))
    out = tmp_path / "plan.moments"
    arguments = ["calaim-eval", "moments", str(tmp_path / "study"), *share, "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == DesignError.exit_code
    shown = capsys.readouterr()
    assert "first_service: left out. nobody is served" in shown.out
    assert "plan.moments: not written" in shown.err
    assert not out.exists()
