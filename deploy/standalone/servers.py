"""Where the broker and the database are: this system's own servers, or those that the operator names.

`run/servers.json` remembers what a running system was given: `make status` and `make rotate-keys` are typed
in shells that need not have the same variables.
"""

from __future__ import annotations

import json

from deploy.standalone import postgres, valkey
from deploy.standalone.certificates import write_private
from deploy.standalone.ports import HOST, Ports
from deploy.standalone.role_passwords import passwords
from deploy.standalone.settings import StandaloneSettings
from services.kernel.broker_address import BrokerAddress
from services.kernel.database_address import as_user, place_of
from services.kernel.settings import NO_RESULTS

# The number of the embedded Valkey's database that the relay keeps events in.
RELAY_DATABASE = 2
# The settings that a running system is remembered by, with their variables.
REMEMBERED = {
    "broker_url": "CELERIAC_BROKER_URL",
    "result_url": "CELERIAC_RESULT_URL",
    "relay_url": "CELERIAC_RELAY_URL",
    "database_url": "DATABASE_URL",
    "queue_prefix": "CELERIAC_QUEUE_PREFIX",
}


def broker_url(settings: StandaloneSettings) -> str:
    """Returns the broker's URL for Celery; the password is in it."""
    if settings.broker_url is None:
        return valkey.url(settings)
    return BrokerAddress.parse(settings.broker_url.get_secret_value()).for_celery


def owner_url(settings: StandaloneSettings) -> str:
    """Returns the database's URL for the owner of the tables."""
    if settings.database_url is None:
        return postgres.url(settings, postgres.SUPERUSER)
    return settings.database_url.get_secret_value()


def service_url(settings: StandaloneSettings, service: str) -> str:
    """Returns the database's URL for a service's own role."""
    role = f"celeriac_{service}"
    if settings.database_url is None:
        return postgres.url(settings, role)
    return as_user(owner_url(settings), role, passwords(settings.state)[role])


def environment(settings: StandaloneSettings, service: str) -> dict[str, str]:
    """Returns the variables that tell a service's process where the servers are."""
    told = {
        "DATABASE_URL": service_url(settings, service),
        "CELERIAC_QUEUE_PREFIX": settings.prefix,
        "CELERIAC_RELAY_URL": _relay_url(settings),
    }
    if settings.broker_url is not None:
        told["CELERIAC_BROKER_URL"] = settings.broker_url.get_secret_value()
    else:
        told |= {
            "REDIS_HOST": HOST,
            "REDIS_PORT": str(Ports(settings.gateway_port).valkey),
            "REDIS_DB_BROKER": "0",
            "REDIS_DB_BACKEND": "1",
            "REDIS_PASSWORD": valkey.password(settings.state),
        }
    if settings.result_url is not None:
        told["CELERIAC_RESULT_URL"] = settings.result_url.get_secret_value()
    elif settings.broker_url is not None:
        # Beside the broker there may be another application's data.
        told["CELERIAC_RESULT_URL"] = NO_RESULTS
    return told


def told(settings: StandaloneSettings) -> str | None:
    """Returns the line about servers that the operator named; None if all are this system's own."""
    parts = []
    if settings.broker_url is not None:
        where = _place(settings.broker_url.get_secret_value())
        kept = "so the Valkey that is started keeps the relay's events only"
        kept = kept if settings.own_valkey else "so no Valkey is started"
        parts.append(f"broker {where} (CELERIAC_BROKER_URL), {kept}")
    if settings.relay_url is not None:
        parts.append(
            f"the relay's events in {_place(settings.relay_url.get_secret_value())} (CELERIAC_RELAY_URL)"
        )
    if settings.result_url is not None and settings.result_url.get_secret_value() != NO_RESULTS:
        parts.append(f"results in {_place(settings.result_url.get_secret_value())} (CELERIAC_RESULT_URL)")
    if settings.database_url is not None:
        where = place_of(settings.database_url.get_secret_value())
        parts.append(f"database {where} (DATABASE_URL), so no PostgreSQL is started")
    return f"setup: {'; '.join(parts)}" if parts else None


def remember(settings: StandaloneSettings) -> None:
    """Writes what this system was given; URLs have passwords, so only the owner can read the file."""
    found = settings.model_dump(include=set(REMEMBERED))
    plain = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value
        for name, value in found.items()
    }
    write_private(settings.run / "servers.json", json.dumps(plain).encode())


def as_running(settings: StandaloneSettings) -> StandaloneSettings:
    """Returns the settings with the servers of the system that runs in the state folder."""
    try:
        found = json.loads((settings.run / "servers.json").read_text())
    except FileNotFoundError:
        # Started by an earlier release, which had servers of its own only.
        found = dict.fromkeys(REMEMBERED)
    given = {variable: found[name] for name, variable in REMEMBERED.items()}
    return StandaloneSettings.model_validate({**settings.model_dump(exclude=set(REMEMBERED)), **given})


def _relay_url(settings: StandaloneSettings) -> str:
    if settings.relay_url is None:
        return valkey.url(settings, RELAY_DATABASE)
    return settings.relay_url.get_secret_value()


def _place(url: str) -> str:
    address = BrokerAddress.parse(url)
    return f"{address.server}/{address.database}"
