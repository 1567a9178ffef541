"""Environment variables: read into settings, with every fault told before anything starts.

A misspelt name would be ignored in silence, and the default would be in force instead. So a name that begins
with CELERIAC_ and is within two letters of a known one is refused; any other unknown name is only reported,
because Kubernetes puts variables of its own (CELERIAC_GATEWAY_SERVICE_HOST) into every container.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

PREFIX = "CELERIAC_"
# Two names that differ in more letters than this are not taken for one another.
MOST_LETTERS = 2
# All variables with our prefix, of all processes: in most deployments they share one environment. A test
# compares the list with the settings' own declarations.
NAMES = """
    AUDIT_ADDRESS AUDIT_KEY AUDIT_ORIGIN BATCH_TOKENS BROKER_KEY_PREFIX BROKER_PRIORITY_SEPARATOR
    BROKER_PRIORITY_STEPS BROKER_URL CA CONFIG_KEYS DATABASE_POOL_SIZE DOOR_ADDRESS DOOR_KEY
    DOOR_SEALING_KEYS DRAIN_SECONDS EMBEDDER_ADDRESS EXAMPLES GATEWAY_ALLOW GATEWAY_BURST
    GATEWAY_CORS_ORIGINS GATEWAY_HOST GATEWAY_MAX_REQUEST_BYTES GATEWAY_PORT GATEWAY_RATE
    GATEWAY_TRUSTED_PROXIES INDEX INSTANCE JWKS LISTEN LOG_LINK METRICS_PORT MODEL MONITOR_ADDRESS
    MONITOR_ALERT_CHANNELS MONITOR_ARGUMENTS MONITOR_ARGUMENTS_READABLE_FROM MONITOR_ARGUMENT_KEYS
    MONITOR_CERTIFICATES MONITOR_CONTROL_TIMEOUT MONITOR_ENABLE_EVENTS MONITOR_GATEWAY
    MONITOR_GATEWAY_ADMIN MONITOR_HELD_FILE MONITOR_READY_FILE MONITOR_REDACT MONITOR_REDACT_EXCEPT
    MONITOR_REVOCATION_HOURS MONITOR_RUNBOOK_URL MONITOR_SNAPSHOTS_BYTES MONITOR_TASKS_BYTES
    MONITOR_TASKS_IN_MEMORY MONITOR_WATCH_BUFFER PACE PROVIDER QUEUE_PREFIX RELAY_BYTES RELAY_URL
    RESULT_KEY_PREFIX RESULT_URL SCHEDULER_ADDRESS SECOND_FACTOR_LIFE SHUTDOWN_GRACE STATE_DIR TARGET
    THREADS TIME_ZONE TLS_CA TLS_CERT TLS_KEY TOKEN TOKEN_AUDIENCE TOKEN_ISSUER WORKER_CONCURRENCY
    WORKER_NAME WORKER_QUEUES
"""
KNOWN = frozenset(PREFIX + name for name in NAMES.split())
# Variables of the tests and benchmarks.
OF_TESTS = (f"{PREFIX}CHAOS_", f"{PREFIX}BENCHMARK_")

Read = TypeVar("Read", bound=BaseSettings)


def read(settings_type: type[Read], more: Mapping[str, str] = MappingProxyType({})) -> Read:
    """Returns the settings by this process's environment; variables in `more` replace those in it.

    Raises `SystemExit` that names each wrong or misspelt variable, with its fault and an example.
    """
    faults = misspelt({*os.environ, *more})
    try:
        settings = settings_type(**_values(settings_type, more))
    except ValidationError as error:
        _refuse([*faults, *_faults(settings_type, error)])
    if faults:
        _refuse(faults)
    return settings


def unknown() -> Sequence[str]:
    """Returns the variables of this process that have our prefix and that no process of ours reads."""
    return sorted(name for name in _foreign(os.environ) if _nearest(name) is None)


def misspelt(environment: Iterable[str]) -> Sequence[str]:
    """Returns a line for each name that is so near to a known one that it must be meant for it."""
    return [
        f"{name}: there is no such variable; did you mean {nearest}?"
        for name in sorted(_foreign(environment))
        if (nearest := _nearest(name))
    ]


def _values(settings_type: type[BaseSettings], variables: Mapping[str, str]) -> dict[str, Any]:
    names = {str(field.validation_alias) for field in settings_type.model_fields.values()}
    return {name: value for name, value in variables.items() if name in names}


def _foreign(environment: Iterable[str]) -> Iterable[str]:
    return (
        name
        for name in environment
        if name.startswith(PREFIX) and name not in KNOWN and not name.startswith(OF_TESTS)
    )


def _nearest(name: str) -> str | None:
    distance, nearest = min((letters_between(name, known), known) for known in KNOWN)
    return nearest if distance <= MOST_LETTERS else None


def letters_between(one: str, other: str) -> int:
    """Returns how many letters must be put in, taken out or replaced to make one text the other."""
    row = list(range(len(other) + 1))
    for line, letter in enumerate(one, start=1):
        before, row[0] = row[0], line
        for column, wanted in enumerate(other, start=1):
            replaced = before + (letter != wanted)
            before, row[column] = row[column], min(replaced, row[column] + 1, row[column - 1] + 1)
    return row[-1]


def _faults(settings_type: type[BaseSettings], error: ValidationError) -> Iterable[str]:
    by_variable = {field.validation_alias: field for field in settings_type.model_fields.values()}
    for fault in error.errors():
        variable = str(fault["loc"][0]) if fault["loc"] else "settings"
        field = by_variable.get(variable)
        example = f"; for example: {variable}={field.examples[0]}" if field and field.examples else ""
        # Of our own checks only what they say; pydantic puts words of its own before it.
        yield f"{variable}: {fault['msg'].removeprefix('Value error, ')}{example}"


def _refuse(faults: Sequence[str]) -> NoReturn:
    raise SystemExit("\n".join(["the settings can't be used:", *(f"  {fault}" for fault in faults)]))
