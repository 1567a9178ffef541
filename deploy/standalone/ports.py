"""The block of ports on 127.0.0.1 that one copy of the system uses, all moved by CELERIAC_GATEWAY_PORT."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

import psutil

from services import DOOR, SERVICES

HOST = "127.0.0.1"
# Gateway, broker, a port for calls and one for metrics of each service, one for metrics of the relay, and the
# two of the door.
BLOCK = 5 + 2 * len(SERVICES)


@dataclass(frozen=True)
class Ports:
    """The port of each process; `gateway` is the first port of the block."""

    gateway: int

    @property
    def valkey(self) -> int:
        return self.gateway + 1

    def of(self, service: str) -> int:
        """The port on which the service takes calls (gRPC over mutual TLS; the door HTTP)."""
        if service == DOOR:
            return self.last - 1
        return self.gateway + 2 + SERVICES.index(service)

    def metrics_of(self, service: str) -> int:
        """The port of the service's metrics for Prometheus."""
        if service == DOOR:
            return self.last
        return self.gateway + 2 + len(SERVICES) + SERVICES.index(service)

    @property
    def relay_metrics(self) -> int:
        """The port of the relay's metrics; it takes no calls."""
        return self.last - 2

    @property
    def last(self) -> int:
        return self.gateway + BLOCK - 1

    def address_of(self, service: str) -> str:
        return f"{HOST}:{self.of(service)}"

    def all(self) -> dict[int, str]:
        """Every port of the block, with what it is for."""
        return {
            self.gateway: "gateway",
            self.valkey: "valkey",
            **{self.of(service): service for service in SERVICES},
            **{self.metrics_of(service): f"metrics of {service}" for service in SERVICES},
            self.relay_metrics: "metrics of relay",
            self.of(DOOR): DOOR,
            self.metrics_of(DOOR): f"metrics of {DOOR}",
        }


def refuse_taken(ports: Ports, *, without_valkey: bool = False) -> None:
    """Raises SystemExit if a port of the block can't be used; the text says why, and what to do.

    Valkey's port does not matter `without_valkey`.
    """
    needed = {port: use for port, use in ports.all().items() if not (without_valkey and port == ports.valkey)}
    faults = [fault for port, use in needed.items() if (fault := _fault_of(port, use))]
    if faults:
        first, last = ports.gateway, ports.last
        advice = (
            f"Celeriac uses the ports {first} to {last}. Stop what uses them, or choose another block: "
            f"make up CELERIAC_GATEWAY_PORT={_free_block(first)}"
        )
        raise SystemExit("\n".join([*faults, advice]))


def _fault_of(port: int, use: str) -> str | None:
    code = _bind_error(port)
    if code is None:
        return None
    if code == errno.EACCES:
        return f"port {port} ({use}) can't be had: ports below 1024 need root (CELERIAC_GATEWAY_PORT)"
    return f"port {port} ({use}) on {HOST} is taken by {_holder_of(port)}"


def _bind_error(port: int) -> int | None:
    with socket.socket() as probe:
        # As servers do: connections of an earlier system in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno
    return None


def _holder_of(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            held = connection.laddr and connection.laddr.port == port
            if held and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return f"another process (whose, `ss -ltnp sport = :{port}` tells its owner and root)"


def _free_block(taken: int) -> int:
    for first in range(taken + 1000, 65536 - BLOCK, 1000):
        if all(_bind_error(port) is None for port in Ports(first).all()):
            return first
    return taken + 1000
