"""Retries: a task that has ended is sent again, as a new task."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

import structlog

from services.kernel.celery_message import RUN_HEADER, Descent, Message, content_of, expiry, frame
from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition
from services.kernel.once import Once
from services.kernel.request_ids import current_request_id
from services.kernel.stored_values import Unreadable
from services.monitor.sending.arguments import Arguments, Source
from services.monitor.sending.finding import ArgumentFinder, unknown
from services.monitor.sending.sender import ORIGIN, WOULD_WAIT, RefuseHalted, Sender
from services.monitor.sending.store_sent import Kin, SentStore, SentTask
from services.monitor.tasks.tasks import ENDED, Task

log = structlog.get_logger(__name__)

RETRY_OF = "celeriac_retry_of"


@dataclass(frozen=True)
class Retry:
    """A retry. `task_id` is empty if it was only checked."""

    task_id: str
    source: Source


class Retries:
    """Sends retries of single tasks."""

    def __init__(
        self, database: Database, finder: ArgumentFinder, sender: Sender, refuse_halted: RefuseHalted
    ) -> None:
        self._refuse_halted = refuse_halted
        self._database = database
        self._finder = finder
        self._sender = sender

    async def kin(self, task_id: str) -> Kin:
        async with self._database.reading() as connection:
            return await SentStore(connection).kin(task_id)

    async def check(self, task: Task, queue: str = "") -> Retry:
        """Returns where the arguments of a retry would come from. Raises what `retry` raises."""
        async with self._database.reading() as connection:
            other = await SentStore(connection).retry_of(task.id)
        if other is not None:
            raise retried(task.id, other.task_id)
        return Retry("", (await self._found(task, queue)).source)

    async def retry(
        self, task: Task, actor: str, once: Once | None, *, queue: str = "", priority: int | None = None
    ) -> Retry:
        """Sends the task again. A repeated request gets the retry that the first one made.

        Raises `FailedPrecondition` (new tasks are stopped; the task has not ended, was retried before, or is
        not known well enough),
        `Invalid` if the request's id is another's, and `Unavailable` while the broker is away.
        """
        async with self._database.reading() as connection:
            before = await SentStore(connection).retry_of(task.id)
        if before is not None:
            _check_same(before, task.id, once)
            if before.is_sent:
                return Retry(before.task_id, Source(before.source or ""))
        arguments = await self._found(task, queue)
        new = before.task_id if before is not None else str(uuid.uuid4())
        if before is None:
            async with self._database.transaction() as connection:
                other = await SentStore(connection).add(new, task.id, actor, once)
            if other is not None:
                # Another request was quicker.
                _check_same(other, task.id, once)
                new = other.task_id
        await self.send(task, new, arguments, queue, priority)
        return Retry(new, arguments.source)

    async def send(
        self, task: Task, new: str, arguments: Arguments, queue: str = "", priority: int | None = None
    ) -> None:
        """Sends the recorded retry, and records that it is sent, or that it can't be."""
        try:
            now, request_id = dt.datetime.now(dt.UTC), current_request_id()
            message = message_of(task, new, arguments, queue, priority, now, request_id)
            await self._sender.send(message)
        except FailedPrecondition as error:
            async with self._database.transaction() as connection:
                await SentStore(connection).failed(new, error.message)
            raise
        log.info("task.retried", task_id=new, task=task.task, queue=message.queue, retry_of=task.id)
        async with self._database.transaction() as connection:
            await SentStore(connection).sent(new, arguments.source.value)

    async def refuse_halted(self) -> None:
        """Raises `FailedPrecondition` while a drain or a shutdown stops new tasks."""
        await self._refuse_halted(WOULD_WAIT)

    async def _found(self, task: Task, queue: str) -> Arguments:
        await self.refuse_halted()
        check_may_be_retried(task)
        arguments = (await self._finder.find([task])).get(task.id)
        if arguments is None:
            raise unknown(task)
        queue_of(task, arguments, queue)
        return arguments


def check_may_be_retried(task: Task) -> None:
    """Raises `FailedPrecondition` for a task that has not ended, or that has no name."""
    if task.state not in ENDED:
        fault = f"the task {task.id!r} has not ended: it is in {task.state}"
        raise FailedPrecondition("TASK_NOT_ENDED", fault)
    if not task.task:
        raise unknown(task)


def retried(task_id: str, by: str) -> FailedPrecondition:
    """Returns the refusal to retry a task twice."""
    return FailedPrecondition("TASK_RETRIED", f"the task {task_id!r} was retried already, as 'tasks/{by}'")


def _check_same(before: SentTask, task_id: str, once: Once | None) -> None:
    """Raises if another request has sent a retry, or made one with the same id."""
    if before.is_sent and (once is None or before.request_id != once.request_id):
        raise retried(task_id, before.task_id)
    if once is not None and before.request_id == once.request_id:
        once.check(before.digest)


def queue_of(task: Task, arguments: Arguments, wanted: str) -> str:
    """Returns the queue of the retry. Raises `FailedPrecondition` if nothing tells it."""
    queue = wanted or arguments.queue or task.queue
    if not queue:
        fault = f"nothing tells on which queue the task {task.id!r} was"
        advice = "name one in `queue`, or of many in `fallback_queue`"
        raise FailedPrecondition("QUEUE_UNKNOWN", f"{fault}; {advice}")
    return queue


def message_of(
    task: Task,
    new: str,
    arguments: Arguments,
    queue: str,
    priority: int | None,
    now: dt.datetime,
    request_id: str,
) -> Message:
    """Returns the message of a retry. Its time to expire counts from now. `request_id`: who asked for it.

    The new task stays in the workflow of the old one, but not in its group: that has counted the old one. It
    is no run, as the schedule has none for it, but its log lines name the run whose task it does again.
    """
    headers = {**arguments.headers, RETRY_OF: task.id}
    if task.run:
        headers[RUN_HEADER] = task.run
    limits = arguments.soft_time_limit, arguments.time_limit
    first_of_its_own = not task.root_id or task.root_id == task.id
    root = task.id if first_of_its_own else task.root_id
    descent = Descent(ORIGIN, root, task.parent_id or None, request_id=request_id)
    own = priority if priority is not None else arguments.priority or 0
    try:
        made = frame(task.task, queue_of(task, arguments, queue), own, limits, headers, descent)
        content = content_of(arguments.args_json, arguments.kwargs_json)
        return made.message(new, content, expiry(arguments.expires, now), now, "")
    except Unreadable as error:
        raise FailedPrecondition("ARGUMENTS_UNKNOWN", f"no message can be made of it: {error}") from error
