"""The log as its callers use it: append, verify."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.audit.checkpoint import NoteSigner
from services.audit.entries import Entry
from services.audit.merkle import leaf_hash
from services.audit.store import LogStore
from services.audit.verification import Verification
from services.kernel.sessions import Sessions

VERIFY_BATCH = 2000


class AuditLog:
    """The one log of a database."""

    def __init__(self, sessions: Sessions, signer: NoteSigner) -> None:
        self._sessions = sessions
        self._signer = signer

    async def append(self, entries: Sequence[Entry]) -> tuple[int, int]:
        """Adds what is new, with its checkpoint, in one transaction; (entries added, size of the log)."""
        unique = list({(entry.event_id, entry.kind): entry for entry in entries}.values())
        async with self._sessions.transaction() as session:
            store = LogStore(session)
            await store.lock_for_append()
            tree, known = await store.tree(), await store.known(unique)
            new = [entry for entry in unique if (entry.event_id, entry.kind) not in known]
            if new:
                leaves = [leaf_hash(entry.body) for entry in new]
                await store.append(tree.size, new, leaves)
                tree.extend(leaves)
                await store.put_checkpoint(tree, self._signer.sign(tree.size, tree.root()))
            return len(new), tree.size

    async def verify(self) -> Verification:
        """Reads every entry again, from one snapshot."""
        verification = Verification()
        async with self._sessions.reading() as session:
            store = LogStore(session)
            checkpoint = await store.newest_checkpoint()
            async for rows in store.in_order(VERIFY_BATCH):
                # A batch takes milliseconds of hashing: not on the event loop.
                await asyncio.to_thread(verification.read, rows)
        verification.finish(checkpoint[:3] if checkpoint else None, self._signer)
        return verification
