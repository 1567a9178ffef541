"""Verifies the whole log against itself: bytes, leaf hashes, columns, positions, and every checkpoint."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from services.audit.checkpoint import NoteSigner
from services.audit.entries import MORE_TEXTS, TEXTS, parse_entry
from services.audit.merkle import Tree, leaf_hash
from services.audit.state import StoredCheckpoint, fault_of_checkpoint
from services.kernel.errors import Invalid

MOST_DISCREPANCIES = 100
COMPARED = ("event_id", "kind", "time", *TEXTS, *MORE_TEXTS, "duration_ms")

Row = dict[str, Any]
Item = TypeVar("Item")


class Verification:
    """The state of one verification, which reads the log from its first entry."""

    def __init__(self, signer: NoteSigner) -> None:
        # The tree over the stored entries.
        self.tree = Tree()
        # (index, fault) in the order found: at most MOST_DISCREPANCIES, then the faults that stop the log.
        self.discrepancies: list[tuple[int, str]] = []
        self._signer = signer
        self._next_index = 0
        # The size of the newest checkpoint whose root the entries give; None after the first mismatch.
        self._proven: int | None = 0

    def read(self, rows: Sequence[Row], checkpoints: Sequence[StoredCheckpoint]) -> None:
        """Verifies the next stored entries and checkpoints, in the order of `in_turn`.

        This is CPU work: a few microseconds for an entry, a tenth of a millisecond for a checkpoint.
        """
        waiting = deque(checkpoints)
        for row in rows:
            index = row["index"]
            self._compare_up_to(min(self._next_index, index), waiting)
            self._place(index)
            self._compare_up_to(index, waiting)
            self._read_entry(index, row)
        for checkpoint in waiting:
            self._compare(checkpoint)

    def finish(self, stopped_by: Sequence[str]) -> None:
        """Adds the faults that stop the log, unless they are among the discrepancies already."""
        named = {fault for _, fault in self.discrepancies}
        self.discrepancies += [(self._next_index, fault) for fault in stopped_by if fault not in named]

    def _place(self, index: int) -> None:
        if index > self._next_index:
            self._found(self._next_index, f"entries {self._next_index} to {index - 1} are missing")
        elif index < self._next_index:
            self._found(index, f"there is an entry number {index}, and the first has number 0")
        self._next_index = index + 1

    def _read_entry(self, index: int, row: Row) -> None:
        body = bytes(row["body"])
        leaf = leaf_hash(body)
        if leaf != bytes(row["leaf_hash"]):
            self._found(index, "the entry's bytes were changed: they don't give its leaf hash")
        for column in _changed_columns(row, body):
            self._found(index, f"column {column} was changed: it isn't what the entry's bytes say")
        self.tree.append(leaf)

    def _compare_up_to(self, size: int, waiting: deque[StoredCheckpoint]) -> None:
        while waiting and waiting[0].size <= size:
            self._compare(waiting.popleft())

    def _compare(self, checkpoint: StoredCheckpoint) -> None:
        """Compares a checkpoint with the tree. All entries that it covers must be in the tree."""
        fault = fault_of_checkpoint(checkpoint, self._signer)
        if fault is not None:
            self._found(checkpoint.size, fault)
        if fault is not None or self._proven is None:
            # After one wrong root, all later roots are wrong too: only the first one shows the place.
            return
        if (self.tree.size, self.tree.root()) == (checkpoint.size, checkpoint.root):
            self._proven = checkpoint.size
            return
        self._found(
            checkpoint.size,
            f"entries {self._proven} to {checkpoint.size - 1} are not those that were signed: the first"
            f" {checkpoint.size} entries don't have the root of their checkpoint, {checkpoint.root.hex()}",
        )
        self._proven = None

    def _found(self, index: int, fault: str) -> None:
        if len(self.discrepancies) < MOST_DISCREPANCIES:
            self.discrepancies.append((index, fault))


async def in_turn(
    entries: AsyncIterator[Sequence[Row]], checkpoints: AsyncIterator[Sequence[StoredCheckpoint]]
) -> AsyncIterator[tuple[Sequence[Row], Sequence[StoredCheckpoint]]]:
    """Merges both in pairs of pages: a checkpoint of n entries comes before the entry with index n.

    Within a pair of pages, the reader has to keep this order. At most one page of each is in memory.
    """
    rows: Sequence[Row] = await _next_page(entries)
    signed: Sequence[StoredCheckpoint] = await _next_page(checkpoints)
    while rows and signed:
        last_index, last_size = rows[-1]["index"], signed[-1].size
        if last_size <= last_index:
            cut = bisect.bisect_left(rows, last_size, key=lambda row: row["index"])
            yield rows[:cut], signed
            rows, signed = rows[cut:], await _next_page(checkpoints)
        else:
            cut = bisect.bisect_right(signed, last_index + 1, key=lambda checkpoint: checkpoint.size)
            yield rows, signed[:cut]
            rows, signed = await _next_page(entries), signed[cut:] or await _next_page(checkpoints)
    while rows:
        yield rows, ()
        rows = await _next_page(entries)
    while signed:
        yield (), signed
        signed = await _next_page(checkpoints)


async def _next_page(pages: AsyncIterator[Sequence[Item]]) -> Sequence[Item]:
    """Returns the next page; an empty one at the end.

    `anext` with a default can't be used: in Python 3.11 it fails with the driver's iterator of pages.
    """
    async for page in pages:
        return page
    return ()


def _changed_columns(row: Row, body: bytes) -> list[str]:
    try:
        entry = parse_entry(body, "entry")
    except Invalid:
        return ["body"]
    return [name for name in COMPARED if row[name] != getattr(entry, name)]
