from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_notebook_runs_top_to_bottom(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_notebook_is_committed_without_outputs(path):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert not any("def " in cell.source for cell in code)


@pytest.mark.parametrize("has_survey", [True, False], ids=["survey", "simulated"])
def test_the_equity_notebook_runs_with_and_without_the_survey(has_survey, tmp_path, request):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    path = next(p for p in NOTEBOOKS if p.stem == "03_equity_gaps")
    notebook = nbformat.read(path, as_version=4)
    data = "1986 Medicaid Consumer Survey" if has_survey else "simulated members"
    if has_survey:
        request.getfixturevalue("shared")
    for cell in notebook.cells:
        is_searched = not has_survey and cell.cell_type == "code"
        cell.source = cell.source.replace("Medicaid1986", "absent") if is_searched else cell.source
    nbclient.NotebookClient(
        notebook, timeout=100, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [o.get("data", {}).get("text/plain", "") for cell in code for o in cell.outputs]
    assert f"'{data}'" in shown
    # The worst case holds every gap there was before records were lost.
    assert shown[-1] == "True"
    # The survey's own counts: 1,385 visits of 691 white respondents.
    assert any("200.434" in text for text in shown) is has_survey
