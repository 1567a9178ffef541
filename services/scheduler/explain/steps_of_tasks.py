"""What to do next about a task that was sent: a sentence for each case, with the call or the command."""

from __future__ import annotations

from services.scheduler.schedule.definition import Run

START_MONITOR = "Start the monitor, or look why it does not answer: `make status`, then ask again."
START_WORKER_AGAIN = (
    "Start that worker again, or look why it is not heard (GET /v1/workers). If its task acknowledges late,"
    " the broker delivers it anew when the visibility timeout has passed."
)
BUSY = (
    "Wait, or see what its workers do (GET /v1/workers, GET /v1/tasks?states=TASK_STATE_STARTED), and start"
    " more workers or raise their concurrency."
)
SEND_EVENTS = (
    "Ask again in some seconds. If it stays so, see task_events and processed of the workers"
    " (GET /v1/workers): start workers that send no events with -E."
)
AWAIT_LOSS = "The run is marked as lost, or sent again if resend_lost is set: ask again in some seconds."


def consume(queue: str) -> str:
    return (
        f"Start a worker that consumes it (`celery -A your_app worker -Q {queue} -E`), or have one that runs"
        f' consume it: AddConsumer (POST /v1/workers:addConsumer {{"queue": "queues/{queue}"}}).'
    )


def who_purged(queue: str) -> str:
    log = f"GET /v1/auditRecords?methods=PurgeQueue&resources=queues/{queue}"
    return (
        f"The audit log tells who purged it through Celeriac ({log}); within ten minutes UndoPurge puts its"
        " messages back (GET /v1/purges). If nobody did, start workers with -E."
    )


def resume_queue(queue: str) -> str:
    if "/" in queue or "\\" in queue:
        # Such a name can't stand in a path.
        return f'Resume it: ResumeQueue (POST /v1/queues:resume {{"name": "queues/{queue}"}}).'
    return f"Resume it: ResumeQueue (POST /v1/queues/{queue}:resume)."


def look_at(task_id: str) -> str:
    return f"See its exception and traceback: GetTask (GET /v1/tasks/{task_id})."


def look_at_failure(run: Run) -> str:
    again = f"TriggerSchedule (POST /v1/schedules/{run.schedule_id}:trigger)"
    task = f"GetTask (GET /v1/tasks/{run.task_id})"
    return f"See the traceback: {task}. When the cause is mended, run it again: {again}."


def look_at_task(run: Run) -> str:
    return f"See what is known of it: GetTask (GET /v1/tasks/{run.task_id}), and the log of its worker."


def expire_later(run: Run) -> str:
    change = f"UpdateSchedule (PATCH /v1/schedules/{run.schedule_id}?update_mask=task.expires)"
    return f"Start more workers on its queue, so that it waits for less long, or give it more time: {change}."


def who_revoked(run: Run) -> str:
    log = f"GET /v1/auditRecords?methods=RevokeTask&resources=tasks/{run.task_id}"
    return (
        f"The audit log tells who revoked it through Celeriac ({log}). The overlap policy of its schedule may"
        " have done so, too."
    )


def run_again(run: Run) -> str:
    return (
        f"Run it again if it may run twice: TriggerSchedule (POST /v1/schedules/{run.schedule_id}:trigger)."
    )
