"""What waits to be told, in a real table: silences, channels that are gone for a moment, several senders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from services.kernel.database import Database
from services.monitor.alerts.channels import Channel, Channels
from services.monitor.alerts.delivering import Delivering
from services.monitor.pace import Pace
from tests.support.sql import fetch

PACE = Pace(alerts_calm=0, alerts_retry=0)
OPS = '[[channel]]\nname = "ops"\nurl = "json://127.0.0.1:1/"\n'
ALERTS = """
    INSERT INTO celery_alerts (rule, subject, measure, comparison, threshold, severity, description, labels,
        runbook_url, value, worst, last, since, fired_at)
    SELECT $1, 'queue' || number, 'queue_length', 'ABOVE', 1, 'INFO', '', '{}', '', 2, 2, 2, now(), now()
    FROM generate_series(1, $2::int) AS number RETURNING id
"""
WAITING = """
    INSERT INTO celery_alert_deliveries (alert, told_state, channel, next_at)
    SELECT id, 'FIRING', 'ops', now() FROM celery_alerts WHERE rule = $1
"""
SILENCED = """
    INSERT INTO celery_alert_silences (rule, subject_pattern, labels, until, reason, created_by)
    VALUES ($1, '', '{}', now() + $2::text::interval, '', 'psql')
"""
STATES = """
    SELECT delivered_at IS NOT NULL AS delivered, next_at IS NOT NULL AS waits, attempts, error
    FROM celery_alert_deliveries JOIN celery_alerts AS alert ON alert = alert.id WHERE rule = $1
"""


class Sent:
    """What was sent; each message is answered with `error`, after a moment."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.error = ""

    async def send(self, channel: Channel, title: str, body: str, kind: str) -> str:
        self.texts.append(f"{title}\n{body}")
        await asyncio.sleep(0.05)
        return self.error


@asynccontextmanager
async def delivering(url: str, path: Path, sent: Sent, pace: Pace = PACE) -> AsyncIterator[Delivering]:
    database = Database(url)
    try:
        yield Delivering(
            database, Channels(path), lambda: True, lambda: None, ZoneInfo("UTC"), pace, sent.send
        )
    finally:
        await database.close()


async def fire(url: str, rule: str, many: int = 1) -> None:
    await fetch(url, ALERTS, rule, many)
    await fetch(url, WAITING, rule)


async def test_hundreds_of_silenced_alerts_keep_no_other_back(own_database_url: str, tmp_path: Path) -> None:
    url, sent, path = own_database_url, Sent(), tmp_path / "channels.toml"
    path.write_text(OPS)
    await fire(url, "silenced", 1200)
    await fetch(url, SILENCED, "silenced", "90 days")
    await fire(url, "other")
    async with delivering(url, path, sent) as one:
        for _ in range(4):
            await one.look()
    assert len(sent.texts) == 1
    assert "other" in sent.texts[0]
    assert [dict(row) for row in await fetch(url, STATES, "other")] == [
        {"delivered": True, "waits": False, "attempts": 1, "error": ""}
    ]


async def test_what_a_silence_held_back_for_days_is_tried_for_a_day_when_it_ends(
    own_database_url: str, tmp_path: Path
) -> None:
    url, sent, path = own_database_url, Sent(), tmp_path / "channels.toml"
    path.write_text(OPS)
    await fire(url, "upgrade")
    await fetch(url, SILENCED, "upgrade", "0.5 seconds")
    await fetch(url, "UPDATE celery_alert_deliveries SET created_at = now() - interval '2 days'")
    async with delivering(url, path, sent) as one:
        await one.look()
        assert sent.texts == []
        await asyncio.sleep(0.6)
        sent.error = "503"
        await one.look()
        [row] = await fetch(url, STATES, "upgrade")
        assert (row["waits"], row["attempts"], row["error"]) == (True, 1, "503")
        await one.look()
        assert one.undelivered == 1
        sent.error = ""
        await one.look()
    [row] = await fetch(url, STATES, "upgrade")
    assert row["delivered"]


async def test_a_file_that_is_gone_for_a_moment_loses_no_message(
    own_database_url: str, tmp_path: Path
) -> None:
    url, sent, path = own_database_url, Sent(), tmp_path / "channels.toml"
    path.write_text(OPS)
    await fire(url, "saved")
    async with delivering(url, path, sent) as one:
        path.rename(tmp_path / "channels.toml~")
        await one.look()
        [row] = await fetch(url, STATES, "saved")
        assert (row["waits"], row["error"]) == (True, "the file has no channel of this name")
        path.write_text(OPS)
        await one.look()
    assert len(sent.texts) == 1
    [row] = await fetch(url, STATES, "saved")
    assert row["delivered"]


async def test_two_that_send_at_the_same_moment_send_each_message_once(
    own_database_url: str, tmp_path: Path
) -> None:
    url, sent, path = own_database_url, Sent(), tmp_path / "channels.toml"
    path.write_text(OPS)
    await fire(url, "both", 20)
    # As where it is deployed: what is under way is not tried again before its sending is over.
    pace = Pace()
    async with delivering(url, path, sent, pace) as one, delivering(url, path, sent, pace) as two:
        await asyncio.gather(one.look(), two.look())
    told = "\n".join(sent.texts)
    assert all(told.count(f"'queue{number}' ") == 1 for number in range(1, 21)), told
