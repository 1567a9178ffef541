"""Which database of a PostgreSQL of the operator's is used, and what stops the start."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.standalone.foreign_database import choose
from services.kernel.database_address import as_user, database_of, in_database
from services.kernel.migrations import migrate
from tests.support.foreign_servers import PASSWORD, foreign_postgres, run_as


@pytest.fixture(scope="module")
def administrator() -> Iterator[str]:
    """The superuser's URL of a server with the database `shop`, which has a table `orders`."""
    with foreign_postgres() as url:
        yield url


@pytest.fixture
async def login(administrator: str) -> AsyncIterator[str]:
    """A login without any right, as a name that may be put into statements."""
    name = f"login_{uuid.uuid4().hex[:8]}"
    await run_as(administrator, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    yield name
    await run_as(administrator, "DROP DATABASE IF EXISTS celeriac WITH (FORCE)", f"ALTER ROLE {name} NOLOGIN")


def url_of(administrator: str, login: str, database: str = "shop") -> str:
    return in_database(as_user(administrator, login, PASSWORD), database)


async def test_a_login_that_may_gets_a_database_of_its_own(administrator: str, login: str) -> None:
    await run_as(administrator, f"ALTER ROLE {login} CREATEDB CREATEROLE")
    url = url_of(administrator, login)
    assert database_of(await choose(url)) == "celeriac"
    # Again, as at the next start; and where it is named before it is there.
    assert database_of(await choose(url)) == "celeriac"
    await run_as(administrator, "DROP DATABASE celeriac")
    assert database_of(await choose(url_of(administrator, login, "celeriac"))) == "celeriac"


async def test_without_the_right_an_empty_database_that_is_named_is_used(
    administrator: str, login: str
) -> None:
    await run_as(administrator, f"ALTER ROLE {login} CREATEROLE", f"CREATE DATABASE empty_one OWNER {login}")
    assert database_of(await choose(url_of(administrator, login, "empty_one"))) == "empty_one"


async def test_without_the_right_a_database_of_another_application_is_refused(
    administrator: str, login: str
) -> None:
    with pytest.raises(SystemExit, match="has tables of another application, for example 'orders'") as ended:
        await choose(url_of(administrator, login))
    assert f"ALTER ROLE {login} CREATEDB" in str(ended.value)


async def test_a_foreign_table_of_one_of_our_names_is_named_with_the_way_out(
    administrator: str, login: str
) -> None:
    await run_as(administrator, f"ALTER ROLE {login} CREATEROLE", f"CREATE DATABASE clash OWNER {login}")
    await run_as(in_database(administrator, "clash"), "CREATE TABLE celery_schedules (id int)")
    with pytest.raises(SystemExit, match="has a table 'celery_schedules' that is not Celeriac's") as ended:
        await choose(url_of(administrator, login, "clash"))
    assert "rename it, or" in str(ended.value) and "CREATEDB" in str(ended.value)


async def test_a_database_that_is_ours_is_used_under_any_name_but_for_a_foreign_table(
    administrator: str, login: str
) -> None:
    await run_as(
        administrator, f"ALTER ROLE {login} CREATEROLE CREATEDB", f"CREATE DATABASE ours OWNER {login}"
    )
    url = url_of(administrator, login, "ours")
    await migrate(url, "audit")
    assert database_of(await choose(url)) == "ours"
    # A table of a service whose migrations were not applied: nobody but another application can have made it.
    await run_as(in_database(administrator, "ours"), "CREATE TABLE celery_schedules (id int)")
    with pytest.raises(SystemExit, match="'celery_schedules'"):
        await choose(url)


def test_a_login_that_may_not_make_roles_is_told_so_before_anything_is_made() -> None:
    # A server of its own: roles belong to all databases of one, and other tests make them.
    with foreign_postgres() as administrator:
        make = f"CREATE ROLE modest LOGIN CREATEDB PASSWORD '{PASSWORD}'"
        asyncio.run(run_as(administrator, make))
        with pytest.raises(SystemExit, match="ALTER ROLE modest CREATEROLE"):
            asyncio.run(choose(url_of(administrator, "modest")))


async def test_a_wrong_password_is_told_without_it(administrator: str, login: str) -> None:
    wrong = in_database(as_user(administrator, login, "mistyped"), "shop")
    with pytest.raises(SystemExit, match="of DATABASE_URL can't be used") as ended:
        await choose(wrong)
    assert "mistyped" not in str(ended.value)


async def test_a_database_that_is_not_there_is_told_in_the_words_of_the_server_alone(
    administrator: str, login: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        await choose(in_database(as_user(administrator, login, PASSWORD), "nowhere"))
    assert 'can\'t be used: database "nowhere" does not exist; for example: ' in str(ended.value)
