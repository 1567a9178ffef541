"""Streams that break or fall silent are resumed after the last message of their reader.

`Place` is where the reader is; `next_of` and `WatchedCall` read a stream with a limit on its silence.
`celeriac.schedule_watch` stands on it, and so do the watches of `celeriac.connect()`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

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


class Place:
    """The position of the reader, and the number of failed attempts to continue from there."""

    def __init__(self, method: str, wanted: Any, cursor: str) -> None:
        """`method` is for the log; `wanted` is a request that has everything but the cursor."""
        self.cursor = cursor
        self._method = method
        self._wanted = wanted
        self._failures = 0
        self._messages = 0

    def request(self) -> Any:
        """Returns the request for a stream that starts at this position."""
        self._messages = 0
        request = type(self._wanted)(cursor=self.cursor)
        request.MergeFrom(self._wanted)
        return request

    def move_to(self, message: Any) -> None:
        """Moves the position after the message, which the reader has finished."""
        self.cursor = message.cursor
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
            if code is grpc.StatusCode.FAILED_PRECONDITION and reason_of(failed) == "CURSOR_EXPIRED":
                raise CursorExpired(self.cursor) from error
            if code not in BREAKS and not self._outlived_its_token(code, failed):
                raise error
            told = f"{code.name}: {failed.details()}"
        pause = pause_seconds(self._failures)
        self._failures += 1
        log.warning("%s broke, and is taken up again in %.1f s: %s", self._method, pause, told)
        return pause

    def _outlived_its_token(self, code: grpc.StatusCode, error: Any) -> bool:
        """Whether the token was taken when the stream began, and has expired since."""
        expired = code is grpc.StatusCode.UNAUTHENTICATED and reason_of(error) == "TOKEN_EXPIRED"
        return expired and self._messages > 0


def pause_seconds(failures: int) -> float:
    """Returns how many seconds to wait. `failures`: failures in a row before this one."""
    return random.uniform(0, min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 10), LONGEST_PAUSE_SECONDS))


def reason_of(error: Any) -> str:
    """Returns the reason in the status details (google.rpc.ErrorInfo); "" if there is none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                    return str(error_details_pb2.ErrorInfo.FromString(detail.value).reason)
    return ""


async def next_of(call: Any, idle_timeout: float) -> Any:
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
    return message


class WatchedCall:
    """A stream, and a thread that cancels it if the next message takes too long."""

    def __init__(self, call: Any, idle_timeout: float) -> None:
        self._call = call
        self._idle_timeout = idle_timeout
        self._waits_since: float | None = None
        self._silent = False
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="celeriac-watch", daemon=True).start()

    def next(self) -> Any:
        """Returns the next message. Raises EOFError at the end, TimeoutError after `idle_timeout` seconds."""
        self._waits_since = time.monotonic()
        try:
            message = next(self._call, None)
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
