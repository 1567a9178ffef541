"""Each schedule has a namespace of its own for the task ids of its runs, and each run records which it has.

A task id followed from the schedule's id and the due time alone: deleted and created again under the same id,
a schedule sent the ids of its predecessor, and its runs were given the outcomes of those.

Schedules and runs that there are already keep NULL, the namespace of before: what is under way keeps its ids.
So do runs that a process of the version before records (docs/decisions/scheduler-task-ids.md).
"""

from services.kernel.migrations import run_script

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedules ADD COLUMN task_namespace bytea;
        -- In a second step: the first would write every row anew.
        ALTER TABLE celery_schedules ALTER COLUMN task_namespace SET DEFAULT uuid_send(gen_random_uuid());
        ALTER TABLE celery_schedule_runs ADD COLUMN task_namespace bytea;

        -- As before, with one more column.
        CREATE OR REPLACE VIEW celery_schedule_runs_seen AS
            SELECT r.schedule_id, r.due_at,
                CASE WHEN r.state <> 'batched' THEN r.state
                     WHEN b.id IS NOT NULL AND b.published_at IS NULL THEN 'pending'
                     ELSE 'published' END AS state,
                r.reason, CASE WHEN r.state <> 'skipped' THEN b.published_at END AS published_at,
                r.outcome, r.runtime, r.error, r.ended_at,
                r.state AS recorded_state, r.recorded_at, r.request_id, r.exclusive, r.backfill_id,
                r.batch_id, r.task_namespace
            FROM celery_schedule_runs r LEFT JOIN celery_schedule_batches b ON b.id = r.batch_id;
        """
    )
