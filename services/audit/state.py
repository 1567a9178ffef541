"""Checks the stored end of the log against what was signed.

The tree is continued from the frontier in the newest checkpoint's row. If the row were trusted, an attacker
who can write it could have another history signed. Therefore these conditions are checked before each append:

1. The newest checkpoint's note is signed by this log's key, and states the log's origin.
2. Size and root in the note equal those in the columns.
3. The frontier gives that root. Since SHA-256 is collision-resistant, it is the frontier of the signed tree.
4. The last entry is the last one that the checkpoint covers: none is missing at the end, none is beyond it.
5. The note is consistent with the newest one that this process knows: it is the same note, or its tree is the
   known tree extended by the entries stored since. So a database restored to an older state is detected.

A process that has just started knows no note, so it can't distinguish an older signed state from the newest
(condition 5).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.audit.checkpoint import Checkpoint, NoteInvalid, NoteSigner
from services.audit.merkle import Tree


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint's row, not verified yet."""

    size: int
    root: bytes
    frontier: tuple[bytes, ...]
    note: str
    time: dt.datetime

    def tree(self) -> Tree:
        """Returns the tree. Raises `ValueError` if the frontier does not fit a tree of this size."""
        return Tree(self.size, self.frontier)


@dataclass(frozen=True)
class StoredEnd:
    """The newest checkpoint and the last entry's index. Each is None if there is none."""

    checkpoint: StoredCheckpoint | None = None
    last_index: int | None = None

    @property
    def size(self) -> int:
        """The number of entries that the newest checkpoint covers."""
        return self.checkpoint.size if self.checkpoint else 0


@dataclass(frozen=True)
class KnownCheckpoint:
    """A checkpoint that this process signed itself, or read and verified."""

    signed: Checkpoint
    frontier: tuple[bytes, ...]
    note: str

    def tree(self) -> Tree:
        return Tree(self.signed.size, self.frontier)


def fault_of_checkpoint(
    stored: StoredCheckpoint, signer: NoteSigner, known: KnownCheckpoint | None = None
) -> str | None:
    """Returns the first difference between a checkpoint's row and its signed note, or None.

    The signature of the known note is not verified again.
    """
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
    """Returns the differences between the stored end and what was signed (conditions 1 to 5).

    The entries added since `known` are not hashed here: AuditLog does that part of condition 5.
    """
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
    """Returns the description of the fault that the newest checkpoint does not extend the known one."""
    return (
        f"the database has another history: its newest checkpoint does not follow from that of"
        f" {known.signed.size} entries, which was signed with the root {known.signed.root.hex()}"
    )
