"""The parts of the one-machine system: its processes, the environment of each, and what each waits for."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from deploy.envoy.command import envoy_command
from deploy.envoy.generate import write_gateway_config
from deploy.envoy.settings import load_settings as load_gateway_settings
from deploy.standalone import database, environments, instance, postgres, probes, servers, valkey
from deploy.standalone.certificates import ensure_audit_key, ensure_certificates, ensure_config_keys
from deploy.standalone.component import Component, Shared, Step
from deploy.standalone.door_keys import ensure_door_keys
from deploy.standalone.nursery.imports import KEEP_MODEL, OF_SERVICES
from deploy.standalone.ports import Ports
from deploy.standalone.settings import StandaloneSettings, make_private_folder
from deploy.standalone.tokens import AUDIENCE, ISSUER, LocalIssuer
from services import DOOR, SERVICES, STORING
from services.kernel.variables import read

# Stages of stopping: what takes work in stops before what does the work, and that before what stores data.
GATEWAY, WORKERS, SERVICE, BROKER, DATABASE = range(5)
# Queues and concurrency of the workers.
WORKER_QUEUES = {"worker-analysis": ("ai_analysis", 2), "worker-maintenance": ("maintenance,health", 1)}
# A warm shutdown lets running tasks finish; a chunk of the bulk path takes seconds.
WARM_SHUTDOWN_SECONDS = 60.0
# Of one process a service there is no other to prefer, so the gateway asks each less often than it would ask
# replicas: in an idle system these questions are most of what there is to do.
HEALTH_INTERVAL = "15s"


def steps(settings: StandaloneSettings) -> list[Step]:
    """Returns what is done at each start. After the first one, most steps only find that all is there."""
    state, own_database = settings.state, settings.database_url is None
    return [
        Step("keys", work=partial(_make_keys, state)),
        *(
            [Step("valkey configuration", work=partial(valkey.write_configuration, settings))]
            if settings.own_valkey
            else []
        ),
        *([Step("database folder", work=partial(postgres.prepare, settings))] if own_database else []),
        Step(
            "database",
            after=("postgres",) if own_database else (),
            command=(sys.executable, "-m", "deploy.standalone.database"),
            environment=environments.of_the_database(settings),
            needed=partial(_database_needed, settings),
        ),
        Step(
            "model",
            command=(sys.executable, "-m", "services.embedder", "prepare"),
            environment=environments.of_service(settings, "embedder"),
            needed=partial(_model_needed, settings),
        ),
        Step("gateway configuration", after=("keys",), work=partial(_write_gateway_config, settings)),
    ]


def components(settings: StandaloneSettings) -> list[Component]:
    """Returns the processes that are kept running."""
    ports = Ports(settings.gateway_port)
    return [
        *([_postgres(settings)] if settings.database_url is None else []),
        *([_valkey(settings, ports)] if settings.own_valkey else []),
        *(_service(settings, ports, service) for service in SERVICES),
        _relay(settings, ports),
        _door(settings, ports),
        *(_worker(settings, name) for name in WORKER_QUEUES),
        _gateway(settings),
    ]


def shared(settings: StandaloneSettings) -> Shared:
    """Returns what the processes of the services and workers have in common.

    At a first start the model is made later, and each process loads it.
    """
    imports = tuple(module for needed in OF_SERVICES.values() for module in needed)
    environment = {**environments.of_the_nursery(), "CELERIAC_MODEL": str(environments.model(settings))}
    return Shared((*imports, KEEP_MODEL), environment)


def is_first_start(settings: StandaloneSettings) -> bool:
    """Whether the state folder lacks what a first start makes last: the database, or else the model."""
    return not (
        postgres.data_folder(settings) if settings.database_url is None else environments.model(settings)
    ).exists()


def refuse_wrong_settings(settings: StandaloneSettings) -> None:
    """Reads the settings of every process as it will; raises SystemExit that names each wrong variable."""
    for service in STORING:
        module = importlib.import_module(f"services.{service}.settings")
        read(getattr(module, f"{service.title()}Settings"), environments.of_service(settings, service))


def run_command(settings: StandaloneSettings, service: str, command: str, said: str | None = None) -> int:
    """Runs one of a service's commands as that service, to its end; returns its exit code.

    `said` is its standard input.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}", command],
        env=environments.of_service(settings, service),
        input=said,
        text=True,
        check=False,
    )
    return done.returncode


def _make_keys(state: Path) -> None:
    ensure_certificates(state)
    ensure_audit_key(state)
    ensure_config_keys(state)
    LocalIssuer(state).ensure_key()
    ensure_door_keys(state)


def _broker(settings: StandaloneSettings) -> tuple[str, ...]:
    """The component after which there is a broker; one that the operator names is there from the first."""
    return ("valkey",) if settings.broker_url is None else ()


async def _database_needed(settings: StandaloneSettings) -> bool:
    return not await database.is_prepared(settings)


async def _model_needed(settings: StandaloneSettings) -> bool:
    """Whether the model must be made: not if its folder is there (always complete), or the operator's own."""
    return not environments.model(settings).exists()


def _write_gateway_config(settings: StandaloneSettings) -> None:
    ports = Ports(settings.gateway_port)
    make_private_folder(settings.admin_socket.parent, os.getuid())
    write_gateway_config(
        settings.run / "envoy",
        settings.state,
        ports.gateway,
        settings.admin_socket,
        {service: ports.of(service) for service in STORING},
        load_gateway_settings().model_copy(
            update={"issuer": ISSUER, "audience": AUDIENCE, "instance": instance.name_of(settings.state)}
        ),
        health_interval=HEALTH_INTERVAL,
    )


def _postgres(settings: StandaloneSettings) -> Component:
    return Component(
        "postgres",
        postgres.command(settings),
        probe=partial(probes.postgres, postgres.url(settings, postgres.SUPERUSER, "postgres")),
        stage=DATABASE,
        after=("database folder",),
        # A "fast" shutdown ends sessions, and writes all data. In a hurry, an "immediate" one leaves it to
        # the next start to recover from the log.
        stop=signal.SIGINT,
        hurry=signal.SIGQUIT,
        user=postgres.system_user(),
    )


def _valkey(settings: StandaloneSettings, ports: Ports) -> Component:
    return Component(
        "valkey",
        valkey.command(settings),
        probe=partial(probes.valkey, ports.valkey, valkey.password(settings.state)),
        stage=BROKER,
        after=("valkey configuration",),
    )


def _service(settings: StandaloneSettings, ports: Ports, service: str) -> Component:
    return Component(
        service,
        (sys.executable, "-m", f"services.{service}", "serve"),
        probe=partial(probes.service, settings.state, ports.address_of(service)),
        stage=SERVICE,
        after=("keys", "database", *_broker(settings), *(["model"] if service == "embedder" else [])),
        environment=environments.of_service(settings, service),
        tells_stacks=True,
    )


def _relay(settings: StandaloneSettings, ports: Ports) -> Component:
    """The process that keeps Celery's events for the monitor, which may be away meanwhile."""
    return Component(
        "relay",
        (sys.executable, "-m", "services.monitor", "relay"),
        probe=partial(probes.ready, ports.relay_metrics),
        stage=SERVICE,
        after=("valkey",) if settings.own_valkey else (),
        environment={
            **environments.of_service(settings, "monitor"),
            "CELERIAC_METRICS_PORT": str(ports.relay_metrics),
        },
        tells_stacks=True,
    )


def _door(settings: StandaloneSettings, ports: Ports) -> Component:
    """The process that serves pages and sign-in. It needs the database alone."""
    return Component(
        DOOR,
        (sys.executable, "-m", "services.door", "serve"),
        probe=partial(probes.ready, ports.metrics_of(DOOR)),
        stage=SERVICE,
        after=("keys", "database"),
        environment=environments.of_service(settings, DOOR),
        tells_stacks=True,
    )


def _worker(settings: StandaloneSettings, name: str) -> Component:
    queues, concurrency = WORKER_QUEUES[name]
    node = f"{name}@celeriac"
    more = {
        # The monitor has its figures, from its events.
        "CELERIAC_METRICS_PORT": "0",
        "CELERIAC_WORKER_QUEUES": queues,
        "CELERIAC_WORKER_CONCURRENCY": str(concurrency),
        "CELERIAC_WORKER_NAME": node,
    }
    return Component(
        name,
        (sys.executable, "-m", "services.embedder", "work"),
        probe=partial(probes.worker, servers.broker_url(settings), node),
        stage=WORKERS,
        after=("keys", "database", *_broker(settings), "model"),
        environment={**environments.of_service(settings, "embedder", certificate="worker"), **more},
        stop_seconds=WARM_SHUTDOWN_SECONDS,
        # Celery's cold shutdown: running tasks go back to their queue.
        hurry=signal.SIGQUIT,
        held=settings.held_file,
        tells_stacks=True,
    )


def _gateway(settings: StandaloneSettings) -> Component:
    config = settings.state / "run" / "envoy" / "envoy.yaml"
    return Component(
        "gateway",
        tuple(envoy_command(config)),
        probe=partial(probes.envoy, settings.admin_socket),
        stage=GATEWAY,
        after=("gateway configuration", *SERVICES, DOOR),
    )
