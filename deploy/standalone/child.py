"""A child process: passes on its output line by line, waits for its end, and can end it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAUNCH = Path(__file__).with_name("launch.py")
LONGEST_LINE = 1_000_000
# What separates words, where a whole token is one word.
BETWEEN_WORDS = re.compile(rb"[^\w.~+/=%-]+")
LAST_WORDS, LAST_WORDS_BYTES = 3, 20_000


def launched(
    command: Sequence[str], user: str | None, death_signal: signal.Signals = signal.SIGTERM
) -> list[str]:
    """Returns the command run by `launch.py`: as that user (None: ours), and not outliving this process."""
    launcher = [sys.executable, "-E", "-S", str(LAUNCH)]
    return [*launcher, str(os.getpid()), str(int(death_signal)), user or "-", *command]


class Child:
    """A child from `start` or `forked`. It has a session of its own, so that Ctrl-C does not reach it."""

    def __init__(self, pid: int, end: _End, lines: _Lines, send: Callable[[signal.Signals], None]) -> None:
        self.pid = pid
        self._end = end
        self._lines = lines
        self._send = send

    @staticmethod
    async def start(
        command: Sequence[str],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        *,
        user: str | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
        pass_descriptors: Collection[int] = (),
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
            pass_fds=pass_descriptors,
        )
        protocol.end.close = transport.close
        return Child(transport.get_pid(), protocol.end, protocol.lines, transport.send_signal)

    @staticmethod
    async def forked(pid: int, output: int, on_line: Callable[[str], None]) -> Child:
        """A child that is there already; `output` is the pipe to read, whose other end only it has.

        It must have a session of its own. Linux only.
        """
        loop, end, lines = asyncio.get_running_loop(), _End(), _Lines(on_line)
        transport, _ = await loop.connect_read_pipe(lambda: lines, os.fdopen(output, "rb", buffering=0))
        process = os.pidfd_open(pid)

        def ended() -> None:
            loop.remove_reader(process)
            os.close(process)
            _, status = os.waitpid(pid, 0)
            end.is_told(os.waitstatus_to_exitcode(status))

        def send(number: signal.Signals) -> None:
            if end.code is None:
                signal.pidfd_send_signal(process, number)

        loop.add_reader(process, ended)
        end.close = transport.close
        return Child(pid, end, lines, send)

    async def ended(self) -> int:
        """Waits for the end; returns the exit code, or minus the number of the signal that ended it."""
        await self._end.told.wait()
        # Its own children are killed: a pool process without its parent would hold ports and rows.
        self.kill()
        # Its last lines are still in the pipe.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._lines.closed.wait(), 2)
        self._end.close()
        assert self._end.code is not None
        return self._end.code

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._send(number)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class _End:
    """The exit code of a process, once there is one, and what is then to be closed."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.told = asyncio.Event()
        self.close: Callable[[], None] = lambda: None

    def is_told(self, code: int) -> None:
        self.code = code
        self.told.set()


class _Lines(asyncio.Protocol):
    """What comes through a pipe, line by line."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.closed = asyncio.Event()
        self._on_line = on_line
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            end = _where_to_cut(self._rest)
            lines, self._rest = [*lines, self._rest[:end]], self._rest[end:]
        for line in lines:
            self._on_line(line.decode("utf-8", "replace").rstrip("\r"))

    def connection_lost(self, error: Exception | None) -> None:
        if self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""
        self.closed.set()


class _Protocol(asyncio.SubprocessProtocol):
    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.end, self.lines = _End(), _Lines(on_line)
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.lines.data_received(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self.lines.connection_lost(exc)

    def process_exited(self) -> None:
        assert self._transport is not None
        code = self._transport.get_returncode()
        assert code is not None
        self.end.is_told(code)


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
