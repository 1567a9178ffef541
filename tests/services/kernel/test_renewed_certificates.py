"""A certificate is renewed while a server and its callers run: both take it over, without a restart."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.tokens import LocalIssuer
from services.kernel import certificates as module
from services.kernel.channel import channel_to
from services.kernel.grpc.decode import decode
from services.kernel.grpc.server import Server
from services.kernel.settings import KernelSettings
from tests.support.settings import kernel_settings

REQUEST = health_pb2.HealthCheckRequest()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    ensure_certificates(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def settings(state: Path, tokens: LocalIssuer) -> KernelSettings:
    return kernel_settings(state, tokens, "monitor")


@pytest.fixture
async def server(settings: KernelSettings) -> AsyncIterator[Server]:
    server = Server(settings, [], [decode])
    await server.start()
    yield server
    await server.stop(0)


def renew(state: Path) -> None:
    """New certificates, by a new authority, as `make up` makes them shortly before the old ones expire."""
    (state / "ca.pem").unlink()
    ensure_certificates(state)


async def accepts(server: Server, state: Path) -> bool:
    """Whether a new connection with the state's certificates comes about."""
    credentials = grpc.ssl_channel_credentials(
        (state / "ca.pem").read_bytes(),
        (state / "certs/gateway.key").read_bytes(),
        (state / "certs/gateway.crt").read_bytes(),
    )
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        try:
            await health_pb2_grpc.HealthStub(channel).Check(REQUEST, timeout=10)
        except grpc.aio.AioRpcError:
            return False
    return True


def reaching(server: Server, settings: KernelSettings) -> KernelSettings:
    return settings.model_copy(update={"monitor_address": f"localhost:{server.port}"})


async def test_a_server_shows_its_new_certificate_to_new_connections(
    server: Server, state: Path, tmp_path: Path
) -> None:
    before = shutil.copytree(state, tmp_path / "before")
    assert await accepts(server, before)
    renew(state)
    assert await accepts(server, state)
    assert not await accepts(server, before)


async def test_a_caller_shows_its_new_certificate_and_its_streams_go_on(
    server: Server, state: Path, settings: KernelSettings
) -> None:
    async with channel_to("monitor", reaching(server, settings)) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watching = stub.Watch(REQUEST)
        await watching.read()
        await stub.Check(REQUEST, timeout=10)
        renew(state)
        assert (await stub.Check(REQUEST, timeout=10)).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await watching.read()


async def test_a_half_renewed_pair_leaves_the_old_one_in_use(
    server: Server, state: Path, tmp_path: Path
) -> None:
    before = shutil.copytree(state, tmp_path / "before")
    ensure_certificates(tmp_path / "other")
    shutil.copy(tmp_path / "other/certs/monitor.crt", state / "certs/monitor.crt")
    assert await accepts(server, before)
    (state / "certs/monitor.key").unlink()
    assert await accepts(server, before)


async def test_a_caller_takes_no_other_services_certificate(
    server: Server, state: Path, settings: KernelSettings
) -> None:
    there = reaching(server, settings).monitor_address
    async with channel_to("audit", settings.model_copy(update={"audit_address": there})) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.Check(REQUEST, timeout=10)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
