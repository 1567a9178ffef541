"""A PostgreSQL that the operator names: which of its databases is used, and what stands in the way.

Nothing is changed here but that the database `celeriac` is created: `deploy.standalone.database` makes tables
and roles in it. docs/your-own-servers.md has the rights that the login needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import asyncpg

from deploy.standalone.postgres import DATABASE
from services import STORING
from services.kernel.database import CONNECT_SECONDS, driver_url
from services.kernel.database_address import database_of, in_database, place_of
from services.kernel.logged_errors import for_log, text_of

# The version table of the kernel's migrations: no other application has one of this name.
OURS = "alembic_version_kernel"
LOOK = """
    SELECT current_database() AS name, current_user AS login,
           (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_create,
           (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_make_roles,
           EXISTS (SELECT FROM pg_database WHERE datname = $1) AS has_celeriac,
           ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace('public')
                 AND relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY relname) AS tables,
           ARRAY(SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, 'celeriac_')) AS roles,
           has_schema_privilege('public', 'CREATE') AS may_make_tables
"""
ADVICE = "give the login its own: ALTER ROLE {login} CREATEDB, or CREATE DATABASE celeriac OWNER {login}"


@dataclass(frozen=True)
class Found:
    """One database of the server, as the login sees it."""

    name: str
    login: str
    may_create: bool
    may_make_roles: bool
    has_celeriac: bool
    tables: list[str]
    roles: list[str]
    may_make_tables: bool

    @property
    def ours(self) -> bool:
        return OURS in self.tables


async def choose(url: str) -> str:
    """Returns the URL of the database to use: the one that is named if it is ours; else `celeriac`, created
    if the login may; else the one that is named if it is empty.

    Raises SystemExit that says what stands in the way, and the way out.
    """
    try:
        return await _chosen(driver_url(url))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise SystemExit(
            f"the database {place_of(url)} of DATABASE_URL can't be used: {_reason(error)}; for example: "
            "DATABASE_URL=postgresql://celeriac:password@db:5432/celeriac"
        ) from None


def _reason(error: BaseException) -> str:
    """Returns what a person reads: without the name of the class, and without SQLSTATE."""
    text = text_of(error)
    if isinstance(error, asyncpg.PostgresError):
        text = text.removeprefix(error.sqlstate or "").strip()
    if not text and isinstance(error, TimeoutError):
        text = f"no answer in {CONNECT_SECONDS:g} s"
    return text or for_log(error)


async def _chosen(url: str) -> str:
    named = await _named(url)
    own = in_database(url, DATABASE)
    if named.ours or named.name == DATABASE:
        chosen = named
    elif named.has_celeriac:
        url, chosen = own, await _look(own)
    elif named.may_create:
        await _create(url)
        url, chosen = own, await _look(own)
    else:
        chosen = named
    _refuse_others_tables(chosen)
    _refuse_missing_rights(chosen)
    return url


async def _named(url: str) -> Found:
    """Looks at the database that the URL names; creates it if it is `celeriac` and is not there."""
    try:
        return await _look(url)
    except asyncpg.InvalidCatalogNameError:
        if database_of(url) != DATABASE:
            raise
        await _create(in_database(url, "postgres"))
        return await _look(url)


async def _create(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        await connection.execute(f"CREATE DATABASE {DATABASE} ENCODING 'UTF8' TEMPLATE template0")
    except asyncpg.DuplicateDatabaseError:
        pass
    finally:
        await connection.close()


async def _look(url: str) -> Found:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        row = await connection.fetchrow(LOOK, DATABASE)
        assert row is not None
        return Found(**row)
    finally:
        await connection.close()


def _refuse_others_tables(found: Found) -> None:
    if taken := _taken_names(found):
        raise SystemExit(
            f"the database {found.name} has a table {taken!r} that is not Celeriac's, and Celeriac needs "
            f"one of this name: rename it, or {ADVICE.format(login=found.login)}"
        )
    if found.tables and not found.ours:
        raise SystemExit(
            f"the database {found.name} has tables of another application, for example {found.tables[0]!r}, "
            f"and the login {found.login} may not create a database: {ADVICE.format(login=found.login)}"
        )


def _taken_names(found: Found) -> str | None:
    """Returns a table that has one of our names, but no history of ours that could have made it."""
    for history in ("kernel", *STORING):
        if f"alembic_version_{history}" in found.tables:
            continue
        # Imported for a first start alone: SQLAlchemy takes memory, which the supervisor keeps.
        metadata = import_module(f"services.{history}.tables").metadata
        if taken := sorted(set(metadata.tables) & set(found.tables)):
            return str(taken[0])
    return None


def _refuse_missing_rights(found: Found) -> None:
    missing = sorted({f"celeriac_{service}" for service in STORING} - set(found.roles))
    if missing and not found.may_make_roles:
        raise SystemExit(
            f"the login {found.login} may not create the role {missing[0]}, which a service logs in with: "
            f"ALTER ROLE {found.login} CREATEROLE"
        )
    if not found.may_make_tables:
        raise SystemExit(
            f"the login {found.login} may not create tables in the database {found.name}: "
            f"ALTER DATABASE {found.name} OWNER TO {found.login}"
        )
