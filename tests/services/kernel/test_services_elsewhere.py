"""A server that tells of services which others answer: by reflection, and by its health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from celeriac.audit.v1 import audit_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from services.kernel.grpc.decode import decode
from services.kernel.grpc.errors import tell_errors
from services.kernel.grpc.server import Elsewhere, Server, Servicer
from tests.support.probe import CONTRACT, SERVICE, Probe, add_probe
from tests.support.settings import kernel_settings

OTHER = "celeriac.access.v1.NoService"
AUDIT = audit_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name
Status = health_pb2.HealthCheckResponse


@pytest.fixture
def news() -> asyncio.Queue[tuple[str, bool]]:
    return asyncio.Queue()


@pytest.fixture
async def channel(
    certificates: Path, tokens: LocalIssuer, news: asyncio.Queue[tuple[str, bool]]
) -> AsyncIterator[grpc.aio.Channel]:
    """To a server that answers the probe, and tells of the audit service."""
    settings = kernel_settings(certificates, tokens, "monitor")

    async def health() -> AsyncIterator[tuple[str, bool]]:
        while True:
            yield await news.get()

    async def on_text(text: str) -> str:
        return text

    servicers = [Servicer(CONTRACT, add_probe, Probe(on_text))]
    server = Server(settings, servicers, [tell_errors, decode], Elsewhere([AUDIT], health))
    await server.start()
    following = asyncio.create_task(server.follow_elsewhere())
    credentials = grpc.ssl_channel_credentials(
        settings.tls_ca.read_bytes(), settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        yield channel
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await server.stop(0)


async def health_of(channel: grpc.aio.Channel, name: str) -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    status: int = answer.status
    return status


async def test_a_service_elsewhere_serves_only_once_that_is_known(
    channel: grpc.aio.Channel, news: asyncio.Queue[tuple[str, bool]]
) -> None:
    assert await health_of(channel, "") == await health_of(channel, SERVICE) == Status.SERVING
    assert await health_of(channel, AUDIT) == Status.NOT_SERVING
    watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=AUDIT))
    seen = [(await watching.read()).status]
    for serving in (True, False):
        await news.put((AUDIT, serving))
        seen.append((await watching.read()).status)
    assert seen == [Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING]
    watching.cancel()


async def test_a_service_that_nobody_told_of_is_not_found(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await health_of(channel, OTHER)
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_its_own_services_and_those_elsewhere(channel: grpc.aio.Channel) -> None:
    reflect = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
    await reflect.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = (await reflect.read()).list_services_response.service
    assert {SERVICE, AUDIT, "grpc.health.v1.Health"} <= {service.name for service in listed}
    await reflect.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=AUDIT))
    assert (await reflect.read()).file_descriptor_response.file_descriptor_proto
    await reflect.done_writing()
