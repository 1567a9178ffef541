"""Services as real processes, on a test's own database and broker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import asyncpg
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy.engine import make_url

from services.kernel.grants import role_of
from tests.support import forked
from tests.support.forked import Process
from tests.support.kept_logs import new_log
from tests.support.ports import free_port
from tests.support.secrets_in_logs import remember_settings
from tests.support.servers import Valkey

ROOT = Path(__file__).parents[2]
# Also where both cores have much else to do: a start takes a second when they have not.
READY_SECONDS = 120.0
# A channel that was refused tries again after a second or more by default; a service is there sooner.
SOON_AGAIN = (
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 50),
)


def environment_of(
    component: str, state: Path, database_url: str, valkey: Valkey | None = None, **more: str
) -> dict[str, str]:
    """The settings of one component, as its process reads them."""
    settings = {
        "DATABASE_URL": database_url,
        "CELERIAC_TLS_CA": str(state / "ca.pem"),
        "CELERIAC_TLS_CERT": str(state / f"certs/{component}.crt"),
        "CELERIAC_TLS_KEY": str(state / f"certs/{component}.key"),
        "CELERIAC_JWKS": str(state / "jwks.json"),
        # All services of a session share one PostgreSQL, which takes a hundred connections.
        "CELERIAC_DATABASE_POOL_SIZE": "8",
    }
    if valkey is not None:
        settings |= {"REDIS_HOST": valkey.host, "REDIS_PORT": str(valkey.port)}
    return {**os.environ, **settings, **more}


def migrate(service: str, environment: Mapping[str, str]) -> None:
    path = new_log(f"{service}-migrate")
    with path.open("ab") as log:
        command = [sys.executable, "-m", f"services.{service}", "migrate"]
        done = subprocess.run(command, env=dict(environment), cwd=ROOT, stdout=log, stderr=log)
    assert done.returncode == 0, path.read_text()


def as_its_role(service: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of a service that logs in as itself, as where it is deployed: it has its own rights."""
    owners = environment["DATABASE_URL"]

    async def let_it_log_in() -> None:
        connection = await asyncpg.connect(owners)
        try:
            await connection.execute(f"ALTER ROLE {role_of(service)} LOGIN")
        finally:
            await connection.close()

    asyncio.run(let_it_log_in())
    own = make_url(owners).set(username=role_of(service), password=None)
    return {**environment, "DATABASE_URL": own.render_as_string(hide_password=False)}


class ServiceProcess:
    """A service started by its command, with a channel to it."""

    def __init__(
        self, service: str, state: Path, environment: Mapping[str, str], module: str | None = None
    ) -> None:
        self.service = service
        self._module = module or f"services.{service}"
        self.address = f"127.0.0.1:{free_port()}"
        self._state = state
        self._environment = {"CELERIAC_DRAIN_SECONDS": "0", **environment, "CELERIAC_LISTEN": self.address}
        self._log = new_log(service)
        remember_settings(environment)
        self.process: Process | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = forked.start(self._module, "serve", env=self._environment, output=log)
        deadline = time.monotonic() + READY_SECONDS
        with self.channel(options=SOON_AGAIN) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while True:
                try:
                    health.Check(health_pb2.HealthCheckRequest(), timeout=2)
                    return
                except grpc.RpcError:
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        raise AssertionError(f"{self.service} did not start:\n{self.log()}") from None
                    time.sleep(0.02)

    def log(self) -> str:
        return self._log.read_text()

    def channel(
        self, component: str = "gateway", options: Sequence[tuple[str, int]] | None = None
    ) -> grpc.Channel:
        """A channel with the component's certificate; a service's makes its holder that service."""
        return grpc.secure_channel(self.address, self.credentials(component), options)

    def credentials(self, component: str = "gateway") -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(*(Path(path).read_bytes() for path in self.files(component)))

    def files(self, component: str = "gateway") -> list[str]:
        """The files with the authority's certificate, and the component's key and certificate."""
        return [
            str(self._state / name) for name in ("ca.pem", f"certs/{component}.key", f"certs/{component}.crt")
        ]

    def kill(self) -> None:
        """As the kernel's out-of-memory killer does it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.terminate()
        return self.process.wait(30)


@contextlib.contextmanager
def running_service(
    service: str, state: Path, environment: Mapping[str, str], module: str | None = None
) -> Iterator[ServiceProcess]:
    """Starts a service on a migrated database, as its own role; stops it at the end.

    `module`: another than its own.
    """
    process = ServiceProcess(service, state, as_its_role(service, environment), module)
    process.start()
    try:
        yield process
    finally:
        process.stop()
