"""A running relay: the process that keeps Celery's events for monitors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from tests.support import forked
from tests.support.calls import eventually
from tests.support.forked import Process
from tests.support.kept_logs import new_log
from tests.support.metrics import scraped_value


class RelayProcess:
    """The relay as a process of its own; `metrics_port` is where it tells of itself."""

    def __init__(self, environment: Mapping[str, str], metrics_port: int) -> None:
        self._environment = {**environment, "CELERIAC_METRICS_PORT": str(metrics_port)}
        self._log = new_log("relay")
        self.metrics_port = metrics_port
        self.process: Process | None = None

    def start(self) -> None:
        """Until it listens."""
        with self._log.open("ab") as log:
            self.process = forked.start("services.monitor", "relay", env=self._environment, output=log)
        eventually(self.listens)

    def listens(self) -> bool:
        with contextlib.suppress(OSError, StopIteration):
            return self.figure("celeriac_relay_up") == 1
        return False

    def figure(self, name: str) -> float:
        return scraped_value(self.metrics_port, name)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.terminate()
        return self.process.wait(30)


@contextlib.contextmanager
def running_relay(environment: Mapping[str, str], metrics_port: int) -> Iterator[RelayProcess]:
    relay = RelayProcess(environment, metrics_port)
    relay.start()
    try:
        yield relay
    finally:
        relay.kill()
