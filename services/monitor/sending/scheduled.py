"""Asks the scheduler what its runs have sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc.aio
import structlog
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc

from services.kernel.durations import span_of
from services.kernel.logged_errors import for_log
from services.monitor.sending.arguments import Arguments, Source, own_headers

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 3.0


class Scheduled:
    """The scheduler, through one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        # Any: the stubs are typed for blocking calls.
        self._schedules: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)

    async def of_runs(self, runs: Sequence[str]) -> Mapping[str, tuple[str, Arguments]]:
        """Returns the ids of tasks and their arguments, by the names of runs, 500 at most.

        What is not known is left out: all of it while the scheduler is away.
        """
        request = schedules_pb2.BatchGetRunTasksRequest(names=runs)
        try:
            answer = await self._schedules.BatchGetRunTasks(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            log.warning("arguments.scheduler_not_asked", error=for_log(error))
            return {}
        return {
            each.run: (each.task.removeprefix("tasks/"), _arguments_in(each.spec))
            for each in answer.run_tasks
        }


def _arguments_in(spec: schedules_pb2.TaskSpec) -> Arguments:
    return Arguments(
        Source.SCHEDULE,
        spec.args_json or "[]",
        spec.kwargs_json or "{}",
        spec.queue.removeprefix("queues/"),
        spec.priority,
        _seconds(spec, "expires"),
        _seconds(spec, "soft_time_limit"),
        _seconds(spec, "time_limit"),
        own_headers(spec.headers),
    )


def _seconds(spec: schedules_pb2.TaskSpec, field: str) -> float | None:
    return span_of(getattr(spec, field)).total_seconds() if spec.HasField(field) else None
