"""What `make status` shows below the components: queues, recent tasks, recent failures, what runs next.

It asks through the gateway, as any client would, with a token of a viewer that lives a minute.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import grpc.aio
from celeriac.channel import connect
from celeriac.monitor.v1 import queues_pb2, queues_pb2_grpc, tasks_pb2, tasks_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc
from wcwidth import wcswidth, wcwidth

from deploy.standalone.call_errors import in_words
from deploy.standalone.guide import what_runs_next
from deploy.standalone.ports import HOST
from deploy.standalone.settings import StandaloneSettings
from deploy.standalone.tables import table
from deploy.standalone.tokens import LocalIssuer

TIMEOUT_SECONDS = 5.0
TOKEN_SECONDS = 60
# So many tasks, failures and schedules are shown; of the queues, all of a page.
SHOWN = 5
# The most columns of an exception's text, and of a name; the fewest of the text on a narrow terminal.
MOST_COLUMNS, FEWEST_COLUMNS = 60, 20
# Of a row of failures: its time, and the spaces before and between its cells.
BESIDES_TEXTS = 22
# Where the width is not known, as in a file, all that is shown fits.
WIDE = 240

Ask = Callable[[grpc.aio.Channel], Awaitable[list[str]]]


async def glance(settings: StandaloneSettings) -> list[str]:
    """Returns lines to print. A part that can't be asked for says so in its place."""
    token = LocalIssuer(settings.state).mint("viewer", subject="make-status", life_seconds=TOKEN_SECONDS)
    now, zone = dt.datetime.now(dt.UTC), ZoneInfo(settings.time_zone)

    async def queues(gateway: grpc.aio.Channel) -> list[str]:
        # mypy-protobuf has a type of its own for asyncio's stubs; at run time there is one class.
        stub: Any = queues_pb2_grpc.QueueServiceStub(gateway)
        answer = await stub.ListQueues(queues_pb2.ListQueuesRequest(), timeout=TIMEOUT_SECONDS)
        return of_queues(answer.queues)

    async def tasks(gateway: grpc.aio.Channel) -> list[str]:
        return of_tasks(await _newest(gateway), zone)

    async def failures(gateway: grpc.aio.Channel) -> list[str]:
        columns = shutil.get_terminal_size((WIDE, 0)).columns
        return of_failures(await _newest(gateway, tasks_pb2.TASK_STATE_FAILURE), zone, columns)

    async def next_runs(gateway: grpc.aio.Channel) -> list[str]:
        stub: Any = schedules_pb2_grpc.ScheduleServiceStub(gateway)
        request = schedules_pb2.ListSchedulesRequest(page_size=SHOWN, order_by="next_run_time")
        answer = await stub.ListSchedules(request, timeout=TIMEOUT_SECONDS)
        return what_runs_next(list(answer.schedules), settings.time_zone, now)

    parts = {
        "Queues": queues,
        "Recent tasks": tasks,
        "Recent failures": failures,
        "What runs next": next_runs,
    }
    target, ca = f"{HOST}:{settings.gateway_port}", settings.state / "ca.pem"
    async with connect(target, token=token, ca=ca) as gateway:
        shown = await asyncio.gather(*(_part(heading, ask, gateway) for heading, ask in parts.items()))
    return [line for lines in shown for line in ("", *lines)]


async def _newest(gateway: grpc.aio.Channel, *states: tasks_pb2.TaskState) -> Sequence[tasks_pb2.Task]:
    """Returns the newest tasks in one of the states, or in any."""
    stub: Any = tasks_pb2_grpc.TaskServiceStub(gateway)
    request = tasks_pb2.ListTasksRequest(page_size=SHOWN, states=states)
    tasks: Sequence[tasks_pb2.Task] = (await stub.ListTasks(request, timeout=TIMEOUT_SECONDS)).tasks
    return tasks


async def _part(heading: str, ask: Ask, gateway: grpc.aio.Channel) -> list[str]:
    try:
        return await ask(gateway)
    except grpc.aio.AioRpcError as error:
        return [f"{heading}: not known ({in_words(error)})"]


def of_queues(queues: Iterable[queues_pb2.Queue]) -> list[str]:
    rows = [
        (
            _cut(queue.name.removeprefix("queues/")),
            f"{queue.length} waiting",
            f"{'about ' * queue.unacknowledged_estimated}{queue.unacknowledged} at workers",
        )
        for queue in queues
    ]
    return ["Queues:", *_indented(rows)] if rows else ["Queues: none is known."]


def of_tasks(tasks: Iterable[tasks_pb2.Task], zone: ZoneInfo) -> list[str]:
    rows = [
        (
            _last_heard(task, zone),
            tasks_pb2.TaskState.Name(task.state).removeprefix("TASK_STATE_"),
            _cut(task.task_name or task.name),
            _cut(task.queue.removeprefix("queues/")),
            f"{task.runtime.ToTimedelta().total_seconds():.2f} s" if task.HasField("runtime") else "",
        )
        for task in _last_heard_first(tasks)
    ]
    return (
        [f"Recent tasks (last heard of, {zone}):", *_indented(rows)]
        if rows
        else ["Recent tasks: none was heard of."]
    )


def of_failures(tasks: Iterable[tasks_pb2.Task], zone: ZoneInfo, columns: int = WIDE) -> list[str]:
    """Returns rows of at most so many columns, unless names alone are longer: exceptions are cut."""
    tasks = _last_heard_first(tasks)
    names = max((wcswidth(_cut(task.task_name or task.name)) for task in tasks), default=0)
    ids = max((wcswidth(task.name) for task in tasks), default=0)
    room = min(MOST_COLUMNS, max(FEWEST_COLUMNS, columns - BESIDES_TEXTS - names - ids))
    rows = [
        (
            _last_heard(task, zone),
            _cut(task.task_name or task.name),
            _cut(" ".join(task.exception.split()), room),
            task.name,
        )
        for task in tasks
    ]
    return (
        [f"Recent failures (last heard of, {zone}):", *_indented(rows)]
        if rows
        else ["Recent failures: none."]
    )


def _last_heard_first(tasks: Iterable[tasks_pb2.Task]) -> Sequence[tasks_pb2.Task]:
    """The monitor lists tasks by when it heard of them first, and that time is not shown."""
    return sorted(tasks, key=lambda task: task.update_time.ToNanoseconds(), reverse=True)


def _last_heard(task: tasks_pb2.Task, zone: ZoneInfo) -> str:
    return f"{task.update_time.ToDatetime(dt.UTC).astimezone(zone):%m-%d %H:%M:%S}"


def _cut(text: str, most: int = MOST_COLUMNS) -> str:
    """Returns the text, what is beyond so many columns as an ellipsis; a Chinese character takes two."""
    columns = 0
    for position, character in enumerate(text):
        columns += max(0, wcwidth(character))
        if columns > most:
            kept = text[:position]
            while wcswidth(kept) >= most:
                kept = kept[:-1]
            return f"{kept}…"
    return text


def _indented(rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"  {line}" for line in table(rows)]
