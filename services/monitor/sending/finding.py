"""Finds the arguments with which tasks were sent.

The sources are asked one after the other, for many tasks at once. The first ones know more: a schedule also
tells the priority, the limits and the headers of its messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import structlog
from redis.exceptions import RedisError

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition, Unavailable
from services.kernel.logged_errors import for_log
from services.monitor.sending.arguments import (
    MOST_BYTES,
    Arguments,
    Source,
    in_meta,
    in_reprs,
    in_request,
)
from services.monitor.sending.store_sealed import sealed_of
from services.monitor.tasks.result_client import ResultClient
from services.monitor.tasks.result_keys import key_before_id
from services.monitor.tasks.sealed_arguments import ArgumentSeals
from services.monitor.tasks.secret_shapes import REDACTED
from services.monitor.tasks.stored_values import values_of
from services.monitor.tasks.tasks import Task, TaskState
from services.monitor.workers.control import Control
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)

# So many tasks are looked for at once.
AT_ONCE = 500
BACKEND_SECONDS = 5.0

Found: TypeAlias = dict[str, Arguments]
# What schedules have sent, by the names of their runs: the id of the task, and its arguments.
OfRuns: TypeAlias = Callable[[Sequence[str]], Awaitable[Mapping[str, tuple[str, Arguments]]]]

UNKNOWN = (
    "the arguments of the task {id!r} are not known in full: no schedule, no stored result and no worker has"
    " them, and its events show {shown}. Set result_extended=True in the application, so that they are stored"
    " from now on{or_so}; send this task again from where it was sent, or by RunTask"
)

OR_SEALED = ", or keep those with secrets encrypted (CELERIAC_MONITOR_ARGUMENT_KEYS)"


class ArgumentFinder:
    """`of_runs`: asks the scheduler. `results`: the application's backend; None: there is none.

    `seals`: what opens arguments that are kept encrypted; None: none are.
    """

    def __init__(
        self,
        of_runs: OfRuns,
        results: ResultClient | None,
        result_key_prefix: str,
        control: Control,
        workers: WorkerTable,
        database: Database,
        seals: ArgumentSeals | None,
    ) -> None:
        self._database = database
        self._seals = seals
        self._of_runs = of_runs
        self._results = results
        self._prefix = key_before_id(result_key_prefix)
        self._control = control
        self._workers = workers

    async def find(self, tasks: Sequence[Task]) -> Found:
        """Returns the arguments of those of the tasks of which they are known, `AT_ONCE` at most, by id.

        A source that is away tells nothing.
        """
        found: Found = {}
        for ask in (self._schedules, self._backend, self._held, _shown, self._sealed):
            left = [task for task in tasks if task.id not in found]
            if left:
                found |= await ask(left)
        return found

    async def _schedules(self, tasks: Sequence[Task]) -> Found:
        by_run = {task.run: task.id for task in tasks if task.run}
        if not by_run:
            return {}
        told = await self._of_runs(list(by_run))
        # A run of another schedule, which had the same name, has another task.
        return {by_run[run]: each for run, (task_id, each) in told.items() if by_run.get(run) == task_id}

    async def _backend(self, tasks: Sequence[Task]) -> Found:
        if self._results is None:
            return {}
        try:
            async with asyncio.timeout(BACKEND_SECONDS):
                return await self._read(self._results, [task.id for task in tasks])
        except (RedisError, OSError) as error:
            log.warning("arguments.results_not_read", error=for_log(error))
            return {}

    async def _read(self, client: ResultClient, task_ids: Sequence[str]) -> Found:
        keys = {self._prefix + task_id: task_id for task_id in task_ids}
        values = await values_of(client, list(keys), MOST_BYTES)
        told = {keys[key]: in_meta(value) for key, value in values.items()}
        return {task_id: arguments for task_id, arguments in told.items() if arguments is not None}

    async def _held(self, tasks: Sequence[Task]) -> Found:
        # Of what has ended with an event, no worker has anything any more.
        asked = [task.id for task in tasks if task.state in (TaskState.ORPHANED, TaskState.LOST)]
        there = list(self._workers.there())
        if not asked or not there:
            return {}
        try:
            answers = await self._control.ask("query_task", {"ids": asked}, there)
        except Unavailable as error:
            log.warning("arguments.workers_not_asked", error=for_log(error))
            return {}
        found: Found = {}
        for said in (each for answer in answers.values() for each in answer if isinstance(each, Mapping)):
            for task_id, told in said.items():
                arguments = in_request(told[1]) if isinstance(told, list) and len(told) == 2 else None
                if task_id in asked and arguments is not None:
                    found[task_id] = arguments
        return found

    async def _sealed(self, tasks: Sequence[Task]) -> Found:
        """Those that events showed with secrets, and that are kept encrypted."""
        asked = [task.id for task in tasks if REDACTED in task.args + task.kwargs]
        if self._seals is None or not asked:
            return {}
        async with self._database.reading() as connection:
            sealed = await sealed_of(connection, asked)
        told = {task_id: self._seals.open(task_id, each) for task_id, each in sealed.items()}
        shown = {task_id: in_reprs(*each, Source.SEALED) for task_id, each in told.items() if each}
        return {task_id: arguments for task_id, arguments in shown.items() if arguments is not None}


async def _shown(tasks: Sequence[Task]) -> Found:
    told = {task.id: in_reprs(task.args, task.kwargs) for task in tasks}
    return {task_id: arguments for task_id, arguments in told.items() if arguments is not None}


def unknown(task: Task) -> FailedPrecondition:
    """Returns the refusal to retry a task whose arguments are not known."""
    texts = task.args + task.kwargs
    if not texts:
        shown = "none"
    elif REDACTED in texts or "[not kept]" in texts:
        shown = "them without secrets"
    else:
        shown = "a part of them, or values that are no JSON"
    or_so = OR_SEALED if REDACTED in texts else ""
    return FailedPrecondition("ARGUMENTS_UNKNOWN", UNKNOWN.format(id=task.id, shown=shown, or_so=or_so))
