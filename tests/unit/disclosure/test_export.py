"""The only exit: what is written comes from a `Released`, and ways around it are tried."""

from __future__ import annotations

import copyreg
import csv
import dataclasses
import pickle
import types

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table, two_way

from calaim_eval.disclosure import Released, ReleasedTable, export_released, release
from calaim_eval.disclosure import released as sealed
from calaim_eval.disclosure.released import ReleaseContent, TableContent
from calaim_eval.errors import DisclosureError, OutputError
from calaim_eval.report import figures, phrases, tables


@pytest.fixture
def results():
    _, by_county = two_way([[5, 30, 40], [60, 70, 80], [90, 200, 300]])
    effects = effect_table(
        pd.DataFrame({"outcome": "ed_visits", "race_ethnicity": ["white", "nhpi"]}), [400, 6]
    )
    return {"by_county": by_county, "effect_by_race": effects}


@pytest.fixture
def released(results):
    return release(results, provenance={"study_id": "s1"})


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_folder_has_every_table_with_one_mark(released, tmp_path):
    folder = released.export(tmp_path / "out")
    assert sorted(p.name for p in folder.iterdir()) == [
        "about.csv", "by_county.csv", "effect_by_race.csv",
    ]  # fmt: skip
    rows = read_csv(folder / "by_county.csv")
    frame = released.tables["by_county"].frame
    for row, (is_hidden, number) in zip(
        rows, frame[["is_suppressed", "numerator"]].itertuples(index=False), strict=True
    ):
        assert row["numerator"] == ("suppressed" if is_hidden else f"{number:.0f}")
        assert (row["conf_low"] == "suppressed") == is_hidden
    about = {row["what"]: row["value"] for row in read_csv(folder / "about.csv")}
    assert about["policy"] == "calhhs_ddg_2 version 1"
    assert about["policy_sha256"] == released.certificate["policy_sha256"]
    assert about["study_id"] == "s1"


def test_a_workbook_has_the_same(released, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(released.export(tmp_path / "out.xlsx"))
    assert book.sheetnames == ["about", "by_county", "effect_by_race"]
    header, *rows = book["by_county"].iter_rows(values_only=True)
    folder = released.export(tmp_path / "out")
    plain = [list(row.values()) for row in read_csv(folder / "by_county.csv")]
    assert list(header)[:3] == ["race_ethnicity", "county", "numerator"]
    assert [["" if v is None else str(v) for v in row] for row in rows] == plain


def test_long_names_and_text_that_looks_like_a_formula(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    keys = pd.DataFrame({"organization": ["=1+1", "@x", "Kern"]})
    long = "referral_closure_by_organization_type"
    both = {long: effect_table(keys, [40, 50, 60]), f"{long}_2": effect_table(keys, [40, 50, 60])}
    released = release(both)
    path = released.export(tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(path)
    assert len(set(book.sheetnames)) == 3
    assert max(map(len, book.sheetnames)) <= 31
    assert book.worksheets[1]["A2"].value == "=1+1"
    assert book.worksheets[1]["A2"].data_type == "s"
    rows = read_csv(released.export(tmp_path / "out") / f"{long}.csv")
    assert [row["organization"] for row in rows] == ["'=1+1", "'@x", "Kern"]


def test_a_control_character_in_a_name_does_not_stop_a_workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    table = rate_table(pd.DataFrame({"service": ["meals\x0bhot", "housing"]}), [40, 50])
    path = release({"t": table}).export(tmp_path / "out.xlsx")
    sheet = openpyxl.load_workbook(path)["t"]
    assert [row[0].value for row in sheet.iter_rows(min_row=2)] == ["meals hot", "housing"]


def test_undefined_and_infinite_are_told_from_hidden(tmp_path):
    table = effect_table(pd.DataFrame({"event_time": [0, 1, 2]}), [50, 60, 3])
    table.estimate[1] = np.nan
    rows = read_csv(release({"t": table}).export(tmp_path / "o") / "t.csv")
    assert [row["estimate"] for row in rows] == ["1", "", "suppressed"]


def test_what_was_there_stays_when_it_cannot_be_written(released, tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError):
        released.export(tmp_path / "file" / "out.xlsx")
    with pytest.raises(DisclosureError, match=r"ending in `\.xlsx`, or a folder"):
        released.export(tmp_path / "out.json")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


# Ways around the door.


def content():
    frame = pd.DataFrame({"county": ["Alpine"], "numerator": [3.0], "is_suppressed": [False]})
    meta = {"keys": ["county"], "notes": [], "measure": "", "unit": ""}
    return ReleaseContent("2024Q4", "none", {"t": TableContent("rate", frame, meta)}, {}, {})


class Lookalike:
    """Has everything a `Released` has."""

    quarter = "2024Q4"
    policy = "none"
    provenance: dict = {}  # noqa: RUF012
    certificate = {"policy_sha256": "", "rounding": "none", "n_rows": 1, "n_suppressed_rows": 0}  # noqa: RUF012
    tables = types.MappingProxyType({})


def forgeries():
    made = object.__new__(Released)
    return {
        "results": {"t": rate_table(pd.DataFrame({"county": ["Alpine"]}), [3])},
        "a frame": pd.DataFrame({"numerator": [3]}),
        "content": content(),
        "a lookalike": Lookalike(),
        "an unsealed object": made,
        "a table": object.__new__(ReleasedTable),
        "nothing": None,
    }


@pytest.mark.parametrize("name", list(forgeries()))
def test_nothing_but_a_sealed_release_is_exported(name, tmp_path):
    forged = forgeries()[name]
    for to in ("out.xlsx", "out"):
        with pytest.raises(TypeError):
            export_released(forged, tmp_path / to)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", list(forgeries()))
def test_nothing_but_a_sealed_release_is_reported(name):
    forged = forgeries()[name]
    for door in (
        tables.provenance_table,
        phrases.closure_sentence
        if hasattr(phrases, "closure_sentence")
        else tables.provenance_table,
        figures.forest_plot if hasattr(figures, "forest_plot") else tables.provenance_table,
    ):
        with pytest.raises(Exception, match=r"(?i)released|release"):
            door(forged)


def test_no_class_may_pass_for_a_release():
    with pytest.raises(TypeError, match="cannot be derived"):
        types.new_class("Mine", (Released,))
    with pytest.raises(TypeError):
        object.__new__(Lookalike).__class__ = Released  # type: ignore[assignment]


def test_a_release_is_not_made_by_replace_reduce_or_state(released):
    with pytest.raises(TypeError):
        dataclasses.replace(released, policy="none")
    with pytest.raises(TypeError):
        pickle.dumps(released)
    with pytest.raises(TypeError):
        copyreg.__reduce_ex__(released, 2)
    rebuilt = copyreg.__newobj__  # what pickle calls
    with pytest.raises(TypeError, match="made by"):
        rebuilt(Released)
    with pytest.raises(AttributeError):
        released.__setstate__({"tables": {}})


def test_editing_what_is_handed_out_changes_nothing_exported(released, tmp_path):
    before = (released.export(tmp_path / "a") / "by_county.csv").read_bytes()
    table = released.tables["by_county"]
    frame = table.frame
    frame.loc[:, "numerator"] = 3.0
    frame["is_suppressed"] = False
    with pytest.raises(ValueError, match="read-only"):
        table.frame["numerator"].to_numpy()[:] = 3.0
    table.frame._mgr = frame._mgr
    table.meta["keys"].clear()
    released.policy_rules["min_count"] = 1
    released.scores.append({})
    assert (released.export(tmp_path / "b") / "by_county.csv").read_bytes() == before


def test_editing_the_csv_of_a_release_is_seen_before_it_is_exported(results, tmp_path):
    release(results, to=tmp_path, quarter="2024Q4")
    folder = tmp_path / "2024Q4"
    path = folder / "tables" / "by_county.csv"
    text = path.read_text(encoding="utf-8")
    for edited in (text.replace("true", "false"), text + "white,Alpine,3,,,,,false\n"):
        path.write_text(edited, encoding="utf-8")
        with pytest.raises(DisclosureError, match="was changed"):
            Released.load(folder)
    path.write_text(text, encoding="utf-8")
    loaded = Released.load(folder)
    path.write_text(text.replace("true", "false"), encoding="utf-8")
    rows = read_csv(loaded.export(tmp_path / "out") / "by_county.csv")
    assert "suppressed" in {row["numerator"] for row in rows}


def test_making_a_release_from_content_is_private():
    """What seals is no part of the door."""
    import calaim_eval
    from calaim_eval import disclosure

    for room in (calaim_eval, disclosure):
        assert "make_released" not in room.__all__
    assert not hasattr(disclosure, "make_released")
    assert sealed.make_released.__doc__ == "Seal a release; for this room only."


def test_a_table_of_the_name_about_is_not_written_over(tmp_path):
    keys = pd.DataFrame({"service": ["meals"]})
    released = release({"about": effect_table(keys, [40]), "about_2": effect_table(keys, [50])})
    folder = released.export(tmp_path / "out")
    assert [row["service"] for row in read_csv(folder / "about_2.csv")] == ["meals"]
    assert len(list(folder.glob("*.csv"))) == 3
    assert "policy" in {row["what"] for row in read_csv(folder / "about.csv")}
