"""The embedder's Celery worker as a process, with a model of a few lines (bigram_embedder.py)."""

from __future__ import annotations

import os
import signal

import psutil

from tests.support import forked
from tests.support.calls import eventually
from tests.support.forked import Process
from tests.support.kept_logs import new_log

MODULE = "tests.support.bigram_embedder"


class Worker:
    """A Celery worker and its pool, as a process tree of their own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment, self._log = environment, new_log("bigrams-worker")
        self.process: Process | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = forked.start(MODULE, "work", env=self._environment, output=log, new_session=True)
        eventually(lambda: len(self.children()) >= 2)

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children()

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """The worker with its whole pool, at once."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)
