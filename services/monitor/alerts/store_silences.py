"""The SQL of silences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from services.kernel.database import Connection
from services.kernel.once import Once
from services.kernel.pages import Place
from services.monitor.alerts.silence import Silence

SHOWN = "id, rule, subject_pattern, labels, until, reason, created_by, created_at"
HOLDING = f"SELECT {SHOWN} FROM celery_alert_silences WHERE until > clock_timestamp()"
KEPT = "until > clock_timestamp() - interval '1 day'"
GET = f"SELECT {SHOWN} FROM celery_alert_silences WHERE id = $1 AND {KEPT}"
NEWEST = f"""
    SELECT {SHOWN} FROM celery_alert_silences
    WHERE {KEPT} AND ($1::timestamptz IS NULL OR (created_at, id) < ($1, $2))
    ORDER BY created_at DESC, id DESC LIMIT $3
"""
ADD = f"""
    INSERT INTO celery_alert_silences (rule, subject_pattern, labels, until, reason, created_by, request_id,
        request_digest)
    VALUES ($1, $2, $3::jsonb, $4, $5, $6, $7, $8)
    ON CONFLICT (request_id) WHERE request_id IS NOT NULL DO NOTHING
    RETURNING {SHOWN}
"""
MADE_BY = f"SELECT {SHOWN}, request_digest FROM celery_alert_silences WHERE request_id = $1"
END = f"""
    UPDATE celery_alert_silences SET until = least(until, clock_timestamp()) WHERE id = $1 RETURNING {SHOWN}
"""
DELETE_OLD = f"DELETE FROM celery_alert_silences WHERE NOT ({KEPT})"


class SilenceStore:
    """Reads and writes silences over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def holding(self) -> Sequence[Silence]:
        """Returns those that hold now."""
        return [_silence(row) for row in await self._connection.fetch(HOLDING)]

    async def get(self, silence_id: int) -> Silence | None:
        row = await self._connection.fetchrow(GET, silence_id)
        return None if row is None else _silence(row)

    async def list(self, after: Place | None, most: int) -> Sequence[Silence]:
        """Returns those that hold or ended in the last day, the newest first."""
        at, last = (None, 0) if after is None else (after[0], int(after[1]))
        return [_silence(row) for row in await self._connection.fetch(NEWEST, at, last, most)]

    async def add(self, silence: Silence, once: Once | None) -> Silence:
        """Returns the silence as stored. Raises `Invalid` if the request's id was another request's."""
        labels = orjson.dumps(dict(silence.labels)).decode()
        said = (
            silence.rule,
            silence.subject_pattern,
            labels,
            silence.until,
            silence.reason,
            silence.created_by,
        )
        request = (once.request_id, once.digest) if once else (None, None)
        row = await self._connection.fetchrow(ADD, *said, *request)
        if row is None:
            assert once is not None
            row = await self._connection.fetchrow(MADE_BY, once.request_id)
            once.check(row["request_digest"])
        return _silence(row)

    async def end(self, silence_id: int) -> Silence | None:
        row = await self._connection.fetchrow(END, silence_id)
        return None if row is None else _silence(row)

    async def delete_old(self) -> None:
        """Deletes those that ended more than a day ago."""
        await self._connection.execute(DELETE_OLD)


def _silence(row: Any) -> Silence:
    kept = {name: row[name] for name in SHOWN.split(", ")}
    return Silence(**{**kept, "labels": orjson.loads(row["labels"])})
