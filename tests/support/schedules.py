"""Schedules with each kind of timing, as the contract has them, and calls that make and change them."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.latlng_pb2 import LatLng

SECOND, MINUTE, HOUR, DAY = (dt.timedelta(seconds=found) for found in (1, 60, 3600, 86400))


def at(moment: dt.datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


FUTURE = dt.datetime(2040, 6, 1, tzinfo=dt.UTC)
CRONTAB = pb.Timing(crontab=pb.Crontab(expression="0 3 * * *"), time_zone="UTC")
INTERVAL = pb.Timing(interval=pb.Interval(every={"seconds": 1, "nanos": 500_000_000}, anchor=at(FUTURE)))
ONCE = pb.Timing(once=pb.Once(at=at(FUTURE)))
SOLAR = pb.Timing(solar=pb.Solar(event=pb.SOLAR_EVENT_SUNSET, place=LatLng(latitude=25.03, longitude=121.56)))


def schedule_of(timing: pb.Timing, **rest: Any) -> pb.Schedule:
    name = f"schedules/d-{uuid.uuid4().hex[:8]}"
    return pb.Schedule(
        name=name, task=pb.TaskSpec(task_name="count", queue="queues/elsewhere"), timing=timing, **rest
    )


def create(schedules: Any, schedule: pb.Schedule) -> pb.Schedule:
    stored: pb.Schedule = schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule)).schedule
    return stored


def update(schedules: Any, change: pb.Schedule, *paths: str) -> pb.Schedule:
    request = pb.UpdateScheduleRequest(schedule=change, update_mask=FieldMask(paths=paths))
    changed: pb.Schedule = schedules.UpdateSchedule(request).schedule
    return changed
