"""The servicer of ScheduleService."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from services.kernel.database import Database
from services.kernel.errors import NotFound
from services.kernel.grpc.wire import Context, moment_in, once_in
from services.kernel.identity import current_subject
from services.kernel.pages import (
    decode_last,
    decode_place,
    encode_place,
    next_page_token,
    page_size,
)
from services.kernel.validation import Faults
from services.scheduler.api import convert, convert_backfill
from services.scheduler.api.convert_explain import explanation_to, window_of
from services.scheduler.api.convert_filter import is_by_next_run, runs_in, schedules_in
from services.scheduler.api.convert_update import update_in, updated
from services.scheduler.api.convert_watch import wanted_in
from services.scheduler.api.schedule_page import SchedulePage
from services.scheduler.backfill.backfill import Backfill
from services.scheduler.backfill.backfiller import Backfills
from services.scheduler.backfill.store_backfills import BackfillStore
from services.scheduler.catalogue.catalogue import Catalogue
from services.scheduler.catalogue.preview import Preview
from services.scheduler.catalogue.store_run_tasks import RunTaskStore
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.turns import SHORT_PAGE, Turns
from services.scheduler.explain.explain import Explanations
from services.scheduler.schedule import checks
from services.scheduler.schedule.definition import Definition
from services.scheduler.schedule.names import EXAMPLE as RUN_EXAMPLE
from services.scheduler.schedule.names import run_key, run_name
from services.scheduler.schedule.rows import check_readable
from services.scheduler.schedule.store_base import now_at
from services.scheduler.watch.cursor import decode_cursor
from services.scheduler.watch.hub import Watching

MOST_PREVIEWED = 1000
MOST_RUN_TASKS = 500


class ScheduleApi(schedules_pb2_grpc.ScheduleServiceServicer):
    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        backfills: Backfills,
        watching: Watching[pb.WatchSchedulesResponse],
        explanations: Explanations,
        turns: Turns,
        zone: str,
    ) -> None:
        self._database = database
        self._turns = turns
        self._catalogue = catalogue
        self._backfills = backfills
        self._watching = watching
        self._explanations = explanations
        self._zone = zone

    async def CreateSchedule(
        self, request: pb.CreateScheduleRequest, context: Context
    ) -> pb.CreateScheduleResponse:
        faults, now = Faults(), await now_at(self._database)
        example = '{"name": "schedules/daily", "task": {"task_name": "report"}, "timing": {…}}'
        faults.unless(request.HasField("schedule"), "schedule", "is not set", example)
        faults.raise_any()
        once = once_in(request, faults, f"CreateSchedule of {request.schedule.name}")
        # First of all: what was sound when it was created may be no longer, if its time has passed.
        schedule_id = request.schedule.name.removeprefix("schedules/")
        if not faults and (created := await self._catalogue.created_by(schedule_id, once)):
            return pb.CreateScheduleResponse(schedule=convert.schedule_to(created))
        definition = convert.new_from(request.schedule, self._zone, now, faults)
        faults.raise_any()
        assert definition is not None
        schedule = await self._catalogue.create(definition, once)
        return pb.CreateScheduleResponse(schedule=convert.schedule_to(schedule))

    async def GetSchedule(self, request: pb.GetScheduleRequest, context: Context) -> pb.GetScheduleResponse:
        async with self._database.reading() as connection:
            schedule = await ScheduleStore(connection).get(_id(request.name))
        return pb.GetScheduleResponse(schedule=convert.schedule_to(schedule))

    async def ListSchedules(
        self, request: pb.ListSchedulesRequest, context: Context
    ) -> pb.ListSchedulesResponse:
        faults, size = Faults(), page_size(request.page_size)
        wanted, by_next_run = schedules_in(request, faults), is_by_next_run(request.order_by, faults)
        faults.raise_any()
        token, page = request.page_token, SchedulePage(size, by_next_run=by_next_run)
        place, last = (decode_place(token), "") if by_next_run else (None, decode_last(token))
        # A search for a text takes long: it reads every schedule that passes the other filters.
        async with (
            self._turns.long(bool(wanted.text) or size > SHORT_PAGE),
            self._database.reading() as connection,
        ):
            store = ScheduleStore(connection)
            if by_next_run:
                listed = store.listed_by_next_run(wanted, place, size + 1)
            else:
                listed = store.listed(wanted, last, size + 1)
            async with aclosing(listed) as parts:
                async for rows in parts:
                    await self._turns.run(page.taken(rows))
                    if page.full:
                        break
        return page.answer

    async def UpdateSchedule(
        self, request: pb.UpdateScheduleRequest, context: Context
    ) -> pb.UpdateScheduleResponse:
        found, update = _id(request.schedule.name, "schedule.name"), update_in(request)

        def change(current: Definition, now: dt.datetime) -> Definition:
            return updated(current, update, self._zone, now)

        schedule = await self._catalogue.change(
            found, request.schedule.etag, change, update.fields, update.parts
        )
        return pb.UpdateScheduleResponse(schedule=convert.schedule_to(schedule))

    async def DeleteSchedule(
        self, request: pb.DeleteScheduleRequest, context: Context
    ) -> pb.DeleteScheduleResponse:
        await self._catalogue.delete(_id(request.name), request.etag)
        return pb.DeleteScheduleResponse()

    async def PauseSchedule(
        self, request: pb.PauseScheduleRequest, context: Context
    ) -> pb.PauseScheduleResponse:
        faults = Faults()
        checks.pause_note(request.note, faults, "note")
        faults.raise_any()
        schedule = await self._catalogue.pause(_id(request.name), request.note)
        return pb.PauseScheduleResponse(schedule=convert.schedule_to(schedule))

    async def ResumeSchedule(
        self, request: pb.ResumeScheduleRequest, context: Context
    ) -> pb.ResumeScheduleResponse:
        schedule = await self._catalogue.resume(_id(request.name))
        return pb.ResumeScheduleResponse(schedule=convert.schedule_to(schedule))

    async def TriggerSchedule(
        self, request: pb.TriggerScheduleRequest, context: Context
    ) -> pb.TriggerScheduleResponse:
        faults = Faults()
        once = once_in(request, faults, f"TriggerSchedule of {request.name}")
        faults.raise_any()
        run = await self._catalogue.trigger(_id(request.name), current_subject(), once)
        return pb.TriggerScheduleResponse(run=convert.run_to(run))

    async def PreviewTimes(
        self, request: pb.PreviewTimesRequest, context: Context
    ) -> pb.PreviewTimesResponse:
        faults, now = Faults(), await now_at(self._database)
        start = moment_in(request, "start_time", faults) or now
        checks.moment(start, faults, "start_time")
        in_range = 0 <= request.count <= MOST_PREVIEWED
        faults.unless(in_range, "count", f"is {request.count}, it must be 1 to 1000", "10")
        proposed, run_count = await self._proposed(request, now, faults)
        faults.raise_any()
        assert proposed is not None
        found = Preview(proposed, start, run_count, request.count or 10)
        async with self._turns.long():
            await self._turns.run(found.steps())
        return convert.times_to(found)

    async def _proposed(
        self, request: pb.PreviewTimesRequest, now: dt.datetime, faults: Faults
    ) -> tuple[Definition | None, int]:
        """Returns the definition to preview, and how many runs it has had."""
        match request.WhichOneof("source"):
            case "name":
                async with self._database.reading() as connection:
                    stored = await ScheduleStore(connection).get(_id(request.name))
                check_readable(stored, "timing")
                return stored.definition, stored.run_count
            case "timing":
                return convert.proposed_timing(request.timing, self._zone, now, faults), 0
            case "schedule":
                return convert.proposed_from(request.schedule, self._zone, now, faults), 0
            case _:
                example = '{"crontab": {"expression": "0 3 * * *"}}'
                faults.add("timing", "is not set, and neither are name and schedule", example)
                return None, 0

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> pb.GetRunResponse:
        key = run_key(request.name)
        async with self._database.reading() as connection:
            run = await ScheduleStore(connection).run(*key)
        if run is None:
            raise NotFound("run", run_name(*key))
        return pb.GetRunResponse(run=convert.run_to(run))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        faults, size = Faults(), page_size(request.page_size)
        wanted = runs_in(request, faults)
        faults.raise_any()
        before = decode_place(request.page_token)
        answer = pb.ListRunsResponse()
        async with self._turns.long(size > SHORT_PAGE):
            async with self._database.reading() as connection:
                store = ScheduleStore(connection)
                if wanted.schedule_id:
                    await store.require(wanted.schedule_id)
                runs = await store.list_runs(wanted, before, size + 1)
            await self._turns.run(map(answer.runs.append, map(convert.run_to, runs[:size])))
        answer.next_page_token = next_page_token(
            runs, size, lambda last: encode_place((last.due_at, last.schedule_id))
        )
        return answer

    async def BackfillSchedule(
        self, request: pb.BackfillScheduleRequest, context: Context
    ) -> pb.BackfillScheduleResponse:
        window, once = convert_backfill.window_from(request, await now_at(self._database))
        only = request.validate_only
        begun = await self._backfills.begin(window, current_subject(), once, validate_only=only)
        return pb.BackfillScheduleResponse(backfill=convert_backfill.backfill_to(begun))

    async def GetBackfill(self, request: pb.GetBackfillRequest, context: Context) -> pb.GetBackfillResponse:
        found = await self._backfills.get(*convert_backfill.ids_in(request.name))
        return pb.GetBackfillResponse(backfill=convert_backfill.backfill_to(found))

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
            told = map(convert_backfill.backfill_to, found[:size])
            await self._turns.run(map(answer.backfills.append, told))
        answer.next_page_token = next_page_token(found, size, _token_after_backfill)
        return answer

    async def CancelBackfill(
        self, request: pb.CancelBackfillRequest, context: Context
    ) -> pb.CancelBackfillResponse:
        ended = await self._backfills.cancel(*convert_backfill.ids_in(request.name), current_subject())
        return pb.CancelBackfillResponse(backfill=convert_backfill.backfill_to(ended))

    async def BatchGetRunTasks(
        self, request: pb.BatchGetRunTasksRequest, context: Context
    ) -> pb.BatchGetRunTasksResponse:
        runs = _runs_in(request.names)
        async with self._database.reading() as connection:
            found = await RunTaskStore(connection).unchanged(runs)
        return pb.BatchGetRunTasksResponse(run_tasks=map(convert.run_task_to, found))

    async def WatchSchedules(
        self, request: pb.WatchSchedulesRequest, context: Context
    ) -> AsyncIterator[pb.WatchSchedulesResponse]:
        wanted, cursor = wanted_in(request), decode_cursor(request.cursor)
        async with aclosing(self._watching.watch(wanted, cursor)) as messages:
            async for message in messages:
                yield message

    async def ExplainSchedule(
        self, request: pb.ExplainScheduleRequest, context: Context
    ) -> pb.ExplainScheduleResponse:
        now = await now_at(self._database)
        found, window = _id(request.name), window_of(request, now)
        async with self._turns.long():
            explanation = await self._explanations.explain(found, window, now)
        return explanation_to(explanation)


def _id(name: str, field: str = "name") -> str:
    faults = Faults()
    found = checks.schedule_id(name, faults, field)
    faults.raise_any()
    return found


def _runs_in(names: Sequence[str]) -> list[tuple[str, dt.datetime]]:
    faults, fault = Faults(), f"has {len(names)} names, it must have 1 to {MOST_RUN_TASKS}"
    faults.unless(1 <= len(names) <= MOST_RUN_TASKS, "names", fault, RUN_EXAMPLE)
    faults.raise_any()
    return [run_key(name, f"names[{position}]") for position, name in enumerate(names)]


def _token_after_backfill(last: Backfill) -> str:
    assert last.created_at is not None, "stored backfills have their time"
    return encode_place((last.created_at, last.id))
