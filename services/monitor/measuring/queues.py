"""Measures of the broker's queues."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from services.monitor.measuring.measures import Values, whole
from services.monitor.messages.flow import Flow
from services.monitor.messages.measures import Measures, QueueMeasures
from services.monitor.queues import BrokerQueues, Queue
from services.monitor.watch.pulse import longest

# Of more queues, the longest ones are measured.
MOST_QUEUES = 200


class BrokerMeasures:
    """`consumed`: the queues that workers consume; None while one of them has not told its own.

    `beside`: what is known of queues beside their lengths; it is asked by nobody else.
    """

    def __init__(
        self, queues: BrokerQueues, beside: QueueMeasures, consumed: Callable[[], Collection[str] | None]
    ) -> None:
        self._queues = queues
        self._beside = beside
        self._consumed = consumed

    async def read(self) -> Mapping[str, Values]:
        queues = await self._queues.read()
        shown = longest(queues, MOST_QUEUES)
        beside = await self._beside.of(shown, time.monotonic(), of_all=len(shown) == len(queues))
        consumed = self._consumed()
        found: dict[str, Values | None] = {
            "waiting_messages": whole(sum(queue.length for queue in queues)),
            "queue_length": {queue.name: queue.length for queue in shown},
            "queue_unacknowledged": {queue.name: queue.unacknowledged for queue in shown},
            "queue_waiting_for_eta": {queue.name: queue.waiting_for_eta for queue in shown},
            "queue_oldest_seconds": _oldest(shown, beside),
            "queue_arrivals_per_second": _flowing(shown, beside, lambda flow: flow.arrivals),
            "queue_deliveries_per_second": _flowing(shown, beside, lambda flow: flow.deliveries),
            "queue_consumers": None if consumed is None else beside.consumers,
            "queue_unread_length": None
            if consumed is None
            else {queue.name: 0 if queue.name in consumed else queue.length for queue in shown},
        }
        return {name: values for name, values in found.items() if values is not None}


def _oldest(queues: Collection[Queue], beside: Measures) -> Values | None:
    """0 for an empty queue, so that it is seen that nothing waits there any more.

    None if it is known of no queue with messages: the broker or the database may be away.
    """
    empty = {queue.name: 0.0 for queue in queues if not queue.length}
    return None if len(empty) < len(queues) and not beside.oldest else empty | dict(beside.oldest)


def _flowing(queues: Collection[Queue], beside: Measures, rate: Callable[[Flow], float]) -> Values | None:
    """None before the second look, which tells the first rates."""
    if queues and not beside.flows:
        return None
    return {name: rate(flow) for name, flow in beside.flows.items()}
