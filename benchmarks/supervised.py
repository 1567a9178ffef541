"""Runs a benchmark so that nothing of it stays behind, however it ends.

Two processes: one measures, in a session of its own; the other waits for it, hands signals on, and in the end
kills whatever the first one started and left. The one that measures is started, not forked: a fork would lack
the threads that the benchmark's libraries have started by then, and wait for them at its end for ever.

Killed with -9, too:

- the one that waits: the kernel then sends SIGTERM to the one that measures, which cleans up after itself;
- the one that measures: what it started becomes a child of the one that waits (also a daemon, as PostgreSQL
  is), which kills it;
- make: the kernel sends SIGTERM to the one that waits.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

import psutil

# prctl(2).
SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Tells the process that measures the id of the one that waits.
WAITING = "CELERIAC_BENCHMARK_WAITING"
# How long what measures may take to clean up.
LEAVE_SECONDS = 60


def run(measure: Callable[[], None]) -> None:
    """Starts this command anew, measures there, and ends with its exit status."""
    waiting = os.environ.pop(WAITING, None)
    if waiting is not None:
        _measure(measure, int(waiting))
        return
    _prctl(SET_CHILD_SUBREAPER, 1)
    if "MAKELEVEL" in os.environ:
        _prctl(SET_PDEATHSIG, signal.SIGTERM)
    command = [sys.executable, *sys.orig_argv[1:]]
    measuring = os.posix_spawn(sys.executable, command, {**os.environ, WAITING: str(os.getpid())})
    _hand_signals_on(measuring)
    status = _wait(measuring)
    _kill_what_remains()
    sys.exit(os.waitstatus_to_exitcode(status) % 256)


def _measure(measure: Callable[[], None], waiting: int) -> None:
    os.setsid()
    _prctl(SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, _leave)
    if os.getppid() != waiting:
        _leave(signal.SIGTERM)
    measure()


def _leave(number: int, _: FrameType | None = None) -> None:
    """Ends as an exception does, so that all is cleaned up; once."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    raise SystemExit(128 + number)


def _hand_signals_on(measuring: int) -> None:
    def end(*_: object) -> None:
        os.kill(measuring, signal.SIGTERM)
        signal.alarm(LEAVE_SECONDS)

    for number in SIGNALS:
        # nohup has SIGHUP ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(measuring, signal.SIGKILL))


def _wait(measuring: int) -> int:
    """The exit status of what measures; meanwhile orphans come and go."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == measuring:
            return status


def _kill_what_remains() -> None:
    """Until nothing is left: what is killed may leave orphans, too."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            os.waitpid(-1, 0)


def _prctl(option: int, value: int) -> None:
    # Linux only; elsewhere signals are handed on all the same.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
