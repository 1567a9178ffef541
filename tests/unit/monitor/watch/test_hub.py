"""The fan-out to readers: bounded for each, fair to all."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from services.kernel.readers import Skipped
from services.monitor.tasks.tasks import Task, TaskRecord, TaskState
from services.monitor.watch.hub import Hub, Wanted
from services.monitor.workers.workers import Worker

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def task(task_id: str, state: str = "task-received", name: str = "add") -> Task:
    record = TaskRecord(task_id)
    record.hear(state, 1_000_000, {"name": name})
    return record.task_now()


def worker(hostname: str, online: bool = True) -> Worker:
    return Worker(hostname, online, 7, "", "", "", 0, 0, (), 2.0, 0, 0, NOW, NOW)


class Counted(Hub[str]):
    """Messages are texts, and how many were made is counted."""

    def __init__(self, buffer: int = 3) -> None:
        self.made = 0
        super().__init__(self._task, lambda each: f"{each.hostname} {each.online}", buffer)

    def _task(self, task: Task) -> str:
        self.made += 1
        return task.id


async def test_a_change_is_made_into_a_message_once_for_all_and_not_at_all_for_nobody() -> None:
    hub = Counted()
    hub.tasks_changed([task("unseen")])
    with hub.reading(Wanted()) as one, hub.reading(Wanted()) as two:
        hub.tasks_changed([task("a")])
        assert await one.next(1) == await two.next(1) == "a"
    assert hub.made == 1
    assert hub.readers == 0


async def test_a_full_buffer_leaves_out_one_whole_gap_and_then_tells_its_size() -> None:
    hub = Counted(buffer=3)
    with hub.reading(Wanted()) as slow, hub.reading(Wanted()) as quick:
        for number in range(10):
            hub.tasks_changed([task(str(number))])
            assert await quick.next(0) == str(number)
        assert await slow.next(0) == "0"
        hub.tasks_changed([task("10")])  # still in the gap: it began, and is not told yet
        assert [await slow.next(0) for _ in range(3)] == ["1", "2", Skipped(8)]
        hub.tasks_changed([task("11")])
        assert await slow.next(0) == "11"
        assert await slow.next(0) is None
    assert hub.skipped_total == 8


async def test_workers_are_never_left_out_and_the_newest_word_of_each_counts() -> None:
    hub = Counted(buffer=1)
    with hub.reading(Wanted()) as slow:
        hub.tasks_changed([task("a"), task("b")])
        for online in (True, False, True):
            hub.worker_changed(worker("one", online))
            hub.worker_changed(worker("two", not online))
        seen = [await slow.next(0) for _ in range(5)]
    assert seen == ["one True", "two False", "a", Skipped(1), None]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["a", "b", "c"]),
        (Wanted(tasks=False), []),
        (Wanted(task="other"), ["c"]),
        (Wanted(state=TaskState.STARTED), ["b"]),
        (Wanted(queue="elsewhere"), []),
    ],
)
async def test_filters_are_kept(wanted: Wanted, expected: list[str]) -> None:
    hub = Counted(buffer=10)
    with hub.reading(wanted) as reader:
        assert hub.watched is wanted.tasks
        hub.tasks_changed([task("a"), task("b", "task-started"), task("c", name="other")])
        seen = []
        while (found := await reader.next(0)) is not None:
            seen.append(found)
    assert seen == expected


async def test_a_reader_that_waits_is_woken() -> None:
    hub = Counted()
    with hub.reading(Wanted()) as reader:
        waiting = asyncio.create_task(reader.next(10))
        await asyncio.sleep(0)
        hub.tasks_changed([task("a")])
        assert await waiting == "a"
