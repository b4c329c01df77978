"""A progress bar on standard error that appears only when work takes a while."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SECONDS_BEFORE_SHOWING = 2.0


def track(items: Iterable[T], *, description: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a progress bar that shows after two seconds.

    Parameters
    ----------
    items : iterable
    description : str
        What is being done, such as ``"member months"``.
    total : int, optional
        Number of items where `items` has no length.

    Yields
    ------
    object
        The items, unchanged and in order.

    Examples
    --------
    >>> list(track([1, 2, 3], description="buckets"))
    [1, 2, 3]
    """
    from tqdm import tqdm

    yield from tqdm(
        items,
        desc=description,
        total=total,
        delay=SECONDS_BEFORE_SHOWING,
        file=sys.stderr,
        leave=False,
        disable=None,  # no bars in a log file
        dynamic_ncols=True,
    )
