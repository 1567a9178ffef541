"""A benchmark ends, and nothing of it stays behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.calls import eventually

ROOT = Path(__file__).parents[3]
SECONDS = 30
# As libraries do that are written in C: at the end of the process it waits for a thread that it started.
LIBRARY = """
import atexit, queue, threading
asked, answered = queue.Queue(), queue.Queue()
threading.Thread(target=lambda: answered.put(asked.get()), daemon=True).start()
atexit.register(lambda: (asked.put("end"), answered.get()))
"""
# A daemon: its parent has ended, and it is in a session of its own.
DAEMON = """
import os, subprocess
daemon = int(subprocess.check_output("setsid sleep 1000 > /dev/null & echo $!", shell=True))
print(os.getpid(), daemon, flush=True)
"""


def benchmark(folder: Path, imports: str, measure: str) -> list[str]:
    """The command that runs a benchmark of these lines."""
    script = folder / "script.py"
    body = "\n".join(f"    {line}" for line in measure.strip().splitlines())
    script.write_text(
        f"from benchmarks import supervised\n{imports}\ndef main():\n{body}\n\n"
        'if __name__ == "__main__":\n    supervised.run(main)\n'
    )
    return [sys.executable, str(script)]


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def running(tmp_path: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """One that has left a daemon and measures on."""
    command = benchmark(tmp_path, "", f"{DAEMON}\nimport time\ntime.sleep(1000)")
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_it_ends_though_a_library_waits_for_a_thread_that_it_started_when_imported(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    command = benchmark(tmp_path, LIBRARY, "print('measured')")
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.communicate(timeout=SECONDS)[0] == "measured\n"
    finally:
        for left in psutil.Process(process.pid).children() if process.poll() is None else []:
            left.kill()
        process.kill()
    assert process.returncode == 0


def test_it_ends_as_its_measuring_ends_and_kills_what_that_left(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    command = benchmark(tmp_path, "", f"{DAEMON}\nraise SystemExit(3)")
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=SECONDS)
    assert done.returncode == 3
    _, daemon = map(int, done.stdout.split())
    assert not psutil.pid_exists(daemon)


def test_told_to_end_it_takes_all_along(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    measuring, daemon = map(int, running.stdout.readline().split())
    assert {measuring, daemon} <= set(psutil.pids())
    running.send_signal(signal.SIGTERM)
    assert running.wait(SECONDS) == 128 + signal.SIGTERM
    assert not {measuring, daemon} & set(psutil.pids())


def test_killed_measuring_takes_all_along(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    measuring, daemon = map(int, running.stdout.readline().split())
    os.kill(measuring, signal.SIGKILL)
    assert running.wait(SECONDS) == 256 - signal.SIGKILL
    assert not {measuring, daemon} & set(psutil.pids())


def test_when_the_one_that_waits_is_killed_the_one_that_measures_leaves(
    running: subprocess.Popen[str],
) -> None:
    assert running.stdout is not None
    measuring, daemon = map(int, running.stdout.readline().split())
    running.kill()
    try:
        eventually(lambda: not psutil.pid_exists(measuring), SECONDS)
    finally:
        # Nobody is left to kill it: a benchmark's own daemons are ended by the one that measures.
        os.kill(daemon, signal.SIGKILL)
