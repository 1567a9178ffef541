"""Changes of tasks that are collected over an interval: the newest of each task, together."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

import pytest

from services.kernel.errors import FailedPrecondition
from services.kernel.readers import Skipped
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import Task, TaskState
from services.monitor.watch.collecting import MOST_TOGETHER
from services.monitor.watch.cursor import Cursor
from services.monitor.watch.hub import Hub, Reader, Wanted
from services.monitor.workers.worker import Worker, WorkerState

NOW = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
INTERVAL = 0.2
# Far longer than any of these tests takes.
LONG = 60.0
DEADLINE = 20.0

Told = tuple[str, ...]


def record(task_id: str) -> TaskRecord:
    heard = TaskRecord(task_id)
    heard.hear("task-received", 1_000_000, {"name": "add", "hostname": "celery@host", "pid": 7})
    return heard


def received(task_id: str) -> Task:
    return record(task_id).task_now()


def started(task_id: str) -> Task:
    heard = record(task_id)
    heard.hear("task-started", 2_000_000, {"hostname": "celery@host", "pid": 7})
    return heard.task_now()


class CollectedTexts(Hub[Told]):
    """Messages are the tasks with their states, and how many were made is counted."""

    def __init__(self, buffer: int = 3) -> None:
        self.made = 0
        self.cursors: list[Cursor] = []
        super().__init__(
            lambda task, cursor: (f"{task.id} {task.state.name}",),
            self._collected,
            lambda worker: (worker.name.hostname,),
            buffer,
        )

    def _collected(self, tasks: Sequence[Task], cursor: Cursor) -> Told:
        self.made += 1
        self.cursors.append(cursor)
        return tuple(f"{task.id} {task.state.name}" for task in tasks)


async def taken(reader: Reader[Told], seconds: float = DEADLINE) -> Told | Skipped | None:
    news = await reader.next(seconds)
    return news if news is None or isinstance(news, Skipped) else news.message


async def test_what_comes_after_quiet_is_told_at_once_and_what_follows_together() -> None:
    hub = CollectedTexts()
    with hub.reading(Wanted(), interval=INTERVAL) as reader:
        hub.tasks_changed([received("a")])
        assert await taken(reader) == ("a RECEIVED",)
        hub.tasks_changed([received("b"), received("c")])
        await asyncio.sleep(0)
        hub.tasks_changed([started("b")])
        assert await taken(reader) == ("c RECEIVED", "b STARTED")


async def test_equal_wishes_share_one_message_and_others_have_their_own() -> None:
    hub = CollectedTexts()
    with (
        hub.reading(Wanted(), interval=INTERVAL) as one,
        hub.reading(Wanted(), interval=INTERVAL) as two,
        hub.reading(Wanted(states=frozenset({TaskState.STARTED})), interval=INTERVAL) as other,
    ):
        assert hub.readers == 3
        hub.tasks_changed([received("a"), started("b")])
        assert await taken(one) == await taken(two) == ("a RECEIVED", "b STARTED")
        assert await taken(other) == ("b STARTED",)
    assert hub.made == 2
    assert hub.readers == 0


async def test_a_reader_of_each_change_gets_each_beside_one_that_has_them_collected() -> None:
    hub = CollectedTexts()
    with hub.reading(Wanted()) as each, hub.reading(Wanted(), interval=INTERVAL) as collected:
        hub.tasks_changed([received("a"), started("a")])
        assert [await taken(each), await taken(each)] == [("a RECEIVED",), ("a STARTED",)]
        assert await taken(collected) == ("a STARTED",)


async def test_many_tasks_are_told_in_several_messages_and_the_last_says_where_the_reader_is() -> None:
    hub = CollectedTexts(buffer=10 * MOST_TOGETHER)
    with hub.reading(Wanted(), interval=INTERVAL) as reader:
        before = hub.cursor(reader)
        hub.tasks_changed([received(str(number)) for number in range(MOST_TOGETHER + 1)])
        told = await taken(reader)
        assert isinstance(told, tuple)
        assert len(told) == MOST_TOGETHER
        assert hub.cursor(reader) == before
        assert await taken(reader) == (f"{MOST_TOGETHER} RECEIVED",)
        assert hub.cursor(reader) != before
    assert hub.cursors == [before, hub.cursor(reader)]


async def test_no_more_is_collected_than_a_buffer_holds() -> None:
    hub = CollectedTexts(buffer=3)
    with hub.reading(Wanted(), interval=LONG) as reader:
        hub.tasks_changed([received("first")])
        assert await taken(reader) == ("first RECEIVED",)
        hub.tasks_changed([received(str(number)) for number in range(4)])
        assert await taken(reader) == ("0 RECEIVED", "1 RECEIVED", "2 RECEIVED")
        assert await taken(reader, 0) is None


async def test_a_reader_that_does_not_keep_up_is_told_how_many_tasks_it_missed() -> None:
    hub = CollectedTexts(buffer=3)
    with hub.reading(Wanted(), interval=INTERVAL) as slow, hub.reading(Wanted(), interval=INTERVAL) as quick:
        hub.tasks_changed([received("a"), received("b"), received("c")])
        assert await taken(quick) == ("a RECEIVED", "b RECEIVED", "c RECEIVED")
        hub.tasks_changed([received("d"), received("e")])
        assert await taken(quick) == ("d RECEIVED", "e RECEIVED")
        assert [await taken(slow), await taken(slow)] == [
            ("a RECEIVED", "b RECEIVED", "c RECEIVED"),
            Skipped(2),
        ]
        hub.tasks_changed([received("f")])
        assert await taken(slow) == ("f RECEIVED",)
    assert hub.left_out_total == 2


async def test_a_worker_comes_at_once() -> None:
    hub = CollectedTexts()
    worker = Worker(WorkerName("host", 7), WorkerState.ONLINE, "", "", "", 0, 0, (), 2.0, 0, 0, NOW, NOW)
    with hub.reading(Wanted(), interval=LONG) as reader:
        hub.tasks_changed([received("a")])
        await taken(reader)
        hub.tasks_changed([received("b")])
        hub.worker_changed(worker)
        assert await taken(reader) == ("host",)


async def test_a_reader_is_not_past_what_is_collected_and_not_told() -> None:
    hub = CollectedTexts()
    with hub.reading(Wanted(), interval=LONG) as reader:
        hub.tasks_changed([received("a")])
        await taken(reader)
        told = hub.cursor(reader)
        hub.tasks_changed([received("b")])
        assert hub.cursor(reader) == told
    with pytest.raises(FailedPrecondition, match="not kept"), hub.reading(Wanted(), told):
        pass


async def test_nothing_is_collected_when_the_last_reader_has_gone() -> None:
    hub = CollectedTexts()
    with hub.reading(Wanted(), interval=LONG):
        hub.tasks_changed([received("a")])
    hub.tasks_changed([received("b")])
    assert not hub.wants(record("c"))
    with hub.reading(Wanted(), interval=LONG) as reader:
        hub.tasks_changed([received("c")])
        assert await taken(reader) == ("c RECEIVED",)
    assert hub.made == 1
