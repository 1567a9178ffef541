"""The SQL of alerts: those that fire, and those that ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from services.kernel.database import Connection
from services.kernel.pages import Place
from services.monitor.alerts.alert import Alert
from services.monitor.alerts.judging import Fires
from services.monitor.alerts.rule import Comparison, Rule, Severity

# An alert of which somebody should have been told, and was not.
UNDELIVERED = """
    EXISTS (SELECT FROM celery_alert_deliveries AS delivery WHERE delivery.alert = alert.id
        AND delivered_at IS NULL AND error <> '')
"""
SHOWN = f"""
    id, rule, subject, measure, comparison, threshold, severity, description, labels, runbook_url, value,
    worst, last, since, fired_at, ended_at, end_reason, acknowledged_by, acknowledged_at, acknowledge_note,
    version, {UNDELIVERED} AS undelivered
"""
# The most that may fire at a time, of all rules: more are not read, and would never end.
MOST_FIRING = 5_000
FIRING = f"SELECT {SHOWN} FROM celery_alerts AS alert WHERE ended_at IS NULL ORDER BY id LIMIT {MOST_FIRING}"
GET = f"SELECT {SHOWN} FROM celery_alerts AS alert WHERE id = $1"
SOME = f"SELECT {SHOWN} FROM celery_alerts AS alert WHERE id = any($1::bigint[]) ORDER BY id"
FIRE = """
    INSERT INTO celery_alerts (rule, subject, measure, comparison, threshold, severity, description, labels,
        runbook_url, value, worst, last, since, fired_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $10, $10, $11, $12)
    ON CONFLICT (rule, subject) WHERE ended_at IS NULL DO NOTHING
    RETURNING id
"""
END = """
    UPDATE celery_alerts SET ended_at = greatest($3, fired_at), end_reason = $2, version = version + 1
    WHERE id = any($1::bigint[]) AND ended_at IS NULL
    RETURNING id
"""
# An alert whose value stays the same for days is not written at each reading.
GO_ON = """
    UPDATE celery_alerts AS alert SET last = news.last, worst = news.worst
    FROM unnest($1::bigint[], $2::float8[], $3::float8[]) AS news (id, last, worst)
    WHERE alert.id = news.id AND ended_at IS NULL
        AND (alert.last, alert.worst) IS DISTINCT FROM (news.last, news.worst)
"""
ACKNOWLEDGE = f"""
    UPDATE celery_alerts AS alert SET acknowledged_by = $2, acknowledged_at = clock_timestamp(),
        acknowledge_note = $3, version = version + 1
    WHERE id = $1 AND ended_at IS NULL RETURNING {SHOWN}
"""
NEWEST = f"""
    SELECT {SHOWN} FROM celery_alerts AS alert
    WHERE ($1::timestamptz IS NULL OR (fired_at, id) < ($1, $2))
        AND ($3::bool IS NULL OR (ended_at IS NULL) = $3)
        AND (cardinality($4::text[]) = 0 OR severity = any($4))
        AND (cardinality($5::text[]) = 0 OR rule = any($5))
        AND (NOT $6 OR {UNDELIVERED})
    ORDER BY fired_at DESC, id DESC LIMIT $7
"""
DELETE = """
    WITH deleted AS (DELETE FROM celery_alerts WHERE id IN (
        SELECT id FROM celery_alerts WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING id)
    SELECT count(*) FROM deleted
"""


@dataclass(frozen=True)
class AlertFilter:
    """`firing`: None for alerts that fire and that ended; empty sequences match any."""

    firing: bool | None = None
    severities: Sequence[Severity] = ()
    rules: Sequence[str] = ()
    undelivered_only: bool = False


@dataclass
class GoingOn:
    """New values of alerts that go on to fire."""

    ids: list[int] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)

    def add(self, alert: Alert, last: float, worst: float) -> None:
        self.ids.append(alert.id)
        self.last.append(last)
        self.worst.append(worst)


class AlertStore:
    """Reads and writes alerts over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def firing(self) -> Sequence[Alert]:
        """Returns the alerts that fire, the oldest first."""
        return _alerts(await self._connection.fetch(FIRING))

    async def get(self, alert_id: int) -> Alert | None:
        row = await self._connection.fetchrow(GET, alert_id)
        return None if row is None else _alert(row)

    async def some(self, ids: Sequence[int]) -> Sequence[Alert]:
        return _alerts(await self._connection.fetch(SOME, ids))

    async def fire(self, rule: Rule, fires: Fires, now: dt.datetime, runbook_url: str) -> int | None:
        """Begins an alert. Returns its id; None if one of this rule and subject fires already."""
        said = (rule.measure, rule.comparison.value, rule.threshold, rule.severity.value, rule.description)
        labels = orjson.dumps(dict(rule.labels)).decode()
        values = (*said, labels, runbook_url, fires.value, fires.since, now)
        alert_id: int | None = await self._connection.fetchval(FIRE, rule.id, fires.subject, *values)
        return alert_id

    async def end(self, ids: Sequence[int], reason: str, now: dt.datetime) -> Sequence[int]:
        """Ends alerts. Returns the ids of those that fired until now."""
        return [row["id"] for row in await self._connection.fetch(END, ids, reason, now)]

    async def go_on(self, news: GoingOn) -> None:
        await self._connection.execute(GO_ON, news.ids, news.last, news.worst)

    async def acknowledge(self, alert_id: int, actor: str, note: str) -> Alert | None:
        """Returns the alert; None if it does not fire."""
        row = await self._connection.fetchrow(ACKNOWLEDGE, alert_id, actor, note)
        return None if row is None else _alert(row)

    async def list(self, wanted: AlertFilter, after: Place | None, most: int) -> Sequence[Alert]:
        """Returns alerts by when they began to fire, the newest first."""
        at, last = (None, 0) if after is None else (after[0], int(after[1]))
        severities = [severity.value for severity in wanted.severities]
        chosen = (wanted.firing, severities, list(wanted.rules), wanted.undelivered_only)
        return _alerts(await self._connection.fetch(NEWEST, at, last, *chosen, most))


async def delete_alerts_before(connection: Connection, moment: dt.datetime, most: int) -> int:
    """Deletes at most `most` alerts that ended before the moment, with what was sent. Returns how many."""
    deleted: int = await connection.fetchval(DELETE, moment, most)
    return deleted


def _alerts(rows: Sequence[Any]) -> Sequence[Alert]:
    return [alert for row in rows if (alert := _alert(row)) is not None]


def _alert(row: Any) -> Alert | None:
    """Returns the alert; None if it has what only a later release knows, which is left to that one."""
    if row["severity"] not in list(Severity) or row["comparison"] not in list(Comparison):
        return None
    typed = {
        "comparison": Comparison(row["comparison"]),
        "severity": Severity(row["severity"]),
        "labels": orjson.loads(row["labels"]),
    }
    return Alert(**{**row, **typed})
