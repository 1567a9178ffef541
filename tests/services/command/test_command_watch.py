"""`celeriac watch`: the whole screen, and what it shows of a stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celeriac as client_package
import pytest
from celeriac.cli.board import MOST_TASKS, Board
from celeriac.cli.screen import WatchScreen, watching
from celeriac.cli.session import Session
from celeriac.gap import Gap
from celeriac.monitor.v1 import monitoring_pb2, queues_pb2, tasks_pb2, workers_pb2
from celeriac.monitor.v1.monitoring import TaskChanges
from textual.widgets import DataTable, Static

from tests.support.calls import eventually
from tests.support.command import Command
from tests.support.contract_server import ContractServer

WATCH = "/celeriac.monitor.v1.MonitoringService/WatchEvents"
QUEUES = "/celeriac.monitor.v1.QueueService/ListQueues"


def changes(first: int, count: int, **fields: Any) -> monitoring_pb2.WatchEventsResponse:
    tasks = [
        tasks_pb2.Task(name=f"tasks/{n}", task_name=f"報表.{n}", **fields)
        for n in range(first, first + count)
    ]
    return monitoring_pb2.WatchEventsResponse(
        tasks=monitoring_pb2.TaskChanges(tasks=tasks), cursor=str(first)
    )


@pytest.fixture
def screen(server: ContractServer, certificates: Path) -> Iterator[WatchScreen]:
    # Until the end of the test: a stream that goes on would hold one of the server's few threads.
    over = threading.Event()

    def stream(_: Any) -> Iterator[Any]:
        yield monitoring_pb2.WatchEventsResponse(metrics=monitoring_pb2.Metrics(online_workers=2), cursor="0")
        yield monitoring_pb2.WatchEventsResponse(worker=workers_pb2.Worker(name="workers/w1"), cursor="0")
        yield changes(0, 3, state=tasks_pb2.TASK_STATE_SUCCESS)
        yield changes(3, 1, state=tasks_pb2.TASK_STATE_FAILURE, exception_type="KeyError")
        over.wait(60)

    server.answers[WATCH] = stream
    server.answers[QUEUES] = queues_pb2.ListQueuesResponse(queues=[queues_pb2.Queue(name="queues/人工智慧")])
    session, board = Session(), Board()
    with client_package.connect(f"127.0.0.1:{server.port}", ca=certificates / "ca.pem") as client:
        session.__dict__["client"] = client
        end = watching(session, board, {})
        eventually(lambda: board.changes == 4)
        yield WatchScreen(session, board)
        over.set()
        end()


def shown(screen: WatchScreen, name: str) -> list[list[str]]:
    table: DataTable[Any] = screen.query_one(f"#{name}", DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


async def test_tasks_are_shown_the_newest_first_and_can_be_chosen(screen: WatchScreen) -> None:
    async with screen.run_test(size=(100, 30)) as pilot:
        screen.renew()
        assert [row[1] for row in shown(screen, "tasks")] == ["報表.3", "報表.2", "報表.1", "報表.0"]
        assert "2 workers" in str(screen.query_one("#head", Static).render())
        await pilot.press("f")
        assert [row[0] for row in shown(screen, "tasks")] == ["FAILURE"]
        await pilot.press("escape", "slash", *"tasks/1", "enter")
        assert [row[1] for row in shown(screen, "tasks")] == ["報表.1"]


async def test_g_and_a_letter_go_to_queues_and_workers(screen: WatchScreen) -> None:
    async with screen.run_test(size=(100, 30)) as pilot:
        await pilot.press("g", "w")
        assert [row[0] for row in shown(screen, "workers")] == ["w1"]
        await screen.workers.wait_for_complete()
        await pilot.press("g", "q")
        assert [row[0] for row in shown(screen, "queues")] == ["人工智慧"]
        assert screen.is_running
        await pilot.press("q")
    assert not screen.is_running


def test_a_board_keeps_the_newest_tasks_and_counts_what_is_missing() -> None:
    board = Board()
    board.take(TaskChanges(changes(0, MOST_TASKS + 5).tasks))
    board.take(Gap(7))
    board.take(Gap(None))
    assert board.changes == MOST_TASKS + 5
    assert board.missing == 8
    newest = board.tasks(MOST_TASKS * 2, lambda _: True)
    assert len(newest) == MOST_TASKS
    assert newest[0].name == f"tasks/{MOST_TASKS + 4}"


def test_in_a_pipe_it_says_what_to_use_instead(celeriac: Command) -> None:
    ran = celeriac.run("watch")
    assert ran.code == 2
    assert "next:  celeriac tasks tail" in ran.err
