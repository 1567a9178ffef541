"""Holds a service back until the database has the tables that its code needs.

Migrations are numbered, and a number is never used twice. A service runs on the tables of its own newest
migration, and on later ones: a migration only adds what the version before it does not need to know
(CONTRIBUTING.md: expand, contract, one version back).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

import asyncpg
import structlog

from services.kernel.database import Database
from services.kernel.database_address import unusable
from services.kernel.logged_errors import for_log
from services.kernel.outages import DATABASE_ERRORS

log = structlog.get_logger(__name__)

# How long a service waits for the migration, which may be running.
MOST_SECONDS = 60.0
LOOK_SECONDS = 1.0
# The history of the tables that several services use. Each service's `migrate` brings it up first.
KERNEL = "kernel"
MIGRATE = "apply the migrations: python -m services.{service} migrate"
LOOK_AT_THE_ADDRESS = "is it there, and does DATABASE_URL name it, with a user who may log in?"
NUMBERED = re.compile(r"(\d{4})_\w+\.py")


class Fault(NamedTuple):
    """Why a service can't run yet, and what helps."""

    text: str
    help: str


def needed_revision(service: str) -> str:
    """Returns the number of the newest migration of a service, or of the kernel, as "0016"."""
    names = [found[1] for file in _versions(service) if (found := NUMBERED.fullmatch(file))]
    return max(names)


async def wait_for_tables(database: Database, service: str, most_seconds: float = MOST_SECONDS) -> None:
    """Returns once the database has the tables of the service and of the kernel.

    Raises `SystemExit` if it does not get them. The text names the revision that was found and the one that
    is needed, and the command that helps.
    """
    needed = {history: needed_revision(history) for history in (service, KERNEL)}
    deadline = time.monotonic() + most_seconds
    told = ""
    while fault := await _first_fault(database, needed):
        if time.monotonic() >= deadline:
            help_ = fault.help.format(service=service)
            raise SystemExit(f"{fault.text}; {help_}")
        if fault.text != told:
            log.warning("schema.waiting", fault=fault.text, most_seconds=most_seconds)
            told = fault.text
        await asyncio.sleep(LOOK_SECONDS)


async def _first_fault(database: Database, needed: Mapping[str, str]) -> Fault | None:
    """Returns what is wrong with the tables of one of the histories; None if nothing is."""
    for history, revision in needed.items():
        if fault := await _fault(database, history, revision):
            return fault
    return None


async def _fault(database: Database, history: str, needed: str) -> Fault | None:
    whose = "the kernel" if history == KERNEL else f"the service {history}"
    try:
        async with database.connection() as connection:
            found = await connection.fetchval(f"SELECT version_num FROM alembic_version_{history}")
    except asyncpg.UndefinedTableError:
        return Fault(f"the database has no tables of {whose}; revision {needed} is needed", MIGRATE)
    except asyncpg.InsufficientPrivilegeError as error:
        # The rights come with the migration.
        return Fault(f"the tables of {whose} can't be looked at: {for_log(error)}", MIGRATE)
    except DATABASE_ERRORS as error:
        return Fault(unusable(database.url, error), LOOK_AT_THE_ADDRESS)
    if found == needed:
        return None
    if re.fullmatch(r"\d{4}", found or "") and found > needed:
        log.warning("schema.newer", schema_revision=found, needed_revision=needed)
        return None
    return Fault(f"the tables of {whose} are of revision {found}; revision {needed} is needed", MIGRATE)


def _versions(service: str) -> list[str]:
    return [file.name for file in (files(f"services.{service}") / "migrations" / "versions").iterdir()]
