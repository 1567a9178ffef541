"""Streams of the monitor: one for all sockets that want the same and may read the same.

A stream is asked for with the token of one of those whose sockets it serves, so that the monitor's checks
hold for it as for any caller. When that token ends, the stream goes on with another's. So each message is
received and made into text once, however many sockets it is sent over.

While the monitor can't be reached the sockets stay open, and are told so. When it is back, the stream goes
on after the last cursor; where that is not possible, a new hello tells each that it missed something.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Any

import grpc.aio
import structlog
from celeriac.monitor.v1 import monitoring_pb2_grpc
from celeriac.monitor.v1.alerts_pb2 import ALERT_STATE_FIRING, Alert
from celeriac.monitor.v1.monitoring_pb2 import WatchEventsRequest, WatchEventsResponse

from services.door.live import messages
from services.door.live.listener import Listener
from services.kernel.endings import to_the_end
from services.kernel.errors import CeleriacError, Unavailable
from services.kernel.grpc.refusals import refusal_in
from services.kernel.identity import Role
from services.kernel.loops import Backoff, Heartbeat

log = structlog.get_logger(__name__)

BACKOFF = Backoff(first=0.2, most=5.0)
# How long the monitor may take for its first message, which it sends at once, and for the next one: it sends
# a sign of life each 15 seconds.
FIRST_SECONDS, SILENT_SECONDS = 5.0, 40.0
# Codes that another try would meet again.
FINAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

# What the monitor shows depends on the role alone.
Key = tuple[Role, frozenset[Role], bytes]


class Feed:
    """One stream and those whom it serves."""

    def __init__(
        self, wish: WatchEventsRequest, stub: Any, cursor: str, count_left_out: Callable[[int], None]
    ) -> None:
        """`cursor`: where to begin; empty for now."""
        self.wish = wish
        # Those who are handed what comes, and those who wait for the monitor's first answer.
        self.listeners: set[Listener] = set()
        self.joining: set[Listener] = set()
        # Set when the monitor has answered, or can't be reached for now.
        self.settled = asyncio.Event()
        self.refusal: CeleriacError | None = None
        self.cursor = cursor
        self.resumed = False
        self._stub = stub
        self._count_left_out = count_left_out
        self._away: CeleriacError | None = None
        self._figures = ""
        # The alerts that fire, by their names.
        self._alerts: dict[str, str] = {}
        # Whose tokens the monitor does not take any more.
        self._spent: set[Listener] = set()
        self._expected = asyncio.Event()

    @property
    def unused(self) -> bool:
        return not self.listeners and not self.joining

    def expect(self, listener: Listener) -> None:
        """The listener waits to join, and its token may open the stream."""
        self.joining.add(listener)
        self._expected.set()

    def join(self, listener: Listener, resumed: bool) -> None:
        """Has the listener handed everything after the feed's present cursor."""
        listener.put_first(messages.hello(self.wish, self.cursor, resumed))
        if self._away is not None:
            listener.put_first(messages.error(self._away))
        elif self._figures:
            listener.put_newest("metrics", self._figures)
        if not resumed:
            for name, text in self._alerts.items():
                listener.put_newest(name, text)
        self.listeners.add(listener)

    def part(self, listener: Listener) -> None:
        """Hands the listener nothing more."""
        self.listeners.discard(listener)
        self._spent.discard(listener)

    async def run(self) -> None:
        failures = 0
        while True:
            lender = await self._lender()
            try:
                await self._follow(lender)
                fault: CeleriacError = Unavailable("the monitor")
            except TimeoutError:
                fault = Unavailable("the monitor")
            except grpc.aio.AioRpcError as error:
                fault = refusal_in(error, "the monitor")
                if self.cursor and error.code() in FINAL:
                    # It may be the cursor alone that is refused: too old, or none that the monitor gave.
                    self.cursor = ""
                    continue
                if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                    if lender in self.listeners or lender in self.joining:
                        self._spent.add(lender)
                        lender.fail(fault)
                    continue
                if error.code() in FINAL:
                    self._refuse(fault)
                    return
            failures = 1 if self._away is None else failures + 1
            self._tell_away(fault)
            await asyncio.sleep(BACKOFF.after(failures))

    async def _lender(self) -> Listener:
        """Returns somebody whose token opens the stream; waits for one."""
        while True:
            for listener in (*self.listeners, *self.joining):
                if listener not in self._spent:
                    return listener
            self._expected.clear()
            await self._expected.wait()

    async def _follow(self, lender: Listener) -> None:
        request = WatchEventsRequest()
        request.CopyFrom(self.wish)
        request.cursor = self.cursor
        stream = self._stub.WatchEvents(
            request, metadata=(("authorization", f"Bearer {lender.caller.token}"),)
        )
        opened = False
        try:
            async for response in _in_time(stream):
                self.cursor = response.cursor
                if not opened:
                    opened = True
                    self._open(resumed=bool(request.cursor))
                self._tell(response)
        finally:
            stream.cancel()

    def _open(self, resumed: bool) -> None:
        self._away, self.resumed = None, resumed
        if not resumed:
            # Those that fire are told anew.
            self._alerts.clear()
        self.settled.set()
        for listener in self.listeners:
            listener.put_first(messages.hello(self.wish, self.cursor, resumed))

    def _tell(self, response: WatchEventsResponse) -> None:
        if response.left_out_count:
            text = messages.skipped(response.left_out_count)
            self._put_tasks(text, response.left_out_count)
        match response.WhichOneof("event"):
            case "metrics":
                self._figures = figures = messages.told("metrics", response.metrics, response.cursor)
                self._each(lambda listener: listener.put_newest("metrics", figures))
            case "worker":
                worker = messages.told("worker", response.worker, response.cursor)
                self._each(lambda listener: listener.put_newest(response.worker.name, worker))
            case "alert":
                self._tell_alert(response.alert, messages.told("alert", response.alert, response.cursor))
            case "tasks":
                tasks = messages.told("tasks", response.tasks, response.cursor)
                self._put_tasks(tasks, len(response.tasks.tasks))

    def _tell_alert(self, alert: Alert, text: str) -> None:
        if alert.state == ALERT_STATE_FIRING:
            self._alerts[alert.name] = text
        else:
            self._alerts.pop(alert.name, None)
        self._each(lambda listener: listener.put_newest(alert.name, text))

    def _put_tasks(self, text: str, changes: int) -> None:
        self._count_left_out(sum(listener.put_tasks(text, changes) for listener in self.listeners))

    def _each(self, do: Callable[[Listener], None]) -> None:
        for listener in self.listeners:
            do(listener)

    def _tell_away(self, fault: CeleriacError) -> None:
        if self._away is None:
            log.warning("feed.away", reason=fault.reason, why=fault.message)
            self._away = fault
            text = messages.error(fault)
            self._each(lambda listener: listener.put_first(text))
        self.settled.set()

    def _refuse(self, fault: CeleriacError) -> None:
        self.refusal = fault
        self.settled.set()
        self._each(lambda listener: listener.fail(fault))


async def _in_time(stream: AsyncIterable[WatchEventsResponse]) -> AsyncIterator[WatchEventsResponse]:
    """Yields the messages of a stream; raises TimeoutError when none comes in time."""
    responses, seconds = aiter(stream), FIRST_SECONDS
    while True:
        async with asyncio.timeout(seconds):
            try:
                response = await anext(responses)
            except StopAsyncIteration:
                return
        yield response
        seconds = SILENT_SECONDS


class Feeds:
    """All feeds of this process. `run` holds their tasks: it must be there before the first subscription."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        # Any: the stub is typed for blocking calls.
        self._stub: Any = monitoring_pb2_grpc.MonitoringServiceStub(channel)
        self._group = asyncio.TaskGroup()
        self._feeds: dict[Key, tuple[Feed, asyncio.Task[None]]] = {}
        self._of: dict[Listener, Key] = {}
        # Changes of tasks left out, over all sockets, since the start.
        self.left_out_total = 0

    def __len__(self) -> int:
        return len(self._feeds)

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        """A feed waits for the monitor, without a limit of time."""
        return ()

    async def run(self) -> None:
        async with self._group:
            await asyncio.get_running_loop().create_future()

    async def subscribe(self, listener: Listener, wish: WatchEventsRequest, cursor: str = "") -> None:
        """Replaces what the listener is handed. Raises what the monitor refuses the wish with.

        Then the listener is still handed what it was before. `cursor`: the last one that the client had.
        """
        caller = listener.caller.identity
        key = (caller.role, caller.beside, wish.SerializeToString(deterministic=True))
        feed, begun = self._feed(key, wish, cursor)
        feed.expect(listener)
        try:
            await feed.settled.wait()
            if feed.refusal is not None:
                raise feed.refusal
            self.leave(listener)
            listener.forget()
            feed.join(listener, bool(cursor) and (feed.resumed if begun else cursor == feed.cursor))
            self._of[listener] = key
        finally:
            feed.joining.discard(listener)
            if self._feeds.get(key, (None,))[0] is feed:
                self._end_if_unused(key)

    def leave(self, listener: Listener) -> None:
        """Hands the listener nothing more."""
        key = self._of.pop(listener, None)
        if key is not None:
            self._feeds[key][0].part(listener)
            self._end_if_unused(key)

    def _feed(self, key: Key, wish: WatchEventsRequest, cursor: str) -> tuple[Feed, bool]:
        """Returns the feed, and whether it begins with this listener."""
        if key in self._feeds:
            return self._feeds[key][0], False
        feed = Feed(wish, self._stub, cursor, self._count_left_out)
        self._feeds[key] = feed, self._group.create_task(to_the_end(feed.run()), name="feed")
        return feed, True

    def _count_left_out(self, changes: int) -> None:
        self.left_out_total += changes

    def _end_if_unused(self, key: Key) -> None:
        feed, task = self._feeds[key]
        if feed.unused:
            del self._feeds[key]
            task.cancel()
