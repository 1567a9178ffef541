"""Retries of many tasks: which can be retried and which can't, and an operation that sends them at a rate.

The rate keeps what has just recovered alive: ten thousand tasks at once may be what broke it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition, Unavailable
from services.kernel.leases import Lease
from services.kernel.loops import Again, Loop
from services.kernel.once import Once
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.request_ids import NAME, current_request_id
from services.kernel.sessions import Sessions
from services.monitor.pace import USUAL, Pace
from services.monitor.sending.arguments import Arguments, Source
from services.monitor.sending.finding import AT_ONCE, ArgumentFinder, unknown
from services.monitor.sending.matching import matching
from services.monitor.sending.retries import Retries, check_may_be_retried, queue_of
from services.monitor.sending.store_many import ManyStore, Running, Waiting
from services.monitor.sending.store_sent import SentStore
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.store_lists import Lists
from services.monitor.tasks.store_tasks import TaskStore
from services.monitor.tasks.tasks import Task

# Tasks are sent in portions of so many seconds of the rate; after an outage no more than this is made up for.
STEP_SECONDS, MADE_UP_SECONDS = 0.5, 1.0
SHORTEST_PAUSE = 0.05
RETRIED = "the task {id!r} was retried already"
GONE = "the task is no longer kept"


@dataclass
class Refused:
    """Tasks that can't be retried for one reason; `example` is one of them, and `message` is of that."""

    reason: str
    example: str
    message: str
    count: int = 0


@dataclass
class Outlook:
    """What a retry of many tasks would do."""

    matched: int
    task_ids: list[str] = field(default_factory=list)
    sources: Counter[Source] = field(default_factory=Counter)
    refused: dict[str, Refused] = field(default_factory=dict)

    def refuse(self, task: Task, error: FailedPrecondition) -> None:
        new = Refused(error.reason, task.id, error.message)
        self.refused.setdefault(error.reason, new).count += 1


class ManyRetries:
    """Looks at many tasks, and begins operations; its `loop` sends what they have."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        lists: Lists,
        finder: ArgumentFinder,
        retries: Retries,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._lists = lists
        self._finder = finder
        self._retries = retries
        self._lease = Lease(database, "celery_monitor_leases", "retries", pace)
        # When the next portion of each operation is due, by this machine's monotonic clock.
        self._due: dict[str, float] = {}
        self._begun = asyncio.Event()
        self.loop = Loop(
            "retries",
            self._work,
            every=pace.retries_look,
            outlives=(Unavailable, *DATABASE_ERRORS),
            woken=self._begun,
            failed="retries.not_sent",
        )

    async def look(self, wanted: TaskFilter, fallback_queue: str = "") -> Outlook:
        """Returns which of the tasks that match can be retried. Raises `Invalid` if they are too many.

        `fallback_queue`: for tasks whose queue is not known.
        """
        tasks = await matching(self._lists, wanted)
        outlook = Outlook(len(tasks))
        for at in range(0, len(tasks), AT_ONCE):
            some = tasks[at : at + AT_ONCE]
            async with self._database.reading() as connection:
                retried = await SentStore(connection).retried([task.id for task in some])
            found = await self._finder.find(some)
            for task in some:
                try:
                    is_retried = task.id in retried
                    arguments, _ = _checked(task, found.get(task.id), fallback_queue, is_retried=is_retried)
                except FailedPrecondition as error:
                    outlook.refuse(task, error)
                else:
                    outlook.task_ids.append(task.id)
                    outlook.sources[arguments.source] += 1
        return outlook

    async def answer_to(self, once: Once | None) -> bytes | None:
        """Returns the answer to an earlier request with this id.

        Raises `Invalid` if that was another request.
        """
        async with self._database.reading() as connection:
            return await ManyStore(connection).answer_to(once)

    async def begin(
        self,
        outlook: Outlook,
        asked: Mapping[str, Any],
        actor: str,
        once: Once | None,
        answer: Callable[[str], bytes],
    ) -> bytes:
        """Begins to retry what can be, by an operation with what was asked: `rate`, and `fallback_queue`.

        Returns the answer, which `answer` makes of the operation's id (empty if there is nothing to do). A
        repeated request gets that of the first one. Raises `FailedPrecondition` while new tasks are stopped.
        """
        await self._retries.refuse_halted()
        async with self._database.transaction() as connection:
            store = ManyStore(connection)
            if not await store.is_first(once):
                return await store.answer_to(once) or answer("")
            known = {NAME: found} if (found := current_request_id()) else {}
            made = answer(await store.begin(outlook.task_ids, actor, {**asked, **known}))
            await store.keep_answer(once, made)
        self._begun.set()
        return made

    async def _work(self) -> Again | None:
        if not await self._lease.hold():
            return None
        async with self._database.transaction() as connection:
            store = ManyStore(connection)
            await store.drop_cancelled()
            running = await store.running()
        if running and await self._is_halted():
            return None
        now = time.monotonic()
        self._due = {each.operation: self._due.get(each.operation, now) for each in running}
        for each in running:
            due = self._due[each.operation]
            if due <= now:
                sent = await self._send_some(each, max(1, round(each.rate * STEP_SECONDS)))
                self._due[each.operation] = max(due, now - MADE_UP_SECONDS) + max(sent, 1) / each.rate
        if not running:
            return None
        return Again(max(SHORTEST_PAUSE, min(self._due.values()) - time.monotonic()))

    async def _is_halted(self) -> bool:
        """Whether new tasks are stopped: operations under way go on when that ends."""
        try:
            await self._retries.refuse_halted()
        except FailedPrecondition:
            return True
        return False

    async def _send_some(self, running: Running, most: int) -> int:
        async with self._database.reading() as connection:
            waiting = await ManyStore(connection).waiting(running.operation, most)
        async with self._sessions.reading() as session:
            tasks = await TaskStore(session).get_several([each.retry_of for each in waiting])
        by_id, found = {task.id: task for task in tasks}, await self._finder.find(tasks)
        # As if the call that began it were still under way.
        begun_by = {NAME: running.request_id} if running.request_id else {}
        with structlog.contextvars.bound_contextvars(operation=running.operation, **begun_by):
            for each in waiting:
                task, arguments = by_id.get(each.retry_of), found.get(each.retry_of)
                await self._send(each, task, arguments, running.fallback_queue)
        return len(waiting)

    async def _send(
        self, waiting: Waiting, task: Task | None, arguments: Arguments | None, fallback_queue: str
    ) -> None:
        """Sends one, or records why it can't be sent: it was possible when the operation began."""
        try:
            if task is None:
                raise FailedPrecondition("TASK_NOT_ENDED", GONE)
            checked, queue = _checked(task, arguments, fallback_queue)
            await self._retries.send(task, waiting.task_id, checked, queue)
        except FailedPrecondition as error:
            async with self._database.transaction() as connection:
                await SentStore(connection).failed(waiting.task_id, error.message)


def _checked(
    task: Task, arguments: Arguments | None, fallback_queue: str, *, is_retried: bool = False
) -> tuple[Arguments, str]:
    """Returns the arguments and the queue. Raises `FailedPrecondition` if the task can't be retried."""
    if is_retried:
        raise FailedPrecondition("TASK_RETRIED", RETRIED.format(id=task.id))
    check_may_be_retried(task)
    if arguments is None:
        raise unknown(task)
    is_known = arguments.queue or task.queue
    return arguments, queue_of(task, arguments, "" if is_known else fallback_queue)
