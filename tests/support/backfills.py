"""A schedule to backfill, and what is sent of it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import redis
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from tests.support.calls import eventually
from tests.support.runs import task_id_of
from tests.support.schedulers import Scheduler
from tests.support.schedules import HOUR, at
from tests.support.servers import Valkey
from tests.support.sql import fetch_sync

RUNNING = pb.BACKFILL_STATE_RUNNING
DONE = pb.BACKFILL_STATE_DONE
CANCELLED = pb.BACKFILL_STATE_CANCELLED


class Hourly:
    """A schedule of each hour, half an hour from its next due time, with a queue of its own."""

    def __init__(self, scheduler: Scheduler, valkey: Valkey, **fields: Any) -> None:
        self._scheduler, self._calls, self._valkey = scheduler, scheduler.schedules, valkey
        self.id = f"b-{uuid.uuid4().hex[:8]}"
        self.name, self.queue = f"schedules/{self.id}", f"q-{self.id}"
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        # The first of the due times that are backfilled.
        self.first = now - HOUR / 2 - 300 * HOUR
        every = pb.Interval(every=Duration(seconds=3600), anchor=at(self.first - 50 * HOUR))
        self._calls.CreateSchedule(
            pb.CreateScheduleRequest(
                schedule=pb.Schedule(
                    name=self.name,
                    task=pb.TaskSpec(
                        task_name="report", queue=f"queues/{self.queue}", expires=Duration(seconds=600)
                    ),
                    timing=pb.Timing(interval=every),
                    **fields,
                )
            )
        )

    def request(self, count: int, **fields: Any) -> pb.BackfillScheduleRequest:
        window = {"start_time": at(self.first), "end_time": at(self.first + count * HOUR)}
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

    def runs(self) -> list[pb.Run]:
        """Oldest first."""
        return self._scheduler.runs(self.name)

    def sent(self) -> list[dict[str, Any]]:
        """The messages, first sent first."""
        with redis.Redis(self._valkey.host, self._valkey.port) as client:
            return [json.loads(message) for message in reversed(client.lrange(self.queue, 0, -1))]

    def sent_ids(self) -> list[str]:
        return [message["headers"]["id"] for message in self.sent()]

    def due(self, count: int) -> list[dt.datetime]:
        return [self.first + number * HOUR for number in range(count)]

    def ids(self, count: int) -> list[str]:
        """The ids of the tasks of the first runs, oldest first."""
        found = {run.due_time.ToDatetime(dt.UTC): task_id_of(run) for run in self.runs()}
        return [found.get(due, "") for due in self.due(count)]


def record(url: str, schedule: Hourly, due: dt.datetime, state: str) -> None:
    """Records a run, as it stands in the table once its batch is published."""
    fetch_sync(
        url,
        "WITH batch AS (INSERT INTO celery_schedule_batches (published_at) VALUES (now()) RETURNING id)"
        " INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id)"
        " SELECT $1, $2, $3, 'due', id FROM batch",
        schedule.id,
        due,
        state,
    )
