"""Delivers the outbox to the audit service, in order and at least once.

Replicas of a service may deliver the same entries at the same time; the audit service stores each entry once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc.aio
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc

from services.kernel.loops import Backoff, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.outbox import Outbox
from services.kernel.pace import USUAL, Pace

BATCH = 500
# Less than the audit service accepts in one message (8 MiB).
BATCH_BYTES = 4 * 1024 * 1024
# Seconds until the first retry; the wait doubles with each further one.
FIRST_RETRY = 0.2


class Relay:
    """Delivers the entries of one service's outbox; `loop` is the background loop that does so."""

    def __init__(self, outbox: Outbox, channel: grpc.aio.Channel, pace: Pace = USUAL) -> None:
        self._outbox = outbox
        # Any: mypy-protobuf declares another type for the asyncio stub; at run time it is the same class.
        self._audit: Any = audit_pb2_grpc.AuditServiceStub(channel)
        # After a failure the entries stay in the outbox and are delivered later.
        self.loop = Loop(
            "audit_outbox",
            self._deliver_all,
            every=pace.outbox_look,
            outlives=(grpc.aio.AioRpcError, *DATABASE_ERRORS),
            failed="audit.delivery_failed",
            retry=Backoff(FIRST_RETRY, pace.outbox_retry),
            woken=outbox.arrived,
        )

    async def _deliver_all(self) -> None:
        while await self.deliver_batch():
            pass

    async def deliver_batch(self) -> bool:
        """Delivers the oldest entries. Returns whether there may be more."""
        waiting = await self._outbox.oldest(BATCH)
        batch = _in_one_message(waiting)
        if batch:
            await self._audit.Append(
                audit_pb2.AppendRequest(entries=[entry for _, entry in batch]), timeout=30
            )
            await self._outbox.remove([sequence for sequence, _ in batch])
        return len(batch) < len(waiting) or len(waiting) == BATCH


def _in_one_message(waiting: Sequence[tuple[int, bytes]]) -> Sequence[tuple[int, bytes]]:
    """Returns the first entries, at most BATCH_BYTES together, but at least one if there is any."""
    size = 0
    for position, (_, entry) in enumerate(waiting):
        size += len(entry)
        if size > BATCH_BYTES and position > 0:
            return waiting[:position]
    return waiting
