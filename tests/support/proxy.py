"""A TCP proxy that can lose a connection in every way that a network does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

from tests.support.ports import free_port

CHUNK = 65536


class Proxy:
    """Passes connections on to a port of this machine, from a thread of its own."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.target = target
        self._loop = asyncio.new_event_loop()
        self._links: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self._requests, self._replies = asyncio.Event(), asyncio.Event()

    def cut(self) -> None:
        """Connections are reset, and new ones are not accepted."""
        self._do(lambda: setattr(self, "_is_cut", True), self._reset)

    def deafen(self) -> None:
        """Requests arrive and are carried out; nobody hears the answer."""
        self._do(self._replies.clear)

    def hang(self) -> None:
        """Nothing passes, and nobody is told."""
        self._do(self._requests.clear, self._replies.clear)

    def go_on(self) -> None:
        """What was held back passes."""
        self._do(self._requests.set, self._replies.set)

    def heal(self) -> None:
        """What was held back is lost with its connection; new ones pass."""
        # The gates open only after the connections have ended: what was just read would pass otherwise.
        asyncio.run_coroutine_threadsafe(self._end_links(), self._loop).result(10)
        self._do(self._requests.set, self._replies.set, lambda: setattr(self, "_is_cut", False))

    def _do(self, *steps: Callable[[], object]) -> None:
        async def in_the_loop() -> None:
            for step in steps:
                step()

        asyncio.run_coroutine_threadsafe(in_the_loop(), self._loop).result(10)

    async def _end_links(self) -> None:
        links = list(self._links)
        self._reset()
        await asyncio.gather(*links, return_exceptions=True)

    def _reset(self) -> None:
        for link in self._links:
            link.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            if not self._is_cut:
                await self._pass(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.target)
        pumps = [
            asyncio.ensure_future(_pump(reader, to_writer, self._requests)),
            asyncio.ensure_future(_pump(to_reader, writer, self._replies)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_writer.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", self.port))
        self._requests.set()
        self._replies.set()
        ready.set()
        self._loop.run_forever()
        server.close()
        self._reset()
        self._loop.run_until_complete(asyncio.gather(*self._links, return_exceptions=True))
        self._loop.close()

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        ready = threading.Event()
        thread = threading.Thread(target=self._serve, args=(ready,), name="proxy", daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
    while chunk := await reader.read(CHUNK):
        await gate.wait()
        writer.write(chunk)
        await writer.drain()
