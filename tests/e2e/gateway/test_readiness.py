"""What the public door tells of a system that comes up: not ready, until all of it is there."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from deploy.standalone.certificates import ensure_config_keys
from deploy.standalone.tokens import LocalIssuer
from services import SERVICES
from tests.support.calls import eventually
from tests.support.embedder_workers import MODULE as BIGRAM_EMBEDDER
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess, as_its_role, environment_of
from tests.support.servers import Valkey, create_migrated_database

INFO = "/celery-admin/system/info"


def processes_of(
    certificates: Path, audit_key: Path, database_url: str, valkey: Valkey
) -> dict[str, ServiceProcess]:
    """All services, of which none is started: each knows where the others will be."""
    own = {
        "CELERIAC_AUDIT_KEY": str(audit_key),
        "CELERIAC_CONFIG_KEYS": str(ensure_config_keys(certificates)),
    }
    addresses: dict[str, str] = {}
    processes = {}
    # The monitor last: it asks all others.
    for name in sorted(SERVICES, key="monitor".__eq__):
        environment = environment_of(name, certificates, database_url, valkey, **own, **addresses)
        module = BIGRAM_EMBEDDER if name == "embedder" else None
        processes[name] = ServiceProcess(name, certificates, as_its_role(name, environment), module)
        addresses[f"CELERIAC_{name.upper()}_ADDRESS"] = processes[name].address
    return processes


def test_the_system_is_ready_when_all_of_it_is_there_and_stays_so(
    certificates: Path, tokens: LocalIssuer, audit_key: Path, postgres_url: str, valkey: Valkey
) -> None:
    database_url = asyncio.run(create_migrated_database(postgres_url))
    processes = processes_of(certificates, audit_key, database_url, valkey)
    ports = {name: int(process.address.rpartition(":")[2]) for name, process in processes.items()}
    with contextlib.ExitStack() as running:
        for process in processes.values():
            running.callback(process.kill)
        processes["monitor"].start()
        processes["audit"].start()
        gateway = running.enter_context(running_gateway(certificates, {"monitor": ports["monitor"]}))
        assert waited_for(gateway) >= {"scheduler", "embedder"}
        processes["scheduler"].start()
        eventually(lambda: waited_for(gateway) == {"embedder"})
        # An embedder is started when its model is loaded: what counts is when it answers.
        processes["embedder"].start()
        eventually(lambda: gateway.rest("GET", INFO).status == 200)
        info = gateway.rest("GET", INFO).json
        assert (info["product"], info["time_zone"]) == ("celeriac", "Asia/Taipei")
        assert info["version"]
        assert info["time"]

        # A component that fails later is told by the status, not here.
        processes["embedder"].kill()
        token = tokens.mint("viewer")
        unhealthy = "/celery-admin/system/health"
        eventually(lambda: "embedder" in gateway.rest("GET", unhealthy, token=token).json["unhealthy"])
        assert gateway.rest("GET", INFO).status == 200


def waited_for(gateway: Gateway) -> set[str]:
    """The components that the refusal names."""
    answer = gateway.rest("GET", INFO)
    assert answer.status == 503, answer.body
    details: dict[str, Any] = {one["@type"].rpartition(".")[2]: one for one in answer.json["details"]}
    assert details["ErrorInfo"]["reason"] == "NOT_READY"
    assert details["RetryInfo"]["retry_delay"] == "1s"
    named = answer.json["message"].partition("it waits for: ")[2].partition(";")[0]
    return set(named.split(", "))
