from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import re
import sys

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table, two_way

from calaim_eval.disclosure import Released, ReleasedTable, release
from calaim_eval.errors import DisclosureError, OutputError


@pytest.fixture
def results():
    _, by_county = two_way([[5, 30, 40], [60, 70, 80], [90, 200, 300]])
    effects = effect_table(
        pd.DataFrame({"outcome": "ed_visits", "race_ethnicity": ["white", "nhpi"]}), [400, 6]
    )
    return {"by_county": by_county, "effect_by_race": effects}


@pytest.fixture
def released(results):
    return release(results, provenance={"study": {"id": "s1"}})


@pytest.fixture
def folder(results, tmp_path):
    release(results, to=tmp_path, quarter="2024Q4", provenance={"study": {"id": "s1"}})
    return tmp_path / "2024Q4"


def test_hidden_rows_have_no_number_and_no_support(released):
    for table in released.tables.values():
        frame = table.frame
        numbers = frame.select_dtypes("float")
        assert frame["is_suppressed"].dtype == bool
        assert numbers[frame["is_suppressed"]].isna().all(axis=None)
        assert not set(frame) & {"n_members", "n_events", "member_months", "covariance"}
    effects = released.tables["effect_by_race"].frame
    assert effects["estimate"].tolist()[0] == 1.0
    assert effects["is_suppressed"].tolist() == [False, True]


def test_a_release_is_made_by_release_alone():
    with pytest.raises(TypeError, match=r"made by `release\(\.\.\.\)`"):
        Released()
    with pytest.raises(TypeError, match="made by"):
        Released("2024Q4", {}, policy="none")
    with pytest.raises(TypeError, match="made by"):
        ReleasedTable.__new__(ReleasedTable)
    forged = object.__new__(Released)
    with pytest.raises(TypeError, match="did not come from"):
        forged.tables  # noqa: B018
    table = object.__new__(ReleasedTable)
    with pytest.raises(TypeError, match="did not come from"):
        table.frame  # noqa: B018


def test_a_released_type_cannot_be_derived_from():
    with pytest.raises(TypeError, match="cannot be derived"):
        type("Mine", (Released,), {})


def test_a_release_cannot_be_changed(released):
    with pytest.raises(AttributeError):
        released.quarter = "2030Q1"
    with pytest.raises(AttributeError):
        object.__setattr__(released, "quarter", "2030Q1")
    with pytest.raises(AttributeError):
        object.__setattr__(released, "_content", None)
    with pytest.raises(TypeError):
        released.tables["new"] = released.tables["by_county"]
    table = released.tables["by_county"]
    before = table.frame
    frame = table.frame
    frame["numerator"] = 0.0
    frame["is_suppressed"] = False
    table.meta["unit"] = "people"
    released.provenance["study"]["id"] = "other"
    released.certificate["n_rows"] = 0
    pd.testing.assert_frame_equal(table.frame, before)
    assert table.meta["unit"] == "members"
    assert released.provenance == {"study": {"id": "s1"}}
    assert released.certificate["n_rows"] == 18


@pytest.mark.parametrize(
    "copier", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"]
)
def test_a_release_is_not_copied(released, copier):
    with pytest.raises(TypeError, match="not copied or pickled"):
        copier(released)
    with pytest.raises(TypeError, match="not copied or pickled"):
        copier(released.tables["by_county"])


def test_replacing_fields_is_no_way_in(released):
    with pytest.raises(TypeError):
        dataclasses.replace(released, quarter="2030Q1")


def test_the_results_passed_in_are_not_changed(results):
    numerator = results["by_county"].numerator.copy()
    release(results)
    np.testing.assert_array_equal(results["by_county"].numerator, numerator)


def test_what_is_loaded_is_what_was_released(results, folder):
    loaded = Released.load(folder)
    made = release(results, quarter="2024Q4", provenance={"study": {"id": "s1"}})
    assert loaded.quarter == "2024Q4"
    assert loaded.policy == "calhhs_ddg_2 version 1"
    assert loaded.provenance == made.provenance
    assert loaded.certificate == made.certificate
    assert list(loaded.tables) == list(made.tables)
    for name, table in made.tables.items():
        pd.testing.assert_frame_equal(loaded.tables[name].frame, table.frame)
        assert loaded.tables[name].meta == table.meta
        assert loaded.tables[name].kind == table.kind


def test_keys_keep_whole_numbers_and_odd_text(tmp_path):
    keys = pd.DataFrame({"event_time": [-1, 0], "label": ['a,"b"\nc', "NA"]})
    release({"t": effect_table(keys, [50, 60])}, to=tmp_path, quarter="2024Q4")
    frame = Released.load(tmp_path / "2024Q4").tables["t"].frame
    pd.testing.assert_frame_equal(frame[["event_time", "label"]], keys, check_dtype=False)
    assert frame["event_time"].dtype == np.int64


def test_no_hidden_number_is_anywhere_on_disk(tmp_path):
    values = [7, 31_337, 41_414, 52_525]  # 7 is small; the others are easy to find
    table = rate_table(
        pd.DataFrame({"race_ethnicity": ["nhpi", "white", "black", "all"]}),
        [7, 31_337, 41_414, 72_758],
        margins=("race_ethnicity",),
    )
    release({"t": table}, to=tmp_path, quarter="2024Q4")
    frame = Released.load(tmp_path / "2024Q4").tables["t"].frame
    hidden = [v for v, h in zip(values, frame["is_suppressed"], strict=False) if h and v > 7]
    assert len(hidden) == 1
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert str(hidden[0]) not in path.read_text(encoding="utf-8")


def test_an_edited_table_is_refused(folder):
    path = folder / "tables" / "by_county.csv"
    path.write_text(path.read_text().replace("all,all,", "all,all,1"))
    with pytest.raises(DisclosureError, match=r"`tables/by_county\.csv` was changed"):
        Released.load(folder)


def test_an_added_and_a_missing_file_are_refused(folder):
    extra = folder / "tables" / "more.csv"
    extra.write_text("a\n1\n")
    with pytest.raises(DisclosureError, match=r"added or removed .*`tables/more\.csv`"):
        Released.load(folder)
    extra.unlink()
    (folder / "log.md").unlink()
    with pytest.raises(DisclosureError, match=r"added or removed .*`log\.md`"):
        Released.load(folder)


def forge(folder, change):
    """Edit the table, then mend every hash, as a careful forger would."""
    from calaim_eval.disclosure import folder as files

    path = folder / "tables" / "by_county.csv"
    path.write_text(change(path.read_text()))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["content"]["files"]["tables/by_county.csv"] = files._sha256(path)
    manifest["content_sha256"] = files._digest(manifest["content"])
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_an_edited_manifest_is_refused(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"2024Q4"', '"2024Q3"'))
    with pytest.raises(DisclosureError, match=r"`manifest\.json` was changed"):
        Released.load(folder)


def test_a_forged_release_is_not_in_the_ledger(folder):
    forge(folder, lambda text: text)
    forge(folder, lambda text: text.replace("white,all,590", "white,all,591"))
    with pytest.raises(DisclosureError, match="does not know this release"):
        Released.load(folder)


def test_a_forged_release_with_a_small_count_is_refused_without_a_ledger(folder):
    (folder.parent / "ledger.jsonl").unlink()
    forge(folder, lambda text: re.sub(r"(?m)^aian,Alpine,.*$", "aian,Alpine,5,,,,,false", text))
    with pytest.raises(DisclosureError, match="was changed"):
        Released.load(folder)


def test_a_forged_release_with_a_number_in_a_hidden_row_is_refused(folder):
    (folder.parent / "ledger.jsonl").unlink()
    forge(folder, lambda text: re.sub(r"(?m)^aian,Alpine,.*$", "aian,Alpine,50,,,,,true", text))
    with pytest.raises(DisclosureError, match="was changed"):
        Released.load(folder)


def test_a_folder_that_is_no_release_is_refused(tmp_path):
    with pytest.raises(DisclosureError, match=r"not a release, `manifest\.json` is missing"):
        Released.load(tmp_path)


def test_a_failed_write_leaves_the_earlier_release(results, folder, monkeypatch):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys.modules["calaim_eval.disclosure.release"], "write_log", full)
    with pytest.raises(OutputError):
        release(results, to=folder.parent, quarter="2024Q4")
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert sorted(p.name for p in folder.parent.iterdir()) == ["2024Q4", "ledger.jsonl"]
    assert len((folder.parent / "ledger.jsonl").read_text().splitlines()) == 1


def test_repr_says_counts_only(released):
    assert repr(released) == (
        "<Released without a quarter: 2 tables, 18 rows, "
        f"{released.certificate['n_suppressed_rows']} suppressed; calhhs_ddg_2 version 1>"
    )
    assert "by race_ethnicity, county" in repr(released.tables["by_county"])
