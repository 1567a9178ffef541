"""A client of the WebSocket, as a program has it."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

from websockets.sync.client import ClientConnection, connect

from services.door.live.messages import SUBPROTOCOL
from services.door.paths import LIVE

DEADLINE_SECONDS = 20.0


class Socket:
    """Keeps every message that it has read."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []

    def say(self, message: Any) -> None:
        self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def next(self, kind: str, wanted: Callable[[Any], bool] = lambda _: True) -> dict[str, Any]:
        """Reads until a message of this type with such data comes, and returns it."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            text = self.connection.recv(timeout=deadline - time.monotonic())
            message: dict[str, Any] = json.loads(text)
            self.seen.append(message)
            if message["type"] == kind and wanted(message["data"]):
                return message

    def closed(self) -> tuple[int | None, str | None]:
        """Reads until the server closes the socket; returns its code and its reason."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        with contextlib.suppress(Exception):
            while True:
                self.seen.append(json.loads(self.connection.recv(timeout=deadline - time.monotonic())))
        return self.connection.close_code, self.connection.close_reason


@contextlib.contextmanager
def open_socket(
    port: int, context: ssl.SSLContext, token: str = "", query: str = "", **headers: str
) -> Iterator[Socket]:
    """Opens the WebSocket; "_" in the names of headers stands for "-". Raises `InvalidStatus` if refused."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["authorization"] = f"Bearer {token}"
    with connect(
        f"wss://127.0.0.1:{port}{LIVE}{query}",
        ssl=context,
        additional_headers=sent,
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
        max_size=16 * 1024 * 1024,
        # The server's pings are what is tested.
        ping_interval=None,
        proxy=None,
    ) as connection:
        yield Socket(connection)
