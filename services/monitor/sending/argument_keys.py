"""The file of keys with which arguments that have secrets are kept encrypted."""

from __future__ import annotations

import structlog

from services.kernel.sealing import KeyRing, WrongKeyFile, add_key
from services.monitor.settings import MonitorSettings
from services.monitor.tasks.sealed_arguments import NO_KEYS, ArgumentSeals

log = structlog.get_logger(__name__)

NAME = "CELERIAC_MONITOR_ARGUMENT_KEYS"


def argument_seals(settings: MonitorSettings) -> ArgumentSeals | None:
    """Returns what encrypts; None if no file is named. Raises `SystemExit` for a file that can't be used."""
    if settings.argument_keys is None:
        return None
    return ArgumentSeals(_opened(settings))


def add(settings: MonitorSettings) -> None:
    """Puts a new key into the file, as the newest."""
    if settings.argument_keys is None:
        raise SystemExit(f"{NAME} names no file; for example: /etc/celeriac/argument-keys.json")
    _opened(settings)
    log.info("keys.added", id=add_key(settings.argument_keys), file=str(settings.argument_keys))


def _opened(settings: MonitorSettings) -> KeyRing:
    try:
        return KeyRing(settings.argument_keys, NO_KEYS)
    except WrongKeyFile as error:
        raise SystemExit(f"the settings can't be used:\n  {NAME}: {error}") from None
