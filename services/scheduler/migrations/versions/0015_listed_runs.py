"""Lists of runs: those that ended, but not well, have an index, and what was never sent has no time of it.

No run that succeeds is ever in the index, and none before its end: dispatching writes nothing to it, and
neither does what is heard of most ends. Those of one schedule are found in it, too: that others failed costs
no look at their rows.

A run that the broker had no place for is skipped, but was of a batch that was published; the view told that
batch's time.
"""

from services.kernel.migrations import run_script

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_script(
        """
        CREATE INDEX celery_schedule_runs_failed ON celery_schedule_runs (due_at DESC, schedule_id DESC)
            WHERE outcome <> 'SUCCESS';

        -- As before, but for published_at.
        CREATE OR REPLACE VIEW celery_schedule_runs_seen AS
            SELECT r.schedule_id, r.due_at,
                CASE WHEN r.state <> 'batched' THEN r.state
                     WHEN b.id IS NOT NULL AND b.published_at IS NULL THEN 'pending'
                     ELSE 'published' END AS state,
                r.reason, CASE WHEN r.state <> 'skipped' THEN b.published_at END AS published_at,
                r.outcome, r.runtime, r.error, r.ended_at,
                r.state AS recorded_state, r.recorded_at, r.request_id, r.exclusive, r.backfill_id, r.batch_id
            FROM celery_schedule_runs r LEFT JOIN celery_schedule_batches b ON b.id = r.batch_id;
        """
    )
