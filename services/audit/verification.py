"""Holds the log against itself: bytes, leaf hashes, columns, positions, and every checkpoint."""

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
    """What reading the log again, from its first entry, has found so far."""

    def __init__(self, signer: NoteSigner) -> None:
        # Over the entries that are there.
        self.tree = Tree()
        # (index, fault), in the order of finding: at most MOST_DISCREPANCIES, then what stops the log.
        self.discrepancies: list[tuple[int, str]] = []
        self._signer = signer
        self._next_index = 0
        # Size of the newest checkpoint so far whose root the entries have; None from the first that hasn't.
        self._proven: int | None = 0

    def read(self, rows: Sequence[Row], checkpoints: Sequence[StoredCheckpoint]) -> None:
        """Takes the next stored entries and checkpoints, as `in_turn` gives them.

        CPU work: a few microseconds an entry, and a tenth of a millisecond a checkpoint.
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
        """Adds what stops the log, where it isn't among the discrepancies already."""
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
        """Once all entries that the checkpoint covers are in the tree."""
        fault = fault_of_checkpoint(checkpoint, self._signer)
        if fault is not None:
            self._found(checkpoint.size, fault)
        if fault is not None or self._proven is None:
            # After one wrong root all later ones are wrong, too: the first says where.
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
    """Both sequences in one order, in pages: a checkpoint of n entries comes before the entry with index n.

    Within a pair of pages it is for the reader to keep this order. At most a page of each is in memory.
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
    """Empty at the end. Python 3.11's `anext` with a default fails where the driver's pages are awaited."""
    async for page in pages:
        return page
    return ()


def _changed_columns(row: Row, body: bytes) -> list[str]:
    try:
        entry = parse_entry(body, "entry")
    except Invalid:
        return ["body"]
    return [name for name in COMPARED if row[name] != getattr(entry, name)]
