"""A real door as a process, spoken to as the gateway does: over mutual TLS."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.envoy import GatewaySettings
from deploy.standalone.door_keys import ensure_door_keys, sealing_keys, signing_key
from deploy.standalone.tokens import AUDIENCE, ISSUER
from services.door.paths import cookie_name
from services.door.signing import Signer
from tests.support import forked
from tests.support.forked import Process
from tests.support.gateway import Gateway, running_gateway
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
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context(), timeout=30)
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

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._state / "ca.pem")
        context.load_cert_chain(self._state / "certs/gateway.crt", self._state / "certs/gateway.key")
        return context


@contextlib.contextmanager
def running_door(state: Path, database_url: str, **more: str) -> Iterator[DoorProcess]:
    """Starts a door on a migrated database, in its own role; stops it at the end.

    `state` has the key set: the door's key comes into it.
    """
    ensure_door_keys(state)
    keys = {
        "CELERIAC_DOOR_KEY": str(signing_key(state)),
        "CELERIAC_DOOR_SEALING_KEYS": str(sealing_keys(state)),
    }
    door = DoorProcess(
        state, as_its_role("door", environment_of("door", state, database_url, None, **keys, **more))
    )
    door.start()
    try:
        yield door
    finally:
        door.stop()


@dataclass(frozen=True)
class Entrance:
    """A gateway with doors behind it, and the key that they sign with."""

    gateway: Gateway
    doors: Sequence[DoorProcess]
    instance: str
    state: Path

    @property
    def cookie_name(self) -> str:
        return cookie_name(self.instance)

    def link(self, token: str) -> str:
        """Makes a one-time link, with a token."""
        link: str = self.gateway.request("POST", "/session/links", token=token).json["link"]
        return link

    def enter(self, link: str) -> Any:
        return self.gateway.rest("POST", "/session/enter", {"key": link.partition("#")[2]})

    def signed_in(self, token: str) -> str:
        """Signs in by a link; gives the cookie, as a browser sends it."""
        cookie: str = self.enter(self.link(token)).headers["set-cookie"].partition(";")[0]
        return cookie

    def ask(self, verb: str, path: str, cookie: str, message: Any = None, **headers: str) -> Any:
        """A request as a page of this address makes it."""
        return self.gateway.rest(verb, path, message, cookie=cookie, sec_fetch_site="same-origin", **headers)

    def signer(self) -> Signer:
        """As the door has it."""
        return Signer(signing_key(self.state), ISSUER, AUDIENCE, 600.0)


@contextlib.contextmanager
def running_entrance(
    state: Path, services: Mapping[str, int], database_url: str, instance: str, replicas: int = 1, **more: str
) -> Iterator[Entrance]:
    """Doors and a gateway before services that run already, by their ports."""
    with contextlib.ExitStack() as running:
        doors = [
            running.enter_context(running_door(state, database_url, CELERIAC_INSTANCE=instance, **more))
            for _ in range(replicas)
        ]
        upstreams: dict[str, Any] = {**services, "door": [door.port for door in doors]}
        settings = GatewaySettings(instance=instance)
        gateway = running.enter_context(running_gateway(state, upstreams, settings, health_from="scheduler"))
        yield Entrance(gateway, doors, instance, state)
