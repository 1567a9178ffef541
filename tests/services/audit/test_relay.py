"""From a service's outbox into the log: all of it, in order, once, whatever dies."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
import structlog.testing
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from services.kernel.channel import channel_to
from services.kernel.database import Database
from services.kernel.outbox import Outbox
from services.kernel.relay import BATCH, BATCH_BYTES, Relay
from services.kernel.settings import KernelSettings
from tests.support.audit_tampering import forge_history, tampered_meanwhile
from tests.support.audits import running_audit
from tests.support.calls import Caller, all_listed
from tests.support.processes import ServiceProcess
from tests.support.settings import kernel_settings


@pytest.fixture(scope="module")
def service(
    certificates: Path, tokens: LocalIssuer, audit_key: Path, database_url: str
) -> Iterator[ServiceProcess]:
    with running_audit(certificates, database_url, audit_key) as process:
        yield process


@pytest.fixture
def log(service: ServiceProcess, tokens: LocalIssuer) -> Iterator[Caller]:
    with service.channel() as channel:
        yield Caller(audit_pb2_grpc.AuditServiceStub(channel), tokens.mint("admin"))


@pytest.fixture
async def outbox(database_url: str) -> AsyncIterator[Outbox]:
    database = Database(database_url)
    yield Outbox(database, "scheduler")
    await database.close()


@pytest.fixture
def settings(certificates: Path, tokens: LocalIssuer, database_url: str) -> KernelSettings:
    return kernel_settings(certificates, tokens, "scheduler", database_url)


@asynccontextmanager
async def delivering(
    outbox: Outbox, service: ServiceProcess, settings: KernelSettings, *replicas: ServiceProcess
) -> AsyncIterator[None]:
    """A relay to the service, and to its replicas if there are any, that runs meanwhile."""
    addresses = ",".join(each.address for each in (service, *replicas))
    async with channel_to("audit", settings.model_copy(update={"audit_address": addresses})) as channel:
        relay = asyncio.create_task(Relay(outbox, channel).loop.run())
        yield
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)


async def emptied(outbox: Outbox) -> None:
    async with asyncio.timeout(60):
        while await outbox.oldest(1):  # noqa: ASYNC110 # the outbox is emptied by SQL, which sets no event
            await asyncio.sleep(0.02)


def intent(actor: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "kind": "intent",
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
        "service": "scheduler",
        "actor": actor,
        "role": "admin",
        "issuer": "https://celeriac.local",
        "token_id": "",
        "method": "/celeriac.scheduler.v1.ScheduleService/TriggerSchedule",
        "resource": "schedules/a",
        "request": {"name": "schedules/a"},
        "address": "10.0.0.7",
        "user_agent": "grpcurl",
        "request_id": "r-1",
        **changes,
    }


def records_of(log: Caller, actor: str) -> list[Any]:
    """All events of an actor, oldest first."""
    request = audit_pb2.ListRecordsRequest(actors=[actor], page_size=1000)
    return all_listed(log.ListRecords, request, "records")[::-1]


async def listed(log: Caller, actor: str) -> list[Any]:
    return await asyncio.to_thread(records_of, log, actor)


async def test_more_than_one_message_holds_arrives_whole_and_in_order(
    outbox: Outbox, service: ServiceProcess, settings: KernelSettings, log: Caller
) -> None:
    """As many bytes as the audit service takes in three messages, from requests of the largest kind."""
    entries = [
        intent("bulk", resource=f"schedules/{number}", request={"text": "庫" * 20_000})
        for number in range(200)
    ]
    assert sum(len(orjson.dumps(entry)) for entry in entries) > 2 * BATCH_BYTES
    for entry in entries:
        await outbox.put(entry)
    async with delivering(outbox, service, settings):
        await emptied(outbox)
    found = await listed(log, "bulk")
    assert [record.resource for record in found] == [entry["resource"] for entry in entries]


async def test_what_a_killed_audit_service_had_not_answered_is_delivered_once(
    outbox: Outbox, service: ServiceProcess, settings: KernelSettings, log: Caller
) -> None:
    entries = [intent("killed", resource=f"schedules/{number}") for number in range(2 * BATCH)]
    for entry in entries:
        await outbox.put(entry)
    async with delivering(outbox, service, settings):
        async with asyncio.timeout(60):
            while len(await outbox.oldest(len(entries))) == len(entries):  # noqa: ASYNC110 # as above
                await asyncio.sleep(0)
        service.kill()
        await outbox.put(intent("killed", resource="schedules/last"))
        await asyncio.to_thread(service.start)
        await emptied(outbox)
    found = await listed(log, "killed")
    assert [record.resource for record in found] == [
        *(entry["resource"] for entry in entries),
        "schedules/last",
    ]
    assert (await asyncio.to_thread(log.Verify, audit_pb2.VerifyRequest())).intact


async def test_while_the_log_is_stopped_the_outbox_keeps_all_and_delivery_is_tried_ever_more_seldom(
    outbox: Outbox,
    service: ServiceProcess,
    settings: KernelSettings,
    log: Caller,
    database_url: str,
    audit_key: Path,
) -> None:
    async with delivering(outbox, service, settings):
        await outbox.put(intent("stopped", resource="schedules/before"))
        await emptied(outbox)
        with structlog.testing.capture_logs() as told:
            async with tampered_meanwhile(database_url, forge_history, audit_key):
                for number in range(50):
                    await outbox.put(intent("stopped", resource=f"schedules/{number}"))
                async with asyncio.timeout(60):
                    while len(waits_of(told)) < 4:  # noqa: ASYNC110 # a log line sets no event
                        await asyncio.sleep(0.02)
                assert len(await outbox.oldest(100)) == 50
            await emptied(outbox)
    waits = waits_of(told)
    assert waits == sorted(set(waits))
    assert all("the audit log is stopped" in event["error"] for event in told if "retry_seconds" in event)
    assert [record.resource for record in await listed(log, "stopped")] == [
        "schedules/before",
        *(f"schedules/{number}" for number in range(50)),
    ]
    assert (await asyncio.to_thread(log.Verify, audit_pb2.VerifyRequest())).intact


def waits_of(told: list[Any]) -> list[float]:
    """How long the relay waits after each try that failed."""
    return [event["retry_seconds"] for event in told if event["event"] == "audit.delivery_failed"]


async def test_nothing_that_a_caller_can_write_stops_delivery(
    outbox: Outbox, service: ServiceProcess, settings: KernelSettings, log: Caller
) -> None:
    odd = [
        intent("odd", resource="schedules/\0"),
        intent("odd", user_agent="\x7f\u202e\ufeff"),
        intent("odd", resource="排程" * 250, request={"deep": {"er": [[[{"\0": ["\0"] * 9}]]]}}),
        intent("odd", request={"number": 1e308, "text": "\U0001f9c5"}),
    ]
    for entry in odd:
        await outbox.put(entry)
    async with delivering(outbox, service, settings):
        await emptied(outbox)
    assert len(await listed(log, "odd")) == len(odd)
    assert (await asyncio.to_thread(log.Verify, audit_pb2.VerifyRequest())).intact


async def test_without_a_services_certificate_nothing_is_taken(
    service: ServiceProcess, tokens: LocalIssuer
) -> None:
    with service.channel() as channel:
        caller = Caller(audit_pb2_grpc.AuditServiceStub(channel), tokens.mint("super_admin"))
        with pytest.raises(grpc.RpcError) as refused:
            await asyncio.to_thread(caller.Append, audit_pb2.AppendRequest(entries=[b"{}"]))
    assert getattr(refused.value, "code")() is grpc.StatusCode.PERMISSION_DENIED  # noqa: B009


@pytest.fixture
def replica(
    service: ServiceProcess, certificates: Path, database_url: str, audit_key: Path
) -> Iterator[ServiceProcess]:
    """Another replica of the service."""
    with running_audit(certificates, database_url, audit_key) as process:
        yield process


@pytest.mark.parametrize("end", [ServiceProcess.stop, ServiceProcess.kill], ids=["restarted", "killed"])
async def test_a_replica_that_ends_and_comes_back_costs_no_entry(
    end: Callable[[ServiceProcess], object],
    outbox: Outbox,
    service: ServiceProcess,
    replica: ServiceProcess,
    settings: KernelSettings,
    log: Caller,
) -> None:
    actor = f"of-two-{uuid.uuid4().hex[:8]}"
    entries = [intent(actor, resource=f"schedules/{number}") for number in range(200)]

    def restart() -> None:
        end(replica)
        replica.start()

    async with delivering(outbox, service, settings, replica):
        restarting = asyncio.create_task(asyncio.to_thread(restart))
        for entry in entries:
            await outbox.put(entry)
        await restarting
        await emptied(outbox)
    found = await listed(log, actor)
    assert [record.resource for record in found] == [entry["resource"] for entry in entries]
    assert (await asyncio.to_thread(log.Verify, audit_pb2.VerifyRequest())).intact
