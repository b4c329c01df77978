"""The route of numbered members in any row order: a member's number is his place in an array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calaim_eval.moments.cell_moments import CellMoments
from calaim_eval.moments.dense_members import DenseMembers
from calaim_eval.moments.stream_parts import labelled_part, members_per_part
from calaim_eval.moments.streamed_rows import Batch, DoesNotFitError, RowGroup, StreamedRows

HELD_BYTES = 400_000_000
"""Memory of the arrays that are held at once: 4 million members, 48 months and one outcome."""
SPARSEST = 20
"""Numbers a row: above it most places would stay empty."""
MOST_PASSES = 16


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Members numbered `low` to `low` + n - 1; months of each in an array of n x T places.

    All numbers are `known` to be from the first of these to before the second.
    """

    known: tuple[int, int]
    low: int
    held: np.ndarray
    values: dict[str, np.ndarray]
    label: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.label[0])


def reduce_addressed(
    rows: StreamedRows, *, where: str, balanced_only: bool, share: tuple[int, int] = (0, 1)
) -> Iterator[CellMoments]:
    """Moments of some hundred thousand members at a time, after one pass over the rows or few.

    Parameters
    ----------
    rows : StreamedRows
    where : str
        What is read, for the provenance.
    balanced_only : bool
    share : tuple of int
        (k, n): the k-th of n ranges of numbers.

    Raises
    ------
    DoesNotFitError
        Members are not numbered, or too sparsely; a row repeats, a label changes.
    """
    first, n_members = _numbers(rows)
    low, end = (first + n_members * i // share[1] for i in (share[0], share[0] + 1))
    per_member = rows.n_months * (1 + sum(dtype.itemsize for dtype in rows.types.values()))
    step = max(1, HELD_BYTES // per_member)
    if -(-n_members // step) > MOST_PASSES * share[1]:
        raise DoesNotFitError
    while low < end:
        places = _filled(rows, low, min(low + step, end), known=(first, first + n_members))
        label = _agreed(places.label)
        size = members_per_part(rows)
        for start in range(0, len(places), size):
            some = slice(start, start + size)
            present = np.flatnonzero(label[some])
            if len(present):
                members = DenseMembers(
                    places.held.reshape(-1, rows.n_months)[some],
                    {
                        name: values.reshape(-1, rows.n_months)[some]
                        for name, values in places.values.items()
                    },
                )
                if len(present) < members.n_members:
                    members = members.of_members(present)
                yield labelled_part(
                    rows,
                    members,
                    label[some][present].astype(np.int64) - 1,
                    where=where,
                    balanced_only=balanced_only,
                )
        low += step


def is_numbered(rows: StreamedRows) -> bool:
    """Whether the files say that members are numbered, and not too sparsely."""
    try:
        _numbers(rows)
    except DoesNotFitError:
        return False
    return True


def _numbers(rows: StreamedRows) -> tuple[int, int]:
    """Smallest number of a member, and how many numbers there are from it to the largest."""
    lows, highs = [group.low for group in rows.groups], [group.high for group in rows.groups]
    if not all(isinstance(number, int) for number in (*lows, *highs)):
        raise DoesNotFitError
    low, n_members = min(lows), max(highs) - min(lows) + 1
    if max(highs) > np.iinfo(np.int64).max:
        raise DoesNotFitError
    if n_members > SPARSEST * rows.n_rows // rows.n_months + SPARSEST * rows.n_months:
        raise DoesNotFitError
    return low, n_members


def _filled(rows: StreamedRows, low: int, end: int, *, known: tuple[int, int]) -> _Places:
    """Rows of the members from `low` to before `end`, each at its place."""
    n_members, size = end - low, rows.n_months
    places = _Places(
        known=known,
        low=low,
        held=np.zeros(n_members * size, dtype=np.uint8),
        values={name: np.zeros(n_members * size, dtype) for name, dtype in rows.types.items()},
        # Threads check and write labels apart, so that none can miss what another has written.
        label=[np.zeros(n_members, dtype=np.uint16) for _ in range(rows.threads)],
    )
    free = list(range(rows.threads))

    def fill(group: RowGroup) -> int:
        mine = free.pop()
        try:
            return sum(
                _put(places, batch, places.label[mine], size) for batch in rows.batches(group)
            )
        finally:
            free.append(mine)

    groups = [group for group in rows.groups if group.low < end and group.high >= low]
    n_rows = sum(rows.in_order(fill, groups))
    if int(np.count_nonzero(places.held)) != n_rows:
        raise DoesNotFitError
    return places


def _put(places: _Places, batch: Batch, label: np.ndarray, size: int) -> int:
    """Put the rows of a batch at their places; how many they are."""
    ids = batch.member.to_numpy()
    n_members = len(places)
    given, month, values = batch.label, batch.month, batch.values
    if int(ids.min()) < places.low or int(ids.max()) >= places.low + n_members:
        if int(ids.min()) < places.known[0] or int(ids.max()) >= places.known[1]:
            raise DoesNotFitError
        mine = (ids >= places.low) & (ids < places.low + n_members)
        ids, given, month = ids[mine], given[mine], month[mine]
        values = {name: held[mine] for name, held in values.items()}
    member = ids.astype(np.int64, copy=False) - places.low if places.low else ids.astype(np.intp)
    if len(given) and int(given.max()) >= np.iinfo(label.dtype).max:
        raise DoesNotFitError
    mark = given.astype(label.dtype)
    mark += 1
    before = label[member]
    label[member] = mark
    # Of two labels in one batch the last stays, and the first is found to differ from it.
    if ((before != mark) & (before != 0)).any() or not np.array_equal(label[member], mark):
        raise DoesNotFitError
    place = member * size
    place += month
    places.held[place] = 1
    for name, held in values.items():
        uses = np.flatnonzero(held)
        places.values[name][place[uses]] = held[uses]
    return len(place)


def _agreed(labels: list[np.ndarray]) -> np.ndarray:
    """The label of each member, 0 for none; all threads that met him must agree."""
    agreed = labels[0]
    for other in labels[1:]:
        if ((agreed != other) & (agreed != 0) & (other != 0)).any():
            raise DoesNotFitError
        np.maximum(agreed, other, out=agreed)
    return agreed
