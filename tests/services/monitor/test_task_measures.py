"""Success, runtimes and rates of tasks, from the totals of all monitors."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.kernel.database import Database
from services.monitor.figures import Figures
from services.monitor.measuring.measures import WINDOW_SECONDS
from services.monitor.measuring.tasks import TaskMeasures
from services.monitor.tasks.tasks import TaskState
from services.monitor.totals.store_totals import TotalsStore
from services.monitor.totals.totals import Totals

COUNTED_TO = (1, 0)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Counting:
    """What is counted by one monitor, and written; another reads the totals, and measures."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.figures = Figures()
        self.clock = Clock()
        self.collects = True
        self.totals = Totals(database)
        self.measures = TaskMeasures(self.totals, self.figures, lambda: self.collects, self.clock)

    async def write(self) -> None:
        async with self.database.transaction() as connection:
            await TotalsStore(connection).add(self.figures.take_changes().added_up(), COUNTED_TO, None)

    def ended(self, task: str, state: TaskState, seconds: float, times: int = 1) -> None:
        for _ in range(times):
            self.figures.task(task, "celery", state, seconds)

    async def after(self, seconds: float) -> dict[str, dict[str, float]]:
        await self.write()
        self.clock.now += seconds
        # The clock of the totals is the machine's.
        await self.totals.read()
        self.totals.read_at = self.clock.now
        return {name: dict(values) for name, values in (await self.measures.read()).items()}


@pytest.fixture
async def counting(own_database_url: str) -> AsyncIterator[Counting]:
    database = Database(own_database_url)
    yield Counting(database)
    await database.close()


async def test_nothing_is_known_at_the_first_look(counting: Counting) -> None:
    counting.ended("add", TaskState.SUCCESS, 1.0)
    assert await counting.after(0) == {}


async def test_what_ended_since_is_measured(counting: Counting) -> None:
    counting.ended("add", TaskState.FAILURE, 100.0, 50)
    await counting.after(0)
    counting.ended("add", TaskState.SUCCESS, 1.0, 2)
    counting.ended("add", TaskState.SUCCESS, 4.0)
    counting.ended("add", TaskState.FAILURE, 8.0)
    counting.ended("mail", TaskState.RETRY, 0.5)
    found = await counting.after(10)
    assert found["success_percent"] == {"": 75.0}
    assert found["mean_runtime_seconds"][""] == pytest.approx((1 + 1 + 4 + 8 + 0.5) / 5)
    assert found["task_success_percent"] == {"add": 75.0}
    assert found["task_mean_runtime_seconds"] == {"add": pytest.approx(2.0)}
    assert found["task_succeeded_per_second"] == {"add": pytest.approx(0.3), "mail": 0.0}
    assert found["task_failed_per_second"] == {"add": pytest.approx(0.1), "mail": 0.0}
    assert found["task_retried_per_second"] == {"add": 0.0, "mail": pytest.approx(0.1)}


async def test_what_ended_before_the_window_counts_no_more(counting: Counting) -> None:
    await counting.after(0)
    counting.ended("add", TaskState.FAILURE, 3.0)
    assert (await counting.after(10))["success_percent"] == {"": 0.0}
    for _ in range(WINDOW_SECONDS // 10 - 1):
        assert (await counting.after(10))["success_percent"] == {"": 0.0}
    found = await counting.after(10)
    assert found["success_percent"] == found["mean_runtime_seconds"] == {}
    assert found["task_failed_per_second"] == {"add": 0.0} and found["task_success_percent"] == {}


async def test_tasks_that_nobody_has_are_counted(counting: Counting) -> None:
    await counting.after(0)
    counting.figures.task("add", "celery", TaskState.ORPHANED, None)
    counting.figures.task("add", "other", TaskState.ORPHANED, None)
    counting.figures.task("add", "celery", TaskState.LOST, None)
    found = await counting.after(10)
    assert (found["tasks_orphaned"], found["tasks_lost"]) == ({"": 2}, {"": 1})


async def test_nothing_is_known_while_events_are_not_collected_or_the_database_is_away(
    counting: Counting,
) -> None:
    await counting.after(0)
    counting.collects = False
    assert await counting.after(10) == {}
    counting.collects = True
    assert await counting.after(10)
    counting.totals.read_at = counting.clock.now - 60
    counting.totals._not_before = float("inf")
    assert await counting.measures.read() == {}


async def test_the_totals_are_those_of_all_monitors(counting: Counting) -> None:
    await counting.after(0)
    other = Counting(counting.database)
    other.ended("add", TaskState.SUCCESS, 2.0, 3)
    await other.write()
    found = await counting.after(10)
    assert found["success_percent"] == {"": 100.0} and found["mean_runtime_seconds"] == {"": 2.0}
    # Runtimes by name are of what this monitor has heard itself.
    assert found["task_mean_runtime_seconds"] == {}
