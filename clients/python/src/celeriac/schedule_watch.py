"""WatchSchedules without end: a stream that breaks is resumed after the last message of its reader.

    async with connect("127.0.0.1:8443", token=token, ca=".celeriac/ca.pem") as channel:
        async for message in watch_schedules(channel, cursor=stored):
            if message.HasField("schedule"):
                print(message.schedule.name)
            stored = message.cursor

`watch_schedules_blocking` is the same without asyncio. The messages are described at WatchSchedulesResponse
in celeriac/scheduler/v1/schedules.proto.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Iterable
from typing import Any

import grpc
import grpc.aio

from celeriac import resuming
from celeriac.resuming import (
    BREAKS,
    IDLE_TIMEOUT_SECONDS,
    CursorExpired,
    Place,
    WatchedCall,
    next_of,
)
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

__all__ = ["BREAKS", "CursorExpired", "watch_schedules", "watch_schedules_blocking"]


async def watch_schedules(
    channel: grpc.aio.Channel,
    *,
    names: Iterable[str] = (),
    text: str = "",
    task_names: Iterable[str] = (),
    queues: Iterable[str] = (),
    paused: bool | None = None,
    labels: Iterable[str] = (),
    without_schedules: bool = False,
    without_runs: bool = False,
    without_backfills: bool = False,
    cursor: str = "",
    catch_up: bool = False,
    idle_timeout: float = IDLE_TIMEOUT_SECONDS,
) -> AsyncGenerator[pb.WatchSchedulesResponse, None]:
    """Yields the changes after the cursor ("": from now on) as messages. Never ends by itself.

    `names` ("schedules/{id}", at most 100), `without_schedules`, `without_runs` and `without_backfills` limit
    what you get. So do `text`, `task_names`, `queues` ("queues/ai_analysis"), `paused` and `labels`
    ("team=growth"), which select schedules as in ListSchedules. If an edit makes a schedule stop matching,
    you get one more message of it, without its `schedule`, as after a deletion.

    Each message has a `cursor`. Store it when you have processed the message, and start with it after a
    restart of your program. A message without an event shows that the stream is alive: it is the first of
    each stream, and comes after each 15 s without changes. Store its cursor too: one from an hour ago may
    have expired.

    A stream that breaks is resumed after the last message that you have finished, which asking for the next
    one shows. The pause before it is up to 1 s at first, and up to 30 s in the end. A stream that sends
    nothing for `idle_timeout` seconds while you wait is treated the same. Each time a warning is logged. A
    change may come twice: treat each message as the newest state of what it names.

    `catch_up`: changes that the server left out, because you were too slow or there were too many at once,
    are read from its log instead, and no message has a `left_out_count`. Use it if you need every change; in
    a burst it costs the scheduler more.

    Raises CursorExpired: watch without a cursor, and list after the first message. Raises grpc.RpcError if a
    retry can't help: INVALID_ARGUMENT, PERMISSION_DENIED, UNAUTHENTICATED, UNIMPLEMENTED. The server ends a
    stream when its token expires: give `connect()` a function that returns a new one, and the stream is
    resumed with it. Raises grpc.aio.UsageError if the
    channel is closed.

    To end it, leave the loop. If you hold the iterator in a variable, the stream ends with its `aclose()`:

        async with contextlib.aclosing(watch_schedules(channel)) as messages:
            first = await anext(messages)
    """
    stub: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)
    wanted = pb.WatchSchedulesRequest(
        names=names,
        text=text,
        task_names=task_names,
        queues=queues,
        paused=paused,  # type: ignore[arg-type] # which has None as unset
        labels=labels,
        without_schedules=without_schedules,
        without_runs=without_runs,
        without_backfills=without_backfills,
    )
    place = Place("WatchSchedules", wanted, cursor)
    while True:
        call = stub.WatchSchedules(place.request())
        try:
            while True:
                message = await next_of(call, idle_timeout)
                if catch_up and message.left_out_count > 0:
                    # A new stream sends what this one left out.
                    pause = resuming.pause_seconds(0)
                    break
                yield message
                place.move_to(message)
        except (grpc.RpcError, EOFError, TimeoutError) as error:
            pause = place.pause_after(error)
        finally:
            call.cancel()
        await asyncio.sleep(pause)


def watch_schedules_blocking(
    channel: grpc.Channel,
    *,
    names: Iterable[str] = (),
    text: str = "",
    task_names: Iterable[str] = (),
    queues: Iterable[str] = (),
    paused: bool | None = None,
    labels: Iterable[str] = (),
    without_schedules: bool = False,
    without_runs: bool = False,
    without_backfills: bool = False,
    cursor: str = "",
    catch_up: bool = False,
    idle_timeout: float = IDLE_TIMEOUT_SECONDS,
) -> Generator[pb.WatchSchedulesResponse, None, None]:
    """`watch_schedules` without asyncio: for scripts and threads.

        with connect_blocking("127.0.0.1:8443", token=token, ca=".celeriac/ca.pem") as channel:
            for message in watch_schedules_blocking(channel, names=["schedules/nightly"]):
                print(message)

    To end it from another thread, close the channel: the loop then raises ValueError.
    """
    stub: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)
    wanted = pb.WatchSchedulesRequest(
        names=names,
        text=text,
        task_names=task_names,
        queues=queues,
        paused=paused,  # type: ignore[arg-type] # which has None as unset
        labels=labels,
        without_schedules=without_schedules,
        without_runs=without_runs,
        without_backfills=without_backfills,
    )
    place = Place("WatchSchedules", wanted, cursor)
    while True:
        call = WatchedCall(stub.WatchSchedules(place.request()), idle_timeout)
        try:
            while True:
                message = call.next()
                if catch_up and message.left_out_count > 0:
                    # A new stream sends what this one left out.
                    pause = resuming.pause_seconds(0)
                    break
                yield message
                place.move_to(message)
        except (grpc.RpcError, EOFError, TimeoutError) as error:
            pause = place.pause_after(error)
        finally:
            call.end()
        time.sleep(pause)
