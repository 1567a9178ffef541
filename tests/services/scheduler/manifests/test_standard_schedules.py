"""The standard schedules through the service: each is given once, whatever interrupts a first start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import grpc
import grpc.aio
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from deploy.standalone import first_start
from deploy.standalone.first_start import give_schedules, standard_schedules
from deploy.standalone.given import Given
from deploy.standalone.tokens import LocalIssuer
from tests.support.schedulers import Scheduler, running_scheduler
from tests.support.servers import Valkey

Connection: TypeAlias = "asyncpg.Connection[Any]"
NAMES = set(standard_schedules())
DELETED = "schedules/preload-vector-services-daily"
CHANGED = "schedules/cleanup-cache-daily"


@pytest.fixture(scope="module")
def in_tokyo(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey
) -> Iterator[Scheduler]:
    with running_scheduler(
        certificates, tokens, database_url, valkey, CELERIAC_TIME_ZONE="Asia/Tokyo"
    ) as scheduler:
        yield scheduler


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def given(in_tokyo: Scheduler, connection: Connection) -> Given:
    """What was given, of a system that has no schedules yet."""
    await connection.execute("DELETE FROM celery_schedules; DROP SCHEMA IF EXISTS standalone CASCADE")
    given = Given(connection)
    await given.ensure_table()
    return given


async def start(scheduler: Scheduler, given: Given) -> list[str]:
    """What a start tells that it gave."""
    told: list[str] = []
    credentials = grpc.composite_channel_credentials(
        scheduler.process.credentials(), grpc.access_token_call_credentials(scheduler.token)
    )
    async with grpc.aio.secure_channel(scheduler.process.address, credentials) as channel:
        await give_schedules(given, channel, "Asia/Tokyo", told.append)
    return told


def stored(scheduler: Scheduler) -> dict[str, pb.Schedule]:
    answer = scheduler.schedules.ListSchedules(pb.ListSchedulesRequest(page_size=100))
    return {schedule.name: schedule for schedule in answer.schedules}


def create(scheduler: Scheduler, name: str) -> pb.Schedule:
    timing = pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *"))
    schedule = pb.Schedule(name=name, task=pb.TaskSpec(task_name="ours"), timing=timing)
    made: Any = scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))
    found: pb.Schedule = made.schedule
    return found


def operator(scheduler: Scheduler) -> pb.Schedule:
    """Deletes one and changes another; gives the other."""
    scheduler.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=DELETED))
    change = pb.UpdateScheduleRequest(schedule=pb.Schedule(name=CHANGED, description="ours now"))
    change.update_mask.paths.append("description")
    changed: Any = scheduler.schedules.UpdateSchedule(change)
    found: pb.Schedule = changed.schedule
    return found


async def test_they_are_given_in_the_zone_of_the_scheduler(in_tokyo: Scheduler, given: Given) -> None:
    told = await start(in_tokyo, given)
    assert "first start: schedules/cleanup-cache-daily, 0 2 * * * in Asia/Tokyo" in told
    found = stored(in_tokyo)
    assert found.keys() == NAMES and len(told) == len(NAMES) == 5
    assert {schedule.timing.time_zone for schedule in found.values()} == {"Asia/Tokyo"}


async def test_what_an_operator_deletes_or_changes_stays_so(in_tokyo: Scheduler, given: Given) -> None:
    await start(in_tokyo, given)
    changed = operator(in_tokyo)
    assert await start(in_tokyo, given) == []
    found = stored(in_tokyo)
    assert found.keys() == NAMES - {DELETED}
    assert found[CHANGED] == changed


async def test_so_it_is_if_the_start_that_gave_them_was_interrupted(
    in_tokyo: Scheduler, given: Given, connection: Connection
) -> None:
    """After the schedules were created, before that was remembered."""
    only_begun = "ALTER TABLE standalone.given ADD CONSTRAINT only_begun CHECK (item ~ '^(begun|request) ')"
    await connection.execute(only_begun)
    with pytest.raises(asyncpg.CheckViolationError):
        await start(in_tokyo, given)
    await connection.execute("ALTER TABLE standalone.given DROP CONSTRAINT only_begun")
    assert stored(in_tokyo).keys() == NAMES
    changed = operator(in_tokyo)
    assert await start(in_tokyo, given) == []
    found = stored(in_tokyo)
    assert found.keys() == NAMES - {DELETED}
    assert found[CHANGED] == changed


async def test_all_of_them_stay_deleted_if_the_start_that_gave_them_was_interrupted(
    in_tokyo: Scheduler, given: Given, connection: Connection
) -> None:
    only_begun = "ALTER TABLE standalone.given ADD CONSTRAINT only_begun CHECK (item ~ '^(begun|request) ')"
    await connection.execute(only_begun)
    with pytest.raises(asyncpg.CheckViolationError):
        await start(in_tokyo, given)
    await connection.execute("ALTER TABLE standalone.given DROP CONSTRAINT only_begun")
    for name in NAMES:
        in_tokyo.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name))
    assert await start(in_tokyo, given) == []
    assert stored(in_tokyo) == {}
    assert await start(in_tokyo, given) == []


async def test_a_start_that_was_interrupted_before_its_request_was_carried_out_gives_them(
    in_tokyo: Scheduler, given: Given, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    apply = first_start._apply

    async def killed(gateway: Any, entries: Any, **how: Any) -> Any:
        if "request_id" in how:
            raise Killed
        return await apply(gateway, entries, **how)

    monkeypatch.setattr(first_start, "_apply", killed)
    with pytest.raises(Killed):
        await start(in_tokyo, given)
    monkeypatch.setattr(first_start, "_apply", apply)
    assert len(await start(in_tokyo, given)) == 5
    assert stored(in_tokyo).keys() == NAMES


async def test_a_start_that_was_interrupted_before_it_gave_any_is_made_up_for(
    in_tokyo: Scheduler, given: Given
) -> None:
    await given.remember(*(f"begun {name}" for name in NAMES))
    assert len(await start(in_tokyo, given)) == 5
    assert stored(in_tokyo).keys() == NAMES


async def test_the_rest_is_given_where_an_earlier_release_was_interrupted_amid_them(
    in_tokyo: Scheduler, given: Given
) -> None:
    """It gave them one by one: DELETED was given and deleted, CHANGED was created and not remembered."""
    await given.remember(DELETED)
    ours = create(in_tokyo, CHANGED)
    assert len(await start(in_tokyo, given)) == 3
    found = stored(in_tokyo)
    assert found.keys() == NAMES - {DELETED}
    assert found[CHANGED] == ours
    assert await start(in_tokyo, given) == []
