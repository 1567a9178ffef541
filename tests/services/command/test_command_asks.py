"""Before what destroys, a person is asked on a terminal; what is done has its undo beside it."""

from __future__ import annotations

from typing import Any

import pytest
from celeriac.monitor.v1 import queues_pb2, tasks_pb2
from celeriac.operations.v1 import operations_pb2

from tests.support.command import Command
from tests.support.contract_server import ContractServer

QUEUES = "/celeriac.monitor.v1.QueueService"
TASKS = "/celeriac.monitor.v1.TaskService"


@pytest.fixture
def full_queue(server: ContractServer) -> ContractServer:
    """2,000 messages wait in it."""
    queue = queues_pb2.Queue(name="queues/ai", length=2000)
    purge = queues_pb2.Purge(name="purges/p1", purged_count=2000)
    server.answers[f"{QUEUES}/GetQueue"] = queues_pb2.GetQueueResponse(queue=queue)
    server.answers[f"{QUEUES}/PurgeQueue"] = queues_pb2.PurgeQueueResponse(purge=purge)
    return server


def test_a_purge_of_more_than_1000_wants_the_name_and_tells_the_undo(
    celeriac: Command, full_queue: ContractServer
) -> None:
    ran = celeriac.on_a_terminal("queues", "purge", "ai", typed="ai\n")
    assert "About to purge 2,000 messages of ai. Type ai to go on" in ran.out
    assert "undo: celeriac queues restore p1" in ran.out
    assert ran.code == 0
    [request] = full_queue.requests(f"{QUEUES}/PurgeQueue")
    assert request.expected_length == 2000


@pytest.mark.parametrize("typed", ["y\n", "\n", "ia\n"])
def test_another_answer_purges_nothing(celeriac: Command, full_queue: ContractServer, typed: str) -> None:
    ran = celeriac.on_a_terminal("queues", "purge", "ai", typed=typed)
    assert ran.code == 1
    assert "error: nothing was done" in ran.out
    assert full_queue.requests(f"{QUEUES}/PurgeQueue") == []


def test_a_dry_run_says_how_much_it_would_be(celeriac: Command, full_queue: ContractServer) -> None:
    ran = celeriac.run("queues", "purge", "ai", "--dry-run")
    assert ran.out == "would purge 2,000 messages of ai\n"
    assert full_queue.requests(f"{QUEUES}/PurgeQueue") == []


def test_a_smaller_act_wants_a_yes(celeriac: Command, server: ContractServer) -> None:
    assert celeriac.on_a_terminal("tasks", "terminate", "t1", typed="n\n").code == 1
    assert server.requests(f"{TASKS}/RevokeTask") == []
    ran = celeriac.on_a_terminal("tasks", "terminate", "t1", typed="y\n")
    assert "About to terminate t1. Go on?" in ran.out
    [request] = server.requests(f"{TASKS}/RevokeTask")
    assert request.terminate


def test_a_retry_of_a_filter_counts_first_and_expects_that_count(
    celeriac: Command, server: ContractServer
) -> None:
    def matching(request: Any) -> tasks_pb2.RetryTasksResponse:
        counts = tasks_pb2.RetryTasksResponse(matched_count=400, retryable_count=398)
        if not request.validate_only:
            counts.operation = "operations/o1"
        return counts

    ended = operations_pb2.Operation(
        name="operations/o1", state=operations_pb2.OPERATION_STATE_DONE, total=398, done=398
    )
    server.answers[f"{TASKS}/RetryTasks"] = matching
    server.answers["/celeriac.operations.v1.OperationService/WaitOperation"] = (
        operations_pb2.WaitOperationResponse(operation=ended)
    )
    ran = celeriac.run("tasks", "retry", "--state", "failure", "--since", "2h", "--yes")
    assert ran.code == 0
    assert "400 tasks match, 398 can be retried" in ran.err
    assert ran.out == "o1: done · 398 of 398 · 100%\n"
    seen, sent = server.requests(f"{TASKS}/RetryTasks")
    assert seen.validate_only
    assert sent.expected_count == 400
    assert list(sent.filter.states) == [tasks_pb2.TASK_STATE_FAILURE]
    assert sent.filter.HasField("start_time")


def test_ctrl_c_at_a_question_is_130_and_does_nothing(celeriac: Command, server: ContractServer) -> None:
    ran = celeriac.on_a_terminal("schedules", "delete", "nightly", typed="\x03", at="[y/N]: ")
    assert ran.code == 130
    assert server.requests("/celeriac.scheduler.v1.ScheduleService/DeleteSchedule") == []
