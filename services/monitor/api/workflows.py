"""Converts workflows to the messages of the contract."""

from __future__ import annotations

from collections.abc import Iterable

from celeriac.monitor.v1 import tasks_pb2 as pb

from services.kernel.grpc.wire import timestamp
from services.monitor.api.convert import STATES
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.tasks import WITH_EXCEPTION
from services.monitor.tasks.workflow import Member, Workflow


def workflow_to(found: Workflow) -> pb.Workflow:
    return pb.Workflow(
        root=f"tasks/{found.root}",
        tasks=map(_member_to, found.members),
        edges=[
            pb.WorkflowEdge(caller=f"tasks/{caller}", called=f"tasks/{called}")
            for caller, called in found.edges
        ],
        groups=[
            pb.WorkflowGroup(group_id=group_id, tasks=_names(ids)) for group_id, ids in found.groups.items()
        ],
        parents=_names(found.parents),
        children=_names(found.children),
        siblings=_names(found.siblings),
        truncated=found.truncated,
        results_read=found.results_read,
    )


def _member_to(member: Member) -> pb.WorkflowTask:
    task = member.task
    shown = pb.WorkflowTask(
        task=f"tasks/{member.id}", group_id=member.group_id, stored_state=member.stored_state
    )
    if task is None:
        return shown
    shown.MergeFrom(
        pb.WorkflowTask(
            task_name=task.task,
            state=STATES[task.state],
            queue=f"queues/{task.queue}" if task.queue else "",
            worker=f"workers/{WorkerName(task.worker, task.worker_pid)}" if task.worker else "",
            retries=task.retries,
            first_time=timestamp(task.heard_at),
            started_time=timestamp(task.started_at),
            end_time=timestamp(task.ended_at),
            exception_type=task.exception_type if task.state in WITH_EXCEPTION else "",
        )
    )
    return shown


def _names(ids: Iterable[str]) -> list[str]:
    return [f"tasks/{task_id}" for task_id in ids]
