"""Delivers the outbox to the audit service: in order, and at least once (there, once).

Replicas of a service may deliver the same entries at the same time; the audit service takes each once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import grpc.aio
import structlog
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc

from services.kernel.database import DATABASE_ERRORS
from services.kernel.logged_errors import for_log
from services.kernel.outbox import Outbox
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

BATCH = 500
# Below what the audit service takes in one message (8 MiB).
BATCH_BYTES = 4 * 1024 * 1024


class Relay:
    """Takes entries from one service's outbox to the audit service, for as long as it runs."""

    def __init__(self, outbox: Outbox, channel: grpc.aio.Channel, pace: Pace = USUAL) -> None:
        self._outbox = outbox
        self._pace = pace
        # mypy-protobuf types a stub for asyncio apart; at run time they are one class.
        self._audit: Any = audit_pb2_grpc.AuditServiceStub(channel)

    async def run(self) -> None:
        backoff = 0.2
        while True:
            self._outbox.arrived.clear()
            try:
                while await self.deliver_batch():
                    pass
                backoff = 0.2
            except (grpc.aio.AioRpcError, *DATABASE_ERRORS) as error:
                # Entries stay where they are: delivery goes on when the other side is back.
                log.warning("audit.delivery_failed", error=for_log(error), retry_seconds=backoff)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, self._pace.outbox_retry)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._outbox.arrived.wait(), self._pace.outbox_look)

    async def deliver_batch(self) -> bool:
        """Delivers the oldest entries; answers whether there may be more."""
        waiting = await self._outbox.oldest(BATCH)
        batch = _in_one_message(waiting)
        if batch:
            await self._audit.Append(
                audit_pb2.AppendRequest(entries=[entry for _, entry in batch]), timeout=30
            )
            await self._outbox.remove([sequence for sequence, _ in batch])
        return len(batch) < len(waiting) or len(waiting) == BATCH


def _in_one_message(waiting: Sequence[tuple[int, bytes]]) -> Sequence[tuple[int, bytes]]:
    """The first of them, up to BATCH_BYTES together, and at least one."""
    size = 0
    for position, (_, entry) in enumerate(waiting):
        size += len(entry)
        if size > BATCH_BYTES and position > 0:
            return waiting[:position]
    return waiting
