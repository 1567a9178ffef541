"""The log as its callers use it: append, check, verify."""

from __future__ import annotations

import asyncio
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
    """The one log of a database. It stops where the stored end of the log is not what was signed."""

    def __init__(self, sessions: Sessions, signer: NoteSigner) -> None:
        self._sessions = sessions
        self._signer = signer
        # The newest checkpoint that this process knows to be signed. Only what is committed is known.
        self._known: KnownCheckpoint | None = None
        # Why the log is stopped; empty while it isn't.
        self.faults: tuple[str, ...] = ()

    async def append(self, entries: Sequence[Entry]) -> tuple[int, int]:
        """Adds what is new, with its checkpoint, in one transaction; (entries added, size of the log).

        Raises `FailedPrecondition` while the log is stopped, also if nothing is new: an entry found in a log
        that was tampered with may be missing when that has been put right.
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
        """Reads the stored end of the log, and has in `faults` how it differs from what was signed."""
        # Taken before the snapshot, which then has at least what is known.
        known = self._known
        async with self._sessions.reading() as session:
            store = LogStore(session)
            end = await store.end()
            faults = await self._faults(store, end, known)
        self._tell(faults)
        if end.checkpoint and not faults:
            self._remember(end.checkpoint.tree(), end.checkpoint.note)
        return end

    def refuse_if_stopped(self) -> None:
        """Raises `FailedPrecondition` if the last look at the stored end found a difference."""
        if self.faults:
            raise FailedPrecondition(
                "AUDIT_LOG_STOPPED",
                "the audit log is stopped, since what is stored is not what was signed: "
                + "; ".join(self.faults),
            )

    async def verify(self) -> Verification:
        """Reads every entry and every checkpoint again, from one snapshot."""
        known, verification = self._known, Verification(self._signer)
        async with self._sessions.reading() as session:
            store = LogStore(session)
            pages = in_turn(store.in_order(READ_BATCH), store.checkpoints(READ_BATCH))
            async for rows, checkpoints in pages:
                # A batch takes milliseconds of hashing: not on the event loop.
                await asyncio.to_thread(verification.read, rows, checkpoints)
            verification.finish(await self._faults(store, await store.end(), known))
        return verification

    async def _faults(self, store: LogStore, end: StoredEnd, known: KnownCheckpoint | None) -> list[str]:
        faults = faults_of_end(end, self._signer, known)
        if faults or known is None or end.checkpoint is None or end.size == known.signed.size:
            return faults
        # Another replica has appended since, or this process, whose transaction has just been committed.
        tree = known.tree()
        async for leaves in store.leaves(tree.size, end.size, READ_BATCH):
            tree.extend(leaves)
        return [] if tree.root() == end.checkpoint.root else [other_history(known)]

    def _remember(self, tree: Tree, note: str) -> None:
        """Calls that overlap may end in another order than that in which they signed: the newest counts."""
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
