"""A client of the WebSocket, as a program has it.

It runs on an event loop in a thread of its own: the blocking client of `websockets` reads and writes one TLS
connection in two threads, which Python 3.11 does not protect, and then it hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.door.live.messages import SUBPROTOCOL
from services.door.paths import LIVE

DEADLINE_SECONDS = 20.0

Result = TypeVar("Result")


class _Loop:
    """The event loop, which runs from the first socket until the tests end."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="sockets", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * DEADLINE_SECONDS)


LOOP = _Loop()


class Socket:
    """Keeps every message that it has read."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []

    def say(self, message: Any) -> None:
        LOOP.run(self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message)))

    def next(self, kind: str, wanted: Callable[[Any], bool] = lambda _: True) -> dict[str, Any]:
        """Reads until a message of this type with such data comes, and returns it."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            message: dict[str, Any] = json.loads(LOOP.run(self._read(deadline)))
            self.seen.append(message)
            if message["type"] == kind and wanted(message["data"]):
                return message

    def closed(self) -> tuple[int | None, str | None]:
        """Reads until the server closes the socket; returns its code and its reason."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.seen.append(json.loads(LOOP.run(self._read(deadline))))
        return self.connection.close_code, self.connection.close_reason

    def close(self) -> None:
        LOOP.run(self.connection.close())

    async def _read(self, deadline: float) -> str | bytes:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await self.connection.recv()


@contextlib.contextmanager
def open_socket(
    port: int, context: ssl.SSLContext, token: str = "", query: str = "", **headers: str
) -> Iterator[Socket]:
    """Opens the WebSocket; "_" in the names of headers stands for "-". Raises `InvalidStatus` if refused."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["authorization"] = f"Bearer {token}"

    async def opened() -> ClientConnection:
        return await connect(
            f"wss://127.0.0.1:{port}{LIVE}{query}",
            ssl=context,
            additional_headers=sent,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
            max_size=16 * 1024 * 1024,
            open_timeout=DEADLINE_SECONDS,
            # The server's pings are what is tested.
            ping_interval=None,
            close_timeout=2,
            proxy=None,
        )

    socket = Socket(LOOP.run(opened()))
    try:
        yield socket
    finally:
        socket.close()
