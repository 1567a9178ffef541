"""Holds the log against itself: bytes, leaf hashes, columns, positions, root and signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.audit.checkpoint import NoteInvalid, NoteSigner
from services.audit.entries import MORE_TEXTS, TEXTS, parse_entry
from services.audit.merkle import Tree, leaf_hash
from services.kernel.errors import Invalid

MOST_DISCREPANCIES = 100
COMPARED = ("event_id", "kind", "time", *TEXTS, *MORE_TEXTS, "duration_ms")


class Verification:
    """What reading the log again, from its first entry, has found so far."""

    def __init__(self) -> None:
        # Over the entries that are there.
        self.tree = Tree()
        # (index, fault), in the order of finding; at most MOST_DISCREPANCIES.
        self.discrepancies: list[tuple[int, str]] = []
        self._next_index = 0

    def read(self, rows: Sequence[dict[str, Any]]) -> None:
        """Takes the next stored entries. CPU work, a few microseconds an entry."""
        for row in rows:
            index, body = row["index"], bytes(row["body"])
            if index != self._next_index:
                self._found(self._next_index, f"entries {self._next_index} to {index - 1} are missing")
            self._next_index = index + 1
            leaf = leaf_hash(body)
            if leaf != bytes(row["leaf_hash"]):
                self._found(index, "the entry's bytes were changed: they don't give its leaf hash")
            for column in _changed_columns(row, body):
                self._found(index, f"column {column} was changed: it isn't what the entry's bytes say")
            self.tree.append(leaf)

    def finish(self, checkpoint: tuple[int, bytes, str] | None, signer: NoteSigner) -> None:
        """Compares what was read with the newest checkpoint: (size, root, note)."""
        end = self._next_index
        if checkpoint is None:
            if end:
                self._found(end, "there are entries, and no checkpoint")
            return
        size, root, note = checkpoint
        if (self.tree.size, self.tree.root()) != (size, root):
            self._found(
                end,
                f"the {self.tree.size} entries have the root {self.tree.root().hex()}; the checkpoint "
                f"says {size} entries with {root.hex()}",
            )
        try:
            signed = signer.verify(note)
        except NoteInvalid as error:
            self._found(end, f"the newest checkpoint is not ours: {error}")
            return
        if (signed.size, signed.root) != (size, root):
            self._found(end, "the checkpoint's columns were changed: they aren't what its note says")

    def _found(self, index: int, fault: str) -> None:
        if len(self.discrepancies) < MOST_DISCREPANCIES:
            self.discrepancies.append((index, fault))


def _changed_columns(row: dict[str, Any], body: bytes) -> list[str]:
    try:
        entry = parse_entry(body, "entry")
    except Invalid:
        return ["body"]
    return [name for name in COMPARED if row[name] != getattr(entry, name)]
