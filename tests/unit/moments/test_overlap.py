"""Two plans count the members they share without showing identifiers."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.moments import member_digests, read_digests, save_digests, shared_members

SECRET = "a secret that both have"


def test_shared_members_are_counted_once():
    ours = member_digests(pd.Series(["9001", "9002", "9002", "9003 "]), secret=SECRET)
    theirs = member_digests([9003, "9004", "9001"], secret=SECRET)
    assert len(ours) == 3
    assert shared_members(ours, theirs) == shared_members(theirs, ours) == 2
    assert shared_members(ours, member_digests(["9009"], secret=SECRET)) == 0


def test_a_digest_is_an_hmac():
    (digest,) = member_digests(["9001"], secret=SECRET).tolist()
    assert digest.decode() == hmac.new(SECRET.encode(), b"9001", hashlib.sha256).hexdigest()[:32]


def test_another_secret_shares_nothing():
    ids = [str(n) for n in range(100)]
    other = member_digests(ids, secret="another secret than that")
    assert shared_members(member_digests(ids, secret=SECRET), other) == 0


def test_a_file_holds_digests_and_no_identifier(tmp_path):
    ids = [f"9{n:08d}" for n in range(50)]
    digests = member_digests(ids, secret=SECRET)
    path = save_digests(digests, tmp_path / "members.txt")
    np.testing.assert_array_equal(read_digests(path), digests)
    assert not any(one in path.read_text() for one in ids)


def test_bad_input_is_refused(tmp_path):
    with pytest.raises(TableError, match="the secret has 5 characters"):
        member_digests(["a"], secret="short")
    with pytest.raises(TableError, match="1 of 3 are missing"):
        member_digests(["a", None, "b"], secret=SECRET)
    (tmp_path / "other.txt").write_text("no digest")
    with pytest.raises(TableError, match=r"other\.txt does not hold digests"):
        read_digests(tmp_path / "other.txt")
