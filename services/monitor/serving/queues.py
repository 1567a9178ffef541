"""What is shown of queues and done to them: the servicer, and what is measured."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.kernel.outages import DATABASE_ERRORS
from services.monitor.api.queues import QueueApi
from services.monitor.messages.flow import Flows
from services.monitor.messages.measures import QueueMeasures
from services.monitor.messages.moving import Moves
from services.monitor.messages.overview import Overview
from services.monitor.messages.purging import Purges
from services.monitor.messages.waiting_messages import WaitingMessages
from services.monitor.serving.ground import Ground
from services.monitor.serving.steering import Steering
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.store_tasks import TaskStore


@dataclass(frozen=True)
class QueueViews:
    """Each has its own looks at the queues, which tell how fast messages flow."""

    servicer: QueueApi
    measured: QueueMeasures


def queues_on(ground: Ground, steering: Steering) -> QueueViews:
    client, layout, pauses = ground.client, ground.settings.layout, steering.pauses
    messages = WaitingMessages(client, layout)

    def consumers() -> tuple[Mapping[str, Sequence[WorkerName]], bool]:
        by_queue, all_told = ground.workers.consumers()
        return by_queue, all_told and steering.control.settled()

    received = ground.figures.cells.received

    async def sent_times(task_ids: Sequence[str]) -> Mapping[str, dt.datetime]:
        try:
            async with ground.sessions.reading() as session:
                return await TaskStore(session).sent_times(task_ids)
        except DATABASE_ERRORS:
            return {}

    overview = Overview(ground.queues, messages, Flows(received), consumers, sent_times, pauses.all)
    moves, purges = Moves(client, layout, messages), Purges(client, layout)
    servicer = QueueApi(overview, messages, moves, purges, pauses, ground.settings.redaction)
    return QueueViews(servicer, QueueMeasures(messages, Flows(received), consumers, sent_times))
