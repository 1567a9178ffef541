"""WatchSchedules: each run is told when it is sent, passed over or held back, and when its task has ended."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.calls import eventually
from tests.support.celery_workers import Worker
from tests.support.schedulers import Scheduler
from tests.support.watchers import watching

PUBLISHED, SKIPPED, WAITING = pb.RUN_STATE_PUBLISHED, pb.RUN_STATE_SKIPPED, pb.RUN_STATE_WAITING
SUCCEEDED = pb.RUN_OUTCOME_SUCCEEDED


def create(scheduler: Scheduler, name: str, timing: pb.Timing, **more: Any) -> None:
    task = pb.TaskSpec(task_name="sleep", args_json="[0.2]", queue=more.pop("queue", "queues/runs"))
    schedule = pb.Schedule(name=name, task=task, timing=timing, **more)
    scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))


def new_name() -> str:
    return f"schedules/r-{uuid.uuid4().hex[:8]}"


def never() -> pb.Timing:
    return pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *"))


def each_second() -> pb.Timing:
    anchor = Timestamp()
    anchor.FromDatetime(dt.datetime.now(dt.UTC))
    return pb.Timing(interval=pb.Interval(every={"seconds": 1}, anchor=anchor))


def test_a_triggered_run_is_told_when_published_and_when_its_task_has_ended(
    scheduler: Scheduler, worker: Worker
) -> None:
    name = new_name()
    create(scheduler, name, never())
    with watching(scheduler, names=[name]) as watcher:
        run = scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name)).run
        eventually(lambda: any(each.outcome for each in watcher.runs(name)))
        published, *_, ended = watcher.runs(name)
    assert (published.state, published.task, published.due_time) == (PUBLISHED, run.task, run.due_time)
    assert published.HasField("publish_time")
    assert (ended.state, ended.outcome) == (PUBLISHED, SUCCEEDED)
    assert ended == scheduler.runs(name)[0]


def test_each_run_of_the_dispatcher_is_told_however_the_stream_breaks(
    scheduler: Scheduler, worker: Worker
) -> None:
    """What the messages told last of each run is what ListRuns shows."""
    names = [new_name() for _ in range(5)]
    with watching(scheduler) as watcher:
        cursor = watcher.cursor
    for name in names:
        create(scheduler, name, each_second(), max_runs=3)
    told: dict[str, pb.Run] = {}

    def read_some() -> bool:
        nonlocal cursor
        with watching(scheduler, cursor=cursor, names=names, without_schedules=True) as some:
            eventually(lambda: len(some.seen) > 2)
        for message in some.seen:
            told.update({run.name: run for run in message.runs.runs})
        cursor = some.cursor
        return len(told) == 15 and all(run.outcome for run in told.values())

    eventually(read_some, 60)
    runs = [run for name in names for run in scheduler.runs(name)]
    assert {run.name: run for run in runs} == told


def test_what_is_passed_over_and_what_is_held_back_is_told(scheduler: Scheduler) -> None:
    """Nobody works on the queue, so the first run of each goes on."""
    skips, waits = new_name(), new_name()
    with watching(scheduler, names=[skips, waits], without_schedules=True) as watcher:
        more: dict[str, Any] = {"max_runs": 2, "queue": "queues/nobody"}
        create(scheduler, skips, each_second(), overlap_policy=pb.OVERLAP_POLICY_SKIP, **more)
        create(scheduler, waits, each_second(), overlap_policy=pb.OVERLAP_POLICY_QUEUE, **more)
        eventually(lambda: SKIPPED in [run.state for run in watcher.runs(skips)])
        eventually(lambda: len({run.due_time.ToNanoseconds() for run in watcher.runs(waits)}) == 2)
        skipped = [run for run in watcher.runs(skips) if run.state == SKIPPED]
        assert {run.due_time.ToNanoseconds() for run in skipped} == {skipped[0].due_time.ToNanoseconds()}
        assert "its policy is to skip" in skipped[0].reason
        assert watcher.runs(waits)[-1].state == WAITING

        def newest(name: str) -> list[pb.Run]:
            told = {run.due_time.ToNanoseconds(): run for run in watcher.runs(name)}
            return [told[due] for due in sorted(told)]

        for name in (skips, waits):
            eventually(lambda name=name: newest(name) == scheduler.runs(name))


def test_a_misfire_is_told(scheduler: Scheduler) -> None:
    name = new_name()
    timing = pb.Timing(interval=pb.Interval(every={"seconds": 1}, anchor=Timestamp(seconds=1_700_000_000)))
    skip = pb.MisfirePolicy(action=pb.MISFIRE_ACTION_SKIP)
    with watching(scheduler, names=[name]) as watcher:
        create(scheduler, name, timing, misfire_policy=skip, queue="queues/nobody")
        eventually(lambda: watcher.runs(name))
        scheduler.schedules.PauseSchedule(pb.PauseScheduleRequest(name=name))
        eventually(lambda: len(scheduler.runs(name)) == len(watcher.runs(name)))
