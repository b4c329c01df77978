"""Member buckets: work is done on one share of the members at a time, so memory stays flat."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis

BUCKETS_PER_MILLION_MEMBERS = 16


def bucket_count(n_members: int) -> int:
    """Number of buckets for so many members: 16 a million, at least 1.

    Examples
    --------
    >>> bucket_count(20_000), bucket_count(1_000_000), bucket_count(14_500_000)
    (1, 16, 232)
    """
    return max(1, math.ceil(n_members * BUCKETS_PER_MILLION_MEMBERS / 1_000_000))


def bucket_of(member_id: ibis.Value, *, n_buckets: int) -> ibis.Value:
    """Bucket of each member, 0 to ``n_buckets - 1``; the same for every table of one reading."""
    hashed = member_id.hash() % n_buckets
    return ((hashed + n_buckets) % n_buckets).cast("int32")
