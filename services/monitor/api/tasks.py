"""The servicer of TaskService."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial

from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import tasks_pb2_grpc
from celeriac.monitor.v1.queues_pb2 import QueueMessage
from celeriac.monitor.v1.workers_pb2 import HeldTask
from google.protobuf.json_format import MessageToDict

from services.kernel.grpc.readable import Readers
from services.kernel.grpc.wire import Context, once_in, timestamp
from services.kernel.identity import Role, current_subject
from services.kernel.pages import decode_place, encode_place, next_page_token, page_size
from services.kernel.sessions import Sessions
from services.kernel.validation import Faults
from services.monitor.api import convert, references
from services.monitor.api.attempts import attempts_to
from services.monitor.api.references import checked_task_id, task_id_in
from services.monitor.api.stored_results import bytes_in, result_to
from services.monitor.api.task_requests import (
    FAILED_STATES,
    RETRIED_STATES,
    REVOCABLE_STATES,
    expected_in,
    failures_of_a_day,
    filter_in,
    filter_of_many_in,
    priority_in,
    queue_in,
    rate_in,
    signal_in,
    still_to_run,
    task_to_run_in,
)
from services.monitor.api.workflows import workflow_to
from services.monitor.search.store_search import TaskSearch
from services.monitor.sending.matching import check_expected, matching
from services.monitor.sending.sending import Sending
from services.monitor.tasks.failures import grouped
from services.monitor.tasks.log_link import link_of
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.store_failures import count_failures
from services.monitor.tasks.store_lists import Lists
from services.monitor.tasks.store_tasks import TaskStore
from services.monitor.tasks.stored_meta import NOTHING, StoredMetas
from services.monitor.tasks.task_results import TaskResults, not_stored
from services.monitor.tasks.workflows import Workflows
from services.monitor.workers.control import refuse_ended
from services.monitor.workers.revoked_tasks import RevokedTasks
from services.monitor.workers.store_revoked_tasks import RevokedTask, RevokedTaskStore
from services.monitor.workers.workers import WorkerTable

MOST_AT_ONCE = 500
MOST_GROUPS = 500
# What only some roles read: from an admin on, as `readable_from` of these fields says, or as the operator
# does.
ARGUMENTS = tuple(
    message.DESCRIPTOR.fields_by_name[name].full_name
    for message, names in (
        (pb.Task, ("args", "kwargs", "result")),
        (pb.TaskResult, ("args_json", "kwargs_json", "result_json")),
        (HeldTask, ("args", "kwargs")),
        (QueueMessage, ("args", "kwargs")),
    )
    for name in names
)


class TaskApi(tasks_pb2_grpc.TaskServiceServicer):
    """`metas`: what the result backend stores; None: it is not read.

    `readers`: the least role that reads arguments and results. `log_link`: a template (log_link.py), or "".
    """

    def __init__(
        self,
        sessions: Sessions,
        lists: Lists,
        revoked: RevokedTasks,
        workers: WorkerTable,
        sending: Sending,
        results: TaskResults,
        metas: StoredMetas | None = None,
        readers: Role = Role.ADMIN,
        log_link: str = "",
    ) -> None:
        self._sessions = sessions
        self._lists = lists
        self._revoked = revoked
        self._workers = workers
        self._sending = sending
        self._results = results
        self._metas = metas
        self._workflows = Workflows(lists, metas)
        self._readers = readers
        self._log_link = log_link

    async def GetTask(self, request: pb.GetTaskRequest, context: Context) -> pb.GetTaskResponse:
        task_id = task_id_in(request.name)
        async with self._sessions.reading() as session:
            task = await TaskStore(session).get(task_id)
        meta = NOTHING if self._metas is None else await self._metas.of(task_id)
        kin = await self._sending.retries.kin(task_id)
        shown = convert.task_to(task, meta, kin)
        shown.attempts.extend(attempts_to(task))
        shown.log_link = link_of(self._log_link, task, dt.datetime.now(dt.UTC))
        return pb.GetTaskResponse(task=shown)

    async def GetTaskResult(
        self, request: pb.GetTaskResultRequest, context: Context
    ) -> pb.GetTaskResultResponse:
        faults = Faults()
        task_id, most = checked_task_id(request.name, "name", faults), bytes_in(request, faults)
        faults.raise_any()
        result = await self._results.of(task_id, most)
        if result is None:
            async with self._sessions.reading() as session:
                task = await TaskStore(session).find(task_id)
            raise not_stored(task_id, task, there=self._results.there, now=dt.datetime.now(dt.UTC))
        return pb.GetTaskResultResponse(result=result_to(result))

    async def GetWorkflow(self, request: pb.GetWorkflowRequest, context: Context) -> pb.GetWorkflowResponse:
        found = await self._workflows.of(task_id_in(request.name))
        return pb.GetWorkflowResponse(workflow=workflow_to(found))

    async def BatchGetTasks(
        self, request: pb.BatchGetTasksRequest, context: Context
    ) -> pb.BatchGetTasksResponse:
        task_ids = _task_ids_in(request.names)
        async with self._sessions.reading() as session:
            found = await TaskStore(session).get_several(task_ids)
        return pb.BatchGetTasksResponse(tasks=map(convert.task_to, found))

    async def ListTasks(self, request: pb.ListTasksRequest, context: Context) -> pb.ListTasksResponse:
        faults, size = Faults(), page_size(request.page_size)
        wanted = filter_in(request, faults, self._workers, self._readers)
        faults.raise_any()
        after = decode_place(request.page_token)
        async with self._lists.reading() as session:
            found = await TaskSearch(session).list(wanted, after, size + 1)
        token = next_page_token(found, size, lambda last: encode_place((last.heard_at, last.id)))
        return pb.ListTasksResponse(tasks=map(convert.task_to, found[:size]), next_page_token=token)

    async def GroupFailures(
        self, request: pb.GroupFailuresRequest, context: Context
    ) -> pb.GroupFailuresResponse:
        faults, size = Faults(), page_size(request.page_size, most=MOST_GROUPS)
        wanted = filter_of_many_in(request.filter, FAILED_STATES, faults, self._workers, self._readers)
        wanted = failures_of_a_day(wanted, faults)
        faults.raise_any()
        async with self._lists.reading() as session:
            counted = await count_failures(session, wanted)
        groups = grouped(counted.failures)
        return pb.GroupFailuresResponse(
            groups=map(convert.failure_group_to, groups[:size]),
            failure_count=sum(each.count for each in groups),
            group_count=len(groups),
            counted_since_time=timestamp(counted.since),
        )

    async def RevokeTask(self, request: pb.RevokeTaskRequest, context: Context) -> pb.RevokeTaskResponse:
        faults = Faults()
        task_id, signal = checked_task_id(request.name, "name", faults), signal_in(request, faults)
        faults.raise_any()
        revoked = RevokedTask(task_id, request.terminate, signal)
        async with self._sessions.transaction() as session:
            task = await TaskStore(session).find(task_id)
            refuse_ended(task)
            now = dt.datetime.now(dt.UTC)
            await RevokedTaskStore(session).remember(revoked, now, self._revoked.until(task, now))
        own = WorkerName(task.worker, task.worker_pid) if task is not None and task.worker else None
        replies = await self._revoked.command(revoked, own)
        return pb.RevokeTaskResponse(replies=map(convert.reply_to, replies))

    async def RetryTask(self, request: pb.RetryTaskRequest, context: Context) -> pb.RetryTaskResponse:
        faults = Faults()
        task_id = checked_task_id(request.name, "name", faults)
        queue, priority = queue_in(request.queue, faults), priority_in(request.priority, faults)
        once = once_in(request, faults, f"RetryTask of {request.name}")
        faults.raise_any()
        async with self._sessions.reading() as session:
            task = await TaskStore(session).get(task_id)
        retries = self._sending.retries
        if request.validate_only:
            return convert.retry_to(await retries.check(task, queue))
        own = priority if request.HasField("priority") else None
        retry = await retries.retry(task, current_subject(), once, queue=queue, priority=own)
        return convert.retry_to(retry)

    async def RetryTasks(self, request: pb.RetryTasksRequest, context: Context) -> pb.RetryTasksResponse:
        faults, many = Faults(), self._sending.many
        wanted = filter_of_many_in(request.filter, RETRIED_STATES, faults, self._workers, self._readers)
        rate, expected = rate_in(request.rate, faults), expected_in(request, faults)
        fallback = queue_in(request.fallback_queue, faults, "fallback_queue")
        once = once_in(request, faults, "RetryTasks")
        faults.raise_any()
        if (before := await many.answer_to(once)) is not None:
            return pb.RetryTasksResponse.FromString(before)
        outlook = await many.look(wanted, fallback)
        if request.validate_only:
            return convert.outlook_to(outlook)
        check_expected(outlook.matched, expected)
        shown = MessageToDict(request.filter, preserving_proto_field_name=True)
        asked = {"rate": rate, "filter": shown} | ({"fallback_queue": fallback} if fallback else {})
        made = await many.begin(
            outlook, asked, current_subject(), once, partial(convert.outlook_bytes, outlook)
        )
        return pb.RetryTasksResponse.FromString(made)

    async def RevokeTasks(self, request: pb.RevokeTasksRequest, context: Context) -> pb.RevokeTasksResponse:
        faults = Faults()
        wanted = filter_of_many_in(request.filter, REVOCABLE_STATES, faults, self._workers, self._readers)
        wanted = still_to_run(wanted, faults)
        signal, expected = signal_in(request, faults), expected_in(request, faults)
        faults.raise_any()
        tasks = await matching(self._lists, wanted)
        answer = pb.RevokeTasksResponse(matched_count=len(tasks))
        if request.validate_only:
            return answer
        check_expected(len(tasks), expected)
        if tasks:
            terminate = request.terminate
            await self._revoked.remember(tasks, terminate=terminate, signal=signal)
            task_ids = [task.id for task in tasks]
            replies = await self._revoked.command_many(task_ids, terminate=terminate, signal=signal)
            answer.replies.extend(map(convert.reply_to, replies))
        return answer

    async def RunTask(self, request: pb.RunTaskRequest, context: Context) -> pb.RunTaskResponse:
        faults = Faults()
        task = task_to_run_in(request, dt.datetime.now(dt.UTC), faults)
        once = once_in(request, faults, "RunTask")
        faults.raise_any()
        if request.validate_only:
            return convert.run_to("", await self._sending.runs.check(task))
        return convert.run_to(*await self._sending.runs.run(task, current_subject(), once))


def _task_ids_in(names: Sequence[str]) -> list[str]:
    faults = Faults()
    fault = f"has {len(names)} names, it must have 1 to {MOST_AT_ONCE}"
    if faults.unless(1 <= len(names) <= MOST_AT_ONCE, "names", fault, references.TASK):
        task_ids = [
            checked_task_id(name, f"names[{position}]", faults) for position, name in enumerate(names)
        ]
    faults.raise_any()
    return task_ids


def readers_of_arguments(least: Role) -> Readers:
    """Returns from which role on arguments and results are read, for the step that hides them."""
    return frozenset((field, least) for field in ARGUMENTS)
