"""Whether two plans hold the same members, without either seeing the other's identifiers."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError

SHORTEST_SECRET = 16
"""Characters a secret needs at least: identifiers are few enough to try all of them."""
DIGITS = 32
"""Hexadecimal digits kept of a digest: among 14 million members two agree by chance less than once
in 10^24 times."""


def member_digests(member_ids: Iterable[object], *, secret: str) -> np.ndarray:
    """Keyed digests of member identifiers, sorted: equal identifiers, equal digests.

    Two plans that pool moments agree on a secret, exchange digests and count the common ones with
    `shared_members`. Whoever knows the secret can find out whether an identifier he already has is
    in the file; without it nobody can. Choose a new secret for each exchange, and delete it after.

    Parameters
    ----------
    member_ids : iterable
        Identifiers that mean the same in both plans (such as the Medi-Cal CIN), in one spelling;
        taken as text, without blanks around it. Repeats count once.
    secret : str
        At least 16 characters, the same for both plans.

    Returns
    -------
    np.ndarray
        Distinct digests: HMAC-SHA256, the first 32 hexadecimal digits; shape (n_members,), bytes.

    Raises
    ------
    TableError
        The secret is too short, or an identifier is missing.

    Examples
    --------
    >>> ours = member_digests(["a", "b"], secret="an agreed secret of ours")
    >>> theirs = member_digests([" b", "c"], secret="an agreed secret of ours")
    >>> shared_members(ours, theirs)
    1
    """
    if len(secret) < SHORTEST_SECRET:
        raise TableError(
            f"the secret has {len(secret)} characters; digests under a short one can be undone.\n"
            f"  Agree on at least {SHORTEST_SECRET} characters, chosen at random."
        )
    ids = pd.Series(list(member_ids), dtype=object)
    n_missing = int(ids.isna().sum())
    if n_missing:
        raise TableError(
            f"`member_ids`: {n_missing:,} of {len(ids):,} are missing.\n  Give one for each member."
        )
    key = secret.encode()
    digests = [
        hmac.digest(key, name.encode(), "sha256").hex()[:DIGITS]
        for name in ids.astype("str").str.strip().unique()
    ]
    return np.sort(np.array(digests, dtype=f"S{DIGITS}"))


def shared_members(ours: np.ndarray, theirs: np.ndarray) -> int:
    """Number of members in both: of digests made by `member_digests` under one secret.

    Moments may be added when it is 0. Digests under different secrets share nothing, so agree on a
    made-up identifier that both put in, and see that it is found.
    """
    return len(np.intersect1d(ours, theirs, assume_unique=True))


def save_digests(digests: np.ndarray, path: str | Path) -> Path:
    """Write digests to a file, one a line."""
    target = Path(path)
    target.write_bytes(b"\n".join(digests.tolist()) + b"\n")
    return target


def read_digests(path: str | Path) -> np.ndarray:
    """Digests of a file that `save_digests` wrote.

    Raises
    ------
    TableError
        The file holds something else.
    """
    lines = Path(path).read_bytes().split()
    if any(len(line) != DIGITS for line in lines):
        raise TableError(
            f"{Path(path).name} does not hold digests of members, one a line.\n"
            "  Write it with save_digests(member_digests(...), path)."
        )
    return np.array(lines, dtype=f"S{DIGITS}")
