"""Puts single messages on the broker's queues, as the scheduler does: each exactly once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import redis.asyncio
from redis.exceptions import RedisError

from services.kernel.broker_layout import Layout
from services.kernel.celery_message import Message
from services.kernel.celery_publisher import MarkedBatch, Publisher, SlotEnded
from services.kernel.errors import FailedPrecondition, Unavailable

ORIGIN = "celeriac@monitor"
# Raises `FailedPrecondition` while a drain or a shutdown stops new tasks. It is told what would come of the
# act.
RefuseHalted: TypeAlias = Callable[[str], Awaitable[None]]
WOULD_WAIT = "a task that is sent now would wait for the end of that"


class Sender:
    """Sends to one Redis or Valkey; `database`: the number of the broker's."""

    def __init__(self, client: redis.asyncio.Redis, database: int, layout: Layout) -> None:
        self._publisher = Publisher(client, database, layout)

    async def send(self, message: Message) -> None:
        """Puts the message on its queue. One that was sent before, under the same task id, is not sent again.

        Raises `FailedPrecondition` if the queue can't be one, and `Unavailable` while the broker is away:
        then it may be sent already, and sending it again does no harm.
        """
        mark = f"task:{message.task_id}"
        try:
            receipt = await self._publisher.publish(
                MarkedBatch(mark, [message]), await self._publisher.slot()
            )
            await self._publisher.shorten_marks([mark])
        except (RedisError, OSError, TimeoutError, SlotEnded) as error:
            raise Unavailable("the broker") from error
        if receipt.refused:
            key = receipt.refused[0].key
            fault = f"nothing was sent to the queue {message.queue!r}: the broker's key {key!r} is no list"
            raise FailedPrecondition("QUEUE_REFUSED", fault)
