"""Tasks that somebody runs by name, which nothing else sends."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from services.kernel.celery_message import Descent, Message, content_of, frame
from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition
from services.kernel.once import Once
from services.kernel.request_ids import current_request_id
from services.monitor.sending.registered import RegisteredTasks
from services.monitor.sending.sender import ORIGIN, Sender
from services.monitor.sending.store_sent import SentStore
from services.monitor.tasks.names import WorkerName

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TaskToRun:
    """A task, and how it is to be sent. The arguments are JSON: an array and an object."""

    name: str
    args_json: str
    kwargs_json: str
    queue: str
    priority: int
    eta: dt.datetime | None
    expires: dt.datetime | None

    def message(self, task_id: str, now: dt.datetime, request_id: str = "") -> Message:
        """Returns its message; `request_id`: of the call that asks for it.

        Raises `Unreadable` unless the arguments are such JSON.
        """
        eta = self.eta.isoformat() if self.eta else None
        descent = Descent(ORIGIN, eta=eta, request_id=request_id)
        made = frame(self.name, self.queue, self.priority, (None, None), {}, descent)
        expires = b"null" if self.expires is None else f'"{self.expires.isoformat()}"'.encode()
        return made.message(task_id, content_of(self.args_json, self.kwargs_json), expires, now, "")


class Runs:
    """Sends tasks by name.

    `refuse_stopped` raises `FailedPrecondition` for a queue of which no worker is to take messages now.
    """

    def __init__(
        self,
        database: Database,
        registered: RegisteredTasks,
        sender: Sender,
        refuse_stopped: Callable[[str], Awaitable[None]],
    ) -> None:
        self._refuse_stopped = refuse_stopped
        self._database = database
        self._registered = registered
        self._sender = sender

    async def check(self, task: TaskToRun) -> Sequence[WorkerName]:
        """Returns the workers that may run it. Raises what `run` raises."""
        await self._refuse_stopped(task.queue)
        return await self._registered.workers_for(task.name, task.queue)

    async def run(self, task: TaskToRun, actor: str, once: Once | None) -> tuple[str, Sequence[WorkerName]]:
        """Sends the task. Returns its id, and the workers that may run it.

        A repeated request gets the task that the first one sent. Raises `FailedPrecondition` (new tasks are
        stopped, the queue is paused or no worker consumes it, or the broker refuses it), `NotFound` if no
        such worker has the task, `Invalid` if the request's id is another's, and `Unavailable` while the
        broker is away.
        """
        async with self._database.reading() as connection:
            before = await SentStore(connection).run_by(once)
        if before is not None and once is not None:
            once.check(before.digest)
            if before.is_sent:
                return before.task_id, ()
        workers = await self.check(task)
        task_id = before.task_id if before is not None else str(uuid.uuid4())
        if before is None:
            async with self._database.transaction() as connection:
                other = await SentStore(connection).add(task_id, None, actor, once)
            if other is not None and once is not None:
                # The same request was sent twice at the same time.
                once.check(other.digest)
                task_id = other.task_id
        await self._send(task, task_id)
        return task_id, workers

    async def _send(self, task: TaskToRun, task_id: str) -> None:
        try:
            now = dt.datetime.now(dt.UTC)
            await self._sender.send(task.message(task_id, now, current_request_id()))
        except FailedPrecondition as error:
            async with self._database.transaction() as connection:
                await SentStore(connection).failed(task_id, error.message)
            raise
        log.info("task.sent", task_id=task_id, task=task.name, queue=task.queue)
        async with self._database.transaction() as connection:
            await SentStore(connection).sent(task_id)
