from __future__ import annotations

import json
from importlib import import_module

import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table, two_way

from calaim_eval.disclosure import Released, read_ledger, release
from calaim_eval.errors import DisclosureError


def by_race(numbers, **options):
    keys = pd.DataFrame({"race_ethnicity": [*numbers, "all"]})
    total = sum(numbers.values())
    return rate_table(keys, [*numbers.values(), total], margins=("race_ethnicity",), **options)


SMALL = {"white": 300, "black": 80, "other": 40, "nhpi": 4}


def hidden(released, name="t"):
    frame = released.tables[name].frame
    return set(frame.loc[frame["is_suppressed"], "race_ethnicity"])


def test_an_entry_holds_shown_counts_and_the_keys_alone_of_hidden_ones(tmp_path):
    release({"t": by_race(SMALL)}, to=tmp_path, quarter="2024Q4", provenance={"code": "abc"})
    (entry,) = read_ledger(tmp_path / "ledger.jsonl")
    table = entry["tables"]["t"]
    assert entry["quarter"] == "2024Q4"
    assert entry["provenance"] == {"code": "abc"}
    assert table["hidden"] == [["other"], ["nhpi"]]
    assert table["shown"] == [
        [["white"], 300.0, None],
        [["black"], 80.0, None],
        [["all"], 424.0, None],
    ]


def test_a_missing_ledger_is_empty(tmp_path):
    assert read_ledger(tmp_path / "ledger.jsonl") == []


def test_the_same_release_again_hides_the_same(tmp_path):
    first = release({"t": by_race(SMALL)}, to=tmp_path, quarter="2024Q4")
    second = release({"t": by_race(SMALL)}, to=tmp_path, quarter="2024Q4")
    assert hidden(first) == hidden(second) == {"other", "nhpi"}
    assert len(read_ledger(tmp_path / "ledger.jsonl")) == 2
    assert Released.load(tmp_path / "2024Q4").quarter == "2024Q4"


def test_what_was_hidden_stays_hidden_when_it_has_grown(tmp_path):
    release({"t": by_race(SMALL)}, to=tmp_path, quarter="2024Q4")
    grown = by_race({"white": 400, "black": 180, "other": 140, "nhpi": 104})
    assert {"other", "nhpi"} <= hidden(release({"t": grown}, to=tmp_path, quarter="2024Q4"))


def test_a_new_extract_in_another_quarter_starts_anew(tmp_path):
    release({"t": by_race(SMALL)}, to=tmp_path, quarter="2024Q4")
    grown = by_race({"white": 400, "black": 180, "other": 140, "nhpi": 104})
    assert hidden(release({"t": grown}, to=tmp_path, quarter="2025Q1")) == set()


INPUTS = {"input_manifest_sha256": "a", "study_file_sha256": "b"}


def test_the_same_inputs_in_another_quarter_hide_the_same(tmp_path):
    release({"t": by_race(SMALL)}, to=tmp_path, quarter="2024Q3", provenance=INPUTS)
    other = by_race({"white": 300, "black": 80, "other": 40, "nhpi": 104})
    later = release({"t": other}, to=tmp_path, quarter="2024Q4", provenance=INPUTS)
    assert {"other", "nhpi"} <= hidden(later)


def test_a_number_grown_by_a_few_since_the_last_quarter_is_hidden(tmp_path):
    numbers = {"white": 300, "black": 80, "other": 40, "nhpi": 30}
    release({"t": by_race(numbers)}, to=tmp_path, quarter="2024Q3", provenance=INPUTS)
    grown = by_race({"white": 400, "black": 120, "other": 80, "nhpi": 33})
    later = release({"t": grown}, to=tmp_path, quarter="2024Q4")
    assert "nhpi" in hidden(later)
    assert len(hidden(later)) == 2


def test_effects_released_again_hide_no_more(tmp_path):
    effects = effect_table(
        pd.DataFrame({"race_ethnicity": ["white", "black", "asian", "other", "all"]}),
        [300, 80, 60, 4, 444],
    )
    gaps = effect_table(
        pd.DataFrame({"race_ethnicity": ["black", "asian", "other"], "reference": "white"}),
        [80, 60, 4],
    )
    results = {"effects": effects, "gaps": gaps}
    first = release(results, to=tmp_path, quarter="2024Q4")
    second = release(results, to=tmp_path, quarter="2024Q4")
    for name in results:
        assert first.tables[name].n_suppressed == second.tables[name].n_suppressed


def test_a_count_of_a_named_quarter_is_the_same_in_every_release(tmp_path):
    keys = pd.DataFrame({"quarter": ["2024Q3", "2024Q4"]})
    release({"t": rate_table(keys, [5, 50])}, to=tmp_path, quarter="2024Q4")
    later = release({"t": rate_table(keys, [25, 50])}, to=tmp_path, quarter="2025Q1")
    assert later.tables["t"].frame["is_suppressed"].tolist() == [True, False]


@pytest.mark.parametrize(("restated", "is_hidden"), [(82, True), (91, False), (80, False)])
def test_a_number_restated_by_a_few_is_hidden(tmp_path, restated, is_hidden):
    release(
        {"t": rate_table(pd.DataFrame({"service": ["meals"]}), [80])}, to=tmp_path, quarter="2024Q4"
    )
    again = rate_table(pd.DataFrame({"service": ["meals"]}), [restated])
    released = release({"t": again}, to=tmp_path, quarter="2024Q4")
    assert released.tables["t"].frame["is_suppressed"].tolist() == [is_hidden]


def test_effects_hidden_before_stay_hidden(tmp_path):
    keys = pd.DataFrame({"event_time": [0, 1]})
    release({"e": effect_table(keys, [9, 90])}, to=tmp_path, quarter="2024Q4")
    again = release({"e": effect_table(keys, [19, 90])}, to=tmp_path, quarter="2024Q4")
    assert again.tables["e"].frame["is_suppressed"].tolist() == [True, False]


def test_a_count_shown_before_cannot_be_protected_now(tmp_path, monkeypatch):
    # Two of three groups were shown, with their total, by a version that did not see the third.
    shown = rate_table(
        pd.DataFrame({"race_ethnicity": ["white", "black", "all"]}),
        [300, 80, 384],
        names=("members", "none"),
    )
    with monkeypatch.context() as earlier_version:
        room = import_module("calaim_eval.disclosure.release")
        earlier_version.setattr(room, "link_tables", lambda tables, beside: tables)
        release({"first": shown}, to=tmp_path, quarter="2024Q4")
    before = (tmp_path / "ledger.jsonl").read_bytes()
    with pytest.raises(DisclosureError, match=r"`second`: \d suppressed cells can be recovered"):
        release(
            {"second": by_race({"white": 300, "black": 80, "nhpi": 4})},
            to=tmp_path,
            quarter="2024Q4",
        )
    assert (tmp_path / "ledger.jsonl").read_bytes() == before
    assert list(Released.load(tmp_path / "2024Q4").tables) == ["first"]


def test_a_wider_table_does_not_open_a_narrower_one_released_before(tmp_path):
    first = release(
        {"t": by_race({"white": 300, "black": 80, "nhpi": 4})}, to=tmp_path, quarter="2024Q4"
    )
    _, wide = two_way([[150, 150], [40, 40], [2, 2]], rows=("white", "black", "nhpi"))
    second = release({"wide": wide}, to=tmp_path, quarter="2024Q4")
    frame = second.tables["wide"].frame
    totals = frame[frame["county"] == "all"].set_index("race_ethnicity")["is_suppressed"]
    assert totals[sorted(hidden(first))].all()


@pytest.fixture
def ledger(tmp_path):
    for quarter in ("2024Q2", "2024Q3", "2024Q4"):
        release({"t": by_race(SMALL)}, to=tmp_path, quarter=quarter)
    return tmp_path / "ledger.jsonl"


def refuses(ledger, match):
    files = {p: p.read_bytes() for p in ledger.parent.rglob("*") if p.is_file()}
    with pytest.raises(DisclosureError, match=match):
        release({"t": by_race(SMALL)}, to=ledger.parent, quarter="2025Q1")
    assert {p: p.read_bytes() for p in ledger.parent.rglob("*") if p.is_file()} == files


def test_a_changed_entry_is_found(ledger):
    lines = ledger.read_text().splitlines()
    lines[1] = lines[1].replace('"hidden":[["other"],["nhpi"]]', '"hidden":[]')
    ledger.write_text("\n".join(lines) + "\n")
    refuses(ledger, "entry 2 does not follow")


def test_a_removed_entry_is_found(ledger):
    lines = ledger.read_text().splitlines()
    ledger.write_text("\n".join([lines[0], lines[2]]) + "\n")
    refuses(ledger, "entry 2 does not follow")


def test_swapped_entries_are_found(ledger):
    lines = ledger.read_text().splitlines()
    ledger.write_text("\n".join([lines[1], lines[0], lines[2]]) + "\n")
    refuses(ledger, "entry 1 does not follow")


def test_a_resealed_entry_breaks_the_next(ledger):
    from calaim_eval.disclosure.ledger import _canonical, _seal

    lines = ledger.read_text().splitlines()
    record = json.loads(lines[0])
    record["entry"]["tables"]["t"]["hidden"] = []
    record["hash"] = _seal(record["previous"], record["entry"])
    ledger.write_text("\n".join([_canonical(record), *lines[1:]]) + "\n")
    refuses(ledger, "entry 2 does not follow")


def test_a_ledger_cut_short_is_found(ledger):
    ledger.write_text("\n".join(ledger.read_text().splitlines()[:2]) + "\n")
    refuses(ledger, "`2024Q4` is not in the ledger")


def test_a_deleted_ledger_is_found(ledger):
    ledger.unlink()
    refuses(ledger, "is not in the ledger")


def test_garbage_is_found(ledger):
    with ledger.open("a") as stream:
        stream.write("[]\n")
    refuses(ledger, "entry 4 does not follow")


def test_a_name_with_a_line_separator_does_not_break_the_ledger(tmp_path):
    keys = pd.DataFrame({"organization": ["Kern\u2028Health", "Yolo\x85Care"]})
    for _ in range(2):
        release({"t": rate_table(keys, [120, 400])}, to=tmp_path, quarter="2024Q4")
    assert len(read_ledger(tmp_path / "ledger.jsonl")) == 2
    frame = Released.load(tmp_path / "2024Q4").tables["t"].frame
    assert frame["organization"].tolist() == keys["organization"].tolist()


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_an_effect_without_a_key_value_that_was_hidden_before_stays_hidden(tmp_path, missing):
    keys = pd.DataFrame({"language": ["english", missing]}, dtype=object)
    first = release({"e": effect_table(keys, [400, 4])}, to=tmp_path, quarter="2024Q4")
    then = release({"e": effect_table(keys, [400, 40])}, to=tmp_path, quarter="2024Q4")
    for made in (first, then):
        assert made.tables["e"].frame["is_suppressed"].tolist() == [False, True]
