"""Workflows: of a real worker's tasks, and of more tasks than are told at once."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celery import Celery
from redis import Redis

from tests.support.calls import eventually, refused
from tests.support.celery_workers import running_worker
from tests.support.event_streams import publish_events
from tests.support.events import Life
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

WORKER = "plain@workflows"


@pytest.fixture(scope="module")
def monitor_settings(broker: Valkey) -> Mapping[str, str]:
    return {"CELERIAC_RESULT_URL": f"redis://{broker.host}:{broker.port}/1"}


@pytest.fixture(scope="module", autouse=True)
def worker(broker: Valkey, monitor: Monitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with running_worker(broker, tmp_path_factory.mktemp("worker"), name=WORKER, concurrency=2):
        monitor.await_worker(WORKER)
        yield


def workflow(monitor: Monitor, name: str, tasks: int) -> pb.Workflow:
    """That of the task, once so many tasks of it have ended well and stored their results."""

    def whole() -> pb.Workflow | None:
        try:
            found: pb.Workflow = monitor.tasks.GetWorkflow(pb.GetWorkflowRequest(name=name)).workflow
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
            return None
        ended = [each for each in found.tasks if each.state == pb.TASK_STATE_SUCCESS]
        return found if len([each for each in ended if each.stored_state == "SUCCESS"]) == tasks else None

    found: pb.Workflow = eventually(whole)
    return found


def pairs(found: pb.Workflow) -> set[tuple[str, str]]:
    return {(edge.caller, edge.called) for edge in found.edges}


def test_a_task_with_a_group_is_one_workflow_from_whichever_task_it_is_asked(
    monitor: Monitor, app: Celery
) -> None:
    caller = f"tasks/{app.send_task('fan_out', [3]).id}"
    found = workflow(monitor, caller, 4)
    called = sorted(each.task for each in found.tasks if each.task != caller)
    assert (found.root, sorted(found.children), list(found.parents)) == (caller, called, [])
    assert pairs(found) == {(caller, each) for each in called} and len(found.edges) == 3
    (together,) = found.groups
    assert sorted(together.tasks) == called
    assert {each.group_id for each in found.tasks} == {"", together.group_id}
    assert (found.truncated, found.results_read) == (False, True)
    member = workflow(monitor, called[0], 4)
    assert (list(member.parents), sorted(member.siblings), list(member.children)) == (
        [caller],
        called[1:],
        [],
    )
    assert (member.root, pairs(member)) == (found.root, pairs(found))


def test_the_body_of_a_chord_is_called_by_one_of_its_group_and_is_none_of_them(
    monitor: Monitor, app: Celery
) -> None:
    caller = f"tasks/{app.send_task('gather', [3]).id}"
    found = workflow(monitor, caller, 5)
    (body,) = (each.task for each in found.tasks if each.task_name == "sum_up")
    (group,) = found.groups
    assert sorted(group.tasks) == sorted(found.children) and body not in found.children
    (last,) = (called_by for called_by, called in pairs(found) if called == body)
    assert last in group.tasks


def test_the_callers_of_a_task_in_a_chain_are_told_the_nearest_first(monitor: Monitor, app: Celery) -> None:
    caller = f"tasks/{app.send_task('line_up', [3]).id}"
    found = workflow(monitor, caller, 4)
    names = [each.task for each in found.tasks]
    last = workflow(monitor, names[-1], 4)
    assert (list(last.parents), last.root) == (names[-2::-1], caller)
    assert pairs(last) == set(itertools.pairwise(names))


def test_the_tasks_of_a_saved_group_that_a_client_sent_are_siblings(
    monitor: Monitor, broker: Valkey, app: Celery
) -> None:
    """Each of them is the root of a workflow of its own."""
    ids = [str(app.send_task("add", [number, 1], group_id="together").id) for number in range(3)]
    with Redis(broker.host, broker.port, 1) as backend:
        # As celery.backends.base writes GroupResult.as_tuple().
        saved = {"result": [["together", None], [[[task_id, None], None] for task_id in ids]]}
        backend.set("celery-taskset-meta-together", json.dumps(saved))
    names = sorted(f"tasks/{task_id}" for task_id in ids)
    found = workflow(monitor, names[0], 3)
    assert (sorted(found.siblings), found.root) == (names[1:], names[0])
    assert [(each.group_id, list(each.tasks)) for each in found.groups] == [("together", names)]


def test_a_child_that_only_the_backend_knows_is_told_without_a_state(
    monitor: Monitor, broker: Valkey, app: Celery
) -> None:
    task_id = str(app.send_task("add", [1, 2]).id)
    workflow(monitor, f"tasks/{task_id}", 1)
    with Redis(broker.host, broker.port, 1) as backend:
        key = f"celery-task-meta-{task_id}"
        meta = json.loads(backend.get(key) or b"")
        backend.set(key, json.dumps({**meta, "children": [[["never-heard", None], None]]}))
    found = workflow(monitor, f"tasks/{task_id}", 1)
    assert [(each.task, each.state) for each in found.tasks] == [
        (f"tasks/{task_id}", pb.TASK_STATE_SUCCESS),
        ("tasks/never-heard", pb.TASK_STATE_UNSPECIFIED),
    ]
    assert list(found.children) == ["tasks/never-heard"]


def test_of_a_large_workflow_the_task_that_was_asked_for_and_its_callers_are_told(
    monitor: Monitor, broker: Valkey
) -> None:
    start = time.time() - 600
    lives = [Life(start + number / 10) for number in range(1_200)]
    root, late = lives[0].id, lives[-2:]
    events = [{**life.received(), "root_id": root, "parent_id": root} for life in lives[1:]]
    events[-1]["parent_id"] = late[0].id
    publish_events(broker, {**lives[0].received(), "root_id": root}, *events)
    request = pb.ListTasksRequest(root=f"tasks/{root}", page_size=2)
    eventually(
        lambda: (
            [each.name for each in monitor.tasks.ListTasks(request).tasks]
            == [f"tasks/{life.id}" for life in reversed(late)]
        )
    )
    found = monitor.tasks.GetWorkflow(pb.GetWorkflowRequest(name=f"tasks/{late[1].id}")).workflow
    assert list(found.parents) == [f"tasks/{late[0].id}", f"tasks/{root}"]
    told = {each.task for each in found.tasks}
    assert (len(told), len(found.tasks), found.truncated) == (1_000, 1_000, True)
    assert {f"tasks/{each}" for each in (root, late[0].id, late[1].id)} < told


def test_a_task_that_nobody_has_heard_of_has_no_workflow(monitor: Monitor) -> None:
    code, words = refused(monitor.tasks.GetWorkflow, pb.GetWorkflowRequest(name="tasks/nobody"))
    assert code is grpc.StatusCode.NOT_FOUND and "nobody" in words
