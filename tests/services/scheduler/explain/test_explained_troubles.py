"""The troubles that people come with, made for real: no run at all, no worker takes it, the task fails."""

from __future__ import annotations

import signal
import time
import uuid
from pathlib import Path
from typing import Any

import redis
from celeriac.monitor.v1 import queues_pb2
from celeriac.scheduler.v1 import config_pb2, config_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb

from tests.support.calls import Caller, eventually
from tests.support.celery_workers import Worker, celery_app, running_worker
from tests.support.configurations import put
from tests.support.monitors import Monitor
from tests.support.schedulers import Scheduler
from tests.support.servers import Valkey

EACH_SECOND = pb.Timing(interval=pb.Interval(every={"seconds": 1}))
NEVER = pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *"))


def created(scheduler: Scheduler, timing: pb.Timing = NEVER, **task: Any) -> str:
    name = f"schedules/e-{uuid.uuid4().hex[:8]}"
    spec = pb.TaskSpec(**{"task_name": "add", "args_json": "[1, 2]", "queue": "queues/runs", **task})
    schedule = pb.Schedule(name=name, task=spec, timing=timing)
    scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))
    return name


def triggered(scheduler: Scheduler, **task: Any) -> str:
    name = created(scheduler, **task)
    scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name))
    return name


def explained(scheduler: Scheduler, name: str, **rest: Any) -> pb.ExplainScheduleResponse:
    answer: pb.ExplainScheduleResponse = scheduler.schedules.ExplainSchedule(
        pb.ExplainScheduleRequest(name=name, **rest)
    )
    return answer


def newest(scheduler: Scheduler, name: str, stage: int) -> pb.DueTimeExplanation:
    """The explanation of its one run, once the task is so far."""

    def there() -> pb.DueTimeExplanation | None:
        [found] = explained(scheduler, name).due_times
        return found if found.stage == stage else None

    found: pb.DueTimeExplanation = eventually(there, 60)
    return found


def test_of_a_schedule_that_does_not_run_it_is_told_who_paused_it_and_how_it_runs_again(
    scheduler: Scheduler,
) -> None:
    name = created(scheduler, EACH_SECOND)
    scheduler.schedules.PauseSchedule(pb.PauseScheduleRequest(name=name, note="moving house"))

    def passed() -> pb.ExplainScheduleResponse | None:
        answer = explained(scheduler, name)
        decisions = [each.decision for each in answer.due_times]
        return answer if decisions.count(pb.DUE_TIME_DECISION_PAUSED) >= 2 else None

    answer = eventually(passed)
    assert answer.condition == pb.SCHEDULE_CONDITION_PAUSED
    assert answer.summary.startswith("The schedule is paused, by mei at ")
    assert "'moving house'" in answer.summary
    assert f"POST /v1/{name}:resume" in answer.next_step
    assert [(edit.kind, edit.actor, edit.pause_note) for edit in answer.edits] == [
        (pb.SCHEDULE_EDIT_KIND_PAUSED, "mei", "moving house"),
        (pb.SCHEDULE_EDIT_KIND_CREATED, "mei", ""),
    ]
    last = answer.due_times[0]
    assert last.reason.startswith("Paused by mei at ")
    assert not last.HasField("run")

    scheduler.schedules.ResumeSchedule(pb.ResumeScheduleRequest(name=name))
    eventually(lambda: explained(scheduler, name).due_times[0].decision == pb.DUE_TIME_DECISION_SENT)
    answer = explained(scheduler, name)
    paused = [each for each in answer.due_times if each.decision == pb.DUE_TIME_DECISION_PAUSED]
    assert "Resumed by mei at " in paused[0].reason
    assert ":backfill" in paused[0].next_step
    assert answer.edits[0].kind == pb.SCHEDULE_EDIT_KIND_RESUMED
    scheduler.schedules.PauseSchedule(pb.PauseScheduleRequest(name=name))


def test_of_a_message_that_no_worker_takes_it_is_told_that_none_consumes_its_queue(
    scheduler: Scheduler, worker: Worker
) -> None:
    name = triggered(scheduler, queue="queues/nobody")
    found = newest(scheduler, name, pb.TASK_STAGE_QUEUED)
    assert found.decision == pb.DUE_TIME_DECISION_SENT
    assert "No worker consumes the queue 'nobody': 1 message waits there." in found.reason
    assert "celery -A your_app worker -Q nobody" in found.next_step
    assert "POST /v1/workers:addConsumer" in found.next_step and "control" not in found.next_step
    assert found.queue == "queues/nobody"
    assert found.run.HasField("publish_time")
    answer = explained(scheduler, name)
    [queue] = answer.queues
    assert (queue.queue, queue.length, list(queue.consumers)) == ("queues/nobody", 1, [])
    assert answer.next_step == found.next_step


def test_of_a_message_that_was_purged_no_worker_is_asked_for(scheduler: Scheduler, valkey: Valkey) -> None:
    name = triggered(scheduler, queue="queues/purged")
    newest(scheduler, name, pb.TASK_STAGE_QUEUED)
    with redis.Redis(valkey.host, valkey.port) as client:
        client.delete("purged")
    # Not said as long as a worker has not told its queues.
    eventually(
        lambda: "its message is not there any more" in explained(scheduler, name).due_times[0].reason, 60
    )
    found = newest(scheduler, name, pb.TASK_STAGE_UNHEARD)
    assert "0 messages" not in found.reason
    assert "GET /v1/purges" in found.next_step and "celery -A" not in found.next_step


def test_of_a_message_whose_worker_was_killed_it_is_told_which_worker_consumed_its_queue(
    scheduler: Scheduler, monitor: Monitor, valkey: Valkey, tmp_path: Path
) -> None:
    with running_worker(valkey, tmp_path, queues="left", name="left@test") as worker:
        monitor.await_worker(worker.name)
        ours = f"workers/left@test~{worker.process.pid}"
        first = triggered(scheduler, queue="queues/left")
        consumed = eventually(lambda: explained(scheduler, first).queues[0].consumers, 40)
        assert list(consumed) == [ours]
        done = newest(scheduler, first, pb.TASK_STAGE_ENDED)
        assert done.worker == ours
        assert done.run.outcome == pb.RUN_OUTCOME_SUCCEEDED
        assert done.next_step == ""
        worker.stop()
        name = triggered(scheduler, queue="queues/left")
        found = newest(scheduler, name, pb.TASK_STAGE_QUEUED)
        eventually(lambda: "is GONE" in explained(scheduler, name).due_times[0].reason, 60)
        assert "No worker consumes the queue 'left'" in found.reason
        assert list(explained(scheduler, name).queues[0].absent_consumers) == [ours]


def test_of_a_queue_that_its_worker_was_told_to_leave_it_is_told_that_none_consumes_it(
    scheduler: Scheduler, monitor: Monitor, worker: Worker, valkey: Valkey
) -> None:
    app = celery_app(valkey.host, valkey.port)
    app.control.add_consumer("held", destination=[worker.name], reply=True)
    name = created(scheduler, queue="queues/held")
    eventually(lambda: explained(scheduler, name).queues[0].consumers, 40)
    app.control.cancel_consumer("held", destination=[worker.name], reply=True)
    scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name))

    def told() -> bool:
        [found] = explained(scheduler, name).due_times
        return "No worker consumes the queue 'held'" in found.reason

    eventually(told, 40)
    app.close()


def test_of_a_queue_that_is_paused_it_is_told_who_paused_it_why_and_how_it_goes_on(
    scheduler: Scheduler, monitor: Monitor, valkey: Valkey, tmp_path: Path
) -> None:
    with running_worker(valkey, tmp_path, queues="resting", name="resting@test") as worker:
        monitor.await_worker(worker.name)
        name = created(scheduler, queue="queues/resting")
        eventually(lambda: explained(scheduler, name).queues[0].consumers, 40)
        pause = queues_pb2.PauseQueueRequest(name="queues/resting", reason="the mail server is down")
        paused_at = monitor.queues.PauseQueue(pause).pause.pause_time
        scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name))
        found = newest(scheduler, name, pb.TASK_STAGE_QUEUED)
        assert "The queue 'resting' is paused, by mei at " in found.reason
        assert "('the mail server is down'): 1 message waits there." in found.reason
        assert "POST /v1/queues/resting:resume" in found.next_step
        answer = explained(scheduler, name)
        assert (answer.queues[0].pause_time, answer.next_step) == (paused_at, found.next_step)
        monitor.queues.ResumeQueue(queues_pb2.ResumeQueueRequest(name="queues/resting"))
        assert newest(scheduler, name, pb.TASK_STAGE_ENDED).run.outcome == pb.RUN_OUTCOME_SUCCEEDED
        assert not explained(scheduler, name).queues[0].HasField("pause_time")


def test_while_nothing_is_sent_it_is_told_what_holds_it_and_how_that_ends(
    scheduler: Scheduler, worker: Worker
) -> None:
    settings = Caller(config_pb2_grpc.ConfigServiceStub(scheduler.channel), scheduler.token)
    sends = "configs/scheduler.sends_runs"
    before = triggered(scheduler, queue="queues/drained")
    newest(scheduler, before, pb.TASK_STAGE_QUEUED)
    put(settings, sends, config_pb2.ConfigValue(bool_value=False))
    try:
        eventually(lambda: ":resume" in explained(scheduler, before).next_step)
        [sent] = explained(scheduler, before).due_times
        assert "No worker consumes the queue 'drained'" in sent.reason
        assert "scheduler.sends_runs is false" in sent.reason
        name = triggered(scheduler)
        [held] = explained(scheduler, name).due_times
        assert held.decision == pb.DUE_TIME_DECISION_UNSENT
        assert "scheduler.sends_runs is false, which Drain and Shutdown set" in held.reason
        assert "POST /v1/system:resume" in held.next_step
    finally:
        settings.ResetConfig(config_pb2.ResetConfigRequest(name=sends))
    assert newest(scheduler, name, pb.TASK_STAGE_ENDED).run.outcome == pb.RUN_OUTCOME_SUCCEEDED


def test_of_a_task_that_fails_it_is_told_with_which_exception_and_where_its_traceback_is(
    scheduler: Scheduler, worker: Worker
) -> None:
    name = triggered(scheduler, task_name="fail", args_json='["the disk is full"]')
    found = newest(scheduler, name, pb.TASK_STAGE_ENDED)
    assert found.run.outcome == pb.RUN_OUTCOME_FAILED
    assert "ValueError('the disk is full')" in found.reason
    assert found.worker == f"workers/{worker.name}~{worker.process.pid}"
    assert found.run.HasField("runtime")
    assert f"GET /v1/{found.run.task}" in found.next_step
    assert ":trigger" in found.next_step


def test_a_task_that_runs_is_told_with_its_worker_and_nothing_to_do(
    scheduler: Scheduler, monitor: Monitor, worker: Worker, valkey: Valkey
) -> None:
    name = triggered(scheduler, task_name="sleep", args_json="[60]")
    found = newest(scheduler, name, pb.TASK_STAGE_STARTED)
    assert f"{worker.name}~{worker.process.pid} runs the task" in found.reason
    assert found.next_step == ""
    app = celery_app(valkey.host, valkey.port)
    app.control.revoke(found.run.task.removeprefix("tasks/"), terminate=True, signal="SIGKILL")
    app.close()
    ended = newest(scheduler, name, pb.TASK_STAGE_ENDED)
    assert "terminated while it ran" in ended.reason
    assert "RevokeTask" in ended.next_step


def test_a_task_whose_time_had_passed_is_told_so(
    scheduler: Scheduler, worker: Worker, valkey: Valkey
) -> None:
    name = triggered(scheduler, queue="queues/late", expires={"nanos": 100_000_000})
    [run] = scheduler.runs(name)
    app = celery_app(valkey.host, valkey.port)
    # Taken from its queue once it has expired.
    eventually(lambda: time.time() > run.due_time.ToMicroseconds() / 1e6 + 0.2)
    app.control.add_consumer("late", destination=[worker.name], reply=True)
    app.close()
    found = newest(scheduler, name, pb.TASK_STAGE_ENDED)
    assert "its time (task.expires) had passed" in found.reason
    assert "update_mask=task.expires" in found.next_step


def test_while_the_monitor_does_not_answer_it_is_told_what_can_not_be_known(
    scheduler: Scheduler, monitor: Monitor
) -> None:
    process = monitor.process.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        answer = explained(scheduler, triggered(scheduler))
    finally:
        process.send_signal(signal.SIGCONT)
    assert answer.condition == pb.SCHEDULE_CONDITION_ACTIVE
    [found] = answer.due_times
    assert found.decision == pb.DUE_TIME_DECISION_SENT
    assert found.stage == pb.TASK_STAGE_UNHEARD
    assert "is not known, as the monitor did not tell" in found.reason
    assert "DEADLINE_EXCEEDED" in answer.monitor_fault
    assert "Start the monitor" in answer.next_step
