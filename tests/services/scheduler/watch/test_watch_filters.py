"""WatchSchedules by the filters of ListSchedules: what a watcher keeps is what the list shows."""

from __future__ import annotations

import asyncio
import random
import threading
import uuid
from typing import Any

import asyncpg
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.database import driver_url
from tests.support.backfills import Hourly
from tests.support.calls import eventually, fields_at_fault
from tests.support.schedulers import Scheduler
from tests.support.schedules import create, update
from tests.support.servers import Valkey
from tests.support.watch_clients import WAYS, Watch, target_of, until
from tests.support.watchers import opened, watching

CREATED, UPDATED = pb.SCHEDULE_EVENT_KIND_CREATED, pb.SCHEDULE_EVENT_KIND_UPDATED
DELETED, LEFT_FILTER = pb.SCHEDULE_EVENT_KIND_DELETED, pb.SCHEDULE_EVENT_KIND_LEFT_FILTER
TIMING = pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *"))
Fields = dict[str, Any]


@pytest.fixture
def scheduler(lone_scheduler: Scheduler) -> Scheduler:
    return lone_scheduler


def schedule(name: str, **fields: Any) -> pb.Schedule:
    fields = {"task": pb.TaskSpec(task_name="count", queue="queues/nobody"), "timing": TIMING} | fields
    return pb.Schedule(name=name, **fields)


def new_name() -> str:
    return f"schedules/f-{uuid.uuid4().hex[:10]}"


def put(scheduler: Scheduler, name: str, fields: Fields) -> None:
    """Has the schedule be so, by an edit; whether it is paused, by its calls."""
    fields = dict(fields)
    paused = fields.pop("paused", None)
    if fields:
        update(scheduler.schedules, schedule(name, **fields), *fields)
    if paused:
        scheduler.schedules.PauseSchedule(pb.PauseScheduleRequest(name=name))
    if paused is False:
        scheduler.schedules.ResumeSchedule(pb.ResumeScheduleRequest(name=name))


# What the request has, and schedules that match and that don't.
FILTERS: list[tuple[Fields, Fields, Fields]] = [
    ({"labels": ["team=growth"]}, {"labels": {"team": "growth"}}, {"labels": {"team": "ops"}}),
    (
        {"task_names": ["one"]},
        {"task": pb.TaskSpec(task_name="one")},
        {"task": pb.TaskSpec(task_name="one-more")},
    ),
    (
        {"queues": ["queues/fast"]},
        {"task": pb.TaskSpec(task_name="t", queue="queues/fast")},
        {"task": pb.TaskSpec(task_name="t", queue="queues/slow")},
    ),
    ({"text": "ÄRMEL"}, {"description": "Neue Ärmel"}, {"description": "Neue Arme"}),
    ({"paused": True}, {"paused": True}, {"paused": False}),
    ({"paused": False}, {"paused": False}, {"paused": True}),
    (
        {"labels": ["team=growth"], "queues": ["queues/fast"]},
        {"labels": {"team": "growth"}, "task": pb.TaskSpec(task_name="t", queue="queues/fast")},
        {"labels": {"team": "growth"}, "task": pb.TaskSpec(task_name="t", queue="queues/slow")},
    ),
]


@pytest.mark.parametrize(("wanted", "inside", "outside"), FILTERS, ids=lambda fields: "-".join(fields))
def test_a_schedule_is_told_while_it_matches_and_when_an_edit_takes_it_out(
    scheduler: Scheduler, wanted: Fields, inside: Fields, outside: Fields
) -> None:
    name, never = new_name(), new_name()
    with watching(scheduler, **wanted) as watcher, watching(scheduler, names=[name, never]) as everything:
        for each in (name, never):
            create(scheduler.schedules, schedule(each))
            put(scheduler, each, outside)
        put(scheduler, name, inside)
        eventually(lambda: (UPDATED, name) in watcher.schedules())
        assert watcher.seen[-1].schedule.schedule.name == name
        put(scheduler, name, outside)
        eventually(lambda: watcher.schedules()[-1] == (LEFT_FILTER, name))
        assert not watcher.seen[-1].schedule.HasField("schedule")
        # Outside, it may become what it likes.
        told = watcher.schedules()
        for each in (name, never):
            update(scheduler.schedules, schedule(each, max_runs=7), "max_runs")
        scheduler.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=never))
        put(scheduler, name, inside)
        eventually(lambda: len(watcher.schedules()) > len(told))
        update(scheduler.schedules, schedule(name, max_runs=8), "max_runs")
        scheduler.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name))
        eventually(lambda: (DELETED, name) in watcher.schedules())
        # One that a call makes paused and something else may be told by each.
        assert list(dict.fromkeys(watcher.schedules()[len(told) :])) == [(UPDATED, name), (DELETED, name)]
        assert (DELETED, never) in everything.schedules()
    if "paused" not in wanted:
        assert never not in {each for _, each in watcher.schedules()}


def test_names_and_filters_have_to_match_both(scheduler: Scheduler) -> None:
    one, two, three = (new_name() for _ in range(3))
    labels = {"set": one[-10:]}
    with watching(scheduler, names=[one, two], labels=[f"set={one[-10:]}"]) as watcher:
        create(scheduler.schedules, schedule(one))
        create(scheduler.schedules, schedule(three, labels=labels))
        create(scheduler.schedules, schedule(two, labels=labels))
        eventually(watcher.schedules)
        assert watcher.schedules() == [(CREATED, two)]


def test_runs_and_backfills_are_told_of_schedules_that_match(scheduler: Scheduler, valkey: Valkey) -> None:
    mark = uuid.uuid4().hex
    inside = Hourly(scheduler, valkey, labels={"set": mark})
    outside = Hourly(scheduler, valkey, labels={"set": "another"})
    with watching(scheduler, labels=[f"set={mark}"]) as watcher, watching(scheduler) as everything:
        for each in (outside, inside):
            each.ended(each.begin(3))
            scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=each.name))
        eventually(lambda: len(watcher.runs(inside.name)) == 4)
        # From then on, nothing of it is told, and all of the other.
        put(scheduler, inside.name, {"labels": {"set": "another"}})
        put(scheduler, outside.name, {"labels": {"set": mark}})
        for each in (inside, outside):
            scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=each.name))
        eventually(lambda: watcher.runs(outside.name))
        eventually(lambda: len(everything.runs(inside.name)) == 5)
        [run] = watcher.runs(outside.name)
        assert run.reason == "triggered by mei"
        assert len(watcher.runs(inside.name)) == 4
    assert watcher.schedules() == [(LEFT_FILTER, inside.name), (UPDATED, outside.name)]
    backfills = {message.backfill.name.partition("/backfills/")[0] for message in watcher.seen}
    assert backfills == {"", inside.name}


def test_what_is_kept_by_a_filter_is_what_the_list_shows_however_the_stream_breaks(
    scheduler: Scheduler, other: Scheduler, database_url: str
) -> None:
    """Writers move schedules in and out, delete and make them anew, in transactions that overlap."""
    create(scheduler.schedules, schedule("schedules/m"))
    wanted: Fields = {"labels": ["kept=yes"], "paused": False}
    moves = [
        """UPDATE celery_schedules SET labels = '{"kept": "yes"}' WHERE id = $1""",
        """UPDATE celery_schedules SET labels = '{"kept": "no"}' WHERE id = $1""",
        "UPDATE celery_schedules SET paused = NOT paused WHERE id = $1",
        "UPDATE celery_schedules SET pause_note = gen_random_uuid()::text WHERE id = $1",
        "DELETE FROM celery_schedules WHERE id = $1",
        """
        INSERT INTO celery_schedules SELECT (jsonb_populate_record(s, jsonb_build_object(
            'id', $1::text, 'labels', jsonb_build_object('kept', CASE WHEN random() < 0.5 THEN 'yes' END)))).*
        FROM celery_schedules s WHERE id = 'm' ON CONFLICT DO NOTHING
        """,
    ]

    async def write(writer: int) -> None:
        drawn = random.Random(writer)
        connection = await asyncpg.connect(driver_url(database_url))
        for _ in range(40):
            async with connection.transaction():
                # In the order of ids, so that no two wait for each other.
                for number in sorted(drawn.sample(range(12), 2)):
                    await connection.execute(drawn.choice(moves), f"m-{number:02}")
                await connection.execute("SELECT pg_sleep($1)", drawn.random() * 0.02)
        await connection.close()

    async def write_all() -> None:
        await asyncio.gather(*map(write, range(6)))

    def listed() -> dict[str, pb.Schedule]:
        answer = scheduler.schedules.ListSchedules(pb.ListSchedulesRequest(page_size=1000, **wanted))
        return {each.name: each for each in answer.schedules}

    with watching(scheduler, **wanted) as watcher:
        cursor, kept = watcher.cursor, listed()
    writing = threading.Thread(target=lambda: asyncio.run(write_all()))
    writing.start()
    replicas, kinds = [scheduler, other], set()

    def read_some() -> bool:
        nonlocal cursor
        replicas.reverse()
        with watching(replicas[0], cursor=cursor, **wanted) as some:
            eventually(lambda: len(some.seen) > 5 or not writing.is_alive())
        for message in some.seen:
            event = message.schedule
            if event.HasField("schedule"):
                kept[event.name] = event.schedule
            else:
                kept.pop(event.name, None)
            kinds.add(event.kind)
            cursor = message.cursor
        return not writing.is_alive() and kept == listed()

    eventually(read_some, 60)
    writing.join()
    assert kinds >= {CREATED, UPDATED, DELETED, LEFT_FILTER}


def test_what_was_logged_before_filters_were_is_told_as_left(scheduler: Scheduler, database_url: str) -> None:
    """Whether it matched is not known, so it may have."""
    name, still = new_name(), new_name()
    with watching(scheduler) as before:
        cursor = before.cursor
    for each in (name, still):
        create(scheduler.schedules, schedule(each))
        update(scheduler.schedules, schedule(each, description="other"), "description")

    async def forget() -> None:
        connection = await asyncpg.connect(driver_url(database_url))
        ids = [name.removeprefix("schedules/")]
        await connection.execute(
            "UPDATE celery_schedule_changes SET before = NULL WHERE schedule_ids = $1", ids
        )
        await connection.close()

    asyncio.run(forget())
    with watching(scheduler, cursor=cursor, names=[name, still], labels=["a=b"]) as watcher:
        create(scheduler.schedules, schedule(last := new_name(), labels={"a": "b"}))
        with watching(scheduler, cursor=cursor, labels=["a=b"]) as all_of_it:
            eventually(lambda: (CREATED, last) in all_of_it.schedules())
        eventually(watcher.schedules)
        assert watcher.schedules() == [(LEFT_FILTER, name)]


def test_a_filter_at_fault_is_refused_by_name(scheduler: Scheduler) -> None:
    def call(request: Fields) -> Any:
        return list(opened(scheduler, **request))

    for request, fields in [
        ({"labels": ["team"]}, ["labels[0]"]),
        ({"text": "a\0", "task_names": ["a" * 501]}, ["text", "task_names[0]"]),
        ({"names": ["one"], "queues": ["queues/\0"]}, ["names[0]", "queues[0]"]),
    ]:
        assert fields_at_fault(call, request) == fields


@pytest.mark.parametrize("watch", WAYS)
async def test_the_client_passes_filters_on(scheduler: Scheduler, watch: Watch) -> None:
    names = [new_name() for _ in range(5)]
    mark = names[0][-10:]
    task, other_task = (
        pb.TaskSpec(task_name=f"t-{mark}", queue="queues/a"),
        pb.TaskSpec(task_name=f"t-{mark}", queue="queues/b"),
    )
    matching = {"task": task, "labels": {"set": mark}, "description": "Kept"}
    others: list[Fields] = [{"task": other_task}, {"labels": {}}, {"description": "Lost"}]
    wanted = {
        "text": "kept",
        "task_names": [task.task_name],
        "queues": ["queues/a"],
        "paused": False,
        "labels": [f"set={mark}"],
    }
    async with watch(target_of(scheduler), **wanted) as reading:
        await until(lambda: reading.seen)
        for name, change in zip(names, [*others, {"paused": True}, {}], strict=True):
            await until(lambda: create(scheduler.schedules, schedule(name, **(matching | change))))  # noqa: B023
        await until(reading.schedules)
        assert reading.schedules() == [(CREATED, names[-1])]
