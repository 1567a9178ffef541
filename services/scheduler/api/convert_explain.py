"""Converts the window to explain, and explanations, from and to the contract's messages."""

from __future__ import annotations

import datetime as dt

from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import timestamp, window_in
from services.kernel.validation import Faults
from services.scheduler.api import convert
from services.scheduler.explain.condition import Condition
from services.scheduler.explain.decision import Decision
from services.scheduler.explain.explain import Explained, Explanation, Window
from services.scheduler.explain.history import EditKind, Revision
from services.scheduler.explain.stage import QueueSituation, Stage
from services.scheduler.schedule import checks

MOST, USUAL = 200, 24
# Of a schedule of each day, so far back, each of the USUAL due times is found.
USUAL_WINDOW = dt.timedelta(days=31)
LONGEST_WINDOW = dt.timedelta(days=366)
MOST_WORKERS = 100

CONDITIONS = wire_values(pb.ScheduleCondition, Condition)
DECISIONS = wire_values(pb.DueTimeDecision, Decision)
EDITS = wire_values(pb.ScheduleEditKind, EditKind)
# All others have ended, and the run says how.
STAGES = {
    Stage.QUEUED: pb.TASK_STAGE_QUEUED,
    Stage.RECEIVED: pb.TASK_STAGE_RECEIVED,
    Stage.STARTED: pb.TASK_STAGE_STARTED,
    Stage.RETRYING: pb.TASK_STAGE_RETRYING,
    Stage.UNHEARD: pb.TASK_STAGE_UNHEARD,
}


def window_of(request: pb.ExplainScheduleRequest, now: dt.datetime) -> Window:
    faults = Faults()
    start, end = window_in(request, faults)
    in_range = 0 <= request.count <= MOST
    faults.unless(in_range, "count", f"is {request.count}, it must be 1 to {MOST}", f"{USUAL}")
    start, end = checks.moment(start, faults, "start_time"), checks.moment(end, faults, "end_time")
    faults.raise_any()
    end = min(end or now, now)
    # There is nothing before EARLIEST.
    start = start or max(end, checks.EARLIEST + USUAL_WINDOW) - USUAL_WINDOW
    example = f"{now - dt.timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    faults.unless(start <= end, "start_time", "is in the future: nothing was due yet", example)
    fault = f"is more than {LONGEST_WINDOW.days} days before the end of the window"
    faults.unless(end - start <= LONGEST_WINDOW, "start_time", fault, example)
    faults.raise_any()
    return Window(start, end, request.count or USUAL)


def explanation_to(found: Explanation) -> pb.ExplainScheduleResponse:
    explained = [_due_time_to(each) for each in found.due_times]
    newest_step = explained[0].next_step if explained else ""
    return pb.ExplainScheduleResponse(
        condition=CONDITIONS[found.state.condition],
        summary=found.state.summary,
        next_step=found.state.next_step or newest_step,
        next_run_time=timestamp(found.schedule.next_due_at),
        due_times=explained,
        older_left_out=found.older_left_out,
        edits=map(_edit_to, found.edits),
        queues=map(_queue_to, found.queues),
        start_time=timestamp(found.window.start),
        end_time=timestamp(found.window.end),
        history_start_time=timestamp(found.known_from),
        monitor_fault=found.monitor_fault,
    )


def _due_time_to(found: Explained) -> pb.DueTimeExplanation:
    progress = found.progress
    reason = found.verdict.reason + (f" {progress.text}" if progress else "")
    return pb.DueTimeExplanation(
        due_time=timestamp(found.due),
        decision=DECISIONS[found.verdict.decision],
        reason=reason,
        next_step=progress.next_step if progress else found.verdict.next_step,
        run=found.run and convert.run_to(found.run),
        queue=f"queues/{found.queue}" if found.queue else "",
        stage=STAGES.get(progress.stage, pb.TASK_STAGE_ENDED) if progress else None,
        worker=f"workers/{progress.worker}" if progress and progress.worker else "",
    )


def _edit_to(revision: Revision) -> pb.ScheduleEdit:
    assert revision.kind is not None, "a revision that was found is no edit"
    return pb.ScheduleEdit(
        edit_time=timestamp(revision.since),
        kind=EDITS[revision.kind],
        actor=revision.actor,
        fields=revision.fields,
        pause_note=revision.pause_note,
    )


def _queue_to(queue: QueueSituation) -> pb.ScheduleQueue:
    return pb.ScheduleQueue(
        queue=f"queues/{queue.name}",
        length=queue.seen.length if queue.seen else 0,
        unacknowledged=queue.seen.unacknowledged if queue.seen else 0,
        consumers=[f"workers/{each.name}" for each in queue.online[:MOST_WORKERS]],
        absent_consumers=[f"workers/{each.name}" for each in queue.away[:MOST_WORKERS]],
        pause_time=timestamp(queue.seen.pause.since) if queue.seen and queue.seen.pause else None,
    )
