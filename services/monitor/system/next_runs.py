"""What the scheduler sends next: a client of its ScheduleService."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

import grpc.aio
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc

from services.kernel.durations import span_of
from services.kernel.errors import Unavailable

TIMEOUT_SECONDS = 2.0
MOST_DETAIL = 200


class NextRun(NamedTuple):
    """A schedule, by its name "schedules/{id}", the task that it sends, and when it is due next.

    `jitter`: how much later than that it may be sent.
    """

    schedule: str
    task: str
    due_at: dt.datetime
    jitter: dt.timedelta = dt.timedelta()


class NextRuns:
    """Asks the scheduler behind the channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        # Any: mypy-protobuf declares another type for asyncio stubs; at run time both are one class.
        self._stub: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)

    async def soonest(self, most: int) -> Sequence[NextRun]:
        """Returns the schedules that are due next, the soonest first. Raises `Unavailable`."""
        request = schedules_pb2.ListSchedulesRequest(page_size=most, order_by="next_run_time")
        try:
            answer = await self._stub.ListSchedules(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            told = f"{error.code().name}: {error.details()}"[:MOST_DETAIL]
            raise Unavailable(f"the scheduler ({told})") from error
        return [
            NextRun(
                each.name,
                each.task.task_name,
                each.next_run_time.ToDatetime(dt.UTC),
                span_of(each.jitter),
            )
            for each in answer.schedules
        ]
