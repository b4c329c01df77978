"""What files are compared by: of a bulk of files every one counts, and none is named."""

import json
import os

import pytest

from calaim_eval.tables.fingerprint import describe_sources
from calaim_eval.tables.sources import SourceFiles


@pytest.fixture
def bulk(tmp_path):
    for number, name in enumerate(("Ana_Perez.json", "Bo_Lee.json", "Cy_Roy.json")):
        (tmp_path / name).write_text(f'{{"n": {number}}}')
        os.utime(tmp_path / name, ns=(10**18, 10**18 + number))
    return SourceFiles("fhir", tuple(sorted(tmp_path.iterdir())), ".json", is_bulk=True)


def described(bulk, known=()):
    return describe_sources([bulk], known=known)[0]


def test_a_bulk_that_is_unchanged_keeps_its_hash_without_being_read(bulk, monkeypatch):
    first = described(bulk)
    monkeypatch.setattr("calaim_eval.tables.fingerprint.sha256_of", None)
    assert described(bulk, [json.loads(json.dumps(first))]) == first


@pytest.mark.parametrize("place", [0, 1])
def test_a_changed_file_of_the_same_size_is_seen_though_it_is_not_the_latest(bulk, place):
    first = described(bulk)
    bulk.paths[place].write_text('{"n": 7}')
    os.utime(bulk.paths[place], ns=(10**18, 10**18 - 5))
    again = described(bulk, [first])
    assert (again["n_bytes"], again["modified_ns"]) == (first["n_bytes"], first["modified_ns"])
    assert again["sha256"] != first["sha256"]


def test_a_renamed_file_is_looked_at_again(bulk, tmp_path):
    first = described(bulk)
    bulk.paths[0].rename(tmp_path / "Zed.json")
    other = SourceFiles("fhir", tuple(sorted(tmp_path.iterdir())), ".json", is_bulk=True)
    assert described(other, [first])["sha256"] != first["sha256"]


def test_no_name_of_a_file_is_told(bulk):
    assert not any(word in json.dumps(described(bulk)) for word in ("Ana", "Perez", "Lee", "Roy"))
