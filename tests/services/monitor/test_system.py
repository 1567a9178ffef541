"""The system as a whole: who is well, who is not, and what the monitor tells of others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
import redis
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from celeriac.monitor.v1 import system_pb2 as pb
from celeriac.monitor.v1 import system_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from services.kernel.outbox import canonical
from services.monitor.system.peers import services_elsewhere
from tests.support.audit_entries import intent
from tests.support.audit_tampering import forge_history, tampered
from tests.support.audits import running_audit
from tests.support.calls import Caller, eventually, refused
from tests.support.celery_workers import running_worker
from tests.support.monitors import Monitor
from tests.support.processes import ServiceProcess
from tests.support.servers import Valkey

HEALTHY, DEGRADED, UNHEALTHY = pb.HEALTH_HEALTHY, pb.HEALTH_DEGRADED, pb.HEALTH_UNHEALTHY
Serving = health_pb2.HealthCheckResponse


@dataclasses.dataclass
class System:
    """A monitor that knows of a running audit service, and of a scheduler and an embedder that are away."""

    monitor: Monitor
    audit: ServiceProcess
    broker: Valkey

    def components(self) -> dict[str, pb.Component]:
        answer = self.monitor.system.GetStatus(pb.GetStatusRequest())
        return {component.component: component for component in answer.components}

    def await_health(self, name: str, health: pb.Health) -> pb.Component:
        def reached() -> pb.Component | None:
            found = self.components()[name]
            return found if found.health == health else None

        component: pb.Component = eventually(reached)
        return component

    def health_of(self, service: str) -> int:
        stub = health_pb2_grpc.HealthStub(self.monitor.channel)
        status: int = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status
        return status


@pytest.fixture(scope="module")
def audit(
    certificates: Path, tokens: LocalIssuer, audit_key: Path, database_url: str
) -> Iterator[ServiceProcess]:
    with running_audit(certificates, database_url, audit_key) as process:
        yield process


@pytest.fixture(scope="module")
def monitor_settings(audit: ServiceProcess) -> Mapping[str, str]:
    return {"CELERIAC_AUDIT_ADDRESS": audit.address}


@pytest.fixture(scope="module")
def system(monitor: Monitor, audit: ServiceProcess, broker: Valkey) -> System:
    found = System(monitor, audit, broker)
    # Each component has a loop of its own, and one may have been looked at while another was not.
    eventually(lambda: all(component.HasField("check_time") for component in found.components().values()))
    return found


def test_every_component_is_named_with_what_is_known_of_it(system: System) -> None:
    system.await_health("audit", HEALTHY)
    components = system.components()
    assert list(components) == [
        "scheduler",
        "embedder",
        "audit",
        "monitor",
        "database",
        "broker",
        "workers",
        "events",
        "tasks",
    ]
    assert components["scheduler"].health == components["embedder"].health == UNHEALTHY
    assert "UNAVAILABLE" in components["scheduler"].detail
    assert not components["scheduler"].HasField("latency")
    assert components["database"].detail.startswith("PostgreSQL ")
    assert components["broker"].detail.startswith("Valkey ")
    for name in ("audit", "database", "broker"):
        assert components[name].latency.ToMicroseconds() > 0
    for component in components.values():
        assert component.HasField("check_time")
        assert component.detail


def test_the_whole_is_as_well_as_its_worst_part(system: System) -> None:
    system.await_health("audit", HEALTHY)
    status = system.monitor.system.GetStatus(pb.GetStatusRequest())
    assert status.health == UNHEALTHY
    assert status.version
    assert status.uptime.ToMicroseconds() > 0
    light = system.monitor.system.CheckHealth(pb.CheckHealthRequest())
    assert light.health == UNHEALTHY
    assert {"scheduler", "embedder"} <= set(light.unhealthy)
    assert "audit" not in light.unhealthy


def test_without_workers_the_system_is_degraded(system: System, tmp_path: Path) -> None:
    assert "none is online" in system.await_health("workers", DEGRADED).detail
    with running_worker(system.broker, tmp_path):
        assert system.await_health("workers", HEALTHY).detail == "1 online"
    system.await_health("workers", DEGRADED)


def test_a_broker_that_may_evict_messages_is_degraded(system: System) -> None:
    system.await_health("broker", HEALTHY)
    with redis.Redis(system.broker.host, system.broker.port) as client:
        client.config_set("maxmemory", 64 * 1024 * 1024)
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert "allkeys-lru" in system.await_health("broker", DEGRADED).detail
        client.config_set("maxmemory-policy", "noeviction")
        system.await_health("broker", HEALTHY)
        client.config_set("maxmemory", 0)


def test_while_the_broker_is_away_broker_and_events_say_so(system: System) -> None:
    system.await_health("events", HEALTHY)
    system.broker.stop()
    system.await_health("broker", UNHEALTHY)
    assert "cut off" in system.await_health("events", DEGRADED).detail
    system.broker.start()
    system.await_health("broker", HEALTHY)
    system.await_health("events", HEALTHY)


def test_a_service_that_dies_is_told_by_name_and_comes_back(system: System) -> None:
    name = "celeriac.audit.v1.AuditService"
    eventually(lambda: system.health_of(name) == Serving.SERVING)
    assert system.health_of("celeriac.scheduler.v1.ScheduleService") == Serving.NOT_SERVING
    system.audit.kill()
    eventually(lambda: system.health_of(name) == Serving.NOT_SERVING)
    system.await_health("audit", UNHEALTHY)
    assert system.health_of("") == Serving.SERVING
    system.audit.start()
    eventually(lambda: system.health_of(name) == Serving.SERVING)


def test_an_audit_log_that_stopped_is_told_with_its_reason_until_it_is_put_right(
    system: System, database_url: str, audit_key: Path
) -> None:
    with system.audit.channel("scheduler") as channel:
        entry = canonical(intent())
        audit_pb2_grpc.AuditServiceStub(channel).Append(audit_pb2.AppendRequest(entries=[entry]), timeout=20)
    system.await_health("audit", HEALTHY)
    with tampered(database_url, forge_history, audit_key):
        detail = system.await_health("audit", UNHEALTHY).detail
        assert "the log is stopped" in detail
        assert "frontier" in detail
        assert "audit" in system.monitor.system.CheckHealth(pb.CheckHealthRequest()).unhealthy
    assert system.await_health("audit", HEALTHY).detail == "serving"


def test_health_answers_for_every_service_of_the_contracts(system: System) -> None:
    own = [
        f"celeriac.monitor.v1.{area}Service" for area in ("Monitoring", "Queue", "System", "Task", "Worker")
    ]
    for name in [*own, *services_elsewhere()]:
        assert system.health_of(name) in (Serving.SERVING, Serving.NOT_SERVING)
    assert all(system.health_of(name) == Serving.SERVING for name in own)
    code, _ = refused(system.health_of, "celeriac.nonsense.v1.Service")
    assert code is grpc.StatusCode.NOT_FOUND


def test_reflection_shows_every_service_of_the_contracts(system: System) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(system.monitor.channel)
    wanted = [f"{name}" for name in services_elsewhere()]
    questions = [reflection_pb2.ServerReflectionRequest(list_services="")]
    questions += [reflection_pb2.ServerReflectionRequest(file_containing_symbol=name) for name in wanted]
    listed, *files = stub.ServerReflectionInfo(iter(questions))
    names = {service.name for service in listed.list_services_response.service}
    assert names >= {*wanted, "celeriac.monitor.v1.TaskService", "grpc.health.v1.Health"}
    assert all(answer.file_descriptor_response.file_descriptor_proto for answer in files)


def test_every_service_elsewhere_is_answered_by_a_component_that_is_watched() -> None:
    assert set(services_elsewhere().values()) == {"scheduler", "embedder", "audit"}


def test_status_is_for_whoever_may_look_also_while_services_are_away(
    system: System, tokens: LocalIssuer
) -> None:
    stub = system_pb2_grpc.SystemServiceStub(system.monitor.channel)
    code, _ = refused(stub.GetStatus, pb.GetStatusRequest())
    assert code is grpc.StatusCode.UNAUTHENTICATED
    viewer = Caller(stub, tokens.mint("viewer"))
    assert viewer.CheckHealth(pb.CheckHealthRequest()).health
    assert viewer.GetStatus(pb.GetStatusRequest()).components
