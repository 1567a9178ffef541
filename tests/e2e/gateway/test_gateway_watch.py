"""WatchSchedules through the gateway: by REST a line a message, and by gRPC."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.schedule_watch import watch_schedules_blocking
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.e2e.gateway.conftest import Services
from tests.support.calls import eventually
from tests.support.gateway import Gateway, running_gateway

WATCH = "/v1/schedules:watch"


@contextlib.contextmanager
def lines(gateway: Gateway, query: str, token: str) -> Iterator[Iterator[Any]]:
    """The messages of a stream, as they come."""
    context = ssl.create_default_context(cafile=gateway.ca)
    connection = http.client.HTTPSConnection("127.0.0.1", gateway.port, context=context, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", WATCH + query, headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        yield (json.loads(line) for line in iter(answer.readline, b""))


def create(gateway: Gateway, admin: str) -> str:
    name = f"schedules/e2e-{uuid.uuid4().hex[:8]}"
    timing = {"crontab": {"expression": "0 0 29 2 *"}}
    schedule = {"name": name, "task": {"task_name": "count", "queue": "queues/nobody"}, "timing": timing}
    assert gateway.rest("POST", "/v1/schedules", {"schedule": schedule}, admin).status == 200
    return name


def test_changes_come_as_lines_and_are_taken_up_again(
    gateway: Gateway, admin: str, tokens: LocalIssuer
) -> None:
    viewer = tokens.mint("viewer", subject="ann")
    with lines(gateway, "", viewer) as messages:
        first = next(messages)
        assert first["cursor"] and first == {"cursor": first["cursor"], "left_out_count": "0"}
        name = create(gateway, admin)
        told = next(message for message in messages if message.get("schedule", {}).get("name") == name)
        assert told["schedule"]["kind"] == "SCHEDULE_EVENT_KIND_CREATED"
        assert told["schedule"]["schedule"]["task"]["task_name"] == "count"
    assert gateway.rest("POST", f"/v1/{name}:trigger", {}, admin).status == 200
    with lines(gateway, f"?names={name}&without_schedules=true&cursor={told['cursor']}", viewer) as messages:
        runs = next(message["runs"]["runs"] for message in messages if "runs" in message)
        assert [(run["name"].partition("/runs/")[0], run["state"]) for run in runs] == [
            (name, "RUN_STATE_PUBLISHED")
        ]


def test_a_filter_goes_through_rest_and_an_edit_that_leaves_it_is_told(gateway: Gateway, admin: str) -> None:
    label = f"e2e-{uuid.uuid4().hex[:8]}"
    with (
        lines(gateway, "?without_backfills=true&without_runs=true", admin) as everything,
        lines(gateway, f"?labels={label}%3Dyes&paused=false&without_backfills=true", admin) as messages,
    ):
        next(everything)
        next(messages)
        name, other = create(gateway, admin), create(gateway, admin)
        # A change is told with the schedule as it is by then: these are told before the next ones are made.
        unseen = {name, other}
        while unseen:
            unseen.discard(next(everything).get("schedule", {}).get("name"))
        told = []
        # Each is told before the next is made: of one that has left again, neither is told.
        for each, value in ((other, "no"), (name, "yes"), (name, "no")):
            change = {"labels": {label: value}}
            assert gateway.rest("PATCH", f"/v1/{each}", change, admin).status == 200
            if each == name:
                told.append(next(message["schedule"] for message in messages if "schedule" in message))
    assert [event["name"] for event in told] == [name] * 2
    assert [event["kind"].rpartition("KIND_")[2] for event in told] == ["UPDATED", "LEFT_FILTER"]
    assert told[0]["schedule"]["labels"] == {label: "yes"} and "schedule" not in told[1]


def test_changes_come_by_grpc(gateway: Gateway, admin: str) -> None:
    with gateway.channel(admin) as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        stream = stub.WatchSchedules(schedules_pb2.WatchSchedulesRequest(), timeout=30)
        assert next(stream).WhichOneof("event") is None
        name = create(gateway, admin)
        assert any(message.schedule.name == name for message in stream)
        stream.cancel()


def test_a_cursor_that_is_none_is_refused_with_the_fields_name(gateway: Gateway, admin: str) -> None:
    answer = gateway.rest("GET", f"{WATCH}?cursor=yesterday", token=admin)
    assert answer.status == 400
    assert "cursor is not one that a message had; for example: " in answer.json["message"]


def test_a_reader_of_the_client_outlives_its_gateway(
    certificates: Path, services: Services, gateway: Gateway, admin: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Reloaded, killed, and away while something changes; another way in is there all the time."""
    told: list[str] = []

    def read(channel: grpc.Channel) -> None:
        with contextlib.suppress(ValueError):  # in the end the channel is closed
            for message in watch_schedules_blocking(channel, without_runs=True):
                told.append(message.schedule.name)

    with running_gateway(certificates, services.ports, health_from="scheduler") as other:
        config = other.log.with_name("envoy.yaml")
        with other.channel(admin) as channel:
            reader = threading.Thread(target=read, args=[channel])
            reader.start()
            eventually(lambda: told)
            names = []
            for end in (subprocess.Popen.terminate, subprocess.Popen.kill):
                names += [create(gateway, admin)]
                assert other.process is not None
                end(other.process)
                other.process.wait(30)
                names += [create(gateway, admin)]
                eventually(lambda: "taken up again" in caplog.text)
                caplog.clear()
                other.start(config, sorted(services.ports))
                names += [create(gateway, admin)]
                eventually(lambda: set(names) <= set(told))  # noqa: B023 # called before the next round
        reader.join(30)
    assert not reader.is_alive()
    assert [name for name in dict.fromkeys(told) if name] == names
