"""The stored end of the log, held against what was signed.

The tree is continued from the frontier in the newest checkpoint's row. Whoever can write that row could have
another history signed, if the row were believed. Therefore, before each append:

1. the newest checkpoint's note is signed by this log's key, and states the log's origin;
2. size and root in the note are those in the columns;
3. the frontier gives that root: as SHA-256 lets nobody find another, it is that of the signed tree;
4. the last entry is the last one that the checkpoint covers: none is missing at the end, none is beyond it;
5. the note follows from the newest one that this process knows: it is the same, or its tree is that tree with
   the entries added that are stored since. So a database that is set back to an older state is noticed.

A process that has just started knows no note, and can't tell an older signed state from the newest (5).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.audit.checkpoint import Checkpoint, NoteInvalid, NoteSigner
from services.audit.merkle import Tree


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint's row, of which nothing is believed yet."""

    size: int
    root: bytes
    frontier: tuple[bytes, ...]
    note: str
    time: dt.datetime

    def tree(self) -> Tree:
        """Raises `ValueError` if the frontier is not that of a tree of this size."""
        return Tree(self.size, self.frontier)


@dataclass(frozen=True)
class StoredEnd:
    """The newest checkpoint and the last entry's index; None where there is none."""

    checkpoint: StoredCheckpoint | None = None
    last_index: int | None = None

    @property
    def size(self) -> int:
        """Entries that the newest checkpoint states."""
        return self.checkpoint.size if self.checkpoint else 0


@dataclass(frozen=True)
class KnownCheckpoint:
    """A checkpoint that this process signed itself, or read and found to be signed and in order."""

    signed: Checkpoint
    frontier: tuple[bytes, ...]
    note: str

    def tree(self) -> Tree:
        return Tree(self.signed.size, self.frontier)


def fault_of_checkpoint(
    stored: StoredCheckpoint, signer: NoteSigner, known: KnownCheckpoint | None = None
) -> str | None:
    """The first difference between a checkpoint's row and its signed note. A known note is not verified."""
    which = f"the checkpoint of {stored.size} entries"
    try:
        signed = known.signed if known and stored.note == known.note else signer.verify(stored.note)
    except NoteInvalid as error:
        return f"{which} is not one of this log: {error}"
    if (signed.size, signed.root) != (stored.size, stored.root):
        return (
            f"{which} was changed: it has the root {stored.root.hex()}, and its note says the size"
            f" {signed.size} and the root {signed.root.hex()}"
        )
    try:
        whole = stored.tree().root() == stored.root
    except ValueError:
        whole = False
    return None if whole else f"the frontier of {which} was changed: it doesn't give the signed root"


def faults_of_end(stored: StoredEnd, signer: NoteSigner, known: KnownCheckpoint | None) -> list[str]:
    """Differences between the stored end and what was signed. Entries since `known` are not looked at."""
    of_checkpoint = fault_of_checkpoint(stored.checkpoint, signer, known) if stored.checkpoint else None
    faults = [of_checkpoint, _fault_of_last_entry(stored), _fault_beside_known(stored, known)]
    return [fault for fault in faults if fault is not None]


def _fault_of_last_entry(stored: StoredEnd) -> str | None:
    entries = 0 if stored.last_index is None else stored.last_index + 1
    if stored.checkpoint is None and stored.last_index is not None:
        return f"there is no checkpoint, and the last entry is number {stored.last_index}"
    if entries > stored.size:
        return f"entries {stored.size} to {entries - 1} are not covered by the newest checkpoint"
    if entries < stored.size:
        return f"entries {entries} to {stored.size - 1} are missing, which the newest checkpoint covers"
    return None


def _fault_beside_known(stored: StoredEnd, known: KnownCheckpoint | None) -> str | None:
    if known is None:
        return None
    if stored.size < known.signed.size:
        return (
            f"the database has an older state of the log: its newest checkpoint has {stored.size} entries,"
            f" and one of {known.signed.size} entries was signed"
        )
    if stored.checkpoint and stored.size == known.signed.size and stored.checkpoint.note != known.note:
        return other_history(known)
    return None


def other_history(known: KnownCheckpoint) -> str:
    """The fault that the newest checkpoint doesn't follow from the known one."""
    return (
        f"the database has another history: its newest checkpoint does not follow from that of"
        f" {known.signed.size} entries, which was signed with the root {known.signed.root.hex()}"
    )
