"""How a process asks its nursery for a start. All of it blocks; the caller may be any thread. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

MODULE = "deploy.standalone.nursery"
NUMBER_BYTES, MOST_BYTES = 4, 1 << 20
# What a nursery says once it has imported all; a child says the same once it is its parent's.
READY = b"\1"
# In place of a process id.
UNABLE = 0
# To import everything takes some seconds of a processor, and a start some hundredths of one.
ANSWER_SECONDS = 60.0
# prctl(2).
SET_CHILD_SUBREAPER, GET_CHILD_SUBREAPER = 36, 37


class Unable(Exception):
    """The nursery can't start this process, so it is to be started in another way. The text says why."""


class Nursery:
    """A process that `command` started as a child of this one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment`: that of the nursery's own process."""
        self._socket, self.theirs = socket.socketpair()
        self._socket.settimeout(ANSWER_SECONDS)
        self._read_at_start = _read_at_start(environment)
        self._ready = False
        self._lock = threading.Lock()
        # False after its end, or when an answer is overdue: it can't be asked any more.
        self.usable = True

    def command(self, imports: Sequence[str]) -> list[str]:
        """Returns the command of the process; it must inherit the descriptor of `theirs`."""
        return [sys.executable, "-m", MODULE, str(self.theirs.fileno()), *imports]

    def wait_until_ready(self) -> None:
        """Waits until it has imported everything. Raises `Unable` if it ends before."""
        with self._lock, self._answered():
            if not self._ready:
                self._ready = self._received(len(READY)) == READY

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: int,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> int:
        """Runs `python -m module …`, and returns the id of this new child of the calling process.

        It has a session of its own. `output` is the descriptor of its standard output and error. The kernel
        sends it `death_signal` when the calling process dies. Raises `Unable`.
        """
        if _read_at_start(environment) != self._read_at_start:
            raise Unable("it has variables that Python reads when it starts, other than the nursery's")
        told = {"module": module, "arguments": arguments, "env": dict(environment)}
        message = json.dumps({**told, "death_signal": int(death_signal)}).encode()
        if len(message) > MOST_BYTES:
            raise Unable(f"its environment has more than {MOST_BYTES} bytes")
        self.wait_until_ready()
        with self._lock, self._answered(), _taking_in_orphans():
            self._socket.sendall(len(message).to_bytes(NUMBER_BYTES, "big") + message)
            socket.send_fds(self._socket, [b"\0"], [output])
            pid = int.from_bytes(self._received(NUMBER_BYTES), "big")
        if pid == UNABLE:
            raise Unable("the system did not give it to this process as its child")
        return pid

    def close(self) -> None:
        """Ends the nursery; what it has started goes on."""
        self.usable = False
        self._socket.close()
        self.theirs.close()

    def _received(self, count: int) -> bytes:
        found = self._socket.recv(count, socket.MSG_WAITALL)
        if len(found) < count:
            raise ConnectionError("it has ended")
        return found

    @contextlib.contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.usable = False
            raise Unable(f"the nursery does not answer: {error}") from None


@contextlib.contextmanager
def _taking_in_orphans() -> Iterator[None]:
    """Meanwhile the kernel gives orphans among this process's descendants to it (a "child subreaper").

    Only for as long as a start takes: nobody here waits for the orphans that others leave behind.
    """
    library, before = ctypes.CDLL(None, use_errno=True), ctypes.c_int()
    if library.prctl(GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0):
        raise Unable(f"this system gives orphans to no process: {os.strerror(ctypes.get_errno())}")
    library.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        library.prctl(SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that only the start of an interpreter heeds."""
    return {name: value for name, value in environment.items() if name.startswith("PYTHON")}
