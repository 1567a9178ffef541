"""The calls of ScheduleService that are about backfills."""

from __future__ import annotations

from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from services.kernel.database import Database
from services.kernel.grpc.wire import Context
from services.kernel.identity import current_subject
from services.kernel.pages import decode_place, encode_place, next_page_token, page_size
from services.kernel.validation import Faults
from services.scheduler import checks
from services.scheduler import convert_backfill as convert
from services.scheduler.backfilling import Backfills
from services.scheduler.backfills import Backfill
from services.scheduler.clock import now_at
from services.scheduler.store import ScheduleStore
from services.scheduler.store_backfills import BackfillStore
from services.scheduler.turns import SHORT_PAGE, Turns


class BackfillCalls(schedules_pb2_grpc.ScheduleServiceServicer):
    def __init__(self, database: Database, backfills: Backfills, turns: Turns) -> None:
        self._database = database
        self._turns = turns
        self._backfills = backfills

    async def BackfillSchedule(
        self, request: pb.BackfillScheduleRequest, context: Context
    ) -> pb.BackfillScheduleResponse:
        window = convert.window_from(request, await now_at(self._database))
        only = request.validate_only
        begun = await self._backfills.begin(window, current_subject(), request.request_id, validate_only=only)
        return pb.BackfillScheduleResponse(backfill=convert.backfill_to(begun))

    async def GetBackfill(self, request: pb.GetBackfillRequest, context: Context) -> pb.GetBackfillResponse:
        found = await self._backfills.get(*convert.ids_in(request.name))
        return pb.GetBackfillResponse(backfill=convert.backfill_to(found))

    async def ListBackfills(
        self, request: pb.ListBackfillsRequest, context: Context
    ) -> pb.ListBackfillsResponse:
        faults, size = Faults(), page_size(request.page_size)
        parent = checks.schedule_id(request.parent, faults, "parent") if request.parent else ""
        faults.raise_any()
        before = decode_place(request.page_token)
        answer = pb.ListBackfillsResponse()
        async with self._turns.long(size > SHORT_PAGE):
            async with self._database.reading() as connection:
                if parent:
                    await ScheduleStore(connection).require(parent)
                found = await BackfillStore(connection).list(parent, before, size + 1)
            told = map(convert.backfill_to, found[:size])
            await self._turns.run(map(answer.backfills.append, told))
        answer.next_page_token = next_page_token(found, size, _token_after)
        return answer

    async def CancelBackfill(
        self, request: pb.CancelBackfillRequest, context: Context
    ) -> pb.CancelBackfillResponse:
        ended = await self._backfills.cancel(*convert.ids_in(request.name), current_subject())
        return pb.CancelBackfillResponse(backfill=convert.backfill_to(ended))


def _token_after(last: Backfill) -> str:
    assert last.created_at is not None, "stored backfills have their time"
    return encode_place((last.created_at, last.id))
