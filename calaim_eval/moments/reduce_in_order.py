"""The route of rows sorted by member: each batch is laid out by itself, nothing is looked up.

Memory is that of some hundred thousand members, however many there are. Files are parts sorted by
member, or pieces of one long sorted table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calaim_eval.moments.cell_moments import CellMoments
from calaim_eval.moments.dense_members import DenseMembers
from calaim_eval.moments.stream_parts import labelled_part, members_per_part
from calaim_eval.moments.streamed_rows import Batch, DoesNotFitError, RowGroup, StreamedRows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Consecutive members, in order; n members.

    Attributes
    ----------
    first, last : Any
        Ids of the first and the last member.
    members : pa.Array | None
        All ids, where they are needed.
    held : np.ndarray
        1 where covered; shape (n, T), uint8.
    values : dict[str, np.ndarray]
        Shape (n, T) each.
    label : np.ndarray
        Shape (n,).
    """

    first: Any
    last: Any
    members: pa.Array | None
    held: np.ndarray
    values: dict[str, np.ndarray]
    label: np.ndarray


def is_in_order(rows: StreamedRows) -> bool:
    """Whether the files say that each of them may be sorted by member."""
    return all(
        left.high is not None and right.low is not None and left.high <= right.low
        for left, right in zip(rows.groups, rows.groups[1:], strict=False)
        if left.file == right.file
    )


def reduce_in_order(
    rows: StreamedRows,
    *,
    where: str,
    balanced_only: bool,
    share: tuple[int, int] = (0, 1),
    ids: list[pa.Array] | None = None,
) -> Iterator[CellMoments]:
    """Moments of some hundred thousand members at a time.

    Parameters
    ----------
    rows : StreamedRows
    where : str
        What is read, for the provenance.
    balanced_only : bool
    share : tuple of int
        (k, n): the k-th of n runs of row groups, or of files where these begin again. A member
        belongs to the run he begins in.
    ids : list, optional
        Gets the ids of all members where files begin again, if there are several shares: the
        caller then has to refuse members who are in two of them (`refuse_repeated_members`).

    Raises
    ------
    DoesNotFitError
        Rows are not sorted by member, a member is in two files, a row repeats, a label changes.
    """
    # Where a file begins below the end of the one before, members may be in both.
    begins_again = any(
        left.file != right.file
        and (left.high is None or right.low is None or not left.high <= right.low)
        for left, right in zip(rows.groups, rows.groups[1:], strict=False)
    )
    if begins_again:
        _refuse_shared_members(rows)
    seen: list[pa.Array] = []
    groups, before, after = _of_share(rows, share, by_file=begins_again)
    waiting: list[_Block] = []
    last = None
    for block in _blocks(rows, groups, before, after, keep_ids=begins_again):
        if block.members is not None:
            is_same = waiting and block.first == last
            seen.append(block.members[1:] if is_same else block.members)
        if waiting and last is not None and block.first == last:
            block = _joined(waiting, block)
        elif last is not None and block.first < last and not begins_again:
            raise DoesNotFitError
        last = block.last
        if sum(len(held.label) for held in waiting) >= members_per_part(rows):
            yield _part(rows, waiting, where=where, balanced_only=balanced_only)
            waiting = []
        waiting.append(block)
    if waiting:
        yield _part(rows, waiting, where=where, balanced_only=balanced_only)
    if seen:
        refuse_repeated_members(seen)
    if ids is not None and share != (0, 1):
        ids += seen


def _of_share(
    rows: StreamedRows, share: tuple[int, int], *, by_file: bool
) -> tuple[list[RowGroup], RowGroup | None, list[RowGroup]]:
    """Row groups of a share, the one before them, and those after."""
    k, n = share
    if by_file:
        first, end = (len(rows.files) * i // n for i in (k, k + 1))
        return [group for group in rows.groups if first <= group.file < end], None, []
    first, end = (len(rows.groups) * i // n for i in (k, k + 1))
    groups = list(rows.groups)
    return groups[first:end], groups[first - 1] if first else None, groups[end:]


def _blocks(
    rows: StreamedRows,
    groups: list[RowGroup],
    before: RowGroup | None,
    after: list[RowGroup],
    *,
    keep_ids: bool,
) -> Iterator[_Block]:
    """Blocks in order: without the member who began before, with the rest of the last one."""
    not_mine = None if before is None else _last_member(rows, before)
    is_leading = before is not None

    def laid_out(group: RowGroup) -> list[_Block]:
        return [_laid_out(rows, batch, keep_ids=keep_ids) for batch in rows.batches(group)]

    last = None
    for blocks in rows.in_order(laid_out, groups):
        for block in blocks:
            if is_leading and block.first == not_mine:
                is_leading = len(block.label) == 1
                if is_leading:
                    continue
                block = _cut(block, slice(1, None))
            is_leading = False
            last = block.last
            yield block
    for group in after if last is not None else []:
        for block in laid_out(group):
            if block.first != last:
                return
            yield _cut(block, slice(0, 1))
            if len(block.label) > 1:
                return


def _laid_out(rows: StreamedRows, batch: Batch, *, keep_ids: bool) -> _Block:
    """The members of a batch, each a row of months."""
    starts = _starts(batch.member)
    n_members, n_rows, size = len(starts), len(batch), rows.n_months
    begins = np.zeros(n_rows, dtype=bool)
    begins[starts] = True
    changes = np.zeros(n_rows, dtype=bool)
    changes[1:] = batch.label[1:] != batch.label[:-1]
    if (changes & ~begins).any():
        raise DoesNotFitError
    lengths = np.diff(np.append(starts, n_rows))
    place = np.repeat(np.arange(n_members) * size, lengths) + batch.month
    held = np.zeros(n_members * size, dtype=np.uint8)
    held[place] = 1
    if int(np.count_nonzero(held)) != n_rows:
        raise DoesNotFitError
    values = {}
    for name, given in batch.values.items():
        dense = np.zeros(n_members * size, dtype=given.dtype)
        uses = np.flatnonzero(given)
        dense[place[uses]] = given[uses]
        values[name] = dense.reshape(n_members, size)
    return _Block(
        first=batch.member[0].as_py(),
        last=batch.member[-1].as_py(),
        members=batch.member.take(starts) if keep_ids else None,
        held=held.reshape(n_members, size),
        values=values,
        label=batch.label[starts],
    )


def _starts(member: pa.Array) -> np.ndarray:
    """Where each member begins; ids must rise from one to the next."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(member.type):
        ids = member.to_numpy()
        starts = np.concatenate([[0], 1 + np.flatnonzero(ids[1:] != ids[:-1])])
        is_sorted = bool((ids[starts[1:]] > ids[starts[:-1]]).all())
    else:
        differ = pc.not_equal(member[1:], member[:-1]).to_numpy(zero_copy_only=False)
        starts = np.concatenate([[0], 1 + np.flatnonzero(differ)])
        ids = member.take(starts)
        is_sorted = pc.all(pc.greater(ids[1:], ids[:-1])).as_py() is not False
    if not is_sorted:
        raise DoesNotFitError
    return starts


def _joined(waiting: list[_Block], block: _Block) -> _Block:
    """A block whose first member has begun in the block before: one row of months again."""
    before = waiting[-1]
    if before.label[-1] != block.label[0] or (before.held[-1] & block.held[0]).any():
        raise DoesNotFitError
    block.held[0] |= before.held[-1]
    for name, values in block.values.items():
        values[0] += before.values[name][-1]
    waiting[-1] = _Block(
        before.first,
        before.last,
        before.members,
        before.held[:-1],
        {name: values[:-1] for name, values in before.values.items()},
        before.label[:-1],
    )
    return block


def _cut(block: _Block, kept: slice) -> _Block:
    """Some members of a block; `first` may name one that is no longer in it."""
    return _Block(
        block.first if kept.start == 0 else None,
        block.first if kept.start == 0 else block.last,
        None,
        block.held[kept],
        {name: values[kept] for name, values in block.values.items()},
        block.label[kept],
    )


def _part(
    rows: StreamedRows, blocks: list[_Block], *, where: str, balanced_only: bool
) -> CellMoments:
    """Moments of the members of some blocks."""
    members = DenseMembers(
        np.concatenate([block.held for block in blocks]),
        {
            name: np.concatenate([block.values[name] for block in blocks])
            for name in rows.columns.outcomes
        },
    )
    label = np.concatenate([block.label for block in blocks])
    return labelled_part(rows, members, label, where=where, balanced_only=balanced_only)


def _last_member(rows: StreamedRows, group: RowGroup) -> Any:
    """Id of the last row at risk of a row group."""
    last = None
    for batch in rows.batches(group):
        last = batch.member[-1].as_py()
    if last is None:
        raise DoesNotFitError
    return last


def _refuse_shared_members(rows: StreamedRows) -> None:
    """Files by month would be found out at the end only: look at where each file begins."""
    first_groups = {group.file: group for group in reversed(rows.groups)}
    ids = []
    for _, group in sorted(first_groups.items()):
        batch = next(rows.batches(group), None)
        if batch is not None:
            ids.append(batch.member.take(_starts(batch.member)))
    refuse_repeated_members(ids)


def refuse_repeated_members(ids: list[pa.Array]) -> None:
    """A member in two files is for another route."""
    import pyarrow as pa
    import pyarrow.compute as pc

    held = pa.chunked_array(ids)
    if pc.count_distinct(held).as_py() != len(held):
        raise DoesNotFitError
