import itertools
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from calaim_eval.errors import OutputError
from calaim_eval.panel import declared_tables
from calaim_eval.schema import (
    FIELDS,
    TABLES,
    code_list_names,
    dictionary_drift,
    load_codes,
    write_dictionary,
)
from calaim_eval.schema.dictionary_pages import CODE_LISTS

COMMITTED = Path(__file__).resolve().parents[3] / "data_dictionary"


def test_the_committed_dictionary_is_current():
    assert dictionary_drift(COMMITTED, declared_tables()) == []


def test_every_table_has_a_page_with_every_column(tmp_path):
    write_dictionary(tmp_path)
    for name, table in TABLES.items():
        page = (tmp_path / "tables" / f"{name}.md").read_text(encoding="utf-8")
        assert table.grain in page
        for column in table.fields:
            assert f"| `{column}` |" in page
            assert FIELDS[column].description in page


def test_tables_in_pages_have_as_many_cells_as_columns(tmp_path):
    write_dictionary(tmp_path)
    for page in tmp_path.rglob("*.md"):
        lines = page.read_text(encoding="utf-8").splitlines()
        rows = [line for line in lines if line.startswith("|")]
        for before, after in itertools.pairwise(rows):
            n_bars = [line.replace("\\|", "").count("|") for line in (before, after)]
            if lines.index(after) == lines.index(before) + 1:
                assert n_bars[0] == n_bars[1], page.name


def test_every_link_leads_somewhere(tmp_path):
    write_dictionary(tmp_path)
    for page in tmp_path.rglob("*.md"):
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_every_code_list_is_described_and_written_as_it_is(tmp_path):
    write_dictionary(tmp_path)
    assert set(CODE_LISTS) == set(code_list_names())
    for name in code_list_names():
        written = pd.read_csv(
            tmp_path / "code_lists" / f"{name}.csv", dtype=str, keep_default_na=False
        )
        pd.testing.assert_frame_equal(written, load_codes(name))


def test_data_package_has_every_table_and_list(tmp_path):
    write_dictionary(tmp_path)
    package = json.loads((tmp_path / "datapackage.json").read_text(encoding="utf-8"))
    assert set(package["tableSchemas"]) == set(TABLES)
    assert package["tableSchemas"]["person"]["primaryKey"] == ["member_id"]
    for resource in package["resources"]:
        assert (tmp_path / resource["path"]).is_file()
    sex = [f for f in package["tableSchemas"]["person"]["fields"] if f["name"] == "sex"]
    assert sex[0]["constraints"]["enum"] == ["female", "male", "unknown"]


def test_drift_tells_what_to_look_at(tmp_path):
    write_dictionary(tmp_path)
    assert dictionary_drift(tmp_path) == []
    (tmp_path / "README.md").write_text("old", encoding="utf-8")
    (tmp_path / "tables" / "person.md").unlink()
    (tmp_path / "tables" / "gone.md").write_text("x", encoding="utf-8")
    assert dictionary_drift(tmp_path) == [
        "`README.md` is out of date",
        "`tables/person.md` is missing",
        "`tables/gone.md` is no longer declared",
    ]
    write_dictionary(tmp_path)
    assert dictionary_drift(tmp_path) == []


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="data dictionary cannot be written"):
        write_dictionary(tmp_path / "file")
