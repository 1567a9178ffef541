"""Readers of a monitor's WatchEvents, and events for them to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import redis
from celeriac.monitor.v1 import monitoring_pb2 as pb
from celeriac.monitor.v1 import monitoring_pb2_grpc, tasks_pb2

from tests.support.calls import eventually
from tests.support.events import CHANNEL, Life, event_message
from tests.support.monitors import Monitor
from tests.support.servers import Valkey
from tests.support.streams import StreamReader


class Reader(StreamReader[pb.WatchEventsResponse]):
    """Has read tasks, workers and figures."""

    def tasks(self) -> list[tasks_pb2.Task]:
        return [response.task for response in self.seen if response.HasField("task")]

    def metrics(self) -> list[pb.Metrics]:
        return [response.metrics for response in self.seen if response.HasField("metrics")]


def opened(monitor: Monitor, channel: grpc.Channel | None = None, **request: Any) -> Any:
    """A stream over which nothing has been read yet."""
    stub = monitoring_pb2_grpc.MonitoringServiceStub(channel or monitor.channel)
    credentials = grpc.access_token_call_credentials(monitor.token)
    return stub.WatchEvents(pb.WatchEventsRequest(**request), credentials=credentials)


@contextmanager
def watching(monitor: Monitor, **request: Any) -> Iterator[Reader]:
    reader = Reader(opened(monitor, **request))
    try:
        eventually(reader.metrics)
        yield reader
    finally:
        reader.end()


def publish(broker: Valkey, *lives: Life) -> None:
    """All events of the tasks, those of each task in one message."""
    publish_events(broker, *(life.whole() for life in lives))


def publish_events(broker: Valkey, *messages: Any) -> None:
    """Each message is an event, or a list of events."""
    with redis.Redis(broker.host, broker.port) as client:
        for message in messages:
            client.publish(CHANNEL, event_message(message))
