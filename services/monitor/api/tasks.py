"""The servicer of TaskService."""

from __future__ import annotations

from collections.abc import Sequence

from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import tasks_pb2_grpc

from services.kernel.grpc.wire import Context, window_in
from services.kernel.pages import decode_place, encode_place, next_page_token, page_size
from services.kernel.sessions import Sessions
from services.kernel.validation import Faults
from services.monitor.api import convert
from services.monitor.tasks.store_tasks import TaskFilter, TaskStore
from services.monitor.tasks.tasks import MOST_NAME
from services.monitor.workers.control import SIGNALS, Control, refuse_ended

EXAMPLE = "tasks/6f0e6fcd-0a5e-4d2f-8d0b-7f9c24e8b1aa"
MOST_AT_ONCE = 500
EXAMPLES = {"task": "rebuild_chat_vectors", "queue": "ai_analysis", "worker": "celery@host"}


class TaskApi(tasks_pb2_grpc.TaskServiceServicer):
    def __init__(self, sessions: Sessions, control: Control) -> None:
        self._sessions = sessions
        self._control = control

    async def GetTask(self, request: pb.GetTaskRequest, context: Context) -> pb.GetTaskResponse:
        task_id = task_id_in(request.name)
        async with self._sessions.reading() as session:
            task = await TaskStore(session).get(task_id)
        return pb.GetTaskResponse(task=convert.task_to(task))

    async def BatchGetTasks(
        self, request: pb.BatchGetTasksRequest, context: Context
    ) -> pb.BatchGetTasksResponse:
        task_ids = _task_ids_in(request.names)
        async with self._sessions.reading() as session:
            found = await TaskStore(session).get_several(task_ids)
        return pb.BatchGetTasksResponse(tasks=map(convert.task_to, found))

    async def ListTasks(self, request: pb.ListTasksRequest, context: Context) -> pb.ListTasksResponse:
        wanted, size = _filter(request), page_size(request.page_size)
        after = decode_place(request.page_token)
        async with self._sessions.reading() as session:
            found = await TaskStore(session).list(wanted, after, size + 1)
        token = next_page_token(found, size, lambda last: encode_place((last.heard_at, last.id)))
        return pb.ListTasksResponse(tasks=map(convert.task_to, found[:size]), next_page_token=token)

    async def RevokeTask(self, request: pb.RevokeTaskRequest, context: Context) -> pb.RevokeTaskResponse:
        task_id, signal = task_id_in(request.name), _signal_in(request)
        async with self._sessions.reading() as session:
            refuse_ended(await TaskStore(session).find(task_id))
        replies = await self._control.revoke(task_id, terminate=request.terminate, signal=signal)
        return pb.RevokeTaskResponse(
            replies=[pb.WorkerReply(worker=each.worker, ok=each.ok, message=each.message) for each in replies]
        )


def task_id_in(name: str, field: str = "name") -> str:
    """Returns the id in "tasks/{id}". Raises `Invalid` if the name has another form."""
    faults = Faults()
    task_id = _checked_id(name, field, faults)
    faults.raise_any()
    return task_id


def _task_ids_in(names: Sequence[str]) -> list[str]:
    faults = Faults()
    fault = f"has {len(names)} names, it must have 1 to {MOST_AT_ONCE}"
    if faults.unless(1 <= len(names) <= MOST_AT_ONCE, "names", fault, EXAMPLE):
        task_ids = [_checked_id(name, f"names[{position}]", faults) for position, name in enumerate(names)]
    faults.raise_any()
    return task_ids


def _checked_id(name: str, field: str, faults: Faults) -> str:
    collection, _, task_id = name.partition("/")
    sound = collection == "tasks" and bool(task_id) and "/" not in task_id
    if faults.text(field, name, EXAMPLE, most=len("tasks/") + MOST_NAME):
        faults.unless(sound, field, f"is {name[:100]!r}, not tasks/{{id}}", EXAMPLE)
    return task_id


def _signal_in(request: pb.RevokeTaskRequest) -> str:
    """Returns the signal to terminate with. Raises `Invalid` if it is not one of `SIGNALS`."""
    faults, known = Faults(), ", ".join(SIGNALS)
    if request.signal:
        fault = f"is {request.signal[:100]!r}, not one of {known}"
        faults.unless(request.signal in SIGNALS, "signal", fault, "SIGTERM")
        faults.unless(request.terminate, "signal", "is set, and terminate is not", "terminate: true")
    faults.raise_any()
    return request.signal or SIGNALS[0]


def _filter(request: pb.ListTasksRequest) -> TaskFilter:
    faults = Faults()
    known = request.state == 0 or request.state in convert.STATES_FROM_WIRE
    faults.unless(known, "state", f"is {request.state}, not a TaskState", "TASK_STATE_FAILURE")
    for field, example in EXAMPLES.items():
        faults.text(field, getattr(request, field), example, most=MOST_NAME, required=False)
    faults.text("text", request.text, "TimeoutError", most=200, required=False)
    start, end = window_in(request, faults)
    faults.raise_any()
    return TaskFilter(
        state=convert.STATES_FROM_WIRE.get(request.state),
        task=request.task,
        queue=request.queue,
        worker=request.worker,
        text=request.text,
        start=start,
        end=end,
    )
