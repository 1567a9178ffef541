"""The call of ScheduleService that tells what changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from services.kernel.grpc.wire import Context
from services.scheduler.api.convert_watch import wanted_in
from services.scheduler.watch.cursor import decode_cursor
from services.scheduler.watch.hub import Watching


class WatchCalls(schedules_pb2_grpc.ScheduleServiceServicer):
    def __init__(self, watching: Watching[pb.WatchSchedulesResponse]) -> None:
        self._watching = watching

    async def WatchSchedules(
        self, request: pb.WatchSchedulesRequest, context: Context
    ) -> AsyncIterator[pb.WatchSchedulesResponse]:
        wanted, cursor = wanted_in(request), decode_cursor(request.cursor)
        async with aclosing(self._watching.watch(wanted, cursor)) as messages:
            async for message in messages:
                yield message
