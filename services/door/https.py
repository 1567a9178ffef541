"""An HTTP server over mutual TLS, which stops when its requests have ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from services.kernel.certificates import Certificates, tls_context
from services.kernel.settings import KernelSettings

log = structlog.get_logger(__name__)

# The gateway's limit is 128 KiB, and it adds some headers.
MOST_HEADER_BYTES = 192 * 1024
# Longer than the gateway keeps an idle connection (60 s): the door never closes one that is about to be used.
KEEP_ALIVE_SECONDS = 90
MOST_MESSAGE_BYTES = 64 * 1024
# How often a client of a WebSocket is asked whether it is there, and how long it may take to answer: a slow
# one first reads all that was sent before.
PING_SECONDS, PONG_SECONDS = 20.0, 60.0


@asynccontextmanager
async def listening(app: ASGIApp, settings: KernelSettings) -> AsyncIterator[None]:
    """Answers requests until it is left; then lets those under way end, for `shutdown_grace` seconds.

    A client must have a certificate of the system's authority, as the gateway has.
    """
    host, _, port = settings.listen.rpartition(":")
    with _bound(host.strip("[]"), int(port)) as taken:
        logging.getLogger("uvicorn.error").addFilter(_tells_a_fault)
        server = _Server(_configuration(app, Certificates(settings), settings.shutdown_grace))
        serving = asyncio.create_task(server.serve([taken]), name="http")
        try:
            await server.accepting.wait()
            log.info("http.listening", address=settings.listen)
            yield
        finally:
            server.ending.set()
            await serving


def _tells_a_fault(record: logging.LogRecord) -> bool:
    """Leaves out that a WebSocket was not opened: uvicorn says so of each that was refused by an answer."""
    return record.msg != "ASGI callable returned without completing handshake."


class _Server(uvicorn.Server):
    """Uvicorn's server without its signal handlers, which belong to the process, and without its ticking.

    Its own main loop looks ten times a second whether it is to end, which an idle system would pay for.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting, self.ending = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.accepting.set()
        await self.ending.wait()


def _configuration(app: ASGIApp, certificates: Certificates, grace: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        lifespan="off",
        interface="asgi3",
        http="h11",
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PONG_SECONDS,
        # It would take 60 kB and most of the CPU of each socket; within a data centre bytes cost less.
        ws_per_message_deflate=False,
        # The gateway writes the date, and the caller's address is read where it is needed.
        date_header=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        access_log=False,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(grace),
        ssl_context_factory=lambda *_: _renewed(certificates),
    )


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """Takes the port; raises SystemExit if it can't."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
        except OSError as error:
            at = f"{host}:{port} (CELERIAC_LISTEN)"
            raise SystemExit(f"can't listen on {at}: is the port taken? ({error.strerror})") from None
        yield taken
    finally:
        taken.close()


def _renewed(certificates: Certificates) -> ssl.SSLContext:
    """Returns a context whose handshakes use the certificate and the authority of that moment."""
    pem = certificates.newest()
    made = {certificates.version: tls_context(pem, ssl.PROTOCOL_TLS_SERVER)}

    def choose(connection: ssl.SSLObject, _name: str | None, _context_: ssl.SSLContext) -> None:
        pem = certificates.newest()
        if certificates.version not in made:
            made.clear()
            made[certificates.version] = tls_context(pem, ssl.PROTOCOL_TLS_SERVER)
        connection.context = made[certificates.version]

    first = made[certificates.version]
    first.sni_callback = choose
    return first
