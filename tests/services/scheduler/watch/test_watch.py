"""WatchSchedules: what changes is told, once and in full, to everyone, whoever changed it."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from typing import Any

import asyncpg
import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import driver_url
from tests.support.calls import eventually, fields_at_fault, refused
from tests.support.schedulers import Scheduler
from tests.support.watchers import Watcher, opened, watching

CREATED, UPDATED = pb.SCHEDULE_EVENT_KIND_CREATED, pb.SCHEDULE_EVENT_KIND_UPDATED
DELETED = pb.SCHEDULE_EVENT_KIND_DELETED
NEVER = "0 0 29 2 *"


@pytest.fixture(scope="module")
def scheduler(lone_scheduler: Scheduler) -> Scheduler:
    return lone_scheduler


def new_name() -> str:
    return f"schedules/w-{uuid.uuid4().hex[:10]}"


def create(scheduler: Scheduler, name: str, crontab: str = NEVER, **more: Any) -> pb.Schedule:
    schedule = pb.Schedule(
        name=name,
        task=pb.TaskSpec(task_name="count", queue="queues/nobody"),
        timing=pb.Timing(crontab=pb.Crontab(expression=crontab)),
        **more,
    )
    stored: pb.Schedule
    stored = scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule)).schedule
    return stored


def pause(scheduler: Scheduler, name: str) -> pb.Schedule:
    request = pb.PauseScheduleRequest(name=name, note="for now")
    paused: pb.Schedule = scheduler.schedules.PauseSchedule(request).schedule
    return paused


def delete(scheduler: Scheduler, name: str) -> None:
    scheduler.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name))


def in_database(url: str, work: Callable[[Any], Any]) -> Any:
    async def connected() -> Any:
        connection = await asyncpg.connect(driver_url(url))
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())


def sql(url: str, statement: str, *values: Any) -> None:
    in_database(url, lambda connection: connection.execute(statement, *values))


def test_each_change_of_a_schedule_is_told_as_it_comes(scheduler: Scheduler) -> None:
    name = new_name()
    with watching(scheduler, names=[name]) as watcher:
        [first] = watcher.seen
        assert first.cursor and first.WhichOneof("event") is None
        created = create(scheduler, name)
        eventually(lambda: watcher.schedules() == [(CREATED, name)])
        assert watcher.seen[-1].schedule.schedule == created
        paused = pause(scheduler, name)
        eventually(lambda: watcher.schedules()[1:] == [(UPDATED, name)])
        assert watcher.seen[-1].schedule.schedule == paused
        delete(scheduler, name)
        eventually(lambda: watcher.schedules()[2:] == [(DELETED, name)])
        assert not watcher.seen[-1].schedule.HasField("schedule")
        assert len({message.cursor for message in watcher.seen}) == 4


def test_changes_through_another_replica_and_by_sql_are_told_too(
    scheduler: Scheduler, other: Scheduler, database_url: str
) -> None:
    name = new_name()
    with watching(scheduler, names=[name]) as watcher:
        create(other, name)
        eventually(lambda: watcher.schedules() == [(CREATED, name)])
        statement = "UPDATE celery_schedules SET description = 'by hand' WHERE id = $1"
        sql(database_url, statement, name.removeprefix("schedules/"))
        eventually(lambda: watcher.schedules()[1:] == [(UPDATED, name)])
        assert watcher.seen[-1].schedule.schedule.description == "by hand"
        # Nothing has changed by it.
        sql(database_url, statement, name.removeprefix("schedules/"))
        delete(other, name)
        eventually(lambda: watcher.schedules()[2:] == [(DELETED, name)])


def test_a_row_that_can_not_be_read_is_told_with_its_fault_and_ends_nothing(
    scheduler: Scheduler, database_url: str
) -> None:
    name, sound = new_name(), new_name()
    create(scheduler, name)
    with watching(scheduler, names=[name, sound]) as watcher:
        statement = "UPDATE celery_schedules SET crontab = 'whenever' WHERE id = $1"
        sql(database_url, statement, name.removeprefix("schedules/"))
        eventually(lambda: watcher.schedules() == [(UPDATED, name)])
        assert "timing" in watcher.seen[-1].schedule.schedule.fault
        create(scheduler, sound)
        eventually(lambda: (CREATED, sound) in watcher.schedules())


def test_who_wants_little_gets_no_more(scheduler: Scheduler) -> None:
    one, two = new_name(), new_name()
    with (
        watching(scheduler) as everything,
        watching(scheduler, names=[two]) as named,
        watching(scheduler, without_schedules=True) as runs_only,
    ):
        create(scheduler, one)
        create(scheduler, two)
        eventually(lambda: {(CREATED, one), (CREATED, two)} <= set(everything.schedules()))
        eventually(named.schedules)
        assert named.schedules() == [(CREATED, two)]
        assert runs_only.schedules() == []


def test_a_stream_is_taken_up_again_on_any_replica_without_a_hole_or_a_double(
    scheduler: Scheduler, other: Scheduler
) -> None:
    names = [new_name() for _ in range(25)]
    with watching(scheduler) as before:
        for name in names[:3]:
            create(scheduler, name)
        eventually(lambda: len(before.schedules()) == 3)
    for name in names[3:]:
        create(scheduler, name)
    for message, rest in [(before.seen[0], names), (before.seen[1], names[1:]), (before.seen[3], names[3:])]:
        with watching(other, cursor=message.cursor) as after:
            eventually(lambda after=after, rest=rest: len(after.schedules()) >= len(rest))
            assert after.schedules()[: len(rest)] == [(CREATED, name) for name in rest]
            assert after.seen[0].cursor == message.cursor
            last = new_name()
            create(scheduler, last)
            eventually(lambda after=after, last=last: after.schedules()[-1] == (CREATED, last))


def test_many_that_one_statement_made_are_taken_up_in_the_middle(
    scheduler: Scheduler, database_url: str
) -> None:
    create(scheduler, "schedules/many")
    statement = """
        INSERT INTO celery_schedules
        SELECT (jsonb_populate_record(s, jsonb_build_object('id', 'many-' || n))).*
        FROM celery_schedules s, generate_series(1, 1000) AS n WHERE s.id = 'many'
    """
    expected = {f"schedules/many-{number}" for number in range(1, 1001)}
    with watching(scheduler) as watcher:
        sql(database_url, statement)
        eventually(lambda: len(watcher.schedules()) == 1000)
    told = [name for _, name in watcher.schedules()]
    assert set(told) == expected
    for position in (1, 333, 999):
        with watching(scheduler, cursor=watcher.seen[position].cursor) as again:
            rest = told[position:]
            eventually(lambda again=again, rest=rest: len(again.schedules()) >= len(rest))
            assert [name for _, name in again.schedules()] == rest
    sql(database_url, "DELETE FROM celery_schedules WHERE id LIKE 'many%'")


def test_a_transaction_that_commits_late_is_told_and_holds_up_no_other(
    scheduler: Scheduler, database_url: str
) -> None:
    """Also one that began before the stream, and one that was under way when it was broken."""
    late, meanwhile, last = new_name(), new_name(), new_name()
    for name in (late, meanwhile):
        create(scheduler, name)
    change = "UPDATE celery_schedules SET description = 'late' WHERE id = $1"

    async def work(connection: Any) -> tuple[Watcher, Watcher]:
        async with connection.transaction():
            await connection.execute(change, late.removeprefix("schedules/"))
            first = Watcher(opened(scheduler))
            await asyncio.to_thread(eventually, lambda: first.seen)
            await asyncio.to_thread(pause, scheduler, meanwhile)
            await asyncio.to_thread(eventually, first.schedules)
            first.end()
        await asyncio.to_thread(create, scheduler, last)
        second = Watcher(opened(scheduler, cursor=first.cursor))
        await asyncio.to_thread(eventually, lambda: len(second.schedules()) >= 2)
        second.end()
        return first, second

    first, second = in_database(database_url, work)
    assert first.schedules() == [(UPDATED, meanwhile)]
    assert second.schedules() == [(UPDATED, late), (CREATED, last)]


def test_under_many_writers_every_change_is_told_once_however_often_the_stream_breaks(
    scheduler: Scheduler, other: Scheduler, database_url: str
) -> None:
    """Transactions overlap, commit in any order, and some roll back."""
    name = "schedules/busy"
    create(scheduler, name)
    writers, changes = 8, 25

    async def write(writer: int) -> None:
        connection = await asyncpg.connect(driver_url(database_url))
        for number in range(changes):
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(
                "INSERT INTO celery_schedules SELECT (jsonb_populate_record(s, jsonb_build_object("
                "'id', 'busy-' || $1::int || '-' || $2::int))).* FROM celery_schedules s WHERE s.id = 'busy'",
                writer,
                number,
            )
            await connection.execute("SELECT pg_sleep(random() * 0.03)")
            await (transaction.rollback() if number % 5 == 0 else transaction.commit())
        await connection.close()

    async def write_all() -> None:
        await asyncio.gather(*map(write, range(writers)))

    with watching(scheduler) as watcher:
        cursor = watcher.cursor
    writing = threading.Thread(target=lambda: asyncio.run(write_all()))
    writing.start()
    told: list[str] = []
    replicas = [scheduler, other]
    wanted = {
        f"schedules/busy-{writer}-{number}"
        for writer in range(writers)
        for number in range(changes)
        if number % 5
    }

    def read_some() -> bool:
        nonlocal cursor
        replicas.reverse()
        stream = opened(replicas[0], cursor=cursor)
        some = 0
        for message in stream:
            cursor = message.cursor
            if message.HasField("schedule"):
                told.append(message.schedule.name)
                some += 1
            if some == 7 or len(told) >= len(wanted):
                break
        stream.cancel()
        return len(told) >= len(wanted)

    eventually(read_some, 60)
    writing.join()
    assert len(told) == len(set(told))
    assert set(told) == wanted
    sql(database_url, "DELETE FROM celery_schedules WHERE id LIKE 'busy%'")


def test_a_cursor_whose_log_is_no_longer_kept_is_refused_and_told_what_to_do(
    scheduler: Scheduler, database_url: str
) -> None:
    with watching(scheduler) as watcher:
        name = new_name()
        create(scheduler, name)
        eventually(watcher.schedules)
        before, after = watcher.seen[0].cursor, watcher.seen[-1].cursor

    sql(database_url, "UPDATE celery_schedule_changes SET recorded_at = now() - interval '2 hours'")
    scheduler.process.stop()
    scheduler.process.start()  # the first sweep is at once

    def swept() -> bool:
        query = "SELECT count(*) = 0 FROM celery_schedule_changes"
        return bool(in_database(database_url, lambda connection: connection.fetchval(query)))

    eventually(swept)
    code, told = refused(lambda cursor: list(opened(scheduler, cursor=cursor)), before)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "watch without a cursor, and when the first message has come, list schedules" in told
    # What has been read up to the end lacks nothing.
    with watching(scheduler, cursor=after) as again:
        pause(scheduler, name)
        eventually(lambda: again.schedules() == [(UPDATED, name)])


def test_what_is_no_cursor_and_what_is_at_odds_is_refused_by_name(scheduler: Scheduler) -> None:
    def call(request: pb.WatchSchedulesRequest) -> Any:
        stub = schedules_pb2_grpc.ScheduleServiceStub(scheduler.channel)
        credentials = grpc.access_token_call_credentials(scheduler.token)
        return list(stub.WatchSchedules(request, credentials=credentials))

    for request, fields in [
        (pb.WatchSchedulesRequest(cursor="yesterday"), ["cursor"]),
        (pb.WatchSchedulesRequest(cursor="e30"), ["cursor"]),
        (pb.WatchSchedulesRequest(names=["schedules/one", "two"]), ["names[1]"]),
        (pb.WatchSchedulesRequest(names=["schedules/a"] * 101), ["names"]),
        (
            pb.WatchSchedulesRequest(without_schedules=True, without_runs=True, without_backfills=True),
            ["without_backfills"],
        ),
    ]:
        assert fields_at_fault(call, request) == fields


def test_a_viewer_may_watch_and_nobody_without_a_token(scheduler: Scheduler, tokens: LocalIssuer) -> None:
    with watching(scheduler, token=tokens.mint("viewer", subject="ann")) as watcher:
        assert watcher.seen and watcher.error is None
    stub = schedules_pb2_grpc.ScheduleServiceStub(scheduler.channel)
    code, _ = refused(lambda request: list(stub.WatchSchedules(request)), pb.WatchSchedulesRequest())
    assert code is grpc.StatusCode.UNAUTHENTICATED


def test_a_scheduler_that_stops_tells_its_readers_to_come_back(
    scheduler: Scheduler, other: Scheduler
) -> None:
    watcher = Watcher(opened(other))
    eventually(lambda: watcher.seen)
    other.process.stop()
    assert watcher.await_end().code() is grpc.StatusCode.UNAVAILABLE
    name = new_name()
    create(scheduler, name)
    other.process.start()
    with watching(other, cursor=watcher.cursor) as again:
        eventually(lambda: again.schedules() == [(CREATED, name)])
