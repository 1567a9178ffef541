"""The parts of the one-machine system: its processes, the environment of each, and what each waits for."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from deploy.envoy.command import envoy_command
from deploy.envoy.generate import write_gateway_config
from deploy.envoy.settings import load_settings as load_gateway_settings
from deploy.standalone import database, instance, postgres, probes, servers, valkey
from deploy.standalone.certificates import ensure_audit_key, ensure_certificates, ensure_config_keys
from deploy.standalone.component import Component, Step
from deploy.standalone.door_keys import ensure_door_keys, sealing_keys, signing_key
from deploy.standalone.ports import Ports
from deploy.standalone.settings import OF_ANOTHER_APPLICATION, StandaloneSettings, make_private_folder
from deploy.standalone.tokens import AUDIENCE, ISSUER, LocalIssuer
from services import DOOR, SERVICES, STORING
from services.kernel.variables import read

# Stages of stopping: what takes work in stops before what does the work, and that before what stores data.
GATEWAY, WORKERS, SERVICE, BROKER, DATABASE = range(5)
# Queues and concurrency of the workers.
WORKER_QUEUES = {"worker-analysis": ("ai_analysis", 2), "worker-maintenance": ("maintenance,health", 1)}
# Variables that say where servers are: each process is told which of them hold for it.
SERVER_VARIABLES = (*servers.REMEMBERED.values(), *OF_ANOTHER_APPLICATION)
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
            environment=_database_environment(settings),
            needed=partial(_database_needed, settings),
        ),
        Step(
            "model",
            command=(sys.executable, "-m", "services.embedder", "prepare"),
            environment=_environment(settings, "embedder"),
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


def is_first_start(settings: StandaloneSettings) -> bool:
    """Whether the state folder lacks what a first start makes last: the database, or else the model."""
    return not (
        postgres.data_folder(settings) if settings.database_url is None else _model(settings)
    ).exists()


def refuse_wrong_settings(settings: StandaloneSettings) -> None:
    """Reads the settings of every process as it will; raises SystemExit that names each wrong variable."""
    for service in STORING:
        module = importlib.import_module(f"services.{service}.settings")
        read(getattr(module, f"{service.title()}Settings"), _environment(settings, service))


def run_command(settings: StandaloneSettings, service: str, command: str, said: str | None = None) -> int:
    """Runs one of a service's commands as that service, to its end; returns its exit code.

    `said` is its standard input.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}", command],
        env=_environment(settings, service),
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


def _database_environment(settings: StandaloneSettings) -> dict[str, str]:
    if settings.database_url is None:
        return inherited()
    return {**inherited(), "DATABASE_URL": servers.owner_url(settings)}


def _broker(settings: StandaloneSettings) -> tuple[str, ...]:
    """The component after which there is a broker; one that the operator names is there from the first."""
    return ("valkey",) if settings.broker_url is None else ()


async def _database_needed(settings: StandaloneSettings) -> bool:
    return not await database.is_prepared(settings)


async def _model_needed(settings: StandaloneSettings) -> bool:
    """Whether the model must be made: not if its folder is there (always complete), or the operator's own."""
    return not _model(settings).exists()


def _model(settings: StandaloneSettings) -> Path:
    return settings.model or settings.state / "models" / "multilingual-e5-small"


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
        environment=_environment(settings, service),
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
            **_environment(settings, "monitor"),
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
        environment=_environment(settings, DOOR),
        tells_stacks=True,
    )


def _worker(settings: StandaloneSettings, name: str) -> Component:
    queues, concurrency = WORKER_QUEUES[name]
    node = f"{name}@celeriac"
    more = {
        # The monitor has its figures, from its events.
        "CELERIAC_METRICS_PORT": "0",
        # The tasks are JSON, and only this project's own: the operator may choose to run them as root.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
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
        environment={**_environment(settings, "embedder", certificate="worker"), **more},
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


def _environment(
    settings: StandaloneSettings, service: str, certificate: str | None = None
) -> Mapping[str, str]:
    """Returns the environment of a service's process: our settings override the operator's shell."""
    state, ports = settings.state, Ports(settings.gateway_port)
    certificate = certificate or service
    told = {
        **servers.environment(settings, service),
        "CELERY_LOG_LEVEL": settings.log_level,
        "CELERIAC_LISTEN": ports.address_of(service),
        # The gateway is stopped before the services, and nothing else sends them calls.
        "CELERIAC_DRAIN_SECONDS": "0",
        "CELERIAC_METRICS_PORT": str(ports.metrics_of(service)),
        "CELERIAC_TLS_CA": str(state / "ca.pem"),
        "CELERIAC_TLS_CERT": str(state / f"certs/{certificate}.crt"),
        "CELERIAC_TLS_KEY": str(state / f"certs/{certificate}.key"),
        "CELERIAC_JWKS": str(state / "jwks.json"),
        "CELERIAC_TOKEN_ISSUER": ISSUER,
        "CELERIAC_TOKEN_AUDIENCE": AUDIENCE,
        "CELERIAC_TIME_ZONE": settings.time_zone,
        "CELERIAC_STATE_DIR": str(state),
        "CELERIAC_INSTANCE": instance.name_of(state),
        "CELERIAC_DOOR_KEY": str(signing_key(state)),
        "CELERIAC_DOOR_SEALING_KEYS": str(sealing_keys(state)),
        "CELERIAC_MODEL": str(_model(settings)),
        "CELERIAC_AUDIT_KEY": str(state / "keys/audit-ed25519.pem"),
        "CELERIAC_MONITOR_READY_FILE": str(settings.ready_file),
        "CELERIAC_MONITOR_HELD_FILE": str(settings.held_file),
        "CELERIAC_CONFIG_KEYS": str(state / "keys/config-keys.json"),
        "PYTHONUNBUFFERED": "1",
    }
    told |= {f"CELERIAC_{other.upper()}_ADDRESS": ports.address_of(other) for other in STORING}
    return {**inherited(), **told}


def inherited() -> dict[str, str]:
    """Returns this process's environment, for the processes that it starts.

    Left out are the addresses of servers, which each process is told by itself, and the variable that would
    prevent compiled modules: without those each start is slower.
    """
    left_out = {*SERVER_VARIABLES, "PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in os.environ.items() if name not in left_out}
