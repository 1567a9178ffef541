"""What to do next: a sentence for each case, with the call or the command to use."""

from __future__ import annotations

KEEP_LONGER = (
    "Set scheduler.runs.retention to a longer time (SetConfig) to keep the runs of later days for longer."
)
START_BROKER = (
    "Start the broker, or look why it can't be reached: `make status`, CheckHealth (GET /v1/system/health)."
)
SEND_AGAIN_AT_ALL = (
    "End what holds it: Resume after Drain (POST /v1/system:resume), Start after Shutdown (POST"
    " /v1/system:start); if somebody has set it by SetConfig, set configs/scheduler.sends_runs to true."
)
LOOK_AT_LEFT_OUT = (
    "Look for schedule.left_out, batch.left_out and dispatch.publish_failed in the scheduler's log"
    " (`make logs`): they name the exception."
)
LOOK_AT_DISPATCH = (
    "Look for dispatch.failed in the scheduler's log (`make logs`), whether the database answers"
    " (`make status`), and for transactions that hold locks (pg_stat_activity)."
)


def resume(schedule_id: str) -> str:
    return f"Resume it: ResumeSchedule (POST /v1/schedules/{schedule_id}:resume)."


def backfill(schedule_id: str) -> str:
    call = f"BackfillSchedule (POST /v1/schedules/{schedule_id}:backfill)"
    return f"To make up for it, {call} with a window around it."


def send_again(schedule_id: str) -> str:
    return f"To run it now, TriggerSchedule (POST /v1/schedules/{schedule_id}:trigger)."


def repair(schedule_id: str) -> str:
    return (
        "Repair the stored row: UpdateSchedule with the field in update_mask"
        f" (PATCH /v1/schedules/{schedule_id}?update_mask=timing)."
    )


def change_bound(schedule_id: str, field: str) -> str:
    call = f"UpdateSchedule (PATCH /v1/schedules/{schedule_id}?update_mask={field})"
    return f"To let it run, change {field}: {call}."


def other_queue(schedule_id: str) -> str:
    return (
        "Name another queue: UpdateSchedule"
        f" (PATCH /v1/schedules/{schedule_id}?update_mask=task.queue); or delete that key of the broker."
    )


def allow_overlap(schedule_id: str) -> str:
    return (
        "If runs may overlap, set overlap_policy to OVERLAP_POLICY_ALLOW"
        f" (PATCH /v1/schedules/{schedule_id}); if not, look why the earlier run takes so long."
    )


def look_at_earlier(schedule_id: str) -> str:
    return f"Look at the earlier runs: ListRuns (GET /v1/schedules/{schedule_id}/runs)."
