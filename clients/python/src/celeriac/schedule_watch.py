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
import logging
import random
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterable
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

# A server sends an empty message after each 15 s without changes. After this time, three of them are missing.
IDLE_TIMEOUT_SECONDS = 45.0
# The pause before the first attempt is random, up to this; the limit doubles with each failure. So the
# readers of a server that restarts don't all come back at once ("full jitter":
# https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# The status codes of a broken stream, with those that grpc derives from HTTP/2's RST_STREAM and GOAWAY
# (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors). Other codes mean that the call is
# wrong, and would fail again.
BREAKS = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DATA_LOSS,
    }
)

log = logging.getLogger(__name__)


class CursorExpired(Exception):
    """The changes after the cursor are no longer kept: some were missed, and it is not known which.

    Start again: watch without a cursor, and after the first message list what you need.
    """

    def __init__(self, cursor: str) -> None:
        super().__init__(
            "what came after the cursor is no longer kept (scheduler.changes.retention), or the database was "
            "restored or failed over; watch without a cursor, and when the first message has come, list "
            "schedules, runs and backfills"
        )
        self.cursor = cursor


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
    place = _Place(wanted, cursor, catch_up)
    while True:
        call = stub.WatchSchedules(place.request())
        try:
            while True:
                message = await _next(call, idle_timeout)
                if place.is_before_a_gap(message):
                    pause = pause_seconds(0)
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
    place = _Place(wanted, cursor, catch_up)
    while True:
        call = _WatchedCall(stub.WatchSchedules(place.request()), idle_timeout)
        try:
            while True:
                message = call.next()
                if place.is_before_a_gap(message):
                    pause = pause_seconds(0)
                    break
                yield message
                place.move_to(message)
        except (grpc.RpcError, EOFError, TimeoutError) as error:
            pause = place.pause_after(error)
        finally:
            call.end()
        time.sleep(pause)


class _Place:
    """The position of the reader, and the number of failed attempts to continue from there."""

    def __init__(self, wanted: pb.WatchSchedulesRequest, cursor: str, catch_up: bool) -> None:
        self._wanted = wanted
        self._cursor = cursor
        self._catch_up = catch_up
        self._failures = 0
        self._messages = 0

    def request(self) -> pb.WatchSchedulesRequest:
        """Returns the request for a stream that starts at this position."""
        self._messages = 0
        request = pb.WatchSchedulesRequest(cursor=self._cursor)
        request.MergeFrom(self._wanted)
        return request

    def is_before_a_gap(self, message: pb.WatchSchedulesResponse) -> bool:
        """Whether to discard the message and call again, since a new stream sends what this one left out."""
        return self._catch_up and message.left_out_count > 0

    def move_to(self, message: pb.WatchSchedulesResponse) -> None:
        """Moves the position after the message, which the reader has finished."""
        self._cursor = message.cursor
        self._messages += 1
        # Any reachable server sends a first message, even one that fails at the second.
        if self._messages > 1:
            self._failures = 0

    def pause_after(self, error: Exception) -> float:
        """Returns the seconds to wait before the next attempt. Raises the error if a retry can't help."""
        told = str(error)
        if isinstance(error, grpc.RpcError):
            failed: Any = error
            code = failed.code()
            if code is grpc.StatusCode.FAILED_PRECONDITION and _reason(failed) == "CURSOR_EXPIRED":
                raise CursorExpired(self._cursor) from error
            if code not in BREAKS and not self._outlived_its_token(code, failed):
                raise error
            told = f"{code.name}: {failed.details()}"
        pause = pause_seconds(self._failures)
        self._failures += 1
        log.warning("WatchSchedules broke, and is taken up again in %.1f s: %s", pause, told)
        return pause

    def _outlived_its_token(self, code: grpc.StatusCode, error: Any) -> bool:
        """Whether the token was taken when the stream began, and has expired since."""
        expired = code is grpc.StatusCode.UNAUTHENTICATED and _reason(error) == "TOKEN_EXPIRED"
        return expired and self._messages > 0


def pause_seconds(failures: int) -> float:
    """Returns how many seconds to wait. `failures`: failures in a row before this one."""
    return random.uniform(0, min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 10), LONGEST_PAUSE_SECONDS))


def _reason(error: Any) -> str:
    """Returns the reason in the status details (google.rpc.ErrorInfo); "" if there is none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                    return str(error_details_pb2.ErrorInfo.FromString(detail.value).reason)
    return ""


async def _next(call: Any, idle_timeout: float) -> pb.WatchSchedulesResponse:
    """Returns the next message. Raises EOFError at the end, TimeoutError after `idle_timeout` seconds."""
    # Not asyncio.wait_for: before Python 3.12 it can swallow the cancellation of its caller.
    reading = asyncio.ensure_future(call.read())
    # Retrieve the exception, so that asyncio does not log it if the caller was cancelled meanwhile.
    reading.add_done_callback(lambda done: done.cancelled() or done.exception())
    # If this times out, the pending read ends when the caller cancels `call`.
    done, _ = await asyncio.wait({reading}, timeout=idle_timeout)
    if not done:
        raise _silent(idle_timeout)
    if reading.cancelled():
        # The caller did not cancel it: then `asyncio.wait` would have raised CancelledError.
        raise grpc.aio.UsageError("the channel was closed")
    message = reading.result()
    if message is grpc.aio.EOF:
        raise EOFError("the server ended the stream")
    told: pb.WatchSchedulesResponse = message
    return told


class _WatchedCall:
    """A stream, and a thread that cancels it if the next message takes too long."""

    def __init__(self, call: Any, idle_timeout: float) -> None:
        self._call = call
        self._idle_timeout = idle_timeout
        self._waits_since: float | None = None
        self._silent = False
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="celeriac-schedule-watch", daemon=True).start()

    def next(self) -> pb.WatchSchedulesResponse:
        """Returns the next message. Raises EOFError at the end, TimeoutError after `idle_timeout` seconds."""
        self._waits_since = time.monotonic()
        try:
            message: pb.WatchSchedulesResponse | None = next(self._call, None)
        except grpc.RpcError:
            if self._silent:
                raise _silent(self._idle_timeout) from None
            raise
        finally:
            self._waits_since = None
        if message is None:
            raise EOFError("the server ended the stream")
        return message

    def end(self) -> None:
        self._ended.set()
        self._call.cancel()

    def _watch(self) -> None:
        # If no message is awaited now, a wait that begins later can't time out before the next check.
        pause = self._idle_timeout
        while not self._ended.wait(pause):
            since = self._waits_since
            pause = self._idle_timeout if since is None else since + self._idle_timeout - time.monotonic()
            if pause <= 0:
                self._silent = True
                self._call.cancel()
                return


def _silent(seconds: float) -> TimeoutError:
    return TimeoutError(f"nothing came for {seconds:g} s, not even a sign of life")
