"""What a stock Celery worker does, as the monitor tells it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import workers_pb2
from celery import Celery

from tests.support.calls import all_listed, eventually, fields_at_fault, refused
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

WORKER = "plain@intake"
pytestmark = pytest.mark.usefixtures("worker")
UNKNOWN: Any = 99
ENDED = {
    *(pb.TASK_STATE_SUCCESS, pb.TASK_STATE_FAILURE),
    *(pb.TASK_STATE_REVOKED, pb.TASK_STATE_REJECTED, pb.TASK_STATE_ENDED),
}


@pytest.fixture(scope="module")
def worker(broker: Valkey, monitor: Monitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    with running_worker(broker, folder, queues="alpha,beta", name=WORKER, concurrency=2) as worker:
        monitor.await_worker(WORKER)
        yield worker


def send(app: Celery, task: str, *args: Any, queue: str = "alpha", **options: Any) -> str:
    return str(app.send_task(task, args=args, queue=queue, **options).id)


def ended(monitor: Monitor, task_id: str) -> pb.Task:
    def task() -> pb.Task | None:
        try:
            found: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
            return None
        return found if found.state in ENDED else None

    found: pb.Task = eventually(task)
    return found


def test_a_task_that_succeeds(monitor: Monitor, app: Celery) -> None:
    task = ended(monitor, send(app, "add", 2, 3, queue="beta"))
    assert (task.state, task.task_name, task.queue) == (pb.TASK_STATE_SUCCESS, "add", "queues/beta")
    assert (task.args, task.kwargs, task.result, task.retries) == ("(2, 3)", "{}", "5", 0)
    worker = monitor.online(WORKER)[0].name
    assert worker.startswith(f"workers/{WORKER}~")
    assert (task.worker, task.parent, task.root) == (worker, "", task.name)
    assert task.HasField("runtime") and task.runtime.seconds < 10
    # Celery tells that a task was sent after it has sent it, when a worker may have received it already.
    times = [task.received_time, task.started_time, task.end_time]
    assert times == sorted(times, key=lambda time: time.ToNanoseconds())
    assert task.sent_time.seconds > 0 and times[0].seconds > 0 and task.update_time == task.end_time
    assert not task.HasField("eta") and not task.exception


def test_a_task_that_fails(monitor: Monitor, app: Celery) -> None:
    task = ended(monitor, send(app, "fail", "no luck"))
    assert (task.state, task.exception) == (pb.TASK_STATE_FAILURE, "ValueError('no luck')")
    assert task.traceback.startswith("Traceback (most recent call last)") and "no luck" in task.traceback
    assert (task.exception_type, task.exception_message) == ("ValueError", "no luck")
    assert not task.result and not task.HasField("runtime")


def test_a_task_that_is_tried_again(monitor: Monitor, app: Celery) -> None:
    task = ended(monitor, send(app, "retry_then_succeed", 2))
    assert (task.state, task.retries, task.result) == (pb.TASK_STATE_SUCCESS, 2, "'at last'")
    assert not task.exception and not task.exception_type and not task.exception_message


def test_a_task_that_is_tried_again_is_not_its_own_parent(monitor: Monitor, app: Celery) -> None:
    task = ended(monitor, send(app, "retry_then_succeed", 1))
    assert (task.retries, task.parent, task.root) == (1, "", task.name)


def test_a_task_over_its_hard_time_limit_tells_what_ended_it(monitor: Monitor, app: Celery) -> None:
    task = ended(monitor, send(app, "sleep", 60, time_limit=1))
    assert task.state == pb.TASK_STATE_FAILURE
    assert task.exception == "billiard.exceptions.TimeLimitExceeded: TimeLimitExceeded(1,)"
    assert task.exception_type == "TimeLimitExceeded"


def test_a_task_whose_process_was_killed_tells_the_signal(monitor: Monitor, app: Celery) -> None:
    """The exception of a killed child: celery #7781."""
    task = ended(monitor, send(app, "die"))
    assert task.state == pb.TASK_STATE_FAILURE
    # In the words of the worker's event, or, where that comes late, in those of the result backend.
    assert "WorkerLostError" in task.exception
    assert "Worker exited prematurely: signal 9" in task.exception
    assert task.exception_type == "WorkerLostError"
    assert task.exception_message.startswith("Worker exited prematurely: signal 9")


def test_a_task_that_expired_is_revoked(monitor: Monitor, app: Celery) -> None:
    task = ended(monitor, send(app, "add", 1, 1, expires=-5))
    assert task.state == pb.TASK_STATE_REVOKED
    assert task.HasField("expires") and not task.HasField("started_time")
    assert (task.revocation, task.termination_signal) == (pb.REVOCATION_EXPIRED, "")


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
def test_a_task_that_is_killed_is_revoked(monitor: Monitor, app: Celery, signal: str) -> None:
    task_id = send(app, "sleep", 60)
    eventually(lambda: _state(monitor, task_id) == pb.TASK_STATE_STARTED)
    app.control.revoke(task_id, terminate=True, signal=signal, destination=[WORKER])
    task = ended(monitor, task_id)
    assert task.state == pb.TASK_STATE_REVOKED
    assert (task.revocation, task.termination_signal) == (pb.REVOCATION_TERMINATED, signal)


def test_a_task_that_is_revoked_before_it_runs_was_not_killed(monitor: Monitor, app: Celery) -> None:
    task_id = str(uuid.uuid4())
    assert app.control.revoke(task_id, destination=[WORKER], reply=True, limit=1, timeout=20)
    task = ended(monitor, send(app, "add", 1, 2, task_id=task_id))
    assert (task.state, task.revocation) == (pb.TASK_STATE_REVOKED, pb.REVOCATION_REVOKED)
    assert not task.termination_signal and not task.HasField("started_time")


def _state(monitor: Monitor, task_id: str) -> int:
    tasks = monitor.tasks.ListTasks(pb.ListTasksRequest()).tasks
    return next((int(task.state) for task in tasks if task.name == f"tasks/{task_id}"), 0)


def test_a_state_that_a_task_gives_itself_is_shown_while_it_runs(monitor: Monitor, app: Celery) -> None:
    workers = {worker.name for worker in monitor.online(WORKER)}
    task_id = send(app, "tell", 60)

    def halfway() -> pb.Task | None:
        found = monitor.tasks.ListTasks(pb.ListTasksRequest(task_names=["tell"])).tasks
        return next((task for task in found if task.custom_state and task.HasField("started_time")), None)

    task = eventually(halfway)
    assert (task.name, task.state) == (f"tasks/{task_id}", pb.TASK_STATE_STARTED)
    assert (task.custom_state, task.queue) == ("HALFWAY-THERE", "queues/alpha")
    assert {task.worker} == {worker.name for worker in monitor.online(WORKER)} == workers
    app.control.revoke(task_id, terminate=True, destination=[WORKER])
    assert not ended(monitor, task_id).custom_state


def test_a_task_that_the_worker_refuses(monitor: Monitor, app: Celery) -> None:
    """A rejected task is not shown as started for ever: flower #487."""
    assert ended(monitor, send(app, "refuse")).state == pb.TASK_STATE_REJECTED


def test_a_task_that_refuses_itself_after_it_was_acknowledged_has_failed(
    monitor: Monitor, app: Celery
) -> None:
    """Celery 5.7 tells it so, and no rejection: its message was taken off the queue at the start."""
    task = ended(monitor, send(app, "refuse_early"))
    assert (task.state, task.exception_type) == (pb.TASK_STATE_FAILURE, "Reject")


def test_a_task_that_is_put_back_onto_its_queue_has_not_ended(monitor: Monitor, app: Celery) -> None:
    task = ended(monitor, send(app, "put_back"))
    assert (task.state, task.result) == (pb.TASK_STATE_SUCCESS, "'at last'")


@pytest.mark.parametrize("task_name", ["ignore", "put_back_early"])
def test_a_task_of_whose_end_celery_tells_nothing_has_ended_and_how_is_not_known(
    monitor: Monitor, app: Celery, task_name: str
) -> None:
    running = send(app, "sleep", 60)
    eventually(lambda: _state(monitor, running) == pb.TASK_STATE_STARTED)
    task = ended(monitor, send(app, task_name))
    assert task.state == pb.TASK_STATE_ENDED
    assert task.HasField("started_time") and not task.HasField("end_time")
    assert (task.queue, task.args, task.exception) == ("queues/alpha", "()", "")
    assert _state(monitor, running) == pb.TASK_STATE_STARTED, "its worker runs it"
    app.control.revoke(running, terminate=True, destination=[WORKER])
    ended(monitor, running)


def test_a_task_that_no_worker_knows_fails(monitor: Monitor, app: Celery) -> None:
    task = ended(monitor, send(app, "unheard_of"))
    assert task.state == pb.TASK_STATE_FAILURE and "NotRegistered" in task.exception


def test_a_task_that_no_worker_knows_has_its_name_though_its_sender_tells_nothing(
    monitor: Monitor, app: Celery
) -> None:
    app.conf.task_send_sent_event = False
    try:
        task = ended(monitor, send(app, "shop.unheard_of"))
    finally:
        app.conf.task_send_sent_event = True
    assert (task.task_name, task.exception_type) == ("shop.unheard_of", "NotRegistered")


def test_a_task_knows_its_parent_and_root(monitor: Monitor, app: Celery, worker: Worker) -> None:
    parent = ended(monitor, send(app, "spawn"))
    child_id = parent.result.strip("'")
    eventually(lambda: _state(monitor, child_id))
    child = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{child_id}")).task
    assert (child.parent, child.root, child.queue) == (parent.name, parent.name, "queues/celery")
    assert child.state == pb.TASK_STATE_PENDING, "no worker consumes its queue"


def test_every_started_event_of_the_worker_is_heard(monitor: Monitor, app: Celery) -> None:
    for number in range(200):
        send(app, "add", number, number)

    def all_heard() -> bool:
        answer = monitor.workers.ListWorkers(workers_pb2.ListWorkersRequest())
        (worker,) = answer.workers
        return bool(worker.processed == worker.started_heard > 200 and worker.active == 0)

    eventually(all_heard)


def test_lists_are_filtered_and_paged(monitor: Monitor, app: Celery) -> None:
    wanted = pb.ListTasksRequest(
        states=[pb.TASK_STATE_FAILURE], task_names=["fail"], workers=[f"workers/{WORKER}"], text="NO LUCK"
    )
    (task,) = monitor.tasks.ListTasks(wanted).tasks
    assert task.exception and not task.traceback
    request = pb.ListTasksRequest(task_names=["add"], page_size=50)
    added = all_listed(monitor.tasks.ListTasks, request, "tasks")
    names = [task.name for task in added]
    assert len(names) == len(set(names)) > 200


def test_tasks_are_listed_by_the_type_of_their_exception(monitor: Monitor, app: Celery) -> None:
    failed, retried = (
        ended(monitor, send(app, "fail", "so")),
        ended(monitor, send(app, "retry_then_succeed", 1)),
    )
    killed = ended(monitor, send(app, "die"))

    def listed(**wanted: Any) -> set[str]:
        request = pb.ListTasksRequest(page_size=1000, **wanted)
        return {task.name for task in all_listed(monitor.tasks.ListTasks, request, "tasks")}

    assert killed.exception_type == "WorkerLostError", killed
    by_value = listed(exception_types=["ValueError"])
    assert failed.name in by_value and not {retried.name, killed.name} & by_value
    assert {failed.name, killed.name} <= listed(exception_types=["ValueError", "WorkerLostError"])
    assert killed.name in listed(exception_types=["WorkerLostError"], states=[pb.TASK_STATE_FAILURE])
    assert not listed(exception_types=["WorkerLostError"], states=[pb.TASK_STATE_SUCCESS])


def test_several_tasks_are_told_of_at_once(monitor: Monitor, app: Celery) -> None:
    one, two = ended(monitor, send(app, "add", 2, 3)), ended(monitor, send(app, "fail", "no luck"))
    wanted = pb.BatchGetTasksRequest(names=[one.name, two.name, "tasks/unknown", one.name])
    found = {task.name: task for task in monitor.tasks.BatchGetTasks(wanted).tasks}
    # GetTask alone tells these.
    two.ClearField("traceback")
    for task in (one, two):
        task.ClearField("stored_state")
        task.ClearField("attempts")
    assert found == {one.name: one, two.name: two}


def test_what_is_asked_wrongly_is_told_by_field(monitor: Monitor) -> None:
    get, tasks = monitor.tasks.GetTask, monitor.tasks.ListTasks
    for name in ("", "task/1", "tasks/", "tasks/\0", f"tasks/{'x' * 1025}", f"tasks/{'長' * 342}"):
        assert fields_at_fault(get, pb.GetTaskRequest(name=name)) == ["name"]
    several = monitor.tasks.BatchGetTasks
    assert fields_at_fault(several, pb.BatchGetTasksRequest()) == ["names"]
    assert fields_at_fault(several, pb.BatchGetTasksRequest(names=["tasks/a"] * 501)) == ["names"]
    assert fields_at_fault(several, pb.BatchGetTasksRequest(names=["tasks/a", "a"])) == ["names[1]"]
    code, _ = refused(get, pb.GetTaskRequest(name="tasks/unknown"))
    assert code is grpc.StatusCode.NOT_FOUND
    request = pb.ListTasksRequest(text="x" * 201, task_names=["y" * 300])
    request.start_time.FromSeconds(20)
    request.end_time.FromSeconds(10)
    assert fields_at_fault(tasks, request) == ["task_names[0]", "text", "end_time"]
    bare = pb.ListTasksRequest(
        states=[UNKNOWN], queues=["alpha", "queues/alpha", "queues/"], workers=[WORKER]
    )
    assert fields_at_fault(tasks, bare) == ["states[0]", "queues[0]", "queues[2]", "workers[0]"]
    many = pb.ListTasksRequest(queues=["queues/alpha"] * 101)
    assert fields_at_fault(tasks, many) == ["queues"]
    types = ["", "ValueError", "billiard.exceptions.TimeLimitExceeded", "x" * 256]
    faults = [f"exception_types[{position}]" for position in (0, 2, 3)]
    assert fields_at_fault(tasks, pb.ListTasksRequest(exception_types=types)) == faults
    assert fields_at_fault(tasks, pb.ListTasksRequest(page_token="e30x")) == ["page_token"]
    assert fields_at_fault(tasks, pb.ListTasksRequest(page_size=-1)) == ["page_size"]


def test_a_worker_that_is_killed_is_silent_after_three_beats(monitor: Monitor, worker: Worker) -> None:
    worker.kill()

    def silent() -> bool:
        (found,) = monitor.workers.ListWorkers(workers_pb2.ListWorkersRequest()).workers
        return bool(found.state == workers_pb2.WORKER_STATE_SILENT)

    eventually(silent)
    assert not monitor.online(WORKER)
    states = [workers_pb2.WORKER_STATE_SILENT, workers_pb2.WORKER_STATE_GONE]
    request = workers_pb2.ListWorkersRequest(states=states)
    assert [each.hostname for each in monitor.workers.ListWorkers(request).workers] == [WORKER]
