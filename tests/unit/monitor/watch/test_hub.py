"""The fan-out to readers: bounded for each, fair to all, and each knows where it is."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

import pytest

from services.kernel.errors import FailedPrecondition, Invalid
from services.kernel.readers import Skipped
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import Task, TaskState
from services.monitor.watch.cursor import Cursor, decode_cursor
from services.monitor.watch.hub import Hub, Reader, Wanted
from services.monitor.workers.worker import Worker, WorkerState

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def record(task_id: str, state: str = "task-received", name: str = "add") -> TaskRecord:
    heard = TaskRecord(task_id)
    heard.hear(state, 1_000_000, {"name": name, "hostname": "celery@host", "pid": 7})
    return heard


def task(task_id: str) -> Task:
    return record(task_id).task_now()


def worker(hostname: str, state: WorkerState = WorkerState.ONLINE, pid: int = 7) -> Worker:
    return Worker(WorkerName(hostname, pid), state, "", "", "", 0, 0, (), 2.0, 0, 0, NOW, NOW)


class Counted(Hub[str]):
    """Messages are texts, and how many were made is counted."""

    def __init__(self, buffer: int = 3) -> None:
        self.made = 0
        super().__init__(self._task, self._tasks, lambda each: f"{each.name} {each.state.name}", buffer)

    def _task(self, task: Task, cursor: Cursor) -> str:
        self.made += 1
        return task.id

    def _tasks(self, tasks: Sequence[Task], cursor: Cursor) -> str:
        self.made += 1
        return " ".join(f"{each.id}:{each.state.name}" for each in tasks)


async def taken(reader: Reader[str], seconds: float = 0) -> str | Skipped | None:
    """The message of the next change."""
    news = await reader.next(seconds)
    return news if news is None or isinstance(news, Skipped) else news.message


async def test_a_change_is_made_into_a_message_once_for_all_and_not_at_all_for_nobody() -> None:
    hub = Counted()
    hub.tasks_changed([task("unseen")])
    with hub.reading(Wanted()) as one, hub.reading(Wanted()) as two:
        hub.tasks_changed([task("a")])
        assert await taken(one, 1) == await taken(two, 1) == "a"
    assert hub.made == 1
    assert hub.readers == 0


async def test_a_full_buffer_leaves_out_one_whole_gap_and_then_tells_its_size() -> None:
    hub = Counted(buffer=3)
    with hub.reading(Wanted()) as slow, hub.reading(Wanted()) as quick:
        for number in range(10):
            hub.tasks_changed([task(str(number))])
            assert await taken(quick) == str(number)
        assert await taken(slow) == "0"
        hub.tasks_changed([task("10")])  # still in the gap: it began, and is not told yet
        assert [await taken(slow) for _ in range(3)] == ["1", "2", Skipped(8)]
        hub.tasks_changed([task("11")])
        assert await taken(slow) == "11"
        assert await taken(slow) is None
    assert hub.left_out_total == 8


async def test_workers_are_never_left_out_and_the_newest_word_of_each_counts() -> None:
    hub = Counted(buffer=1)
    with hub.reading(Wanted()) as slow:
        hub.tasks_changed([task("a"), task("b")])
        for state in (WorkerState.ONLINE, WorkerState.SILENT, WorkerState.GONE):
            hub.worker_changed(worker("one", state))
            hub.worker_changed(worker("one", WorkerState.ONLINE, pid=8))
        seen = [await taken(slow) for _ in range(5)]
    assert seen == ["one~7 GONE", "one~8 ONLINE", "a", Skipped(1), None]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["a", "b", "c"]),
        (Wanted(tasks=False), []),
        (Wanted(task_names=frozenset({"other"})), ["c"]),
        (Wanted(task_names=frozenset({"other", "add"})), ["a", "c"]),
        (Wanted(states=frozenset({TaskState.STARTED})), ["b"]),
        (Wanted(states=frozenset({TaskState.STARTED, TaskState.RECEIVED})), ["a", "b", "c"]),
        (Wanted(queues=frozenset({"elsewhere"})), []),
        (Wanted(workers=frozenset({WorkerName("celery@host", 7)})), ["a", "b", "c"]),
        (Wanted(workers=frozenset({WorkerName("celery@host")})), ["a", "b", "c"]),
        (Wanted(workers=frozenset({WorkerName("celery@host", 8)})), []),
    ],
)
async def test_filters_are_kept(wanted: Wanted, expected: list[str]) -> None:
    hub = Counted(buffer=10)
    records = [record("a"), record("b", "task-started"), record("c", name="other")]
    with hub.reading(Wanted(tasks=False)), hub.reading(wanted) as reader:
        assert [each.id for each in records if hub.wants(each)] == expected
        hub.tasks_changed([each.task_now() for each in records])
        seen = []
        while (found := await taken(reader)) is not None:
            seen.append(found)
    assert seen == expected
    assert not any(hub.wants(each) for each in records)


async def test_a_reader_that_waits_is_woken() -> None:
    hub = Counted()
    with hub.reading(Wanted()) as reader:
        waiting = asyncio.create_task(taken(reader, 10))
        await asyncio.sleep(0)
        hub.tasks_changed([task("a")])
        assert await waiting == "a"


async def test_a_reader_is_where_nothing_that_it_wants_is_left_to_be_sent() -> None:
    hub = Counted(buffer=2)
    hub.unwatched(5)
    with hub.reading(Wanted()) as reader:
        assert reader.position == 5
        hub.tasks_changed([task("a"), task("b"), task("c")])
        hub.worker_changed(worker("one"))
        assert reader.position == 5
        places = []
        while (found := await taken(reader)) is not None:
            places.append((found, reader.position))
        # The worker came last and is sent first; what was left out counts as sent once it is told.
        assert places == [("one~7 ONLINE", 5), ("a", 6), ("b", 7), (Skipped(1), 9)]


async def test_changes_that_a_reader_does_not_want_are_behind_it() -> None:
    hub = Counted()
    with hub.reading(Wanted(task_names=frozenset({"other"}))) as reader:
        hub.tasks_changed([task("a"), task("b")])
        assert (await taken(reader), reader.position) == (None, 2)


def is_expired(hub: Counted, cursor: Cursor) -> bool:
    try:
        with hub.reading(Wanted(), cursor):
            return False
    except FailedPrecondition as error:
        assert error.reason == "CURSOR_EXPIRED" and "watch without a cursor" in error.message
        return True


async def test_a_cursor_is_good_as_long_as_nothing_has_come_after_it() -> None:
    hub = Counted()
    with hub.reading(Wanted()) as reader:
        hub.tasks_changed([task("a")])
        before = hub.cursor(reader)
        assert await taken(reader) == "a"
        now = hub.cursor(reader)
    assert is_expired(hub, before)
    assert not is_expired(hub, now)
    hub.unwatched(1)
    assert is_expired(hub, now)
    with hub.reading(Wanted()) as reader:
        now = hub.cursor(reader)
    assert not is_expired(hub, now)
    hub.worker_changed(worker("one"))
    assert is_expired(hub, now)


async def test_a_cursor_of_another_monitor_is_expired() -> None:
    one, other = Counted(), Counted()
    with one.reading(Wanted()) as reader:
        cursor = one.cursor(reader)
    assert is_expired(other, cursor)


def test_a_cursor_is_read_as_it_was_written_and_nothing_else_is() -> None:
    cursor = Cursor("a1b2", 7)
    assert decode_cursor(cursor.encode()) == cursor
    assert decode_cursor("") is None
    for text in ("nonsense", "e30", Cursor("a", True).encode(), "eyJvcmlnaW4iOiAxfQ"):
        with pytest.raises(Invalid):
            decode_cursor(text)
