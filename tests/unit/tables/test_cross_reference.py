"""Merged identifiers: followed to the end, applied to every table, every row accounted for."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calaim_eval.engine import open_engine
from calaim_eval.errors import TableError
from calaim_eval.schema.check import frame_as_ibis
from calaim_eval.tables import Tables, passes, read_tables
from calaim_eval.tables.cross_reference import (
    CIRCLE,
    EARLIER,
    SAME,
    SEVERAL,
    XREF,
    count_merges,
    read_merges,
    resolve_merges,
)
from calaim_eval.tables.current_ids import FORMER_PERSON, MERGED
from calaim_eval.tables.repeats import EXACT


@cache
def engine():
    """One engine for all small graphs."""
    return open_engine()


def xref(*rows):
    full = [(*row, None) if len(row) == 2 else row for row in rows]
    return pd.DataFrame(full, columns=["member_id", "current_member_id", "merged_date"])


def resolve(frame):
    """Former to current, and the ledger of the rows."""
    backend = engine()
    raw = backend.create_table("raw_xref", frame_as_ibis(frame), overwrite=True)
    rows = read_merges(raw, extract_date=None)
    merges, set_aside = resolve_merges(rows, backend=backend)
    ledger = count_merges(rows, set_aside, merges, source="")
    told = merges.to_pandas()
    ledger.check(XREF, "read", len(frame))
    counts = ledger.to_frame().query("stage == 'read'")
    current = dict(zip(told["former_id"], told["current_id"], strict=True))
    return current, {r: n for r, n in zip(counts["reason"], counts["n_rows"], strict=True) if n}


@pytest.mark.parametrize(
    ("rows", "current", "counted"),
    [
        ([("a", "b")], {"a": "b"}, {"used": 1}),
        ([("a", "b"), ("b", "c")], {"a": "c", "b": "c"}, {"used": 2}),
        ([("c", "d"), ("a", "b"), ("b", "c")], dict.fromkeys("abc", "d"), {"used": 3}),
        ([("a", "b"), ("a", "b")], {"a": "b"}, {"used": 1, EXACT: 1}),
        ([("a", "a"), ("b", "a")], {"b": "a"}, {"used": 1, SAME: 1}),
        # Two current identifiers: the latest date decides; without one nobody is moved.
        (
            [("a", "b", "2023-01-01"), ("a", "c", "2024-01-01"), ("a", "d", None)],
            {"a": "c"},
            {"used": 1, EARLIER: 2},
        ),
        ([("a", "b"), ("a", "c"), ("d", "a")], {"d": "a"}, {"used": 1, SEVERAL: 2}),
        (
            [("a", "b", "2024-01-01"), ("a", "c", "2024-01-01"), ("a", "c", "2022-01-01")],
            {},
            {SEVERAL: 3},
        ),
        # Circles stay apart; what leads into one ends where it meets it.
        ([("a", "b"), ("b", "a"), ("x", "y")], {"x": "y"}, {"used": 1, CIRCLE: 2}),
        (
            [("a", "b"), ("b", "c"), ("c", "a"), ("d", "e"), ("e", "b")],
            {"d": "b", "e": "b"},
            {"used": 2, CIRCLE: 3},
        ),
        # An earlier merge is no part of a circle.
        (
            [("a", "b", "2022-01-01"), ("b", "a", "2023-01-01"), ("a", "c", "2024-01-01")],
            {"a": "c", "b": "c"},
            {"used": 2, EARLIER: 1},
        ),
    ],
)
def test_rules_for_rows_of_the_cross_reference(rows, current, counted):
    assert resolve(xref(*rows)) == (current, counted)


def test_a_chain_of_many_merges_is_followed_to_its_end():
    names = [f"m{i:03d}" for i in range(200)]
    current, counted = resolve(xref(*pairwise(names)))
    assert counted == {"used": 199}
    assert set(current.values()) == {"m199"}


def follow(links):
    """Current identifiers one step at a time; circles found by walking each from itself."""

    def returns(start):
        at = start
        for _ in links:
            at = links.get(at)
            if at is None or at == start:
                break
        return at == start

    straight = {old: new for old, new in links.items() if not returns(old)}
    ends = {}
    for old in straight:
        at = straight[old]
        while at in straight:
            at = straight[at]
        ends[old] = at
    return ends


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.integers(0, 11), st.integers(0, 11), min_size=1, max_size=12).map(
        lambda each: {f"n{a}": f"n{b}" for a, b in each.items() if a != b}
    )
)
def test_any_graph_of_merges_ends_where_one_step_at_a_time_ends(links):
    ends = follow(links)
    if not links:
        return
    if not ends:
        # Every row is part of a circle: all rows are accounted for, none is used.
        assert resolve(xref(*links.items())) == ({}, {CIRCLE: len(links)})
        return
    current, counted = resolve(xref(*links.items()))
    assert current == ends
    assert counted.get(CIRCLE, 0) == len(links) - len(ends)


SPANS = pd.DataFrame(
    {
        "member_id": ["old", "new", "other", "older"],
        "enrollment_start_date": ["2022-01-01", "2022-03-01", "2022-01-01", "2021-06-01"],
        "enrollment_end_date": ["2022-02-28", "2022-12-31", "2022-12-31", "2021-12-31"],
    }
)
PERSONS = pd.DataFrame(
    {
        "member_id": ["old", "new", "other", "older", "gone"],
        "birth_date": ["1990-01-01", "1991-01-01", "1980-01-01", "1992-01-01", "1970-01-01"],
        "sex": ["female", "male", "female", "male", "male"],
        "language": ["spa", None, None, "spa", None],
    }
)
CLAIMS = pd.DataFrame(
    {
        "claim_id": ["c1", "c1", "c2", "c3"],
        "claim_line_number": 1,
        "claim_type": "professional",
        "member_id": ["old", "new", "older", "other"],
        "claim_start_date": "2022-02-02",
        "paid_amount": 10.0,
    }
)
MERGES = xref(("older", "old"), ("old", "new"), ("nobody", "other"))


@pytest.fixture
def frames():
    return {"eligibility": SPANS, "person": PERSONS, "medical_claim": CLAIMS, XREF: MERGES}


def counts(tables, table, stage="read"):
    ledger = tables.ledger.to_frame()
    mine = ledger[(ledger["table"] == table) & (ledger["stage"] == stage) & (ledger["n_rows"] > 0)]
    return dict(zip(mine["reason"], mine["n_rows"], strict=True))


@pytest.mark.parametrize("n_buckets", [1, 4])
def test_every_table_speaks_of_current_members(frames, n_buckets):
    tables = Tables.from_frames(frames, n_buckets=n_buckets)
    assert sorted(tables.frame("eligibility")["member_id"]) == ["new", "new", "new", "other"]
    # The claim was sent once under each identifier: now it is one claim.
    assert sorted(tables.frame("medical_claim")["claim_id"]) == ["c1", "c2", "c3"]
    assert counts(tables, "medical_claim") == {"used": 3, EXACT: 1}
    assert counts(tables, "medical_claim", "notice") == {MERGED: 2}
    assert counts(tables, "eligibility", "notice") == {MERGED: 2}
    assert counts(tables, XREF) == {"used": 3}
    assert not tables.has(XREF)


def test_the_person_nearest_to_the_current_identifier_is_kept(frames):
    tables = Tables.from_frames(frames)
    persons = tables.frame("person").set_index("member_id")
    assert list(persons.index) == ["gone", "new", "other"]
    assert persons.loc["new", "sex"] == "male"
    assert pd.isna(persons.loc["new", "language"])
    assert counts(tables, "person") == {FORMER_PERSON: 2, "used": 3}
    without = frames | {"person": PERSONS[PERSONS["member_id"] != "new"]}
    persons = Tables.from_frames(without).frame("person").set_index("member_id")
    assert persons.loc["new", "birth_date"] == pd.Timestamp("1990-01-01")


def test_of_two_persons_merged_directly_the_later_merge_is_kept():
    frames = {
        "eligibility": SPANS[:1].assign(member_id="c"),
        "person": PERSONS[:2].assign(member_id=["a", "b"]),
        XREF: xref(("a", "c", "2023-05-01"), ("b", "c", "2023-04-01")),
    }
    assert Tables.from_frames(frames).frame("person")["sex"].tolist() == ["female"]
    frames[XREF] = xref(("a", "c", None), ("b", "c", "2023-04-01"))
    assert Tables.from_frames(frames).frame("person")["sex"].tolist() == ["male"]


def test_a_person_with_a_death_before_birth_is_kept_without_the_death():
    deaths = [None, "1985-01-01", None, None, None]
    frames = {"eligibility": SPANS, "person": PERSONS.assign(death_date=deaths), XREF: MERGES}
    tables = Tables.from_frames(frames)
    persons = tables.frame("person").set_index("member_id")
    assert persons.loc["new", "sex"] == "male"
    assert persons["death_date"].isna().all()
    assert counts(tables, "person") == {FORMER_PERSON: 2, "used": 3}
    notices = tables.ledger.to_frame().query("table == 'person' and stage == 'notice'")
    told = dict(zip(notices["reason"], notices["n_rows"], strict=True))
    assert told["`death_date` is before `birth_date` (read as missing)"] == 1


def write(frames, folder):
    folder.mkdir()
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_files_give_the_same_as_frames(frames, tmp_path):
    raw = write(frames, tmp_path / "raw")
    tables = read_tables(raw, work_dir=tmp_path / "work", n_buckets=3)
    other = Tables.from_frames(frames, n_buckets=3)
    for name in other.names:
        pd.testing.assert_frame_equal(tables.frame(name), other.frame(name))
    pd.testing.assert_frame_equal(
        tables.ledger.to_frame().sort_values(["table", "stage", "reason"], ignore_index=True),
        other.ledger.to_frame().sort_values(["table", "stage", "reason"], ignore_index=True),
    )


def test_a_merge_moves_use_to_the_current_member_only(frames, tmp_path):
    """Rows in are rows out, with and without merges."""
    plain = Tables.from_frames({name: each for name, each in frames.items() if name != XREF})
    merged = Tables.from_frames(frames)
    for name in plain.names:
        assert plain.ledger.total(name, stage="read") == merged.ledger.total(name, stage="read")


def test_a_later_cross_reference_is_another_reading(frames, tmp_path):
    raw = write(frames, tmp_path / "raw")
    read_tables(raw, work_dir=tmp_path / "work")
    xref(("older", "other")).to_csv(raw / f"{XREF}.csv", index=False)
    tables = read_tables(raw, work_dir=tmp_path / "work")
    assert sorted(tables.frame("eligibility")["member_id"]) == ["new", "old", "other", "other"]


def test_a_killed_reading_goes_on_with_the_same_merges(frames, tmp_path, monkeypatch):
    raw = write(frames, tmp_path / "raw")
    settle, done = passes.settle_bucket, []

    def settle_once(staged, **options):
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return settle(staged, **options)

    monkeypatch.setattr(passes, "settle_bucket", settle_once)
    with pytest.raises(KeyboardInterrupt):
        read_tables(raw, work_dir=tmp_path / "work", n_buckets=3)
    monkeypatch.setattr(passes, "settle_bucket", settle)
    monkeypatch.setattr(passes, "resolve_merges", None)
    tables = read_tables(raw, work_dir=tmp_path / "work", n_buckets=3)
    assert counts(tables, XREF) == {"used": 3}
    assert counts(tables, "eligibility", "notice") == {MERGED: 2}


def test_a_file_without_merges_changes_nothing(frames, tmp_path):
    raw = write(frames | {XREF: xref()}, tmp_path / "raw")
    tables = read_tables(raw, work_dir=tmp_path / "work")
    assert sorted(tables.frame("eligibility")["member_id"]) == ["new", "old", "older", "other"]
    assert counts(tables, XREF) == {}


def test_a_cross_reference_without_current_identifiers_is_refused(frames):
    with pytest.raises(
        TableError, match=r"`member_xref`: `current_member_id` is missing in 3 of 3"
    ):
        Tables.from_frames(frames | {XREF: MERGES.assign(current_member_id=None)})


def test_an_identifier_is_matched_as_it_is_read(frames):
    frames = frames | {XREF: xref((" old ", "new"), ("older", "old\t"))}
    assert counts(Tables.from_frames(frames), XREF) == {"used": 2}
    assert sorted(Tables.from_frames(frames).frame("eligibility")["member_id"]) == [
        "new",
        "new",
        "new",
        "other",
    ]


def test_dates_after_the_extract_are_read_as_missing(frames, tmp_path):
    raw = write(
        frames | {XREF: xref(("old", "new", "2023-01-01"), ("old", "other", "2029-01-01"))},
        tmp_path / "raw",
    )
    tables = read_tables(raw, work_dir=tmp_path / "work", extract_date="2024-01-31")
    assert counts(tables, XREF) == {"used": 1, EARLIER: 1}
    assert counts(tables, XREF, "notice") == {
        "`merged_date` is an impossible date (read as missing)": 1
    }
