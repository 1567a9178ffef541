"""What the broker has lost of its data, seen by its starts.

Each start of a Redis or Valkey gives it another run id. What was published to the life before may be gone:

- all, if the broker's identity has changed: a key that goes with its data (services.kernel.broker_identity);
- what came after its last copy on disk (`rdb_last_save_time`), if it writes copies from time to time;
- the last moments, if it writes each command to a file (`aof_enabled`), by default once a second.

A copy may be written at an orderly stop, too. So that a message came after the last copy that was seen means
only that it may be lost: it is if it is nowhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio
import structlog
from redis.exceptions import ResponseError

from services.kernel.broker_identity import identity_of
from services.kernel.database import Connection, Database

log = structlog.get_logger(__name__)

MOST_LIVES = 100
# Commands of so many seconds may be lost from a file that is written once a second.
LAST_SECONDS = dt.timedelta(seconds=3)
NOTHING = dt.datetime.min.replace(tzinfo=dt.UTC)
ALL = dt.datetime.max.replace(tzinfo=dt.UTC)

NEWEST = f"""
    SELECT run_id, identity, found_at, kept_until, saved_until FROM celery_broker_lives
    ORDER BY found_at DESC LIMIT {MOST_LIVES}
"""
# Of several monitors the first one writes it.
INSERT = """
    INSERT INTO celery_broker_lives (run_id, identity, kept_until, saved_until) VALUES ($1, $2, $3, $4)
    ON CONFLICT (run_id, identity) DO NOTHING
"""
SAVED = "UPDATE celery_broker_lives SET saved_until = $3 WHERE run_id = $1 AND identity = $2"
FORGET = "DELETE FROM celery_broker_lives WHERE found_at < $1"


@dataclass(frozen=True)
class Life:
    """One life of the broker's data. `kept_until`, `saved_until`: as in the table."""

    run_id: str
    identity: str
    found_at: dt.datetime
    kept_until: dt.datetime | None
    saved_until: dt.datetime

    @property
    def now(self) -> tuple[str, str, dt.datetime]:
        return self.run_id, self.identity, self.saved_until


class BrokerLives:
    """Knows the last lives of the broker's data."""

    def __init__(self, client: redis.asyncio.Redis, key_prefix: str, database: Database) -> None:
        self._client = client
        self._prefix = key_prefix
        self._database = database
        self._lives: Sequence[Life] = ()

    @property
    def found_at(self) -> dt.datetime | None:
        """Since when it is the life that it is; None if there was none before it, as far as is known."""
        return self._lives[0].found_at if self._lives and self._lives[0].kept_until is not None else None

    async def look(self, told: Mapping[str, Any] | None = None) -> None:
        """Reads which life it is. Raises the client's and the database's errors.

        `told`: what the server has just told of itself, if it was asked. One that does not tell its run id,
        or does not let its identity be kept, is taken to lose nothing.
        """
        try:
            if told is None:
                told = await self._client.info("server", "persistence")
            identity = await identity_of(self._client, self._prefix)
        except ResponseError:
            return
        run_id = told.get("run_id")
        if not run_id:
            return
        now = (str(run_id), identity, _saved_until(told))
        if not self._lives or self._lives[0].now != now:
            async with self._database.transaction() as connection:
                await self._note(connection, *now)

    async def _note(self, connection: Connection, run_id: str, identity: str, saved: dt.datetime) -> None:
        lives = await _lives(connection)
        newest = lives[0] if lives else None
        if newest is not None and (newest.run_id, newest.identity) == (run_id, identity):
            await connection.execute(SAVED, run_id, identity, saved)
        else:
            kept = None
            if newest is not None:
                kept = newest.saved_until if newest.identity == identity else NOTHING
                log.warning("broker.began_anew", kept_until=kept, same_data=newest.identity == identity)
            await connection.execute(INSERT, run_id, identity, kept, saved)
            if len(lives) == MOST_LIVES:
                await connection.execute(FORGET, lives[-1].found_at)
        self._lives = await _lives(connection)

    def lost(self, at: dt.datetime, heard_until: dt.datetime) -> bool:
        """Whether the broker may have lost what was published at that moment.

        `heard_until`: when the gap began in which it is to be looked for.
        """
        for life in self._lives:
            if life.found_at < at:
                return False
            if life.kept_until is not None:
                until = heard_until - LAST_SECONDS if life.kept_until == ALL else life.kept_until
                if at > until:
                    return True
        return False


async def _lives(connection: Connection) -> Sequence[Life]:
    return [Life(**row) for row in await connection.fetch(NEWEST)]


def _saved_until(told: Mapping[str, Any]) -> dt.datetime:
    if told.get("aof_enabled"):
        return ALL
    return dt.datetime.fromtimestamp(int(told.get("rdb_last_save_time", 0)), dt.UTC)
