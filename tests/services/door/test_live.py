"""The WebSocket: who may open it, what comes over it, and how it ends; before a real monitor."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from celeriac.monitor.v1 import alerts_pb2
from websockets.exceptions import InvalidStatus

from deploy.standalone.tokens import LocalIssuer
from services.door.live.endpoint import MOST_MESSAGES, MOST_SOCKETS
from services.door.live.messages import SUBPROTOCOL
from tests.support.calls import eventually
from tests.support.doors import DoorProcess, running_door
from tests.support.event_streams import publish, publish_events
from tests.support.events import Life
from tests.support.key_sets import second_key
from tests.support.metrics import scraped_value
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey, temporary_valkey
from tests.support.sockets import Socket, open_socket
from tests.support.token_ids import token_id_of

REVOKE = """
    INSERT INTO celeriac_revocations (token_id, expires_at, actor)
    VALUES ($1, now() + interval '1 hour', 'lin')
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    with temporary_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def monitor(certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey) -> Iterator[Monitor]:
    with running_monitor(certificates, tokens, database_url, broker) as running:
        yield running


@pytest.fixture(scope="module")
def door(certificates: Path, database_url: str, monitor: Monitor) -> Iterator[DoorProcess]:
    with running_door(
        certificates, database_url, CELERIAC_MONITOR_ADDRESS=monitor.process.address
    ) as running:
        yield running


@contextlib.contextmanager
def opened(door: DoorProcess, token: str, query: str = "", **headers: str) -> Iterator[Socket]:
    with open_socket(door.port, door.context(), token, query, **headers) as socket:
        yield socket


def refused(door: DoorProcess, token: str = "", **headers: str) -> tuple[int, str]:
    """The status and the reason that come in place of the upgrade."""
    with pytest.raises(InvalidStatus) as answered, opened(door, token, **headers):
        pass
    response = answered.value.response
    return response.status_code, response.body.decode()


def has_task(life: Life, state: str) -> Any:
    return lambda data: any(
        task["name"] == f"tasks/{life.id}" and task["state"] == f"TASK_STATE_{state}"
        for task in data["tasks"]
    )


def test_who_only_connects_gets_figures_and_the_newest_change_of_each_task(
    door: DoorProcess, tokens: LocalIssuer, broker: Valkey
) -> None:
    with opened(door, tokens.mint("admin")) as socket:
        assert socket.connection.subprotocol == SUBPROTOCOL
        hello = socket.next("hello")["data"]
        assert hello["cursor"]
        assert hello["resumed"] is False
        assert hello["subscription"] == {"metrics_interval": "1s", "task_interval": "1s"}
        figures = socket.next("metrics")
        assert figures["data"]["online_workers"] == 0
        assert figures["cursor"]
        life = Life(time.time())
        publish(broker, life)
        told = socket.next("tasks", has_task(life, "SUCCESS"))
        assert [task["name"] for task in told["data"]["tasks"]].count(f"tasks/{life.id}") == 1


def test_a_worker_that_comes_is_told(door: DoorProcess, tokens: LocalIssuer, broker: Valkey) -> None:
    with opened(door, tokens.mint("admin")) as socket:
        socket.next("hello")
        hostname = f"{uuid.uuid4().hex[:8]}@host"
        publish_events(broker, Life(time.time(), hostname=hostname).received())
        socket.next("worker", lambda data: data["hostname"] == hostname)


def test_alerts_are_told_and_to_those_who_come_later_too(
    door: DoorProcess, tokens: LocalIssuer, monitor: Monitor
) -> None:
    rule = alerts_pb2.AlertRule(
        name="alertRules/any-memory",
        measure="memory_available_bytes",
        comparison=alerts_pb2.ALERT_COMPARISON_ABOVE,
        severity=alerts_pb2.ALERT_SEVERITY_INFO,
    )
    with opened(door, tokens.mint("viewer")) as early:
        monitor.alerts.CreateAlertRule(alerts_pb2.CreateAlertRuleRequest(alert_rule=rule))
        told = early.next("alert", lambda data: data["rule"] == rule.name)["data"]
        assert (told["state"], told["subject"]) == ("ALERT_STATE_FIRING", "")
        with opened(door, tokens.mint("viewer")) as late:
            again = late.next("alert", lambda data: data["rule"] == rule.name)["data"]
        assert again["name"] == told["name"]
        monitor.alerts.DeleteAlertRule(alerts_pb2.DeleteAlertRuleRequest(name=rule.name))
        ended = early.next("alert", lambda data: data["state"] == "ALERT_STATE_RESOLVED")["data"]
        assert (ended["name"], ended["end_reason"]) == (told["name"], "its rule was deleted")


def test_a_subscription_replaces_the_one_before_and_nonsense_does_not(
    door: DoorProcess, tokens: LocalIssuer, broker: Valkey
) -> None:
    with opened(door, tokens.mint("admin")) as socket:
        socket.next("hello")
        socket.say({"subscribe": {"task_interval": "0.2s", "tasks": {"state": ["FAILURE"]}}})
        wanted = socket.next("hello")["data"]["subscription"]
        assert wanted["states"] == ["TASK_STATE_FAILURE"]
        socket.say({"subscribe": {"tasks": {"label": "a"}}})
        assert socket.next("error")["data"]["fields"][0]["field"] == "subscribe.tasks.label"
        # What the monitor refuses is told in its words.
        socket.say({"subscribe": {"metrics_interval": "0.1s"}})
        fault = socket.next("error")["data"]
        assert (fault["reason"], fault["fields"][0]["field"]) == ("INVALID_FIELDS", "metrics_interval")
        assert fault["fields"][0]["example"] == "1s"
        well, ill = Life(time.time()), Life(time.time())
        publish(broker, well)
        publish_events(broker, [ill.received(), ill.failed()])
        told = socket.next("tasks")["data"]["tasks"]
        assert [task["name"] for task in told] == [f"tasks/{ill.id}"]
        socket.say({"ping": True})
        socket.next("pong")


def test_arguments_are_for_those_who_may_read_them_and_equal_wishes_share_a_stream(
    door: DoorProcess, tokens: LocalIssuer, broker: Valkey
) -> None:
    with (
        opened(door, tokens.mint("admin", subject="mei")) as mei,
        opened(door, tokens.mint("admin", subject="lin")) as lin,
        opened(door, tokens.mint("viewer", subject="an")) as an,
    ):
        for socket in (mei, lin, an):
            socket.next("hello")
        assert scraped_value(door.metrics_port, "celeriac_door_sockets") == 3
        assert scraped_value(door.metrics_port, "celeriac_door_feeds") == 2
        life = Life(time.time())
        publish(broker, life)
        told = [
            next(
                task["args"]
                for task in socket.next("tasks", has_task(life, "SUCCESS"))["data"]["tasks"]
                if task["name"] == f"tasks/{life.id}"
            )
            for socket in (mei, lin, an)
        ]
        assert told == ["(0,)", "(0,)", "[redacted]"]
    eventually(lambda: scraped_value(door.metrics_port, "celeriac_door_feeds") == 0)


def test_who_may_not_is_told_before_the_upgrade(door: DoorProcess, tokens: LocalIssuer) -> None:
    status, said = refused(door)
    assert (status, "TOKEN_MISSING" in said) == (401, True)
    status, said = refused(door, "abc")
    assert (status, "TOKEN_INVALID" in said) == (401, True)
    status, said = refused(door, tokens.mint("writer"))
    assert (status, "ROLE_TOO_LOW" in said) == (403, True)
    assert '"level": "error"' not in door.log()


def test_another_sites_page_may_not_open_one_and_our_own_may(door: DoorProcess, tokens: LocalIssuer) -> None:
    token = tokens.mint("admin")
    for origin in (
        "https://evil.example",
        f"http://127.0.0.1:{door.port}",
        "https://127.0.0.1:1",
        "null",
        "",
    ):
        status, said = refused(door, token, origin=origin)
        assert (status, "CROSS_SITE" in said) == (403, True), origin
    with opened(door, token, origin=f"https://127.0.0.1:{door.port}") as socket:
        socket.next("hello")


def test_a_token_that_expires_ends_its_socket_and_the_stream_goes_on_for_others(
    door: DoorProcess, tokens: LocalIssuer, broker: Valkey
) -> None:
    # Services take a token 30 seconds longer than it says.
    with (
        opened(door, tokens.mint("admin", subject="mei", life_seconds=-27)) as short,
        opened(door, tokens.mint("admin", subject="lin")) as other,
    ):
        short.next("hello")
        other.next("hello")
        code, reason = short.closed()
        assert (code, (reason or "").partition(":")[0]) == (4401, "TOKEN_EXPIRED")
        # The stream of both may have been the first one's: then the monitor ends it, and a new one begins.
        closed_at = dt.datetime.now(dt.UTC)
        other.next("metrics", lambda data: dt.datetime.fromisoformat(data["time"]) > closed_at)
        life = Life(time.time())
        publish(broker, life)
        other.next("tasks", has_task(life, "SUCCESS"))


def test_a_revoked_token_ends_its_socket(door: DoorProcess, tokens: LocalIssuer, database_url: str) -> None:
    token = tokens.mint("admin", subject="mei")
    with opened(door, token) as socket:
        socket.next("hello")
        asyncio.run(_revoke(database_url, token_id_of(token)))
        code, reason = socket.closed()
        assert (code, (reason or "").partition(":")[0]) == (4401, "TOKEN_REVOKED")
    status, said = refused(door, token)
    assert (status, "TOKEN_REVOKED" in said) == (401, True)


def test_a_token_whose_key_is_withdrawn_ends_its_socket(
    door: DoorProcess, tokens: LocalIssuer, tmp_path: Path
) -> None:
    with (
        second_key(tokens.key_set, tmp_path) as key,
        opened(door, key.issuer.mint("admin", subject="mei")) as socket,
        opened(door, tokens.mint("admin", subject="lin")) as other,
    ):
        socket.next("hello")
        other.next("hello")
        key.withdraw()
        code, reason = socket.closed()
        assert (code, (reason or "").partition(":")[0]) == (4401, "TOKEN_INVALID")
        other.say({"ping": True})
        other.next("pong")


async def _revoke(database_url: str, token_id: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(REVOKE, token_id)
    finally:
        await connection.close()


def test_who_does_not_read_is_told_what_was_left_out(
    door: DoorProcess, tokens: LocalIssuer, broker: Valkey
) -> None:
    long = "語" * 300
    with opened(door, tokens.mint("admin")) as slow, opened(door, tokens.mint("admin")) as quick:
        slow.next("hello")
        quick.next("hello")

        def is_left_out() -> bool:
            lives = [Life(time.time(), name=f"slow-{number}-{long}") for number in range(500)]
            publish_events(broker, *([life.received(), life.succeeded()] for life in lives))
            quick.next("tasks", has_task(lives[-1], "SUCCESS"))
            return scraped_value(door.metrics_port, "celeriac_door_skipped_total") > 0

        eventually(is_left_out, 90)
        assert slow.next("skipped")["data"]["count"] > 0
        assert not [message for message in quick.seen if message["type"] == "skipped"]


def test_who_says_too_much_or_opens_too_many_is_closed(door: DoorProcess, tokens: LocalIssuer) -> None:
    token = tokens.mint("viewer", subject="an")
    with opened(door, token) as socket:
        for _ in range(MOST_MESSAGES + 1):
            socket.say({"ping": True})
        assert socket.closed()[0] == 1008
    with opened(door, token) as socket:
        socket.next("hello")
        socket.say(b"bytes")
        assert socket.closed()[0] == 1003
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_SOCKETS):
            stack.enter_context(opened(door, token)).next("hello")
        with opened(door, token) as socket:
            code, reason = socket.closed()
            assert (code, (reason or "").partition(":")[0]) == (1013, "TOO_MANY_SOCKETS")
        with opened(door, tokens.mint("viewer", subject="bo")) as other:
            other.next("hello")


def test_who_comes_again_with_its_cursor_is_told_whether_it_missed_anything(
    door: DoorProcess, tokens: LocalIssuer, broker: Valkey
) -> None:
    token = tokens.mint("admin")
    with opened(door, token) as socket:
        socket.next("hello")
        cursor = socket.next("metrics")["cursor"]
    with opened(door, token, f"?cursor={cursor}") as again:
        assert again.next("hello")["data"]["resumed"] is True
        life = Life(time.time())
        publish(broker, life)
        again.next("tasks", has_task(life, "SUCCESS"))
        # A subscription may have a cursor of its own, as the filters are then another stream's.
        known = again.seen[-1]["cursor"]
        again.say({"subscribe": {"tasks": {"states": ["FAILURE"]}, "cursor": known}})
        assert again.next("hello")["data"]["resumed"] is True
    for missed in (cursor, "nonsense"):
        with opened(door, token, f"?cursor={missed}") as late:
            assert late.next("hello")["data"]["resumed"] is False
            late.next("metrics")


def test_sockets_outlive_the_monitor(
    door: DoorProcess, tokens: LocalIssuer, monitor: Monitor, broker: Valkey
) -> None:
    with opened(door, tokens.mint("admin")) as socket:
        socket.next("hello")
        monitor.process.stop()
        assert socket.next("error")["data"]["reason"] == "UNAVAILABLE"
        # Who comes meanwhile is told as well.
        with opened(door, tokens.mint("admin")) as late:
            late.next("hello")
            assert late.next("error")["data"]["reason"] == "UNAVAILABLE"
        monitor.process.start()
        assert socket.next("hello")["data"]["resumed"] is False
        life = Life(time.time())
        publish(broker, life)
        socket.next("tasks", has_task(life, "SUCCESS"))


def test_a_monitor_that_says_nothing_is_told_as_one_that_is_away(
    door: DoorProcess, tokens: LocalIssuer, monitor: Monitor
) -> None:
    process = monitor.process.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        with opened(door, tokens.mint("admin", subject="an")) as socket:
            socket.next("hello")
            assert socket.next("error")["data"]["reason"] == "UNAVAILABLE"
        # Who has gone meanwhile is not counted any more.
        eventually(lambda: scraped_value(door.metrics_port, "celeriac_door_sockets") == 0)
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_door_that_stops_tells_its_clients_to_come_again(
    certificates: Path, database_url: str, tokens: LocalIssuer, monitor: Monitor
) -> None:
    with (
        running_door(
            certificates, database_url, CELERIAC_MONITOR_ADDRESS=monitor.process.address
        ) as stopping,
        opened(stopping, tokens.mint("admin")) as socket,
    ):
        socket.next("hello")
        assert stopping.stop() == 0
        assert socket.closed()[0] == 1012
