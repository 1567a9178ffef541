"""A schedule whose due times of the past can be backfilled."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import redis
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.scheduler.schedules import task_id
from tests.support.calls import eventually
from tests.support.schedulers import Scheduler
from tests.support.servers import Valkey

HOUR = dt.timedelta(hours=1)
RUNNING = pb.BACKFILL_STATE_RUNNING


class Hourly:
    """A schedule of each hour, half an hour from its next due time, with a queue of its own."""

    def __init__(self, scheduler: Scheduler, valkey: Valkey, **fields: Any) -> None:
        self._calls, self._valkey = scheduler.schedules, valkey
        self.id = f"b-{uuid.uuid4().hex[:8]}"
        self.name, self.queue = f"schedules/{self.id}", f"q-{self.id}"
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        # The first of the due times that are backfilled.
        self.first = now - HOUR / 2 - 300 * HOUR
        every = pb.Interval(every=Duration(seconds=3600), anchor=stamp(self.first - 50 * HOUR))
        self._calls.CreateSchedule(
            pb.CreateScheduleRequest(
                schedule=pb.Schedule(
                    name=self.name,
                    task=pb.Task(name="report", queue=self.queue, expires=Duration(seconds=600)),
                    timing=pb.Timing(interval=every),
                    **fields,
                )
            )
        )

    def request(self, count: int, **fields: Any) -> pb.BackfillScheduleRequest:
        window = {"start_time": stamp(self.first), "end_time": stamp(self.first + count * HOUR)}
        return pb.BackfillScheduleRequest(**{"name": self.name, "rate": 100, **window, **fields})

    def begin(self, count: int, **fields: Any) -> pb.Backfill:
        begun: pb.Backfill = self._calls.BackfillSchedule(self.request(count, **fields)).backfill
        return begun

    def get(self, backfill: pb.Backfill) -> pb.Backfill:
        found: pb.Backfill = self._calls.GetBackfill(pb.GetBackfillRequest(name=backfill.name)).backfill
        return found

    def ended(self, backfill: pb.Backfill) -> pb.Backfill:
        eventually(lambda: self.get(backfill).state != RUNNING, 60)
        return self.get(backfill)

    def sent(self) -> list[dict[str, Any]]:
        """The messages, first sent first."""
        with redis.Redis(self._valkey.host, self._valkey.port) as client:
            return [json.loads(message) for message in reversed(client.lrange(self.queue, 0, -1))]

    def sent_ids(self) -> list[str]:
        return [message["headers"]["id"] for message in self.sent()]

    def due(self, count: int) -> list[dt.datetime]:
        return [self.first + number * HOUR for number in range(count)]

    def ids(self, count: int) -> list[str]:
        return [task_id(self.id, due) for due in self.due(count)]


def stamp(moment: dt.datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message
