"""What is measured of queues beside their lengths: how old, how fast, and who consumes them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import redis.exceptions
import structlog

from services.kernel.logged_errors import for_log
from services.monitor.messages.flow import Flow, Flows
from services.monitor.messages.overview import SentTimes, oldest_of
from services.monitor.messages.waiting_messages import WaitingMessages
from services.monitor.queues import Queue
from services.monitor.tasks.names import WorkerName

log = structlog.get_logger(__name__)

LONGEST_SECONDS = 1.5


@dataclass(frozen=True)
class Measures:
    """By the queue's name; what is not known of one is left out. `oldest`: in seconds."""

    oldest: Mapping[str, float] = field(default_factory=dict)
    flows: Mapping[str, Flow] = field(default_factory=dict)
    consumers: Mapping[str, int] = field(default_factory=dict)


class QueueMeasures:
    """`flows`: one of its own, as its looks see other queues than those of lists.

    `consumers`: the workers by queue, and whether all have told theirs. `sent_times`: of tasks, by id.
    """

    def __init__(
        self,
        messages: WaitingMessages,
        flows: Flows,
        consumers: Callable[[], tuple[Mapping[str, Sequence[WorkerName]], bool]],
        sent_times: SentTimes,
    ) -> None:
        self._messages = messages
        self._flows = flows
        self._consumers = consumers
        self._sent_times = sent_times

    async def of(self, queues: Sequence[Queue], now: float, *, of_all: bool) -> Measures:
        """Returns the measures of the queues. `now`: by time.monotonic(); `of_all`: there are no others."""
        by_queue, all_told = self._consumers()
        return Measures(
            await self._oldest([queue.name for queue in queues if queue.length]),
            self._flows.look(queues, now, of_all=of_all),
            {queue.name: len(by_queue.get(queue.name, ())) for queue in queues} if all_told else {},
        )

    async def _oldest(self, names: Sequence[str]) -> Mapping[str, float]:
        try:
            # A scrape has a few seconds, and tells all else without this.
            async with asyncio.timeout(LONGEST_SECONDS):
                next_tasks = await self._messages.next_tasks(names)
                known = sorted({task_id for each in next_tasks for task_id in each if task_id is not None})
                sent = await self._sent_times(known) if known else {}
        except (redis.exceptions.RedisError, OSError) as error:
            log.warning("queues.oldest_not_read", error=for_log(error))
            return {}
        now = dt.datetime.now(dt.UTC)
        times = {name: oldest_of(ids, sent) for name, ids in zip(names, next_tasks, strict=True)}
        return {name: max(0.0, (now - at).total_seconds()) for name, at in times.items() if at is not None}
