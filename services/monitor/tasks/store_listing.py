"""The query of ListTasks.

Each filter may have several values, and no index gives the tasks of several values in the order of the list.
So the query has a branch for each combination of values, each of which an index gives in order, and merges
what the branches find. As many rows are read as the page has, times the branches, however many tasks there
are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    false,
    func,
    null,
    or_,
    select,
    text,
    tuple_,
    union_all,
)

from services.kernel.pages import Place
from services.monitor.tables import tasks
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.tasks import WITH_EXCEPTION, TaskState

MOST_BRANCHES = 100

Condition: TypeAlias = ColumnElement[bool]


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks to list. Empty and None match any. `start` and `end` are compared with the first event.

    A worker without a process id stands for every process under its hostname. With `only_exceptions`,
    arguments and results are not searched for the text.
    """

    states: Sequence[TaskState] = ()
    tasks: Sequence[str] = ()
    queues: Sequence[str] = ()
    workers: Sequence[WorkerName] = ()
    exception_types: Sequence[str] = ()
    # The id of a workflow's first task; that task is one of the workflow's.
    root: str = ""
    parent: str = ""
    text: str = ""
    only_exceptions: bool = False
    start: dt.datetime | None = None
    end: dt.datetime | None = None


c = tasks.c
SHOWN = (
    *(c.id, c.task, c.state, c.queue, c.worker, c.worker_pid, c.args, c.kwargs, c.retries, c.result),
    *(
        c.exception,
        c.exception_type,
        c.exception_message,
        c.revocation,
        c.termination_signal,
        c.custom_state,
        c.custom_at,
        c.runtime,
        c.eta,
        c.expires,
        c.parent_id,
        c.root_id,
        c.run,
        c.request_id,
        c.sent_at,
        c.received_at,
        c.started_at,
    ),
    func.greatest(c.succeeded_at, c.failed_at, c.revoked_at, c.rejected_at).label("ended_at"),
    *(c.heard_at, c.updated_at),
)
# Lists have no tracebacks, which may be long.
IN_SHORT = select(*SHOWN, null().label("traceback"))
NEWEST_FIRST = IN_SHORT.order_by(c.heard_at.desc(), c.id.desc())


def listing(
    wanted: TaskFilter, after: Place | None, most: int, newer_than: Place | None = None
) -> Select[Any] | CompoundSelect[Any]:
    """Returns the query for tasks after the position, by the time of their first event, newest first."""
    common = list(_in_every_branch(wanted, after))
    if newer_than is not None:
        common.append(tuple_(c.heard_at, c.id) > newer_than)
    choices, filters = _split([values for values in _by_value(wanted) if values])
    common += [or_(*values) for values in filters]
    branches = [NEWEST_FIRST.where(*chosen, *common).limit(most) for chosen in product(*choices)]
    if len(branches) == 1:
        return branches[0]
    return union_all(*branches).order_by(text("heard_at DESC"), text("id DESC")).limit(most)


def members(root: str, most: int) -> Select[Any]:
    """Returns the query for the tasks of a workflow, its first one among them, the oldest first."""
    of_it = or_(and_(c.root_id == root, c.root_id != c.id), c.id == root)
    return IN_SHORT.where(of_it).order_by(c.heard_at, c.id).limit(most)


def matching(wanted: TaskFilter, after: Place | None) -> list[Condition]:
    """Returns the conditions of the filter, for tasks that are found in another way than by its values."""
    return [*_in_every_branch(wanted, after), *(or_(*values) for values in _by_value(wanted) if values)]


def _in_every_branch(wanted: TaskFilter, after: Place | None) -> Iterator[Condition]:
    if wanted.text:
        columns = [c.exception] if wanted.only_exceptions else [c.args, c.kwargs, c.result, c.exception]
        searched = func.lower(func.concat_ws(" ", *columns))
        yield func.strpos(searched, func.lower(wanted.text)) > 0
    if wanted.start is not None:
        yield c.heard_at >= wanted.start
    if wanted.end is not None:
        yield c.heard_at < wanted.end
    if after is not None:
        yield tuple_(c.heard_at, c.id) < after


def _by_value(wanted: TaskFilter) -> Iterator[list[Condition]]:
    """Yields for each filter the conditions of its values, no two of which hold for one task.

    The filters come in this order: the first ones usually match the fewest tasks.
    """
    if wanted.parent:
        yield [c.parent_id == wanted.parent]
    if wanted.root:
        # The first task is its own root, where its events told one.
        first = and_(c.id == wanted.root, func.coalesce(c.root_id, c.id) == c.id)
        yield [and_(c.root_id == wanted.root, c.root_id != c.id), first]
    workers = set(wanted.workers)
    of_process = {worker for worker in workers if worker.pid is not None}
    # A process is left out where its hostname stands for all processes.
    narrowed = {worker for worker in of_process if WorkerName(worker.hostname) not in workers}
    yield [_is_of(worker) for worker in sorted(workers - of_process | narrowed, key=str)]
    yield [c.exception_type == name for name in sorted(set(wanted.exception_types))]
    yield [c.task == task for task in sorted(set(wanted.tasks))]
    yield [c.queue == queue for queue in sorted(set(wanted.queues))]
    states = set(wanted.states)
    if wanted.exception_types:
        # In other states an exception is not shown: it ended a try before the last.
        states = states & WITH_EXCEPTION if states else set(WITH_EXCEPTION)
        if not states:
            yield [false()]
    yield [c.state == state.value for state in sorted(states)]


def _is_of(worker: WorkerName) -> Condition:
    if worker.pid is None:
        return c.worker == worker.hostname
    return and_(c.worker == worker.hostname, c.worker_pid == worker.pid)


def _split(by_filter: Sequence[list[Condition]]) -> tuple[list[list[Condition]], list[list[Condition]]]:
    """Returns the filters whose combinations get a branch each, and those that every branch applies."""
    branches, choices, rest = 1, [], []
    for values in by_filter:
        if branches * len(values) <= MOST_BRANCHES:
            branches *= len(values)
            choices.append(values)
        else:
            rest.append(values)
    return choices, rest
