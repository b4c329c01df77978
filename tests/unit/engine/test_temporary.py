"""Member rows in temporary folders do not outlive the process, also where work fails."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import pandas as pd
from calaim_eval.errors import TableError
from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.tables import Tables

spans = pd.DataFrame({"member_id": ["a"], "enrollment_start_date": ["2022-01-10"],
                      "enrollment_end_date": ["2022-02-28"]})
tables = Tables.from_frames({"eligibility": spans})
panel = build_member_months(tables, first_month="2022-01", last_month="2022-03")
assert panel.folder.is_dir()
claims = pd.DataFrame({"member_id": ["a"], "claim_id": ["1"], "claim_line_number": [1],
                       "claim_start_date": ["2022-02-01"], "claim_type": ["professional"]})
both = Tables.from_frames({"eligibility": spans, "medical_claim": claims})
try:
    build_member_months(both, first_month="2022-01", last_month="2022-03",
                        rules=PanelRules(run_out_months=6))
except TableError:
    print("failed")
try:
    Tables.from_frames({"eligibility": spans.drop(columns="member_id")})
except TableError:
    print("failed")
raise RuntimeError("the notebook breaks here")
"""


def test_folders_go_with_the_process(tmp_path):
    surroundings = {**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.split() == ["failed"] * 2
    assert "the notebook breaks here" in run.stderr
    assert list(tmp_path.rglob("*.parquet")) == []
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("calaim_t")] == []
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("calaim_p")] == []
