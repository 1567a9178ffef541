"""The client's schedule_watch on a real scheduler: whatever breaks the stream, its reader misses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import pytest
from celeriac.schedule_watch import CursorExpired
from celeriac.scheduler.v1 import schedules_pb2 as pb
from sqlalchemy.engine import make_url

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import driver_url
from services.kernel.tokens import LEEWAY_SECONDS
from tests.support.outages import end_connections
from tests.support.schedulers import Scheduler
from tests.support.watch_clients import WAYS, Target, Watch, target_of, until

CREATED, UPDATED = pb.SCHEDULE_EVENT_KIND_CREATED, pb.SCHEDULE_EVENT_KIND_UPDATED
CHANGE = "UPDATE celery_schedules SET description = gen_random_uuid()::text WHERE id = $1"
both_ways = pytest.mark.parametrize("watch", WAYS)


@pytest.fixture
def scheduler(lone_scheduler: Scheduler) -> Scheduler:
    return lone_scheduler


@pytest.fixture
def target(scheduler: Scheduler) -> Target:
    return target_of(scheduler)


def new_names(count: int) -> list[str]:
    return [f"schedules/c-{uuid.uuid4().hex[:10]}" for _ in range(count)]


def _create(scheduler: Scheduler, name: str) -> None:
    timing = pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *"))
    schedule = pb.Schedule(
        name=name, task=pb.TaskSpec(task_name="count", queue="queues/nobody"), timing=timing
    )
    scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))


async def create(scheduler: Scheduler, *names: str) -> None:
    for name in names:
        await asyncio.to_thread(_create, scheduler, name)


async def sql(url: str, statement: str, *values: Any) -> Any:
    connection = await asyncpg.connect(driver_url(url))
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


async def change_by_sql(url: str, name: str) -> None:
    await sql(url, CHANGE, name.removeprefix("schedules/"))


@contextlib.asynccontextmanager
async def away(url: str) -> AsyncIterator[Any]:
    """The database is away for everyone but who has this connection to it."""
    database = make_url(url).database
    connection = await asyncpg.connect(driver_url(url))
    admin = await asyncpg.connect(make_url(driver_url(url)).set(database="postgres").render_as_string(False))
    try:
        await admin.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        await admin.execute(
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE datname = $1 AND pid <> $2",
            database,
            connection.get_server_pid(),
        )
        yield connection
    finally:
        await admin.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
        await admin.close()
        await connection.close()


@both_ways
async def test_events_come_with_cursors_to_begin_with_again(
    scheduler: Scheduler, target: Target, watch: Watch
) -> None:
    one, two, three = names = new_names(3)
    async with watch(target, names=names) as reading:
        await until(lambda: reading.seen)
        assert reading.seen[0].WhichOneof("event") is None
        await create(scheduler, *names)
        await until(lambda: len(reading.schedules()) == 3)
        assert reading.schedules() == [(CREATED, one), (CREATED, two), (CREATED, three)]
    assert len(set(reading.cursors())) == 4
    async with watch(target, names=names, cursor=reading.seen[1].cursor) as again:
        await until(lambda: len(again.schedules()) >= 2)
        assert again.schedules() == [(CREATED, two), (CREATED, three)]


@both_ways
async def test_a_scheduler_that_is_killed_and_starts_again_leaves_nothing_out(
    scheduler: Scheduler, target: Target, watch: Watch, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = new_names(12)
    async with watch(target, names=names) as reading:
        await until(lambda: reading.seen)
        await create(scheduler, *names[:4])
        await until(lambda: len(reading.schedules()) == 4)
        # Some are on their way when it dies, others come by while it is away.
        await create(scheduler, *names[4:8])
        scheduler.process.kill()
        await until(lambda: "is taken up again" in caplog.text)
        for name in names[:4]:
            await change_by_sql(database_url, name)
        await asyncio.to_thread(scheduler.process.start)
        await create(scheduler, *names[8:])
        expected = [(CREATED, name) for name in names[:8]]
        expected += [(UPDATED, name) for name in names[:4]] + [(CREATED, name) for name in names[8:]]
        await until(lambda: reading.schedules()[-1:] == expected[-1:])
        assert list(dict.fromkeys(reading.schedules())) == expected
        assert reading.error is None


@both_ways
async def test_a_database_whose_connections_die_leaves_nothing_out(
    scheduler: Scheduler, target: Target, watch: Watch, database_url: str
) -> None:
    """At each of several moments; mostly the scheduler gets new ones, and its stream stands."""
    names = new_names(6)
    async with watch(target, names=names) as reading:
        await until(lambda: reading.seen)
        for name in names:
            await create(scheduler, name)
            await end_connections(driver_url(database_url))
            await change_by_sql(database_url, name)
        expected = {(kind, name) for name in names for kind in (CREATED, UPDATED)}
        await until(lambda: set(reading.schedules()) == expected)
        assert reading.error is None


@both_ways
async def test_a_database_that_is_away_breaks_the_stream_and_leaves_nothing_out(
    scheduler: Scheduler, target: Target, watch: Watch, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = new_names(6)
    async with watch(target, names=names) as reading:
        await until(lambda: reading.seen)
        await create(scheduler, *names[:3])
        await until(lambda: len(reading.schedules()) == 3)
        async with away(database_url) as connection:
            for name in names[:3]:
                await connection.execute(CHANGE, name.removeprefix("schedules/"))
            # Also an attempt that was in vain.
            await until(lambda: caplog.text.count("is taken up again") >= 2)
            assert len(reading.schedules()) == 3
        await until(lambda: len(reading.schedules()) >= 6)
        await create(scheduler, *names[3:])
        expected = [(kind, name) for kind in (CREATED, UPDATED) for name in names[:3]]
        expected += [(CREATED, name) for name in names[3:]]
        await until(lambda: reading.schedules()[-1:] == expected[-1:])
        assert list(dict.fromkeys(reading.schedules())) == expected
        assert reading.error is None


@both_ways
async def test_a_stopped_scheduler_is_left_and_found_again(
    scheduler: Scheduler, target: Target, watch: Watch, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its connection stands all the while: the kernel goes on acknowledging what comes."""
    [name] = new_names(1)
    await create(scheduler, name)
    process = scheduler.process.process
    assert process is not None
    async with watch(target, names=[name], idle_timeout=3) as reading:
        await until(lambda: reading.seen)
        process.send_signal(signal.SIGSTOP)
        try:
            await change_by_sql(database_url, name)
            await until(lambda: "nothing came for 3 s" in caplog.text)
            assert reading.schedules() == []
        finally:
            process.send_signal(signal.SIGCONT)
        await until(reading.schedules)
        assert reading.schedules() == [(UPDATED, name)]


@both_ways
async def test_an_expired_cursor_is_an_error_that_says_what_to_do(
    scheduler: Scheduler, target: Target, watch: Watch, database_url: str
) -> None:
    names = new_names(2)
    async with watch(target, names=names) as reading:
        await until(lambda: reading.seen)
        await create(scheduler, *names)
        await until(lambda: len(reading.schedules()) == 2)
    await sql(database_url, "UPDATE celery_schedule_changes SET recorded_at = now() - interval '2 hours'")
    await asyncio.to_thread(scheduler.process.stop)
    await asyncio.to_thread(scheduler.process.start)  # the first sweep is at once
    kept = "SELECT count(*) FROM celery_schedule_changes"
    await until(lambda: asyncio.run(sql(database_url, kept)) == 0)
    async with watch(target, names=names, cursor=reading.seen[0].cursor) as late:
        await until(lambda: late.error)
    assert isinstance(late.error, CursorExpired)
    assert late.error.cursor == reading.seen[0].cursor
    assert "watch without a cursor, and when the first message has come, list" in str(late.error)
    async with watch(target, names=names, cursor=reading.seen[-1].cursor) as up_to_date:
        await until(lambda: up_to_date.seen)
        assert up_to_date.error is None


@both_ways
async def test_a_call_that_is_at_fault_is_not_tried_again(
    target: Target, watch: Watch, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = Target(target.address, scheduler.process.credentials())
    refusals: list[tuple[Target, dict[str, Any], grpc.StatusCode]] = [
        (target, {"cursor": "yesterday"}, grpc.StatusCode.INVALID_ARGUMENT),
        (target, {"names": ["nightly"]}, grpc.StatusCode.INVALID_ARGUMENT),
        (nobody, {}, grpc.StatusCode.UNAUTHENTICATED),
    ]
    for where, wanted, code in refusals:
        async with watch(where, **wanted) as reading:
            error: Any = await until(functools.partial(getattr, reading, "error"))
            assert isinstance(error, grpc.RpcError)
            assert error.code() is code
    assert "taken up again" not in caplog.text


class _Tokens(grpc.AuthMetadataPlugin):
    """Gives each call the next of the tokens, the last one again and again."""

    def __init__(self, *tokens: str) -> None:
        self.left = list(tokens)

    def __call__(self, context: Any, callback: Any) -> None:
        token = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        callback((("authorization", f"Bearer {token}"),), None)


@both_ways
async def test_a_stream_whose_token_expires_is_resumed_with_a_new_one_and_ends_without(
    scheduler: Scheduler, watch: Watch, tokens: LocalIssuer
) -> None:
    def target_with(*given: str) -> Target:
        credentials = grpc.metadata_call_credentials(_Tokens(*given))
        process = scheduler.process
        return Target(process.address, grpc.composite_channel_credentials(process.credentials(), credentials))

    # It is taken for two seconds more.
    expiring = tokens.mint("admin", life_seconds=2 - int(LEEWAY_SECONDS))
    async with watch(target_with(expiring, tokens.mint("admin"))) as reading:
        await until(lambda: len(reading.seen) >= 2)
        assert reading.error is None
    expiring = tokens.mint("admin", life_seconds=2 - int(LEEWAY_SECONDS))
    async with watch(target_with(expiring)) as reading:
        error: Any = await until(functools.partial(getattr, reading, "error"))
        assert reading.seen
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
