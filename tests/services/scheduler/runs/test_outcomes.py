"""How the tasks of runs ended: heard from a real monitor, of a real worker, whoever was away meanwhile."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path
from typing import Any

import redis
from celeriac.monitor.v1 import tasks_pb2
from celeriac.scheduler.v1 import schedules_pb2 as pb

from tests.support.calls import eventually
from tests.support.celery_workers import Worker, celery_app, running_worker
from tests.support.monitors import Monitor
from tests.support.runs import task_id_of
from tests.support.schedulers import Scheduler
from tests.support.servers import Valkey


def triggered(scheduler: Scheduler, **task: Any) -> str:
    """A schedule that comes due never, with one run of now."""
    name = f"schedules/o-{uuid.uuid4().hex[:8]}"
    schedule = pb.Schedule(
        name=name,
        task=pb.TaskSpec(**{"queue": "queues/runs", **task}),
        timing=pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *")),
    )
    scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))
    scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name))
    return name


def outcome(scheduler: Scheduler, name: str) -> pb.Run:
    """The one run of the schedule, once its end is known."""

    def known() -> pb.Run | None:
        [run] = scheduler.runs(name)
        return run if run.outcome else None

    run: pb.Run = eventually(known, 40)
    return run


def test_a_run_tells_that_its_task_succeeded_and_how_long_it_took(
    scheduler: Scheduler, worker: Worker
) -> None:
    run = outcome(scheduler, triggered(scheduler, task_name="sleep", args_json="[0.3]"))
    assert run.state == pb.RUN_STATE_PUBLISHED
    assert run.outcome == pb.RUN_OUTCOME_SUCCEEDED
    assert 0.3 <= run.runtime.ToMicroseconds() / 1e6 < 10
    assert run.end_time.ToMicroseconds() > run.publish_time.ToMicroseconds()
    assert run.error == ""


def test_the_task_of_a_run_links_to_it_and_any_other_task_to_none(
    scheduler: Scheduler, monitor: Monitor, worker: Worker, valkey: Valkey
) -> None:
    run = outcome(scheduler, triggered(scheduler, task_name="add", args_json="[1, 2]"))
    other = str(uuid.uuid4())
    celery_app(valkey.host, valkey.port).send_task("add", (1, 2), task_id=other, queue="runs")
    names = [run.task, f"tasks/{other}"]

    def ended() -> dict[str, tasks_pb2.Task] | None:
        found = monitor.tasks.BatchGetTasks(tasks_pb2.BatchGetTasksRequest(names=names)).tasks
        tasks = {task.name: task for task in found if task.state == tasks_pb2.TASK_STATE_SUCCESS}
        return tasks if len(tasks) == 2 else None

    found = eventually(ended)
    assert [found[name].run for name in names] == [run.name, ""]
    assert scheduler.schedules.GetRun(pb.GetRunRequest(name=found[run.task].run)).run == run


def test_a_run_tells_with_which_error_its_task_failed(scheduler: Scheduler, worker: Worker) -> None:
    run = outcome(scheduler, triggered(scheduler, task_name="fail", args_json='["the disk is full"]'))
    assert run.outcome == pb.RUN_OUTCOME_FAILED
    assert run.error == "ValueError('the disk is full')"
    assert run.HasField("runtime")


def test_a_task_that_was_killed_is_told_of(scheduler: Scheduler, monitor: Monitor, worker: Worker) -> None:
    name = triggered(scheduler, task_name="sleep", args_json="[60]")
    [run] = scheduler.runs(name)
    task = run.task

    def started() -> bool:
        found = monitor.tasks.BatchGetTasks(tasks_pb2.BatchGetTasksRequest(names=[task])).tasks
        return bool(found) and found[0].state == tasks_pb2.TASK_STATE_STARTED

    eventually(started)
    monitor.tasks.RevokeTask(tasks_pb2.RevokeTaskRequest(name=task, terminate=True))
    run = outcome(scheduler, name)
    assert run.outcome == pb.RUN_OUTCOME_REVOKED
    assert not run.HasField("runtime")


def test_what_ended_while_the_monitor_answered_nobody_is_learnt_when_it_does_again(
    scheduler: Scheduler, monitor: Monitor, worker: Worker, valkey: Valkey
) -> None:
    process = monitor.process.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        name = triggered(scheduler, task_name="add", args_json="[1, 2]")
        [run] = scheduler.runs(name)
        assert run.state == pb.RUN_STATE_PUBLISHED
        with redis.Redis(valkey.host, valkey.port, db=1) as results:
            eventually(lambda: results.exists(f"celery-task-meta-{task_id_of(run)}"))
        assert scheduler.runs(name)[0].outcome == pb.RUN_OUTCOME_UNSPECIFIED
    finally:
        process.send_signal(signal.SIGCONT)
    assert outcome(scheduler, name).outcome == pb.RUN_OUTCOME_SUCCEEDED


def test_a_task_that_was_sent_while_the_monitor_was_down_is_followed_once_it_is_up(
    scheduler: Scheduler, monitor: Monitor, worker: Worker, valkey: Valkey, tmp_path: Path
) -> None:
    monitor.process.kill()
    name = triggered(scheduler, task_name="add", args_json="[1, 2]", queue="queues/later")
    [run] = scheduler.runs(name)
    assert (run.state, run.outcome) == (pb.RUN_STATE_PUBLISHED, pb.RUN_OUTCOME_UNSPECIFIED)
    monitor.process.start()
    with running_worker(valkey, tmp_path, queues="later", name="later@test"):
        assert outcome(scheduler, name).outcome == pb.RUN_OUTCOME_SUCCEEDED


def test_a_run_whose_task_ended_unseen_and_left_no_result_says_that_it_is_not_known_how(
    scheduler: Scheduler, monitor: Monitor, worker: Worker, valkey: Valkey, tmp_path: Path
) -> None:
    name = triggered(scheduler, task_name="sleep", args_json="[60]", queue="queues/dies")
    [run] = scheduler.runs(name)
    task = run.task

    def started() -> bool:
        found = monitor.tasks.BatchGetTasks(tasks_pb2.BatchGetTasksRequest(names=[task])).tasks
        return bool(found) and found[0].state == tasks_pb2.TASK_STATE_STARTED

    with running_worker(valkey, tmp_path, queues="dies", name="dies@test") as dying:
        eventually(started)
        monitor.process.kill()
        dying.kill()
    monitor.process.start()
    run = outcome(scheduler, name)
    assert (run.outcome, run.error) == (pb.RUN_OUTCOME_ENDED, "")
    assert not run.HasField("runtime") and not run.HasField("end_time")


def test_what_ended_while_the_scheduler_was_down_is_learnt_when_it_is_back(
    scheduler: Scheduler, monitor: Monitor, worker: Worker
) -> None:
    name = triggered(scheduler, task_name="sleep", args_json="[1]")
    [run] = scheduler.runs(name)
    task = run.task
    scheduler.process.kill()

    def ended() -> bool:
        found = monitor.tasks.BatchGetTasks(tasks_pb2.BatchGetTasksRequest(names=[task])).tasks
        return bool(found) and found[0].state == tasks_pb2.TASK_STATE_SUCCESS

    eventually(ended)
    scheduler.process.start()
    assert outcome(scheduler, name).outcome == pb.RUN_OUTCOME_SUCCEEDED
