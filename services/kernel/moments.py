"""How the database's moments (timestamptz) become Python's, and back.

PostgreSQL knows moments from 4713 BC to the year 294276, Python those of the years 1 to 9999. asyncpg's own
conversion fails on a moment that Python does not know, and with it the whole statement: one row that somebody
wrote by SQL would hide all others of its list. Here such a moment becomes an infinite one, for which asyncpg
has the first and the last datetime, without a time zone.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import asyncpg

# asyncpg's infinite moments.
_LAST, _FIRST = dt.datetime.max, dt.datetime.min  # noqa: DTZ901
# What the database's own moments are counted from, in microseconds.
_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_FUTURE, _PAST = 2**63 - 1, -(2**63)


async def read_any_moment(connection: asyncpg.Connection[Any]) -> None:
    """Makes the connection read every moment that the database may hold. It takes no longer than before."""
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_written, decoder=_read, format="tuple"
    )


def _read(moment: tuple[int]) -> dt.datetime:
    try:
        return _EPOCH + dt.timedelta(0, 0, moment[0])
    except OverflowError:
        return _LAST if moment[0] > 0 else _FIRST


def _written(moment: dt.datetime) -> tuple[int]:
    """Raises an error for a moment without a time zone: which one was meant is not known."""
    if moment.tzinfo is None and moment in (_FIRST, _LAST):
        return (_PAST if moment == _FIRST else _FUTURE,)
    return ((moment - _EPOCH) // _MICROSECOND,)
