"""The operations of the log: append, check, verify."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from services.audit.checkpoint import Checkpoint, NoteSigner
from services.audit.entries import Entry
from services.audit.merkle import Tree, leaf_hash
from services.audit.state import KnownCheckpoint, StoredEnd, faults_of_end, other_history
from services.audit.store import LogStore
from services.audit.verification import Verification, in_turn
from services.kernel.errors import FailedPrecondition
from services.kernel.sessions import Sessions

log = structlog.get_logger(__name__)

READ_BATCH = 2000


class AuditLog:
    """The log of a database. It stops, and takes no entries, while its stored end is not what was signed."""

    def __init__(self, sessions: Sessions, signer: NoteSigner) -> None:
        self._sessions = sessions
        self._signer = signer
        # The newest committed checkpoint that this process signed or verified.
        self._known: KnownCheckpoint | None = None
        # The reasons why the log is stopped; empty while it is not stopped.
        self.faults: tuple[str, ...] = ()
        # When the last check that came to its end began, by time.monotonic().
        self.checked_at = float("-inf")

    async def append(self, entries: Sequence[Entry]) -> tuple[int, int]:
        """Adds the new entries and a checkpoint in one transaction. Returns (entries added, size of the log).

        Raises `FailedPrecondition` while the log is stopped, even if no entry is new: an entry that is in a
        manipulated log may be missing after the log is repaired.
        """
        unique = list({(entry.event_id, entry.kind): entry for entry in entries}.values())
        async with self._sessions.transaction() as session:
            store = LogStore(session)
            await store.lock_for_append()
            end = await store.end()
            # Read after the end of the log: with the lock held, nothing can have been signed in between.
            self._tell(await self._faults(store, end, self._known))
            self.refuse_if_stopped()
            tree, note = (end.checkpoint.tree(), end.checkpoint.note) if end.checkpoint else (Tree(), "")
            known = await store.known(unique)
            new = [entry for entry in unique if (entry.event_id, entry.kind) not in known]
            if new:
                leaves = [leaf_hash(entry.body) for entry in new]
                await store.append(tree.size, new, leaves)
                tree.extend(leaves)
                note = self._signer.sign(tree.size, tree.root())
                await store.put_checkpoint(tree, note)
        self._remember(tree, note)
        return len(new), tree.size

    async def check(self) -> StoredEnd:
        """Returns the stored end of the log. Sets `faults` to its differences from what was signed."""
        # Read before the snapshot is taken, so that the snapshot is at least as new.
        known, began = self._known, time.monotonic()
        async with self._sessions.reading() as session:
            store = LogStore(session)
            end = await store.end()
            faults = await self._faults(store, end, known)
        self._tell(faults)
        if end.checkpoint and not faults:
            self._remember(end.checkpoint.tree(), end.checkpoint.note)
        self.checked_at = began
        return end

    def refuse_if_stopped(self) -> None:
        """Raises `FailedPrecondition` if the last check of the stored end found a difference."""
        if self.faults:
            raise FailedPrecondition(
                "AUDIT_LOG_STOPPED",
                "the audit log is stopped, since what is stored is not what was signed: "
                + "; ".join(self.faults),
            )

    async def verify(self) -> Verification:
        """Reads and verifies every entry and every checkpoint, from one snapshot."""
        known, verification = self._known, Verification(self._signer)
        async with self._sessions.reading() as session:
            store = LogStore(session)
            pages = in_turn(store.in_order(READ_BATCH), store.checkpoints(READ_BATCH))
            async for rows, checkpoints in pages:
                # Hashing a batch takes milliseconds: it runs in a thread, off the event loop.
                await asyncio.to_thread(verification.read, rows, checkpoints)
            verification.finish(await self._faults(store, await store.end(), known))
        return verification

    async def _faults(self, store: LogStore, end: StoredEnd, known: KnownCheckpoint | None) -> list[str]:
        faults = faults_of_end(end, self._signer, known)
        if faults or known is None or end.checkpoint is None or end.size == known.signed.size:
            return faults
        # The log has grown since: another replica has appended, or another call in this process.
        tree = known.tree()
        async for leaves in store.leaves(tree.size, end.size, READ_BATCH):
            tree.extend(leaves)
        return [] if tree.root() == end.checkpoint.root else [other_history(known)]

    def _remember(self, tree: Tree, note: str) -> None:
        """Keeps the newest checkpoint: concurrent calls may end in another order than they signed in."""
        if note and (self._known is None or tree.size > self._known.signed.size):
            signed = Checkpoint(self._signer.origin, tree.size, tree.root())
            self._known = KnownCheckpoint(signed, tree.frontier, note)

    def _tell(self, faults: Sequence[str]) -> None:
        if tuple(faults) == self.faults:
            return
        self.faults = tuple(faults)
        if faults:
            log.error("audit.log_stopped", faults=self.faults)
        else:
            log.info("audit.log_goes_on")
