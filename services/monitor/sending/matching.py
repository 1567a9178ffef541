"""The tasks that an act on many is for."""

from __future__ import annotations

from services.kernel.errors import FailedPrecondition, FieldFault, Invalid
from services.kernel.pages import Place
from services.monitor.search.store_search import TaskSearch
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.store_lists import Lists
from services.monitor.tasks.tasks import Task

# The most tasks of one act.
MOST = 10_000
PAGE = 1_000


async def matching(lists: Lists, wanted: TaskFilter) -> list[Task]:
    """Returns the tasks that match, the oldest first, without tracebacks.

    Raises `Invalid` if they are too many.
    """
    found: list[Task] = []
    after: Place | None = None
    while True:
        async with lists.reading() as session:
            page = await TaskSearch(session).list(wanted, after, PAGE)
        found += page
        if len(found) > MOST:
            fault = f"matches more than {MOST} tasks, the most of one call; narrow it, by a time for example"
            raise Invalid([FieldFault("filter", fault, '{"start_time": "2026-11-30T12:00:00Z"}')])
        if len(page) < PAGE:
            return found[::-1]
        after = page[-1].heard_at, page[-1].id


def check_expected(count: int, expected: int) -> None:
    """Raises `FailedPrecondition` if there are more tasks than the caller has seen."""
    if count > expected:
        text = (
            f"{count} tasks match now, more than the expected {expected}; look at them, then expect {count}"
        )
        raise FailedPrecondition("COUNT_CHANGED", text)
