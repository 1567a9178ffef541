"""The health of the door, asked over HTTP and mutual TLS: it answers no gRPC calls."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import NoReturn, cast

from services import DOOR
from services.kernel.certificates import Certificates, tls_context
from services.monitor.system.components import Finding, Followed, Health

# As the gateway asks it.
READY = "/readyz"
NAME = f"{DOOR}.celeriac.internal"
REQUEST = f"GET {READY} HTTP/1.1\r\nhost: {NAME}\r\n\r\n".encode()
# The status of an answer, and the length of what follows its header.
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
MOST_BYTES = 64 * 1024


def door(replicas: str, certificates: Certificates) -> Followed:
    """Returns how each replica of the door ("host:port,…") is asked whether it serves."""
    asked = _Door(replicas.split(","), certificates)
    return Followed(asked.look, asked.follow)


class _Door:
    """Its replicas, with a connection to each that stays open between two looks.

    A TLS handshake is most of what a look takes, on both sides. And the end of a replica ends the connection,
    which tells of it at once.
    """

    def __init__(self, replicas: list[str], certificates: Certificates) -> None:
        self._replicas = replicas
        self._certificates = certificates
        self._context: tuple[int, ssl.SSLContext] | None = None
        self._connections: dict[str, _Connection] = {}
        self._changed = asyncio.Event()

    async def look(self) -> Finding:
        faults = [fault for replica in self._replicas if (fault := await self._fault_of(replica))]
        if not faults:
            return Finding(Health.HEALTHY, "serving")
        health = Health.UNHEALTHY if len(faults) == len(self._replicas) else Health.DEGRADED
        return Finding(health, "; ".join(faults), asked=False)

    async def follow(self, changed: asyncio.Event) -> NoReturn:
        """Sets the event whenever a connection ends; ends all of them when it is cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                changed.set()
        finally:
            self._end_all()

    async def _fault_of(self, replica: str) -> str:
        """Returns what is wrong with a replica; "" if nothing is."""
        try:
            status = await self._status_of(replica)
        except OSError as error:
            return f"{replica}: {error.strerror or error}"
        return "" if status == 200 else f"{replica}: it says that it does not serve: it starts or stops"

    async def _status_of(self, replica: str) -> int:
        context = self._newest_context()
        kept = self._connections.get(replica)
        if kept is not None and not kept.ended:
            try:
                return await kept.status()
            except OSError:
                # It was closed at that moment; only a new one tells whether the replica is there.
                pass
        host, _, port = replica.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self._changed.set),
            host.strip("[]"),
            int(port),
            ssl=context,
            server_hostname=NAME,
        )
        self._connections[replica] = connection
        return await connection.status()

    def _newest_context(self) -> ssl.SSLContext:
        """Returns the context with the certificate of now; ends connections with one before it."""
        pem = self._certificates.newest()
        if self._context is None or self._context[0] != self._certificates.version:
            self._context = self._certificates.version, tls_context(pem, ssl.PROTOCOL_TLS_CLIENT)
            self._end_all()
        return self._context[1]

    def _end_all(self) -> None:
        for connection in self._connections.values():
            connection.end()
        self._connections.clear()


class _Connection(asyncio.Protocol):
    """One connection, on which one question at a time is asked."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self.ended = False
        self._on_end = on_end
        self._received = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    async def status(self) -> int:
        """Asks, and returns the HTTP status of the answer. Raises OSError when the connection ends."""
        assert self._transport is not None
        self._answer, self._received = asyncio.get_running_loop().create_future(), b""
        self._transport.write(REQUEST)
        try:
            return await self._answer
        except BaseException:
            # An answer that comes too late must not be taken for that to the next question.
            self.end()
            raise
        finally:
            self._answer = None

    def end(self) -> None:
        self.ended = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of TLS over TCP it is one; uvloop's is of a class of its own.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ends, body = self._received.partition(b"\r\n\r\n")
        if self._answer is None or self._answer.done() or len(self._received) > MOST_BYTES:
            self.end()
            return
        status, length = STATUS.match(head), LENGTH.search(head + b"\r\n")
        if ends and len(body) >= (int(length[1]) if length else 0):
            self._answer.set_result(int(status[1]) if status else 0)

    def connection_lost(self, error: Exception | None) -> None:
        # Also the transport's own end: it would warn that nobody closed it.
        self.end()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(
                error if isinstance(error, OSError) else ConnectionResetError("it closed")
            )
        self._on_end()
