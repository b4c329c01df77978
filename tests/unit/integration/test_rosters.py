"""Two rosters of organizations: what is proposed, what people decide, what comes of it."""

import csv

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.rosters import (
    apply_matches,
    plain_name,
    propose_matches,
    read_match_review,
    write_match_review,
)
from calaim_eval.tables.ledger import RowLedger

LEFT = pd.DataFrame(
    [
        ("L1", "Saint Agnes Health Center", "1234567893", "Fresno"),
        ("L2", "Casa de la Esperanza, Inc.", None, "Kings"),
        ("L3", "Valley Housing Services", "1111111112", "Tulare"),
        ("L4", "Unity House", "2222222228", "Kings"),
        ("L5", None, "3333333334", "Kings"),
    ],
    columns=["organization_id", "organization_name", "npi", "county"],
)
RIGHT = pd.DataFrame(
    [
        ("R1", "ST. AGNES HLTH CTR", "1234567893", "Fresno"),
        ("R2", "Casa De La Esperanza", None, "Kings"),
        ("R3", "Valley Housing Svc Agency", None, "Tulare"),
        ("R4", "Unity House", "9999999995", "Kings"),
        ("R5", "Unity House", None, "Marin"),
        ("R6", "Nobody Else", "3333333334", "Kings"),
    ],
    columns=["organization_id", "organization_name", "npi", "county"],
)


@pytest.fixture
def matches():
    return propose_matches(LEFT, RIGHT, place="county", least_score=80)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("The ACME Foundation, LLC", "acme foundation"),
        ("Niños & Familias", "ninos and familias"),
        ("O'Brien's Ctr.", "obriens center"),
        ("Inc.", "inc"),
        (None, ""),
        (np.nan, ""),
        ("  ", ""),
    ],
)
def test_names_compare_without_form(name, plain):
    assert plain_name(name) == plain


def test_pairs_come_with_what_speaks_for_them(matches):
    rules = matches.set_index(["left_id", "right_id"])["rule"].to_dict()
    assert rules == {
        ("L1", "R1"): "npi",
        ("L5", "R6"): "npi",
        ("L2", "R2"): "same name",
        ("L4", "R4"): "same name",  # another NPI: two organizations of one name
        ("L3", "R3"): "alike name",
    }
    by_pair = matches.set_index("left_id")
    assert by_pair["proposal"].to_dict() == {
        "L1": "accept",
        "L5": "accept",
        "L2": "review",
        "L4": "review",
        "L3": "review",
    }
    assert by_pair.loc["L4", "differ"] == "npi"
    assert by_pair.loc["L1", "agree"] == "npi"
    assert by_pair.loc["L1", "score"] == 100


def test_a_place_that_differs_keeps_names_apart_and_numbers_together():
    moved = RIGHT.assign(county="Marin")
    found = propose_matches(LEFT, moved, place="county", least_score=80)
    assert set(found["left_id"]) == {"L1", "L5"}
    unknown = RIGHT.assign(county=None)
    found = propose_matches(LEFT, unknown, place="county", least_score=80)
    assert set(zip(found["left_id"], found["right_id"], strict=True)) >= {
        ("L4", "R4"),
        ("L4", "R5"),
    }


def test_two_candidates_are_for_review_even_with_a_number():
    twice = pd.concat([RIGHT, RIGHT.head(1).assign(organization_id="R9")])
    found = propose_matches(LEFT, twice, place="county").set_index(["left_id", "right_id"])
    assert (found.loc["L1", "proposal"] == "review").all()
    assert (found.loc["L1", "n_candidates"] == 2).all()


def test_sides_can_be_exchanged(matches):
    other = propose_matches(RIGHT, LEFT, place="county", least_score=80)
    pairs = set(zip(matches["left_id"], matches["right_id"], strict=True))
    assert set(zip(other["right_id"], other["left_id"], strict=True)) == pairs


def test_numbers_are_compared_as_text():
    left = pd.DataFrame(
        {"organization_id": ["a"], "organization_name": ["x"], "ein": ["012345678"]}
    )
    right = left.assign(organization_id="b", organization_name="y", ein=[12345678.0])
    assert propose_matches(left, right).empty
    dashed = right.assign(ein=["01-2345678"])
    assert propose_matches(left, dashed)["rule"].tolist() == ["ein"]


@pytest.mark.parametrize("nothing", ["0", "000000000", "n/a", "Unknown", "-"])
def test_what_stands_for_no_number_links_nobody(nothing):
    left = pd.DataFrame(
        {"organization_id": ["a"], "organization_name": ["Casa Uno"], "npi": [nothing]}
    )
    right = left.assign(organization_id="b", organization_name="Valley Housing")
    assert propose_matches(left, right).empty
    known = left.assign(organization_name="Valley Housing", npi="1234567893")
    assert propose_matches(known, right)["differ"].tolist() == [""]


@pytest.mark.parametrize("content", [b"", "Pe\u00f1a".encode("cp1252"), None])
def test_a_review_file_that_cannot_be_read_is_named(content, matches, tmp_path):
    path = tmp_path / "review.csv"
    if content is not None:
        path.write_bytes(content)
        with pytest.raises(TableError, match="the review file cannot be read"):
            write_match_review(matches, path)
    with pytest.raises(TableError, match="the review file cannot be read"):
        read_match_review(path)


def decide(path, decisions):
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    table["decision"] = table["left_id"].map(decisions).fillna("")
    table.to_csv(path, index=False, encoding="utf-8-sig")


def test_decisions_are_read_and_applied(matches, tmp_path):
    path = write_match_review(matches, tmp_path / "review.csv")
    decide(path, {"L1": "same", "L2": "Same ", "L3": "different", "L4": "different"})
    with pytest.raises(TableError, match=r"1 of 5 pairs are undecided \(1 of them proposed"):
        read_match_review(path)
    same = read_match_review(path, accept_proposals=True)
    assert same.set_index("left_id")["right_id"].to_dict() == {"L1": "R1", "L2": "R2", "L5": "R6"}
    ledger = RowLedger()
    linked = apply_matches(RIGHT, same, ledger=ledger)
    assert linked["organization_id"].tolist() == ["L1", "L2", "R3", "R4", "R5", "L5"]
    assert linked["roster_id"].tolist() == RIGHT["organization_id"].tolist()
    counts = ledger.to_frame().set_index("reason")["n_rows"].to_dict()
    assert counts == {"same organization in both rosters": 3, "in this roster only": 3}


def test_a_review_file_saved_as_a_workbook_is_read(matches, tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    path = write_match_review(matches, tmp_path / "review.csv")
    decide(path, {"L1": "same", "L2": "same", "L3": "different", "L4": "different"})
    book = openpyxl.Workbook()
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.reader(stream):
            book.active.append(row)
    book.save(tmp_path / "review.xlsx")
    same = read_match_review(tmp_path / "review.xlsx", accept_proposals=True)
    pd.testing.assert_frame_equal(same, read_match_review(path, accept_proposals=True))
    assert len(same) == 3


def test_decisions_are_not_overwritten(matches, tmp_path):
    path = write_match_review(matches, tmp_path / "review.csv")
    write_match_review(matches, path)
    decide(path, {"L1": "same"})
    with pytest.raises(TableError, match="holds decisions"):
        write_match_review(matches, path)


def test_contradictions_and_other_words_are_refused(tmp_path):
    twice = pd.concat([RIGHT, RIGHT.head(1).assign(organization_id="R9")])
    path = write_match_review(propose_matches(LEFT, twice, place="county"), tmp_path / "r.csv")
    decide(path, dict.fromkeys(LEFT["organization_id"], "same"))
    with pytest.raises(TableError, match="1 decisions make one organization the same as two"):
        read_match_review(path)
    decide(path, {"L1": "perhaps"})
    with pytest.raises(TableError, match="holds something else"):
        read_match_review(path)


def test_ids_a_spreadsheet_has_changed_are_refused():
    same = pd.DataFrame({"left_id": ["L1", "L2"], "right_id": ["7", "R2"]})
    with pytest.raises(TableError, match="1 of 2 matches name an id the roster does not have"):
        apply_matches(RIGHT.assign(organization_id=["007", *RIGHT["organization_id"][1:]]), same)


@pytest.mark.parametrize("dtype", ["Int64", "float64", "object"])
def test_ids_that_are_numbers_are_the_same_with_and_without_a_point(dtype):
    right = RIGHT.assign(organization_id=pd.Series([1, 2, 3, 4, 5, 6], dtype=dtype))
    matches = propose_matches(LEFT, right, place="county")
    assert matches.set_index("left_id").loc["L1", "right_id"] == "1"
    same = pd.DataFrame({"left_id": ["L1", " L2"], "right_id": [1.0, 2.0]})
    linked = apply_matches(right.astype({"organization_id": float}), same)
    assert linked["organization_id"].tolist() == ["L1", "L2", "3", "4", "5", "6"]
    assert linked["roster_id"].tolist() == ["1", "2", "3", "4", "5", "6"]


def test_ids_that_differ_by_a_blank_or_a_point_repeat():
    for ids in ([1, "1", 3, 4, 5], ["a", "a ", 3, 4, 5], ["a", " ", 3, 4, 5]):
        left = LEFT.assign(organization_id=pd.Series(ids, dtype=object))
        with pytest.raises(TableError, match="1 of 5 rows"):
            propose_matches(left, RIGHT)


def test_ids_that_would_mix_are_refused():
    same = pd.DataFrame({"left_id": ["R2"], "right_id": ["R1"]})
    with pytest.raises(TableError, match="1 unmatched rows have an id that the other roster uses"):
        apply_matches(RIGHT, same)


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        (lambda f: f.drop(columns="organization_name"), {}, TableError, "left roster lacks"),
        (lambda f: pd.concat([f, f.head(2)]), {}, TableError, "2 of 7 rows"),
        (lambda f: f, {"least_score": 20}, EstimationError, "between 50 and 100"),
        (lambda f: f, {"place": "city"}, TableError, "lacks `city`"),
    ],
)
def test_rosters_that_are_none_are_refused(change, arguments, error, message):
    with pytest.raises(error, match=message):
        propose_matches(change(LEFT), RIGHT, **arguments)


def test_nothing_in_common_gives_an_empty_file(tmp_path):
    other = RIGHT.assign(organization_name="zzz", npi=None)
    found = propose_matches(LEFT, other)
    assert found.empty
    assert read_match_review(write_match_review(found, tmp_path / "r.csv")).empty
