"""When a schedule runs, by its definition: counted, bounded, spread, made up for; and what is refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import CollectorRegistry

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import Database
from services.kernel.migrations import migrate
from services.scheduler.catalogue import Catalogue
from services.scheduler.delivery import Delivery
from services.scheduler.dispatch import Dispatcher
from services.scheduler.plan import Bounds, Misfire, MisfireAction
from services.scheduler.publisher import Publisher
from services.scheduler.schedules import Definition, Run, Task
from services.scheduler.store import ScheduleStore
from services.scheduler.timing import IntervalTiming
from tests.support.calls import Caller, eventually, fields_at_fault
from tests.support.processes import ServiceProcess, environment_of, running_service
from tests.support.servers import Valkey

SECOND, MINUTE, HOUR, DAY = (dt.timedelta(seconds=found) for found in (1, 60, 3600, 86400))
TASK = Task("count", queue="due")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await migrate(database_url, "scheduler")
    database = Database(database_url)
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM celery_schedules")
    yield database
    await database.close()


@asynccontextmanager
async def dispatcher(database: Database, valkey: Valkey) -> AsyncIterator[Dispatcher]:
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        dispatcher = Dispatcher(database, Delivery(database, Publisher(client, 0), CollectorRegistry()))
        yield dispatcher
        await dispatcher.delivery.drain()


async def dispatched(database: Database, valkey: Valkey) -> None:
    """Dispatches until nothing is due."""
    async with dispatcher(database, valkey) as one:
        while await one.dispatch_batch():
            pass


def each_minute(name: str, since: dt.datetime, **rest: Any) -> Definition:
    return Definition(name, TASK, IntervalTiming(MINUTE, since, "UTC"), **rest)


async def created(database: Database, definition: Definition, due: dt.datetime) -> None:
    async with database.transaction() as connection:
        await ScheduleStore(connection).create(definition, due)


async def runs_of(database: Database, name: str) -> list[Run]:
    async with database.reading() as connection:
        return list(reversed(await ScheduleStore(connection).list_runs(name, None, None, 1000)))


async def due_next(database: Database, name: str) -> dt.datetime | None:
    async with database.reading() as connection:
        return (await ScheduleStore(connection).get(name)).next_due_at


def a_while_ago(span: dt.timedelta) -> dt.datetime:
    return (dt.datetime.now(dt.UTC) - span).replace(microsecond=0)


# ------------------------------------------------------------------------------------- counted


async def test_two_dispatchers_run_a_schedule_exactly_its_most_times(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(40 * MINUTE)
    for number in range(20):
        definition = each_minute(
            f"s-{number}",
            since,
            bounds=Bounds(max_runs=1 + number),
            misfire=Misfire(MisfireAction.RUN_EACH, HOUR),
        )
        await created(database, definition, since)
    await asyncio.gather(*(dispatched(database, valkey) for _ in range(2)))
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT schedule_id, state FROM celery_schedule_runs_seen")
        found = Counter((row["schedule_id"], row["state"]) for row in rows)
        stored = await connection.fetch("SELECT id, run_count, next_run_at FROM celery_schedules")
        counts = {row["id"]: (row["run_count"], row["next_run_at"]) for row in stored}
    assert found == {(f"s-{number}", "published"): 1 + number for number in range(20)}
    assert counts == {f"s-{number}": (1 + number, None) for number in range(20)}


async def test_a_due_time_that_was_run_already_is_not_counted_again(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(5 * SECOND)
    await created(database, each_minute("s", since, bounds=Bounds(max_runs=2)), since)
    await dispatched(database, valkey)
    # As a clock that is set back, or a restored row, would have it.
    async with database.transaction() as connection:
        await connection.execute("UPDATE celery_schedules SET next_run_at = $1", since)
    await dispatched(database, valkey)
    assert len(await runs_of(database, "s")) == 1
    assert await due_next(database, "s") == since + MINUTE
    async with database.reading() as connection:
        assert (await ScheduleStore(connection).get("s")).run_count == 1


async def test_a_higher_most_wakes_a_schedule_that_was_done(database: Database, valkey: Valkey) -> None:
    since = a_while_ago(5 * SECOND)
    await created(database, each_minute("s", since, bounds=Bounds(max_runs=1)), since)
    async with dispatcher(database, valkey) as one:
        await one.dispatch_batch()
        assert await due_next(database, "s") is None
        wanted = each_minute("s", since, bounds=Bounds(max_runs=2))
        schedule = await Catalogue(database, one.delivery).change("s", "", lambda *_: wanted)
    assert schedule.next_due_at == since + MINUTE


# --------------------------------------------------------------------- missed, and made up for


@pytest.mark.parametrize("action", list(MisfireAction))
async def test_each_decision_about_missed_due_times_is_in_the_history(
    database: Database, valkey: Valkey, action: MisfireAction
) -> None:
    since = a_while_ago(30 * MINUTE + 5 * SECOND)
    await created(database, each_minute("s", since, misfire=Misfire(action, 10 * MINUTE)), since)
    await dispatched(database, valkey)
    runs = await runs_of(database, "s")
    states = Counter(run.state.value for run in runs)
    assert runs[0].state.value == "skipped"
    if action is MisfireAction.SKIP:
        # The last one was in time.
        assert states == {"skipped": 1, "published": 1}
        assert "its policy is to skip" in runs[0].reason
        assert runs[-1].reason == "due"
    elif action is MisfireAction.RUN_ONCE:
        assert states == {"skipped": 1, "published": 1}
        assert "makes up for all that was missed" in runs[-1].reason
    else:
        assert states == {"skipped": 1, "published": 10}
        assert "more than 0:10:00" in runs[0].reason
        assert "each missed run is made up for" in runs[1].reason
    assert runs[-1].due_at == since + 30 * MINUTE
    assert await due_next(database, "s") == since + 31 * MINUTE


async def test_what_was_skipped_is_not_the_last_run(database: Database, valkey: Valkey) -> None:
    since = a_while_ago(2 * HOUR)
    definition = Definition("s", TASK, IntervalTiming(DAY, since, "UTC"))
    await created(database, definition, since)
    await dispatched(database, valkey)
    async with database.reading() as connection:
        stored = await ScheduleStore(connection).get("s")
    assert (stored.last_run_at, stored.run_count) == (None, 0)


async def test_a_clock_set_forward_is_decided_by_the_misfire_policy(
    database: Database, valkey: Valkey
) -> None:
    # To the table it is the same: its due time is suddenly hours ago.
    since = a_while_ago(3 * HOUR)
    definition = Definition("s", TASK, IntervalTiming(DAY, since, "UTC"), misfire=Misfire(window=4 * HOUR))
    await created(database, definition, since)
    await dispatched(database, valkey)
    (run,) = await runs_of(database, "s")
    assert run.reason.startswith("late by 3:00:0")
    assert await due_next(database, "s") == since + DAY


# ----------------------------------------------------------------------------------- spread out


async def test_jitter_delays_the_message_and_not_the_due_time(database: Database, valkey: Valkey) -> None:
    since = a_while_ago(10 * SECOND)
    waits: list[str] = []
    sent: list[str] = []
    for number in range(20):
        definition = each_minute(f"s-{number}", since, jitter=20 * SECOND)
        at = definition.plan.sent_at(definition.id, since)
        (sent if at <= since + 10 * SECOND else waits).append(definition.id)
        await created(database, definition, since)
    await dispatched(database, valkey)
    async with database.reading() as connection:
        runs = await ScheduleStore(connection).list_runs("", None, None, 100)
    ran = {run.schedule_id for run in runs}
    assert set(sent) <= ran and sent and waits
    assert {run.due_at for run in runs} == {since}
    assert {run.reason for run in runs} == {"due"}
    for name in waits:
        assert name in ran or await due_next(database, name) == since


# ---------------------------------------------------------------------------------------- edited


async def test_django_celery_beat_818_an_edit_at_the_due_time_loses_no_run(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(2 * SECOND)
    await created(database, each_minute("s", since), since)
    async with dispatcher(database, valkey) as one:
        catalogue = Catalogue(database, one.delivery)
        now = await catalogue.now()
        other = IntervalTiming(HOUR, now + HOUR, "UTC")
        # The due time has come, and no dispatcher has taken it yet.
        changed = await catalogue.change("s", "", lambda *_: Definition("s", TASK, other))
        assert changed.next_due_at == since
        await one.dispatch_batch()
    assert [(run.due_at, run.reason) for run in await runs_of(database, "s")] == [(since, "due")]
    assert await due_next(database, "s") == now + HOUR


async def test_django_celery_beat_537_a_resumed_schedule_does_not_fire_at_once(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(3 * HOUR)
    await created(database, each_minute("s", since), since + 5 * HOUR)
    async with dispatcher(database, valkey) as one:
        catalogue = Catalogue(database, one.delivery)
        assert (await catalogue.pause("s", "")).next_due_at is None
        resumed = await catalogue.resume("s")
        now = await catalogue.now()
        assert resumed.next_due_at is not None and now - SECOND < resumed.next_due_at <= now + MINUTE
    assert await runs_of(database, "s") == []


async def test_celery_7577_an_edit_right_after_the_due_time_does_not_send_it_again(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(2 * SECOND)
    await created(database, each_minute("s", since), since)
    async with dispatcher(database, valkey) as one:
        await one.dispatch_batch()
        changed = Definition("s", TASK._replace(args_json="[1]"), IntervalTiming(MINUTE, since, "UTC"))
        schedule = await Catalogue(database, one.delivery).change("s", "", lambda *_: changed)
        assert schedule.next_due_at == since + MINUTE
        assert await one.dispatch_batch() == 0
    assert len(await runs_of(database, "s")) == 1


# ----------------------------------------------------------------------------- by the contract


@pytest.fixture(scope="module")
def service(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey
) -> Iterator[ServiceProcess]:
    environment = environment_of("scheduler", certificates, database_url, valkey)
    with running_service("scheduler", certificates, environment) as process:
        yield process


@pytest.fixture
def schedules(service: ServiceProcess, tokens: LocalIssuer) -> Iterator[Any]:
    with service.channel() as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        yield Caller(stub, tokens.mint("admin", subject="mei"))


def at(moment: dt.datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


FUTURE = dt.datetime(2040, 6, 1, tzinfo=dt.UTC)
CRONTAB = pb.Timing(crontab=pb.Crontab(expression="0 3 * * *"), time_zone="UTC")
INTERVAL = pb.Timing(interval=pb.Interval(every={"seconds": 1, "nanos": 500_000_000}, anchor=at(FUTURE)))
ONCE = pb.Timing(once=pb.Once(at=at(FUTURE)))
SOLAR = pb.Timing(solar=pb.Solar(event=pb.SOLAR_EVENT_SUNSET, latitude=25.03, longitude=121.56))


def schedule_of(timing: pb.Timing, **rest: Any) -> pb.Schedule:
    name = f"schedules/d-{uuid.uuid4().hex[:8]}"
    return pb.Schedule(name=name, task=pb.Task(name="count", queue="elsewhere"), timing=timing, **rest)


def create(schedules: Any, schedule: pb.Schedule) -> pb.Schedule:
    stored: pb.Schedule = schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule)).schedule
    return stored


@pytest.mark.parametrize("timing", [CRONTAB, INTERVAL, ONCE, SOLAR])
def test_every_timing_and_rule_comes_back_as_it_was_created(schedules: Any, timing: pb.Timing) -> None:
    wanted = schedule_of(
        timing,
        start_time=at(FUTURE - DAY),
        end_time=at(FUTURE + DAY),
        max_runs=12,
        jitter={"nanos": 250_000_000},
        misfire_policy=pb.MisfirePolicy(action=pb.MISFIRE_ACTION_RUN_EACH, window={"seconds": 7200}),
    )
    create(schedules, wanted)
    stored = schedules.GetSchedule(pb.GetScheduleRequest(name=wanted.name)).schedule
    wanted.timing.time_zone = wanted.timing.time_zone or "Asia/Taipei"
    for field in ("timing", "start_time", "end_time", "max_runs", "jitter", "misfire_policy"):
        assert getattr(stored, field) == getattr(wanted, field), field
    first = schedules.PreviewTimes(pb.PreviewTimesRequest(schedule=wanted, count=1)).times[0]
    assert stored.next_run_time == first


def test_what_is_unset_is_told_as_what_is_in_force(schedules: Any) -> None:
    stored = create(schedules, schedule_of(CRONTAB))
    assert stored.misfire_policy == pb.MisfirePolicy(
        action=pb.MISFIRE_ACTION_RUN_ONCE, window={"seconds": 3600}
    )
    assert (stored.max_runs, stored.run_count) == (0, 0)
    for field in ("start_time", "end_time", "jitter"):
        assert not stored.HasField(field)


def test_an_interval_without_an_anchor_begins_at_the_start_time_or_one_pace_from_now(schedules: Any) -> None:
    hourly = pb.Timing(interval=pb.Interval(every={"seconds": 3600}))
    later = create(schedules, schedule_of(hourly, start_time=at(FUTURE)))
    assert later.next_run_time == later.timing.interval.anchor == at(FUTURE)
    now = dt.datetime.now(dt.UTC)
    first = create(schedules, schedule_of(hourly)).next_run_time.ToDatetime(dt.UTC)
    assert abs(first - now - HOUR) < MINUTE


def update(schedules: Any, change: pb.Schedule, *paths: str) -> pb.Schedule:
    request = pb.UpdateScheduleRequest(schedule=change, update_mask=FieldMask(paths=paths))
    changed: pb.Schedule = schedules.UpdateSchedule(request).schedule
    return changed


def test_a_change_that_keeps_the_pace_keeps_the_anchor(schedules: Any) -> None:
    stored = create(schedules, schedule_of(pb.Timing(interval=pb.Interval(every={"seconds": 3600}))))
    again = pb.Schedule(name=stored.name, timing=pb.Timing(interval=pb.Interval(every={"seconds": 3600})))
    assert update(schedules, again, "timing") == stored
    again.timing.interval.every.seconds = 7200
    assert update(schedules, again, "timing").timing.interval.anchor != stored.timing.interval.anchor


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("start_time", {"start_time": at(FUTURE)}),
        ("end_time", {"end_time": at(FUTURE)}),
        ("max_runs", {"max_runs": 7}),
        ("jitter", {"jitter": {"seconds": 9}}),
        ("misfire_policy", {"misfire_policy": pb.MisfirePolicy(action=pb.MISFIRE_ACTION_SKIP)}),
        ("timing", {"timing": SOLAR}),
    ],
)
def test_the_mask_covers_each_field_alone(schedules: Any, path: str, change: dict[str, Any]) -> None:
    stored = create(schedules, schedule_of(CRONTAB, description="as it was"))
    changed = update(schedules, pb.Schedule(name=stored.name, description="no", **change), path)
    expected = pb.Schedule(**change)
    if path == "timing":
        expected.timing.time_zone = "Asia/Taipei"
    assert getattr(changed, path) == getattr(expected, path)
    others = {"start_time", "end_time", "max_runs", "jitter", "misfire_policy", "timing", "description"}
    for other in others - {path}:
        assert getattr(changed, other) == getattr(stored, other)
    # And back again, by naming the field and leaving it unset.
    if path != "timing":
        back = update(schedules, pb.Schedule(name=stored.name), path)
        assert getattr(back, path) == getattr(stored, path)


def test_a_schedule_that_has_ended_has_no_next_run(schedules: Any) -> None:
    stored = create(schedules, schedule_of(CRONTAB))
    ended = update(schedules, pb.Schedule(name=stored.name, end_time=at(dt.datetime.now(dt.UTC))), "end_time")
    assert stored.HasField("next_run_time") and not ended.HasField("next_run_time")


def preview(schedules: Any, **source: Any) -> tuple[list[dt.datetime], list[dt.datetime]]:
    found = schedules.PreviewTimes(pb.PreviewTimesRequest(**source))
    return [each.ToDatetime(dt.UTC) for each in found.times], [
        each.ToDatetime(dt.UTC) for each in found.send_times
    ]


@pytest.mark.parametrize("timing", [CRONTAB, INTERVAL, ONCE, SOLAR])
def test_every_proposed_timing_is_previewed(schedules: Any, timing: pb.Timing) -> None:
    times, sent = preview(schedules, timing=timing, start_time=at(FUTURE - SECOND), count=3)
    expected: list[dt.datetime] = {
        "crontab": [FUTURE + 3 * HOUR + number * DAY for number in range(3)],
        "interval": [FUTURE + number * 1.5 * SECOND for number in range(3)],
        "once": [FUTURE],
        # Taipei, by the almanac: 10:39, 10:40, 10:40 UTC.
        "solar": times,
    }[timing.WhichOneof("kind") or ""]
    assert times == expected
    assert sent == []
    if timing is SOLAR:
        assert [moment.hour for moment in times] == [10, 10, 10]


def test_a_preview_stays_within_bounds_and_most_runs(schedules: Any) -> None:
    proposed = pb.Schedule(timing=CRONTAB, start_time=at(FUTURE + 3 * HOUR), end_time=at(FUTURE + 5 * DAY))
    times, _ = preview(schedules, schedule=proposed)
    assert times == [FUTURE + 3 * HOUR + number * DAY for number in range(5)]
    proposed.max_runs = 2
    times, _ = preview(schedules, schedule=proposed)
    assert len(times) == 2


def test_a_preview_tells_when_jitter_sends(schedules: Any) -> None:
    wanted = schedule_of(CRONTAB, jitter={"seconds": 3600})
    times, sent = preview(schedules, schedule=wanted)
    assert all(due <= moment < due + HOUR for due, moment in zip(times, sent, strict=True))
    create(schedules, wanted)
    assert preview(schedules, name=wanted.name) == (times, sent)


def test_a_schedule_runs_its_most_times_and_is_done(schedules: Any) -> None:
    soon = dt.datetime.now(dt.UTC)
    timing = pb.Timing(interval=pb.Interval(every={"seconds": 1}, anchor=at(soon)))
    stored = create(schedules, schedule_of(timing, max_runs=2))

    def done() -> Any:
        found = schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name)).schedule
        return not found.HasField("next_run_time") and found

    assert eventually(done).run_count == 2
    runs = schedules.ListRuns(pb.ListRunsRequest(parent=stored.name)).runs
    assert len(runs) == 2


def test_once_runs_once(schedules: Any) -> None:
    moment = dt.datetime.now(dt.UTC) + SECOND
    stored = create(schedules, schedule_of(pb.Timing(once=pb.Once(at=at(moment)))))

    def published() -> Any:
        runs = schedules.ListRuns(pb.ListRunsRequest(parent=stored.name)).runs
        return [run for run in runs if run.state == pb.RUN_STATE_PUBLISHED]

    (run,) = eventually(published)
    assert run.due_time == at(moment)
    after = schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name)).schedule
    assert not after.HasField("next_run_time")


LONG = Duration(seconds=400 * 86400)
TINY = Duration(nanos=1000)
HUGE = Duration(seconds=315_576_000_000)
BAD_TIME = Timestamp(seconds=10**15)


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (schedule_of(pb.Timing(crontab=pb.Crontab(expression="@reboot"))), "timing.crontab.expression"),
        (schedule_of(pb.Timing(crontab=pb.Crontab(expression="@daily 5"))), "timing.crontab.expression"),
        (schedule_of(pb.Timing(interval=pb.Interval())), "timing.interval.every"),
        (schedule_of(pb.Timing(interval=pb.Interval(every=TINY))), "timing.interval.every"),
        (schedule_of(pb.Timing(interval=pb.Interval(every=LONG))), "timing.interval.every"),
        (schedule_of(pb.Timing(interval=pb.Interval(every=HUGE))), "timing.interval.every"),
        (schedule_of(pb.Timing(interval=pb.Interval(every={"seconds": -5}))), "timing.interval.every"),
        (
            schedule_of(pb.Timing(interval=pb.Interval(every={"seconds": 9}, anchor=BAD_TIME))),
            "timing.interval.anchor",
        ),
        (schedule_of(pb.Timing(once=pb.Once())), "timing.once.at"),
        (schedule_of(pb.Timing(once=pb.Once(at=BAD_TIME))), "timing.once.at"),
        (schedule_of(pb.Timing(once=pb.Once(at={"seconds": 1}))), "timing"),
        (schedule_of(pb.Timing(solar=pb.Solar(latitude=1, longitude=1))), "timing.solar.event"),
        (
            schedule_of(pb.Timing(solar=pb.Solar(event=99, latitude=1, longitude=1))),  # type: ignore[arg-type]
            "timing.solar.event",
        ),
        (
            schedule_of(pb.Timing(solar=pb.Solar(event=pb.SOLAR_EVENT_SUNSET, longitude=1))),
            "timing.solar.latitude",
        ),
        (
            schedule_of(pb.Timing(solar=pb.Solar(event=pb.SOLAR_EVENT_SUNSET, latitude=90.1, longitude=1))),
            "timing.solar.latitude",
        ),
        (
            schedule_of(
                pb.Timing(solar=pb.Solar(event=pb.SOLAR_EVENT_SUNSET, latitude=1, longitude=float("nan")))
            ),
            "timing.solar.longitude",
        ),
        # The sun never rises nor sets within a day at the pole.
        (
            schedule_of(pb.Timing(solar=pb.Solar(event=pb.SOLAR_EVENT_SUNRISE, latitude=90, longitude=0))),
            "timing",
        ),
        (schedule_of(CRONTAB, start_time=BAD_TIME), "start_time"),
        (schedule_of(CRONTAB, end_time=BAD_TIME), "end_time"),
        (schedule_of(CRONTAB, start_time=at(FUTURE), end_time=at(FUTURE - SECOND)), "end_time"),
        (schedule_of(CRONTAB, end_time={"seconds": 1}), "timing"),
        (schedule_of(CRONTAB, max_runs=-1), "max_runs"),
        (schedule_of(CRONTAB, max_runs=2**62), "max_runs"),
        (schedule_of(CRONTAB, jitter=TINY), "jitter"),
        (schedule_of(CRONTAB, jitter=LONG), "jitter"),
        (schedule_of(CRONTAB, jitter={"seconds": -1}), "jitter"),
        (schedule_of(CRONTAB, misfire_policy=pb.MisfirePolicy(action=9)), "misfire_policy.action"),  # type: ignore[arg-type]
        (schedule_of(CRONTAB, misfire_policy=pb.MisfirePolicy(window=LONG)), "misfire_policy.window"),
        (schedule_of(CRONTAB, misfire_policy=pb.MisfirePolicy(window={})), "misfire_policy.window"),
        (
            schedule_of(
                CRONTAB,
                misfire_policy=pb.MisfirePolicy(action=pb.MISFIRE_ACTION_SKIP, window={"seconds": 9}),
            ),
            "misfire_policy.window",
        ),
    ],
)
def test_nonsense_is_refused_by_field_at_creation_and_in_a_preview(
    schedules: Any, broken: pb.Schedule, field: str
) -> None:
    create = schedules.CreateSchedule
    assert fields_at_fault(create, pb.CreateScheduleRequest(schedule=broken)) == [f"schedule.{field}"]
    if field != "timing":
        request = pb.PreviewTimesRequest(schedule=broken)
        assert fields_at_fault(schedules.PreviewTimes, request) == [f"schedule.{field}"]


def test_jitter_must_leave_time_until_the_message_expires(schedules: Any) -> None:
    broken = schedule_of(CRONTAB, jitter={"seconds": 60})
    broken.task.expires.seconds = 60
    request = pb.CreateScheduleRequest(schedule=broken)
    assert fields_at_fault(schedules.CreateSchedule, request) == ["schedule.jitter"]
    broken.task.expires.seconds = 61
    stored = create(schedules, broken)
    shorter = pb.Schedule(name=stored.name, task=pb.Task(name="count", expires={"seconds": 5}))
    change = pb.UpdateScheduleRequest(schedule=shorter, update_mask=FieldMask(paths=["task"]))
    assert fields_at_fault(schedules.UpdateSchedule, change) == ["schedule.jitter"]


def test_a_change_of_one_bound_is_held_against_the_other(schedules: Any) -> None:
    stored = create(schedules, schedule_of(CRONTAB, start_time=at(FUTURE)))
    early = pb.Schedule(name=stored.name, end_time=at(FUTURE - SECOND))
    change = pb.UpdateScheduleRequest(schedule=early, update_mask=FieldMask(paths=["end_time"]))
    assert fields_at_fault(schedules.UpdateSchedule, change) == ["schedule.end_time"]
