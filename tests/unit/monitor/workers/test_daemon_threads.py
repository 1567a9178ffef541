"""Calls that block run in a few threads, and the process does not wait for them at its end."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from services.monitor.workers.daemon_threads import DaemonThreads

WAITS = """
import threading
from services.monitor.workers.daemon_threads import DaemonThreads
begun = threading.Event()
DaemonThreads(1, "test").submit(lambda: (begun.set(), threading.Event().wait()))
begun.wait()
"""


def test_a_result_and_an_exception_are_those_of_the_call() -> None:
    threads = DaemonThreads(2, "test")
    assert threads.submit(pow, 2, 10).result(30) == 1024
    with pytest.raises(ValueError, match="invalid literal"):
        threads.submit(int, "x").result(30)
    assert threads.submit(pow, 3, 2).result(30) == 9


def test_no_more_calls_run_at_once_than_there_are_threads() -> None:
    threads, release = DaemonThreads(2, "test"), threading.Event()
    blocked = [threads.submit(release.wait, 30) for _ in range(2)]
    waiting = threads.submit(pow, 2, 2)
    abandoned = threads.submit(pow, 2, 3)
    assert abandoned.cancel()
    assert not waiting.running() and not waiting.done()
    release.set()
    assert [call.result(30) for call in blocked] == [True, True]
    assert waiting.result(30) == 4


def test_a_process_ends_while_a_call_still_blocks() -> None:
    subprocess.run([sys.executable, "-c", WAITS], timeout=60, check=True)
