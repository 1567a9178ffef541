"""Processes of nurseries end with the test run, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.forked import ROOT

# A test run: it prints its child's id, and stops the child when it is interrupted.
RUN = """
import os, signal, sys, time
from tests.support.forked import Nursery
# As in a terminal; a shell's background jobs and nohup have these signals ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
nursery = Nursery([])
child = nursery.start("http.server", ["0"], os.environ, sys.stderr.buffer)
try:
    print(child.pid, flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    child.terminate()
    print(child.wait(10), flush=True)
"""


@contextmanager
def a_run() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A run in a process group of its own, as a terminal gives it, and its child's id."""
    command, null = [sys.executable, "-c", RUN], subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=null, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        yield run, int(run.stdout.readline())


def gone(pid: int) -> bool:
    """Whether the process has ended; it may still wait for somebody to ask how."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        stat = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
        if not stat or stat.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_leaves_the_stopping_to_the_run() -> None:
    with a_run() as (run, child):
        os.killpg(run.pid, signal.SIGINT)
        said, _ = run.communicate(timeout=20)
    assert gone(child)
    assert said == f"{-signal.SIGTERM}\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_killed_leaves_nothing(number: signal.Signals) -> None:
    with a_run() as (run, child):
        os.killpg(run.pid, number)
    assert gone(child)
