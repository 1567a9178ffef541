"""An etag stands for one version of one schedule, also when another of the same name comes after it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import Any

import grpc
from celeriac.scheduler.v1 import manifests_pb2
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.database import Database
from services.scheduler.manifests.store_apply import delete_old_deletions
from tests.support.calls import refused
from tests.support.schedules import CRONTAB, create, schedule_of

ABORTED = grpc.StatusCode.ABORTED


def anew(schedules: Any, schedule: pb.Schedule) -> pb.Schedule:
    """Deletes the schedule, and creates it again as it was."""
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=schedule.name))
    return create(schedules, schedule)


def test_an_etag_of_a_schedule_that_was_deleted_is_none_of_its_successors(schedules: Any) -> None:
    wanted = schedule_of(CRONTAB)
    first = create(schedules, wanted)
    second = anew(schedules, wanted)
    assert second.etag != first.etag
    change = pb.Schedule(name=wanted.name, description="for the first", etag=first.etag)
    code, told = refused(schedules.UpdateSchedule, pb.UpdateScheduleRequest(schedule=change))
    assert code is ABORTED and second.etag in told
    deletion = pb.DeleteScheduleRequest(name=wanted.name, etag=first.etag)
    assert refused(schedules.DeleteSchedule, deletion)[0] is ABORTED
    assert schedules.GetSchedule(pb.GetScheduleRequest(name=wanted.name)).schedule == second


def test_no_version_of_a_schedule_has_an_etag_of_its_predecessors(schedules: Any) -> None:
    wanted = schedule_of(CRONTAB)
    etags = list[str]()
    for _ in range(3):
        etags.append(create(schedules, wanted).etag)
        for number in range(2):
            change = pb.Schedule(name=wanted.name, description=f"{number}")
            etags.append(schedules.UpdateSchedule(pb.UpdateScheduleRequest(schedule=change)).schedule.etag)
        schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=wanted.name))
    assert len(set(etags)) == len(etags)


def test_a_difference_from_a_schedule_that_was_deleted_is_not_applied_to_its_successor(
    schedules: Any, manifests: Any
) -> None:
    wanted = schedule_of(CRONTAB)
    create(schedules, wanted)
    entry = {"id": wanted.name.removeprefix("schedules/"), "task": "another", "crontab": "0 3 * * *"}
    request = manifests_pb2.ApplySchedulesRequest(manifest=json.dumps({"schedules": [entry]}))
    request.validate_only = True
    request.etag = manifests.ApplySchedules(request).difference.etag
    request.validate_only = False
    second = anew(schedules, wanted)
    assert refused(manifests.ApplySchedules, request)[0] is ABORTED
    assert schedules.GetSchedule(pb.GetScheduleRequest(name=wanted.name)).schedule == second


def difference(manifests: Any, entry: dict[str, Any], **fields: Any) -> str:
    """The etag of the difference that a set of one schedule would make."""
    request = manifests_pb2.ApplySchedulesRequest(manifest=json.dumps({"schedules": [entry]}), **fields)
    request.validate_only = True
    etag: str = manifests.ApplySchedules(request).difference.etag
    return etag


def test_a_difference_that_creates_a_schedule_is_not_applied_again_when_that_was_deleted(
    schedules: Any, manifests: Any
) -> None:
    name = schedule_of(CRONTAB).name
    entry = {"id": name.removeprefix("schedules/"), "task": "count", "crontab": "0 3 * * *"}
    etags = [difference(manifests, entry)]
    assert difference(manifests, entry) == etags[0]
    request = manifests_pb2.ApplySchedulesRequest(manifest=json.dumps({"schedules": [entry]}), etag=etags[0])
    manifests.ApplySchedules(request)
    etags.append(difference(manifests, entry))
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name))
    etags.append(difference(manifests, entry))
    assert refused(manifests.ApplySchedules, request)[0] is ABORTED
    request.etag = etags[-1]
    manifests.ApplySchedules(request)
    assert len({*etags, difference(manifests, entry)}) == 4


def test_a_difference_has_another_etag_when_one_that_it_would_have_removed_was_deleted(
    schedules: Any, manifests: Any
) -> None:
    kept, other = schedule_of(CRONTAB), schedule_of(CRONTAB)
    label = kept.name.removeprefix("schedules/")
    entry = {"id": label, "task": "count", "crontab": "0 3 * * *", "labels": {"set": label}}
    before = difference(manifests, entry, prune_label=f"set={label}")
    other.labels["set"] = label
    create(schedules, other)
    between = difference(manifests, entry, prune_label=f"set={label}")
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=other.name))
    assert len({before, between, difference(manifests, entry, prune_label=f"set={label}")}) == 3


async def test_an_etag_of_before_the_oldest_deletions_were_forgotten_is_not_good_again(
    schedules: Any, manifests: Any, database_url: str
) -> None:
    wanted = schedule_of(CRONTAB)
    entry = {"id": wanted.name.removeprefix("schedules/"), "task": "count", "crontab": "0 3 * * *"}
    before = difference(manifests, entry)
    create(schedules, wanted)
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=wanted.name))
    after = difference(manifests, entry)
    database = Database(database_url)
    async with database.transaction() as connection:
        assert await delete_old_deletions(connection, dt.timedelta(hours=1), 1000) == 0
    assert difference(manifests, entry) == after
    async with database.transaction() as connection:
        assert await delete_old_deletions(connection, dt.timedelta(0), 1000) > 0
    await database.close()
    assert difference(manifests, entry) not in {before, after}


async def test_transactions_that_delete_several_schedules_of_one_label_do_not_wait_for_each_other(
    schedules: Any, database_url: str
) -> None:
    several = [schedule_of(CRONTAB) for _ in range(4)]
    for schedule in several:
        schedule.labels["team"] = "growth"
        create(schedules, schedule)
    ids = [schedule.name.removeprefix("schedules/") for schedule in several]
    database = Database(database_url)
    async with (
        asyncio.timeout(20),
        database.transaction() as one,
        database.transaction() as other,
    ):
        for connection, deleted in zip((one, other, one, other), ids, strict=True):
            await connection.execute("DELETE FROM celery_schedules WHERE id = $1", deleted)
    await database.close()
