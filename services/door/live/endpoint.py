"""The path of the WebSocket, and the life of one socket."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from services.door.callers import Callers, refuse_other_sites
from services.door.live import messages
from services.door.live.feeds import Feeds
from services.door.live.listener import Listener
from services.door.live.wishes import USUAL, Ping, wish_in
from services.kernel.endings import end
from services.kernel.errors import CeleriacError, Invalid
from services.kernel.grpc.access import refusal_to
from services.kernel.policy import policies_of
from services.kernel.token_life import TokenLife

log = structlog.get_logger(__name__)

MONITORING = "celeriac.monitor.v1.MonitoringService"
MOST_SOCKETS = 50
# A client may say so much in this time: people who click through filters say less.
MOST_MESSAGES, MESSAGES_SECONDS = 20, 10.0
# How long a client that does not read may keep its socket from being closed.
CLOSE_SECONDS = 5.0
CURSOR_LENGTH = 500


class Close(NamedTuple):
    """Why a socket is closed: a code of RFC 6455, section 7.4, and a text of at most 123 bytes."""

    code: int
    reason: str


TOO_MANY_SOCKETS = Close(1013, f"TOO_MANY_SOCKETS: {MOST_SOCKETS} are open for this subject; close one")
TOO_MANY_MESSAGES = Close(
    1008, f"TOO_MANY_MESSAGES: at most {MOST_MESSAGES} in {MESSAGES_SECONDS:g} s are read; connect again"
)
BYTES_NOT_READ = Close(1003, "BYTES_NOT_READ: send JSON as text")
# The client has gone, or closes by itself.
GONE = Close(1000, "")


class Live:
    """Answers `paths.LIVE`, for those who may call the monitor's WatchEvents."""

    def __init__(self, callers: Callers, tokens: TokenLife, feeds: Feeds) -> None:
        self._callers = callers
        self._tokens = tokens
        self._feeds = feeds
        self._policy = policies_of([MONITORING])[f"/{MONITORING}/WatchEvents"]
        self._open = Counter[str]()

    @property
    def sockets(self) -> int:
        """The number of sockets that are open."""
        return self._open.total()

    async def live(self, socket: WebSocket) -> None:
        """Raises a `CeleriacError`, the answer in place of the upgrade, if the caller may not open it."""
        listener = self._admitted(socket)
        offered = socket.scope["subprotocols"]
        await socket.accept(messages.SUBPROTOCOL if messages.SUBPROTOCOL in offered else None)
        with self._counted(listener.caller.identity.subject) as count:
            over = count > MOST_SOCKETS
            await self._close(socket, TOO_MANY_SOCKETS if over else await self._live(socket, listener))

    def _admitted(self, socket: WebSocket) -> Listener:
        caller = self._callers.needed(socket)
        refuse_other_sites(socket)
        refusal = refusal_to(caller.identity, self._policy)
        if refusal is not None:
            raise refusal
        return Listener(caller)

    @contextmanager
    def _counted(self, subject: str) -> Iterator[int]:
        self._open[subject] += 1
        try:
            yield self._open[subject]
        finally:
            self._open[subject] -= 1
            self._open += Counter()  # forgets who has none

    async def _live(self, socket: WebSocket, listener: Listener) -> Close:
        """Serves the socket; returns why it is to be closed."""
        reading = asyncio.create_task(self._read(socket, listener))
        writing = asyncio.create_task(_write(socket, listener))
        ending = asyncio.create_task(self._end_of_token(listener))
        tasks: list[asyncio.Task[Close]] = [reading, writing, ending]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._feeds.leave(listener)
            await end(tasks)
        return next(task for task in tasks if task in done).result()

    async def _end_of_token(self, listener: Listener) -> Close:
        return _refused(await self._tokens.ended(listener.caller.identity))

    async def _read(self, socket: WebSocket, listener: Listener) -> Close:
        """Does what the client asks for. At first it gets the usual."""
        recent = deque[float](maxlen=MOST_MESSAGES)
        cursor = socket.query_params.get("cursor", "")[:CURSOR_LENGTH]
        try:
            await self._feeds.subscribe(listener, USUAL, cursor)
            while True:
                text = await _said(socket)
                if text is None:
                    return BYTES_NOT_READ
                if len(recent) == MOST_MESSAGES and time.monotonic() - recent[0] < MESSAGES_SECONDS:
                    return TOO_MANY_MESSAGES
                recent.append(time.monotonic())
                await self._obey(text, listener)
        except WebSocketDisconnect:
            return GONE
        except CeleriacError as error:
            return _refused(error)

    async def _obey(self, text: str, listener: Listener) -> None:
        try:
            wish = wish_in(text)
            if isinstance(wish, Ping):
                listener.put_first(messages.pong())
            else:
                cursor, wish.cursor = wish.cursor[:CURSOR_LENGTH], ""
                await self._feeds.subscribe(listener, wish, cursor)
        except Invalid as error:
            listener.put_first(messages.error(error))

    async def _close(self, socket: WebSocket, close: Close) -> None:
        log.info("socket.closed", close_code=close.code, reason=close.reason.partition(":")[0])
        if WebSocketState.DISCONNECTED in (socket.client_state, socket.application_state):
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close(close.code, close.reason)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            log.info("socket.not_closed", close_code=close.code)


async def _said(socket: WebSocket) -> str | None:
    """Returns the client's next message; None for one of bytes. Raises `WebSocketDisconnect`."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"], message.get("reason"))
    text: str | None = message.get("text")
    return text


async def _write(socket: WebSocket, listener: Listener) -> Close:
    try:
        while True:
            text = await listener.next_text(60.0)
            if text is not None:
                await socket.send_text(text)
    except (WebSocketDisconnect, RuntimeError):
        return GONE
    except CeleriacError as error:
        return _refused(error)


def _refused(error: CeleriacError) -> Close:
    code = 4401 if error.reason.startswith("TOKEN_") else 4403
    return Close(code, f"{error.reason}: {error.message}".encode()[:123].decode(errors="ignore"))
