"""What is known of a queue beside its lengths: who consumes it, how long its messages wait, their flow."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from services.kernel.errors import NotFound
from services.monitor.messages.flow import Flow, Flows
from services.monitor.messages.waiting_messages import WaitingMessages
from services.monitor.queues import BrokerQueues, Queue
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.store_pauses import Pause

SentTimes = Callable[[Sequence[str]], Awaitable[Mapping[str, dt.datetime]]]


@dataclass(frozen=True)
class SeenQueue:
    """`consumers`: None while one of the workers has not told its queues; then `told` has those that have.

    `oldest_sent_at`: None if the queue is empty, or if it is not known of one of the next messages.
    """

    queue: Queue
    told: Sequence[WorkerName]
    all_told: bool
    oldest_sent_at: dt.datetime | None
    flow: Flow | None
    pause: Pause | None


class Overview:
    """`consumers`: the workers by queue, and whether all have told theirs. `sent_times`: of tasks, by id."""

    def __init__(
        self,
        queues: BrokerQueues,
        messages: WaitingMessages,
        flows: Flows,
        consumers: Callable[[], tuple[Mapping[str, Sequence[WorkerName]], bool]],
        sent_times: SentTimes,
        pauses: Callable[[], Awaitable[Mapping[str, Pause]]],
    ) -> None:
        self._queues = queues
        self._messages = messages
        self._flows = flows
        self._consumers = consumers
        self._sent_times = sent_times
        self._pauses = pauses
        self._flow: Mapping[str, Flow] = {}

    async def all(self) -> Sequence[Queue]:
        """Returns all queues with their lengths, by name."""
        queues = await self._queues.read()
        self._flow = self._flows.look(queues, time.monotonic())
        return queues

    async def find(self, name: str) -> Queue:
        """Returns one queue. Raises `NotFound`."""
        found = next((queue for queue in await self.all() if queue.name == name), None)
        found = found or await self._queues.look_up(name)
        if found is None:
            raise NotFound("queue", name)
        return found

    async def seen(self, queues: Sequence[Queue]) -> Sequence[SeenQueue]:
        """Returns the queues, which `all` or `find` has just returned, with all that is known of them."""
        by_queue, all_told = self._consumers()
        pauses, flow = await self._pauses(), self._flow
        next_tasks = await self._messages.next_tasks([queue.name for queue in queues])
        known = {task_id for each in next_tasks for task_id in each if task_id is not None}
        sent = await self._sent_times(sorted(known)) if known else {}
        return [
            SeenQueue(
                queue,
                sorted(by_queue.get(queue.name, ()), key=str),
                all_told,
                oldest_of(ids, sent),
                flow.get(queue.name),
                pauses.get(queue.name),
            )
            for queue, ids in zip(queues, next_tasks, strict=True)
        ]


def oldest_of(ids: Sequence[str | None], sent: Mapping[str, dt.datetime]) -> dt.datetime | None:
    """Returns the oldest time, if that of each is known: one that is not known may be older."""
    times = [sent.get(task_id) if task_id is not None else None for task_id in ids]
    known = [each for each in times if each is not None]
    return min(known) if known and len(known) == len(times) else None
