"""A process that says a value by every way on which one gets into a log: python -m tests.support.careless

The value is CARELESS_VALUE, and the database that raises some of the faults is DATABASE_URL. Each way is
announced by a line "way", with its name, before what comes of it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging as stdlib
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import asyncpg
import pydantic
import redis
import redis.asyncio
import structlog
import uvloop
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.kernel import logging
from services.kernel.database import Database
from services.kernel.errors import FieldFault, Invalid
from services.kernel.logged_errors import for_log
from services.kernel.sessions import Sessions

log = structlog.get_logger("services.careless")
VALUE = os.environ["CARELESS_VALUE"]
URL = os.environ["DATABASE_URL"]


class Settings(pydantic.BaseModel):
    port: int


class LeavesBadly:
    def __del__(self) -> None:
        raise ValueError(VALUE)


class Holder:
    """An object whose repr has the value."""

    def __repr__(self) -> str:
        return f"Holder({VALUE})"


class CannotBeWritten:
    """A value at which the JSON of a line fails."""

    def __str__(self) -> str:
        raise ValueError(VALUE)

    __repr__ = __str__


def raised(value: str) -> Exception:
    """An exception whose frames have the value as a local variable, and which says it itself."""
    copy = {"value": value}
    try:
        raise ValueError(f"{copy['value']} is bad")
    except ValueError as error:
        return error


def caught_with_cause() -> None:
    try:
        try:
            raise raised(VALUE)
        except ValueError as error:
            raise KeyError(VALUE) from error
    except KeyError:
        log.exception("failed")


def group() -> None:
    try:
        raise ExceptionGroup(VALUE, [raised(VALUE), ExceptionGroup(VALUE, [raised(VALUE)])])
    except* ValueError:
        log.exception("failed")


def note() -> None:
    error = raised(VALUE)
    error.add_note(VALUE)
    log.warning("failed", exc_info=error)


def exception_as_a_value() -> None:
    log.warning("failed", error=raised(VALUE), among=[raised(VALUE)], within={"error": raised(VALUE)})


def told_exception() -> None:
    log.warning("failed", error=for_log(raised(VALUE)))


def fields_at_fault() -> None:
    try:
        raise Invalid([FieldFault("value.text", f"is {VALUE}", "x")])
    except Invalid as error:
        log.exception("failed", error=for_log(error))


def json_document() -> None:
    try:
        json.loads(f'{{"a": {VALUE}')
    except ValueError as error:
        log.exception("failed", error=for_log(error))


def pydantic_input() -> None:
    try:
        Settings.model_validate({"port": VALUE})
    except ValueError as error:
        log.exception("failed", error=for_log(error))


async def _in_database(*statements: tuple[str, Any]) -> None:
    connection = await asyncpg.connect(URL)
    try:
        await connection.execute("CREATE TEMPORARY TABLE t (name text PRIMARY KEY, n int CHECK (n > 0))")
        for statement, values in statements:
            await connection.execute(statement, *values)
    except asyncpg.PostgresError as error:
        log.exception("failed", error=for_log(error))
    finally:
        await connection.close()


async def key_exists() -> None:
    await _in_database(*[("INSERT INTO t VALUES ($1, 1)", [VALUE])] * 2)


async def row_fails_its_check() -> None:
    await _in_database(("INSERT INTO t VALUES ($1, 0)", [VALUE]))


async def text_is_no_number() -> None:
    await _in_database(("SELECT $1::text::int", [VALUE]))


async def argument_of_another_type() -> None:
    await _in_database(("INSERT INTO t VALUES ('a', $1)", [VALUE]))


async def statement_of_sqlalchemy() -> None:
    sessions = Sessions(Database(URL))
    try:
        async with sessions.transaction() as session:
            await session.execute(text("SELECT :value ::text::int"), {"value": VALUE})
    except DBAPIError as error:
        log.exception("failed", error=for_log(error))
    finally:
        await sessions.close()


def command_of_redis() -> None:
    error = redis.exceptions.ResponseError(f"unknown command 'X', with args beginning with: '{VALUE}'")
    log.warning("failed", error=for_log(error))


async def task_never_retrieved() -> None:
    async def fails(value: str) -> None:
        raise raised(value)

    # Nobody holds the task, and nobody asks for what became of it.
    await asyncio.wait([asyncio.create_task(fails(VALUE))])
    gc.collect()


async def callback_with_arguments() -> None:
    def fails(value: str) -> None:
        raise raised(value)

    asyncio.get_running_loop().call_soon(fails, VALUE)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def thread() -> None:
    def fails() -> None:
        raise raised(VALUE)

    running = threading.Thread(target=fails)
    running.start()
    running.join()


def object_that_leaves_badly() -> None:
    LeavesBadly()
    gc.collect()


def warning() -> None:
    warnings.warn(f"{VALUE} is odd", UserWarning, stacklevel=1)


def library_at_debug() -> None:
    stdlib.getLogger("some.library").debug("sending %s", VALUE)
    stdlib.getLogger("some.library").info("sent %s", VALUE)


def library_that_warns() -> None:
    stdlib.getLogger("some.library").warning("could not send %s after %d tries", VALUE, 3)


def library_with_an_exception() -> None:
    try:
        raise raised(VALUE)
    except ValueError as error:
        stdlib.getLogger("some.library").exception(f"failed at {error!r}")


def wrong_placeholders() -> None:
    stdlib.getLogger("some.library").warning("%s and %s", VALUE)


def line_that_cannot_be_written() -> None:
    log.warning("failed", value=VALUE, thing={CannotBeWritten(): 1})


def object_as_a_value() -> None:
    log.warning("failed", holder=Holder())


def address_with_a_password() -> None:
    log.warning("failed", url=f"redis://:{VALUE}@127.0.0.1:6379/0", dsn=f"host=db password={VALUE}")


def header() -> None:
    log.warning("failed", metadata=f"authorization: Bearer {VALUE}")


WAYS: dict[str, Callable[[], Any]] = {
    way.__name__: way
    for way in (
        caught_with_cause,
        group,
        note,
        exception_as_a_value,
        told_exception,
        fields_at_fault,
        json_document,
        pydantic_input,
        key_exists,
        row_fails_its_check,
        text_is_no_number,
        argument_of_another_type,
        statement_of_sqlalchemy,
        command_of_redis,
        task_never_retrieved,
        callback_with_arguments,
        thread,
        object_that_leaves_badly,
        warning,
        library_at_debug,
        library_that_warns,
        library_with_an_exception,
        wrong_placeholders,
        line_that_cannot_be_written,
        object_as_a_value,
        address_with_a_password,
        header,
    )
}


def main() -> None:
    logging.configure("careless", "DEBUG")
    for name, way in WAYS.items():
        log.info("way", name=name)
        if asyncio.iscoroutinefunction(way):
            uvloop.run(way())
        else:
            way()
    log.info("way", name="uncaught")
    raise raised(VALUE)


if __name__ == "__main__":
    main()
