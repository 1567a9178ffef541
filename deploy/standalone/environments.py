"""The environment of each process of the one-machine system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.standalone import instance, servers
from deploy.standalone.door_keys import sealing_keys, signing_key
from deploy.standalone.ports import Ports
from deploy.standalone.settings import OF_ANOTHER_APPLICATION, StandaloneSettings
from deploy.standalone.tokens import AUDIENCE, ISSUER
from services import STORING

# Variables that say where servers are: each process is told which of them hold for it.
SERVER_VARIABLES = (*servers.REMEMBERED.values(), *OF_ANOTHER_APPLICATION)
ALERT_CHANNELS = "CELERIAC_MONITOR_ALERT_CHANNELS"
# Of the authority, and of processes that do not tell of themselves: below the state folder.
OTHER_CERTIFICATES = ("ca.pem", "certs/worker.crt", "certs/tasks.crt")


def of_service(
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
        "CELERIAC_MODEL": str(model(settings)),
        "CELERIAC_INDEX": str(state / "index"),
        "CELERIAC_AUDIT_KEY": str(state / "keys/audit-ed25519.pem"),
        "CELERIAC_MONITOR_READY_FILE": str(settings.ready_file),
        "CELERIAC_MONITOR_HELD_FILE": str(settings.held_file),
        "CELERIAC_MONITOR_GATEWAY": f"127.0.0.1:{settings.gateway_port}",
        "CELERIAC_MONITOR_GATEWAY_ADMIN": str(settings.admin_socket),
        "CELERIAC_MONITOR_CERTIFICATES": ",".join(str(state / name) for name in OTHER_CERTIFICATES),
        "CELERIAC_CONFIG_KEYS": str(state / "keys/config-keys.json"),
        # Whom to tell of alerts: the operator writes the file, or names another one.
        ALERT_CHANNELS: os.environ.get(ALERT_CHANNELS) or str(state / "alert-channels.toml"),
    }
    told |= {f"CELERIAC_{other.upper()}_ADDRESS": ports.address_of(other) for other in STORING}
    return {**of_the_nursery(), **told}


def of_the_nursery() -> dict[str, str]:
    """Returns what all processes of ours have in common, such as what Python reads when it starts."""
    return {
        **inherited(),
        "PYTHONUNBUFFERED": "1",
        # Celery's, which would come at each start: the tasks are JSON, and only this project's own. The
        # operator may choose to run them as root.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }


def inherited() -> dict[str, str]:
    """Returns this process's environment, for the processes that it starts.

    Left out are the addresses of servers, which each process is told by itself, and the variable that would
    prevent compiled modules: without those each start is slower.
    """
    left_out = {*SERVER_VARIABLES, "PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in os.environ.items() if name not in left_out}


def of_the_database(settings: StandaloneSettings) -> dict[str, str]:
    if settings.database_url is None:
        return inherited()
    return {**inherited(), "DATABASE_URL": servers.owner_url(settings)}


def model(settings: StandaloneSettings) -> Path:
    return settings.model or settings.state / "models" / "multilingual-e5-small"
