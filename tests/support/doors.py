"""A real door as a process, spoken to as the gateway does: over mutual TLS."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import forked
from tests.support.forked import Process
from tests.support.kept_logs import new_log
from tests.support.ports import free_port
from tests.support.processes import as_its_role, environment_of
from tests.support.secrets_in_logs import remember_settings

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The reason of an error."""
        reason: str = self.json["details"][0]["reason"]
        return reason


class DoorProcess:
    """A door started by its command."""

    def __init__(self, state: Path, environment: Mapping[str, str]) -> None:
        self.port, self.metrics_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        ports = {"CELERIAC_LISTEN": self.address, "CELERIAC_METRICS_PORT": str(self.metrics_port)}
        self._environment = {"CELERIAC_DRAIN_SECONDS": "0", **environment, **ports}
        self._state = state
        self._log = new_log("door")
        remember_settings(environment)
        self.process: Process | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = forked.start("services.door", "serve", env=self._environment, output=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self.serves():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the door did not start:\n{self.log()}")
            time.sleep(0.02)

    def serves(self) -> bool:
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def log(self) -> str:
        return self._log.read_text()

    def request(self, verb: str, path: str, body: Any = None, token: str = "", **headers: str) -> Answer:
        """One request; in the names of headers "_" stands for "-". A body but bytes is JSON."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        if token:
            sent["authorization"] = f"Bearer {token}"
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self._context(), timeout=30)
        with contextlib.closing(connection):
            connection.request(verb, path, body, sent)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())

    def page(self, path: str) -> str:
        """A page of the port of metrics and probes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def stop(self) -> int:
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.terminate()
        return self.process.wait(30)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._state / "ca.pem")
        context.load_cert_chain(self._state / "certs/gateway.crt", self._state / "certs/gateway.key")
        return context


@contextlib.contextmanager
def running_door(state: Path, database_url: str, **more: str) -> Iterator[DoorProcess]:
    """Starts a door on a migrated database, in its own role; stops it at the end."""
    door = DoorProcess(state, as_its_role("door", environment_of("door", state, database_url, None, **more)))
    door.start()
    try:
        yield door
    finally:
        door.stop()
