"""Processes of our own commands, forked from a process that has imported what they import.

A service needs a second of a processor for its imports, and a test run starts some hundred services. So
they are forked from nurseries, as those of `make up` are (deploy/standalone/nursery). The starts of `make up`
itself and of other commands are real ones, and so are all in benchmarks, which have no nurseries: they
measure the memory of a process.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from deploy.standalone.nursery import client
from deploy.standalone.nursery.imports import OF_CELERY, OF_SERVICES

ROOT = Path(__file__).parents[2]
IMPORTS: Mapping[str, Sequence[str]] = {
    **OF_SERVICES,
    "tests.support.bigram_embedder": [
        "services.embedder.serving",
        "services.embedder.bulk.tasks",
        *OF_CELERY,
    ],
    "tests.support.celery_workers": ["celery", "tests.support.calls", *OF_CELERY],
}


class Forked:
    """A process of a nursery; it is used as a `subprocess.Popen` is."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._process = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._process, selectors.EVENT_READ)
                if not selector.select(seconds):
                    return None
            os.close(self._process)
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


# A process of ours, however it was started.
Process = Forked | subprocess.Popen[bytes]
_nurseries: dict[str, Nursery] | None = None


@contextlib.contextmanager
def nurseries() -> Iterator[None]:
    """Until the end, processes are forked; each nursery is made when the first of its kind starts."""
    global _nurseries
    _nurseries = {}
    try:
        yield
    finally:
        for nursery in _nurseries.values():
            nursery.stop()
        _nurseries = None


def start(
    module: str,
    *arguments: str,
    env: Mapping[str, str],
    output: IO[bytes],
    new_session: bool = False,
) -> Process:
    """Runs `python -m module …` in the project's folder; `output` is its standard output and error."""
    if _nurseries is None:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(
            command, env=dict(env), cwd=ROOT, stdout=output, stderr=output, start_new_session=new_session
        )
    if module not in _nurseries:
        _nurseries[module] = Nursery(IMPORTS[module])
    return _nurseries[module].start(module, arguments, env, output)


class Nursery:
    """A process that has imported the modules, and forks. What it started ends when this process does."""

    def __init__(self, imports: Sequence[str]) -> None:
        self._client = client.Nursery(os.environ)
        with self._client.theirs as theirs:
            self._process = subprocess.Popen(
                self._client.command(imports),
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                # Ctrl-C would end it before the tests have started what they still need.
                start_new_session=True,
            )

    def start(
        self, module: str, arguments: Sequence[str], env: Mapping[str, str], output: IO[bytes]
    ) -> Forked:
        return Forked(self._client.start(module, arguments, env, output.fileno()))

    def stop(self) -> None:
        self._client.close()
        self._process.wait()
