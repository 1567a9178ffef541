"""Runs that may not overlap: on a real worker, by the word of a real monitor, and without it."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.calls import eventually, fields_at_fault
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.schedulers import Scheduler
from tests.support.servers import Valkey

ALLOW, SKIP = pb.OVERLAP_POLICY_ALLOW, pb.OVERLAP_POLICY_SKIP
QUEUE, CANCEL = pb.OVERLAP_POLICY_QUEUE, pb.OVERLAP_POLICY_CANCEL


def every_second(
    scheduler: Scheduler, overlap: pb.OverlapPolicy, sleep: float, most: int, queue: str = "runs"
) -> str:
    """A schedule that is due each second, `most` times, and whose task sleeps."""
    name, now = f"schedules/v-{uuid.uuid4().hex[:8]}", Timestamp()
    now.FromDatetime(dt.datetime.now(dt.UTC))
    schedule = pb.Schedule(
        name=name,
        task=pb.TaskSpec(task_name="sleep", args_json=f"[{sleep}]", queue=f"queues/{queue}"),
        timing=pb.Timing(interval=pb.Interval(every={"seconds": 1}, anchor=now)),
        max_runs=most,
        overlap_policy=overlap,
    )
    stored = scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule)).schedule
    assert stored.overlap_policy == overlap
    return name


def decided(scheduler: Scheduler, name: str, count: int) -> list[pb.Run]:
    """The runs, once there are so many, none waits, and those that were sent have ended."""

    def all_ended() -> list[pb.Run] | None:
        runs = scheduler.runs(name)
        ended = all(run.outcome or run.state == pb.RUN_STATE_SKIPPED for run in runs)
        return runs if len(runs) == count and ended else None

    runs: list[pb.Run] = eventually(all_ended, 60)
    return runs


def sent(runs: list[pb.Run]) -> list[pb.Run]:
    return [run for run in runs if run.state == pb.RUN_STATE_PUBLISHED]


def began(run: pb.Run) -> float:
    return (run.end_time.ToMicroseconds() - run.runtime.ToMicroseconds()) / 1e6


def test_a_due_time_is_passed_over_while_the_run_before_is_going(
    scheduler: Scheduler, worker: Worker
) -> None:
    runs = decided(scheduler, every_second(scheduler, SKIP, 2.5, most=5), 5)
    assert runs[0].state == pb.RUN_STATE_PUBLISHED and runs[1].state == pb.RUN_STATE_SKIPPED
    for one, two in zip(sent(runs), sent(runs)[1:], strict=False):
        assert began(two) >= one.end_time.ToMicroseconds() / 1e6
    assert "is still going (" in runs[1].reason or "is being sent" in runs[1].reason
    assert runs[1].reason.endswith("; its policy is to skip")
    assert not runs[1].task


def test_one_waits_for_the_run_before_and_goes_as_soon_as_that_has_ended(
    scheduler: Scheduler, worker: Worker
) -> None:
    runs = decided(scheduler, every_second(scheduler, QUEUE, 2.5, most=4), 4)
    assert [run.state for run in runs[:2]] == [pb.RUN_STATE_PUBLISHED] * 2
    assert any("waits already" in run.reason for run in runs if run.state == pb.RUN_STATE_SKIPPED)
    assert "; waited: the run of " in runs[1].reason
    one, two = runs[:2]
    assert began(two) >= one.end_time.ToMicroseconds() / 1e6


def test_the_run_before_is_terminated_for_the_newest(scheduler: Scheduler, worker: Worker) -> None:
    runs = decided(scheduler, every_second(scheduler, CANCEL, 12, most=2), 2)
    assert [run.outcome for run in runs] == [pb.RUN_OUTCOME_REVOKED, pb.RUN_OUTCOME_SUCCEEDED]
    assert "which is being terminated" in runs[1].reason


def test_runs_go_side_by_side_when_they_may(scheduler: Scheduler, worker: Worker) -> None:
    runs = decided(scheduler, every_second(scheduler, ALLOW, 2.5, most=2), 2)
    assert [run.reason for run in runs] == ["due", "due"]
    assert began(runs[1]) < runs[0].end_time.ToMicroseconds() / 1e6


def test_what_goes_on_counts_when_overlaps_are_forbidden_later(scheduler: Scheduler, worker: Worker) -> None:
    name = every_second(scheduler, ALLOW, 6, most=2)
    eventually(lambda: scheduler.runs(name))
    change = pb.Schedule(name=name, overlap_policy=SKIP)
    mask = FieldMask(paths=["overlap_policy"])
    scheduler.schedules.UpdateSchedule(pb.UpdateScheduleRequest(schedule=change, update_mask=mask))
    eventually(lambda: len(scheduler.runs(name)) == 2)
    later = eventually(lambda: [run for run in scheduler.runs(name)[1:] if run.state != pb.RUN_STATE_WAITING])
    # Unless the second due time came before the change did.
    assert later[0].state == pb.RUN_STATE_SKIPPED or later[0].reason == "due"


def test_a_policy_that_is_none_is_refused(scheduler: Scheduler) -> None:
    schedule = pb.Schedule(
        name="schedules/v-none",
        task=pb.TaskSpec(task_name="add"),
        timing=pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *")),
        overlap_policy=9,  # type: ignore[arg-type] # a client of a later contract
    )
    create = scheduler.schedules.CreateSchedule
    assert fields_at_fault(create, pb.CreateScheduleRequest(schedule=schedule)) == ["schedule.overlap_policy"]


def test_without_the_monitor_a_run_counts_as_going_and_its_like_waits(
    scheduler: Scheduler, monitor: Monitor, valkey: Valkey, tmp_path: Path
) -> None:
    monitor.process.kill()
    name = every_second(scheduler, QUEUE, 0, most=2, queue="later")

    def waits() -> bool:
        runs = scheduler.runs(name)
        return len(runs) == 2 and "the monitor is away, so it counts as going until" in runs[1].reason

    eventually(waits)
    assert [run.state for run in scheduler.runs(name)] == [pb.RUN_STATE_PUBLISHED, pb.RUN_STATE_WAITING]
    monitor.process.start()
    with running_worker(valkey, tmp_path, queues="later", name="later@test"):
        runs = decided(scheduler, name, 2)
    assert [run.outcome for run in runs] == [pb.RUN_OUTCOME_SUCCEEDED] * 2
