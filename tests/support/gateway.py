"""A real Envoy before real services, and the ways in."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from celeriac import connect_blocking

from deploy.envoy import GatewaySettings, envoy_command, write_gateway_config
from deploy.envoy.generate import DESCRIPTORS, Upstream
from services import SERVICES, STORING
from tests.support.admin_page import ask_admin_page
from tests.support.calls import eventually
from tests.support.kept_logs import keep_under
from tests.support.ports import free_port

BUF = Path(sys.executable).with_name("buf")
READY_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Gateway:
    """An Envoy process with the configuration that deploy/envoy writes."""

    state: Path
    port: int
    admin_socket: Path
    log: Path
    upstreams: Mapping[str, Upstream]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    @property
    def ca(self) -> Path:
        return self.state / "ca.pem"

    def channel(self, token: str = "") -> grpc.Channel:
        """A channel as other teams have it."""
        return connect_blocking(self.address, token=token, ca=self.ca)

    def request(
        self, verb: str, path: str, body: bytes | None = None, token: str = "", **headers: str
    ) -> Answer:
        """One HTTP/1.1 request; in the names of headers "_" stands for "-"."""
        context = ssl.create_default_context(cafile=self.ca)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["authorization"] = f"Bearer {token}"
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)
        with contextlib.closing(connection):
            connection.request(verb, path, body, sent)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())

    def rest(self, verb: str, path: str, message: Any = None, token: str = "", **headers: str) -> Answer:
        """A REST call with a JSON body."""
        body = None if message is None else json.dumps(message).encode()
        return self.request(verb, path, body, token, content_type="application/json", **headers)

    def buf(self, protocol: str, method: str, message: Any, token: str = "", *more: str) -> Any:
        """A call by `buf curl`: its JSON answer, or the JSON of the error that it was told."""
        command = [str(BUF), "curl", "--protocol", protocol, "--cacert", str(self.ca), "--data", "@-"]
        command += more or ["--schema", str(self.log.parent / DESCRIPTORS)]
        if token:
            command += ["--header", f"Authorization: Bearer {token}"]
        sent = json.dumps(message)
        done = subprocess.run(
            [*command, f"{self.url}{method}"], input=sent, capture_output=True, text=True, timeout=60
        )
        said = done.stdout if done.returncode == 0 else done.stderr
        return json.loads(said)

    def access_log(self) -> list[dict[str, Any]]:
        """The lines written so far, oldest first. Envoy writes one within 0.2 s of the call's end."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def logged(self, request_id: str, count: int = 1) -> list[dict[str, Any]]:
        """Waits for the lines of the request id."""

        def lines() -> list[dict[str, Any]]:
            found = [line for line in self.access_log() if line.get("request_id") == request_id]
            return found if len(found) >= count else []

        found: list[dict[str, Any]] = eventually(lines)
        return found

    def cluster_is_healthy(self, service: str) -> bool:
        """Whether the gateway sends calls to every replica of the service."""
        return all(replicas := self._replicas(service).values()) and bool(replicas)

    def await_replica(self, address: str) -> None:
        """Waits until the gateway sends calls to the replica at this address."""
        eventually(lambda: self._replicas().get(address))

    def _replicas(self, service: str | None = None) -> dict[str, bool]:
        """Whether the gateway sends calls to each replica of the service, or of all, by its address."""
        faults = ("failed_active_health_check", "pending_active_hc", "failed_active_degraded_check")
        hosts = [
            (host["address"]["socket_address"], host.get("health_status", {}))
            for cluster in json.loads(self.admin("/clusters?format=json"))["cluster_statuses"]
            if cluster["name"] == service or (service is None and cluster["name"] in STORING)
            for host in cluster.get("host_statuses", [])
        ]
        return {
            f"{at['address']}:{at['port_value']}": not any(health.get(fault) for fault in faults)
            for at, health in hosts
        }

    def start(self, config: Path, expected: list[str]) -> None:
        """Starts Envoy, and waits until the expected services are healthy in its eyes."""
        with self.log.open("ab") as log, self.log.with_suffix(".err").open("ab") as errors:
            command = envoy_command(config, concurrency=1)
            self.process = subprocess.Popen(command, stdout=log, stderr=errors)
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready(expected):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the gateway is not ready:\n{self.log.with_suffix('.err').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)

    def _ready(self, expected: list[str]) -> bool:
        try:
            return self.admin("/ready").startswith(b"LIVE") and all(map(self.cluster_is_healthy, expected))
        except OSError:
            return False

    def admin(self, path: str) -> bytes:
        """What Envoy's admin interface answers."""
        return ask_admin_page(self.admin_socket, path)


@contextlib.contextmanager
def running_gateway(
    state: Path,
    upstreams: Mapping[str, Upstream],
    settings: GatewaySettings | None = None,
    health_from: str = "monitor",
) -> Iterator[Gateway]:
    """Envoy before the services at `upstreams` (the ports of their replicas); waits until those are healthy.

    A service that is not named is one that is down. `health_from` answers health and reflection.
    """
    ports: dict[str, Upstream] = {service: free_port() for service in SERVICES}
    ports |= upstreams
    port = free_port()
    folder = state / f"envoy-{port}"
    admin_socket = folder / "admin.sock"
    config = write_gateway_config(folder, state, port, admin_socket, ports, settings, health_from)
    keep_under(folder / "access.err", f"envoy-{port}-errors")
    access_log = keep_under(folder / "access.log", f"envoy-{port}")
    gateway = Gateway(state, port, admin_socket, access_log, ports)
    gateway.start(config, sorted(upstreams))
    try:
        yield gateway
    finally:
        gateway.stop()
