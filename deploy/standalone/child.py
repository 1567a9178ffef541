"""A child process: passes on its output line by line, waits for its end, and can end it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAUNCH = Path(__file__).with_name("launch.py")
LONGEST_LINE = 1_000_000
# What separates words, where a whole token is one word.
BETWEEN_WORDS = re.compile(rb"[^\w.~+/=%-]+")
LAST_WORDS, LAST_WORDS_BYTES = 3, 20_000


def launched(
    command: tuple[str, ...], user: str | None, death_signal: signal.Signals = signal.SIGTERM
) -> list[str]:
    """Returns the command run by `launch.py`: as that user (None: ours), and not outliving this process."""
    launcher = [sys.executable, "-E", "-S", str(LAUNCH)]
    return [*launcher, str(os.getpid()), str(int(death_signal)), user or "-", *command]


class Child:
    """A child from `start`. It has its own session, so that Ctrl-C at the terminal does not reach it."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self.pid = transport.get_pid()

    @staticmethod
    async def start(
        command: tuple[str, ...],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        *,
        user: str | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
    ) -> Child:
        """`death_signal` is the signal that the child gets from the kernel when this process dies (Linux)."""
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Protocol(on_line),
            *launched(command, user, death_signal),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environment),
            cwd=ROOT,
            start_new_session=True,
        )
        return Child(transport, protocol)

    async def ended(self) -> int:
        """Waits for the end; returns the exit code, or minus the number of the signal that ended it."""
        await asyncio.shield(self._protocol.exited)
        # Its own children are killed: a pool process without its parent would hold ports and rows.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        # Its last lines are still in the pipe.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._protocol.closed), 2)
        self._transport.close()
        code = self._transport.get_returncode()
        assert code is not None
        return code

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._transport.send_signal(number)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class _Protocol(asyncio.SubprocessProtocol):
    def __init__(self, on_line: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._on_line = on_line
        self._rest = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            end = _where_to_cut(self._rest)
            lines, self._rest = [*lines, self._rest[:end]], self._rest[end:]
        for line in lines:
            self._on_line(line.decode("utf-8", "replace").rstrip("\r"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""
        if not self.closed.done():
            self.closed.set_result(None)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)


def _where_to_cut(line: bytes) -> int:
    """Returns where to cut an endless line: before its last words, which may be an incomplete token.

    Half a token would not be recognised as one, nor one without the "authorization: Bearer" before it.
    """
    ends = [found.start() for found in BETWEEN_WORDS.finditer(line, len(line) - LAST_WORDS_BYTES)]
    return ends[-LAST_WORDS] if len(ends) >= LAST_WORDS else len(line)


def told(code: int) -> str:
    """Returns an exit code in words: "ended with code 1", "was killed by SIGKILL"."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
