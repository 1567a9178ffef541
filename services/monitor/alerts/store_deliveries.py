"""The SQL of deliveries: what each channel is to be told of each alert, and what came of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from services.kernel.database import Connection

FIRING, RESOLVED = "FIRING", "RESOLVED"
# How long it is tried to tell a channel.
PATIENCE = "interval '24 hours'"
SHOWN = "alert, channel, told_state, attempts, error, created_at, delivered_at, next_at"
# The first is sent a little later, together with what else fires in that time.
ADD = """
    INSERT INTO celery_alert_deliveries (alert, told_state, channel, next_at)
    SELECT $1, 'FIRING', channel, clock_timestamp() + make_interval(secs => $3)
    FROM unnest($2::text[]) AS channel
    ON CONFLICT DO NOTHING
"""
# Those who were not told that an alert fires need not be told that it has ended.
DROP_UNTOLD = """
    DELETE FROM celery_alert_deliveries
    WHERE alert = any($1::bigint[]) AND told_state = 'FIRING' AND next_at IS NOT NULL AND attempts = 0
"""
# Those may have been told whom it was tried to tell, also where it is not known yet whether that succeeded.
ADD_ENDS = """
    INSERT INTO celery_alert_deliveries (alert, told_state, channel, next_at)
    SELECT alert, 'RESOLVED', channel, clock_timestamp() + make_interval(secs => $2)
    FROM celery_alert_deliveries
    WHERE alert = any($1::bigint[]) AND told_state = 'FIRING' AND attempts > 0
    ON CONFLICT DO NOTHING
"""
DUE_CHANNELS = """
    SELECT channel, max(told.delivered_at) AS told_at
    FROM (SELECT DISTINCT channel FROM celery_alert_deliveries WHERE next_at <= clock_timestamp()) AS due
    LEFT JOIN LATERAL (SELECT delivered_at FROM celery_alert_deliveries AS told
        WHERE told.channel = due.channel AND delivered_at IS NOT NULL
        ORDER BY created_at DESC LIMIT 20) AS told ON true
    GROUP BY channel ORDER BY channel
"""
# With those that were to come later: whoever is told anyway is told all. What is due comes first, so that
# hundreds that a silence postponed keep nothing else back. What another monitor is about to send, because it
# believes to be the one that writes, is left to that one.
WAITING = f"""
    SELECT id, {SHOWN} FROM celery_alert_deliveries
    WHERE channel = $1 AND next_at IS NOT NULL AND (attempts = 0 OR next_at <= clock_timestamp())
    ORDER BY next_at, id LIMIT 500 FOR UPDATE SKIP LOCKED
"""
# It is to be sent first when the silence ends: from then on it is tried for `PATIENCE`.
POSTPONE = """
    UPDATE celery_alert_deliveries AS delivery SET next_at = news.until, created_at = news.until
    FROM unnest($1::bigint[], $2::timestamptz[]) AS news (id, until) WHERE delivery.id = news.id
"""
# What a silence had postponed is looked at again.
HURRY = """
    UPDATE celery_alert_deliveries SET next_at = clock_timestamp(),
        created_at = least(created_at, clock_timestamp())
    WHERE next_at > clock_timestamp() AND attempts = 0
"""
# Before it is sent: if the monitor ends meanwhile, it is known that somebody may have been told, and it is
# sent again.
BEGIN = """
    UPDATE celery_alert_deliveries SET attempts = attempts + 1,
        next_at = clock_timestamp() + make_interval(secs => least($2 * 2.0 ^ least(attempts, 20), $3))
    WHERE id = any($1::bigint[])
"""
DELIVERED = """
    UPDATE celery_alert_deliveries SET delivered_at = clock_timestamp(), next_at = NULL, error = ''
    WHERE id = any($1::bigint[])
"""
FAILED = f"""
    UPDATE celery_alert_deliveries SET error = $2,
        next_at = CASE WHEN created_at > clock_timestamp() - {PATIENCE} THEN next_at END
    WHERE id = any($1::bigint[])
"""
OF_ALERT = f"SELECT id, {SHOWN} FROM celery_alert_deliveries WHERE alert = $1 ORDER BY channel, id"
# Of each channel, a few lookups in an index: there may be hundreds of thousands of deliveries.
OF_CHANNELS = """
    SELECT channel, error, waiting, delivered_at FROM unnest($1::text[]) AS channel
    LEFT JOIN LATERAL (SELECT error FROM celery_alert_deliveries AS tried
        WHERE tried.channel = channel.channel AND attempts > 0
        ORDER BY created_at DESC, id DESC LIMIT 1) AS last ON true
    CROSS JOIN LATERAL (SELECT count(*) AS waiting FROM celery_alert_deliveries AS each
        WHERE each.channel = channel.channel AND next_at IS NOT NULL) AS waits
    CROSS JOIN LATERAL (SELECT max(delivered_at) AS delivered_at FROM (
        SELECT delivered_at FROM celery_alert_deliveries AS told
        WHERE told.channel = channel.channel AND delivered_at IS NOT NULL
        ORDER BY created_at DESC LIMIT 20) AS newest) AS taken
"""
WAITS = "SELECT EXISTS (SELECT FROM celery_alert_deliveries WHERE next_at IS NOT NULL)"
UNDELIVERED = """
    SELECT count(*) FROM celery_alert_deliveries
    WHERE delivered_at IS NULL AND error <> '' AND created_at > clock_timestamp() - interval '1 day'
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """`created_at`: when it was to be sent first. `next_at`: when it is tried next; None once it is delivered
    or given up."""

    id: int
    alert: int
    channel: str
    told_state: str
    attempts: int
    error: str
    created_at: dt.datetime
    delivered_at: dt.datetime | None
    next_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """What has come of the messages over a channel."""

    delivered_at: dt.datetime | None = None
    waiting: int = 0
    error: str = ""


class DeliveryStore:
    """Reads and writes deliveries over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, alert: int, channels: Sequence[str], wait_seconds: float) -> None:
        """Has the channels told that the alert fires."""
        await self._connection.execute(ADD, alert, channels, wait_seconds)

    async def add_ends(self, alerts: Sequence[int], wait_seconds: float) -> None:
        """Has those that may have been told that the alerts fire told that they have ended."""
        await self._connection.execute(DROP_UNTOLD, alerts)
        await self._connection.execute(ADD_ENDS, alerts, wait_seconds)

    async def due_channels(self) -> Sequence[tuple[str, dt.datetime | None]]:
        """Returns the channels that are to be told something now, each with when it was told last."""
        return [(row["channel"], row["told_at"]) for row in await self._connection.fetch(DUE_CHANNELS)]

    async def waiting(self, channel: str) -> Sequence[Delivery]:
        return [Delivery(**row) for row in await self._connection.fetch(WAITING, channel)]

    async def postpone(self, until: Sequence[tuple[int, dt.datetime]]) -> None:
        await self._connection.execute(POSTPONE, [each[0] for each in until], [each[1] for each in until])

    async def hurry(self) -> None:
        """Has what was postponed looked at again at once."""
        await self._connection.execute(HURRY)

    async def delivered(self, ids: Sequence[int]) -> None:
        await self._connection.execute(DELIVERED, ids)

    async def begin(self, ids: Sequence[int], first: float, most: float) -> None:
        """Notes an attempt. The next comes after `first` seconds, then after twice as long each time.

        `most`: the longest pause, in seconds.
        """
        await self._connection.execute(BEGIN, ids, first, most)

    async def failed(self, ids: Sequence[int], error: str) -> None:
        await self._connection.execute(FAILED, ids, error)

    async def of_alert(self, alert: int) -> Sequence[Delivery]:
        return [Delivery(**row) for row in await self._connection.fetch(OF_ALERT, alert)]

    async def of_channels(self, channels: Sequence[str]) -> dict[str, ChannelRecord]:
        rows = await self._connection.fetch(OF_CHANNELS, channels)
        return {
            row["channel"]: ChannelRecord(row["delivered_at"], row["waiting"], row["error"] or "")
            for row in rows
        }

    async def waits(self) -> bool:
        """Returns whether anything is to be told, now or later."""
        found: bool = await self._connection.fetchval(WAITS)
        return found

    async def undelivered(self) -> int:
        """Returns how many messages of the last day a channel did not take."""
        count: int = await self._connection.fetchval(UNDELIVERED)
        return count
