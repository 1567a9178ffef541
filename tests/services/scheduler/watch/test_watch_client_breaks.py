"""The client's schedule_watch and a server that does what a script says: every way for a stream to end."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent import futures
from contextlib import aclosing, closing
from typing import Any

import grpc
import grpc.aio
import pytest
from celeriac import resuming
from celeriac.resuming import pause_seconds
from celeriac.schedule_watch import watch_schedules, watch_schedules_blocking
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from tests.support.watch_clients import WAYS, Target, Watch, until

both_ways = pytest.mark.parametrize("watch", WAYS)
SILENCE = "silence"
END = "end"


def sign(cursor: str) -> pb.WatchSchedulesResponse:
    return pb.WatchSchedulesResponse(cursor=cursor)


def event(cursor: str) -> pb.WatchSchedulesResponse:
    told = pb.ScheduleEvent(kind=pb.SCHEDULE_EVENT_KIND_UPDATED, name=f"schedules/{cursor}")
    return pb.WatchSchedulesResponse(schedule=told, cursor=cursor)


def gap(cursor: str) -> pb.WatchSchedulesResponse:
    return pb.WatchSchedulesResponse(left_out_count=7, cursor=cursor)


# What a call is answered with, in order: messages, and how it ends.
Answer = Sequence[pb.WatchSchedulesResponse | grpc.StatusCode | str]


class Scripted(schedules_pb2_grpc.ScheduleServiceServicer):
    """Answers the first call as the first answer says, and so on; those after the last with silence."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.calls: list[pb.WatchSchedulesRequest] = []
        # How many calls are under way.
        self.open = 0
        self.address = ""

    def WatchSchedules(self, request: pb.WatchSchedulesRequest, context: Any) -> Iterator[Any]:
        number = len(self.calls)
        self.calls.append(request)
        ended = threading.Event()
        self.open += 1
        if not context.add_callback(ended.set):
            ended.set()
        try:
            answer: Answer = self.answers[number] if number < len(self.answers) else [SILENCE]
            for step in answer:
                if isinstance(step, grpc.StatusCode):
                    context.abort(step, "as the script says")
                elif step == SILENCE:
                    ended.wait(60)
                elif step != END:
                    yield step
        finally:
            self.open -= 1

    def cursors(self) -> list[str]:
        """Where each call wanted to begin."""
        return [call.cursor for call in self.calls]


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()  # type: ignore[abstract] # its other methods are not called
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    schedules_pb2_grpc.add_ScheduleServiceServicer_to_server(scripted, server)
    scripted.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield scripted
    server.stop(0).wait(20)


@pytest.fixture
def target(server: Scripted) -> Target:
    return Target(server.address)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are short, as these tests are about something else."""
    monkeypatch.setattr(resuming, "FIRST_PAUSE_SECONDS", 0.02)


BREAKS = sorted(resuming.BREAKS, key=lambda code: code.name)


@both_ways
@pytest.mark.parametrize("ending", [*BREAKS, END], ids=str)
@pytest.mark.usefixtures("at_once")
async def test_however_a_stream_ends_it_is_taken_up_where_its_reader_is(
    server: Scripted, target: Target, watch: Watch, ending: grpc.StatusCode | str
) -> None:
    server.answers = [
        [sign("a"), event("b"), event("c"), ending],
        [ending],
        [sign("c"), event("d"), SILENCE],
    ]
    async with watch(target, names=["schedules/one"], without_runs=True, without_backfills=True) as reading:
        await until(lambda: "d" in reading.cursors())
        assert reading.error is None
    assert reading.cursors() == ["a", "b", "c", "c", "d"]
    assert server.cursors() == ["", "c", "c"]
    for call in server.calls:
        assert call.names == ["schedules/one"] and not call.without_schedules
        assert call.without_runs and call.without_backfills


@both_ways
@pytest.mark.parametrize(
    "code", sorted(set(grpc.StatusCode) - resuming.BREAKS - {grpc.StatusCode.OK}, key=str), ids=str
)
async def test_what_no_attempt_can_help_is_raised(
    server: Scripted, target: Target, watch: Watch, code: grpc.StatusCode
) -> None:
    """Also FAILED_PRECONDITION without the reason CURSOR_EXPIRED."""
    server.answers = [[sign("a"), code]]
    async with watch(target) as reading:
        error: Any = await until(lambda: reading.error)
    assert isinstance(error, grpc.RpcError)
    assert error.code() is code
    assert len(server.calls) == 1


@both_ways
@pytest.mark.usefixtures("at_once")
async def test_a_server_that_accepts_and_says_nothing_is_left(
    server: Scripted, target: Target, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the beginning, and in the middle."""
    server.answers = [[SILENCE], [sign("a"), event("b"), SILENCE], [sign("b"), event("c"), SILENCE]]
    began = time.monotonic()
    async with watch(target, idle_timeout=0.5) as reading:
        await until(lambda: "c" in reading.cursors())
        assert 1 < time.monotonic() - began < 10
        assert server.cursors()[:3] == ["", "", "b"]
        # What was left has ended for the server, too.
        await until(lambda: server.open == 1)
    assert "nothing came for 0.5 s" in caplog.text


async def test_silence_is_counted_only_while_the_reader_waits(server: Scripted, target: Target) -> None:
    server.answers = [[sign("a"), event("b"), event("c"), SILENCE]]
    async with target.channel() as channel:
        messages = watch_schedules(channel, idle_timeout=0.5)
        async with aclosing(messages):
            for cursor in "abc":
                assert (await anext(messages)).cursor == cursor
                await asyncio.sleep(0.8)
    async with target.blocking_channel_beside_a_loop() as blocking:
        server.answers.append(server.answers[0])
        with closing(watch_schedules_blocking(blocking, idle_timeout=0.5)) as told:
            for cursor in "abc":
                assert next(told).cursor == cursor
                await asyncio.sleep(0.8)
    assert server.cursors() == ["", ""]


@pytest.mark.usefixtures("at_once")
async def test_what_the_reader_has_not_taken_yet_is_asked_for_again(server: Scripted, target: Target) -> None:
    """Also if it was sent before the stream broke."""

    async def reads_slowly(following: Callable[[], Awaitable[str]]) -> None:
        server.calls.clear()
        server.answers = [[event("a"), event("b"), event("c"), grpc.StatusCode.UNAVAILABLE]]
        taken = [await following()]
        while len(server.calls) == 1:
            # Meanwhile all of it comes, and the break; what the transport still hands out is its affair.
            await asyncio.sleep(0.3)
            rest = [event(cursor) for cursor in "abc" if cursor > taken[-1]]
            server.answers[1:] = [[sign(taken[-1]), *rest, event("d"), SILENCE]]
            taken.append(await following())
        while taken[-1] != "d":
            taken.append(await following())
        assert list(dict.fromkeys(taken)) == ["a", "b", "c", "d"]

    async with target.channel() as channel, aclosing(watch_schedules(channel)) as messages:

        async def following() -> str:
            return (await anext(messages)).cursor

        await reads_slowly(following)
    async with target.blocking_channel_beside_a_loop() as blocking:
        with closing(watch_schedules_blocking(blocking)) as told:
            await reads_slowly(lambda: asyncio.to_thread(lambda: next(told).cursor))


@both_ways
@pytest.mark.parametrize("catch_up", [True, False])
@pytest.mark.usefixtures("at_once")
async def test_a_gap_is_told_or_filled_as_the_reader_wants_it(
    server: Scripted, target: Target, watch: Watch, catch_up: bool
) -> None:
    server.answers = [
        [sign("a"), event("b"), gap("d"), event("e"), SILENCE],
        [sign("b"), event("c"), event("d"), event("e"), SILENCE],
    ]
    async with watch(target, catch_up=catch_up) as reading:
        await until(lambda: "e" in reading.cursors())
    if catch_up:
        assert reading.cursors() == ["a", "b", "b", "c", "d", "e"]
        assert server.cursors() == ["", "b"]
    else:
        assert reading.cursors() == ["a", "b", "d", "e"]
        assert reading.seen[2].left_out_count == 7
        assert server.cursors() == [""]


async def test_an_asynchronous_loop_that_is_left_leaves_nothing_behind(
    server: Scripted, target: Target, recwarn: pytest.WarningsRecorder
) -> None:
    server.answers = [[sign("a"), event("b"), SILENCE]]
    before = asyncio.all_tasks()
    async with target.channel() as channel:
        async for message in watch_schedules(channel):
            if message.cursor == "b":
                break
        # The channel stands: it is the loop's end that ended the stream.
        await until(lambda: server.open == 0)
        assert asyncio.all_tasks() == before
    gc.collect()
    assert list(recwarn) == []


async def test_a_task_that_is_cancelled_while_it_waits_leaves_nothing_behind(
    server: Scripted, target: Target, recwarn: pytest.WarningsRecorder
) -> None:
    server.answers = [[sign("a"), SILENCE]]
    before = asyncio.all_tasks()
    seen: list[str] = []

    async def read(channel: grpc.aio.Channel) -> None:
        async for message in watch_schedules(channel):
            seen.append(message.cursor)

    async with target.channel() as channel:
        task = asyncio.create_task(read(channel))
        await until(lambda: seen)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.open == 0)
        assert asyncio.all_tasks() == before
    gc.collect()
    assert list(recwarn) == []
    assert len(server.calls) == 1


def test_a_blocking_loop_that_is_left_leaves_nothing_behind(
    server: Scripted, target: Target, recwarn: pytest.WarningsRecorder
) -> None:
    server.answers = [[sign("a"), event("b"), SILENCE]]
    with target.blocking_channel() as channel:
        for message in watch_schedules_blocking(channel):
            if message.cursor == "b":
                break
        deadline = time.monotonic() + 20
        while server.open or any(each.name == "celeriac-schedule-watch" for each in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    gc.collect()
    assert list(recwarn) == []


@pytest.mark.usefixtures("at_once")
async def test_a_channel_that_is_closed_ends_the_loop_with_an_error(server: Scripted, target: Target) -> None:
    """And not with a cancellation that nobody asked for."""
    server.answers = [[sign("a"), SILENCE]] * 2
    channel = target.channel()
    messages = watch_schedules(channel)
    await anext(messages)
    waiting = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0.1)
    await channel.close()
    with pytest.raises(grpc.aio.UsageError, match="closed"):
        await waiting

    blocking = target.blocking_channel()
    told = watch_schedules_blocking(blocking)
    next(told)
    then = asyncio.ensure_future(asyncio.to_thread(next, told))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(blocking.close)
    with pytest.raises(ValueError, match="closed"):
        await then


def test_pauses_grow_to_half_a_minute_and_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [[pause_seconds(failures) for _ in range(200)] for failures in (0, 1, 2, 3, 4, 5, 6, 10_000)]
    longest = [1, 2, 4, 8, 16, 30, 30, 30]
    for pauses, most in zip(drawn, longest, strict=True):
        assert 0 <= min(pauses) < most / 4 and most * 3 / 4 < max(pauses) <= most


@both_ways
async def test_a_server_that_comes_no_further_than_its_first_message_is_asked_ever_less_often(
    server: Scripted, target: Target, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[int] = []

    def pause(before: int) -> float:
        failures.append(before)
        return 0.0

    monkeypatch.setattr(resuming, "pause_seconds", pause)
    hello: Answer = [sign("a"), grpc.StatusCode.UNAVAILABLE]
    further: Answer = [sign("a"), event("b"), grpc.StatusCode.UNAVAILABLE]
    server.answers = [hello, hello, hello, further, hello]
    async with watch(target):
        await until(lambda: len(failures) == 5)
    # In the end its channel is closed, which may count, too.
    assert failures[:5] == [0, 1, 2, 0, 1]
