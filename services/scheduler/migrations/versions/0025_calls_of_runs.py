"""Each run and each backfill records the request id of the call that asked for it.

The id goes with the message to the worker, so that the task's log lines can be found by it. It is kept,
because another replica may publish the run, later. Runs that were due have NULL, and so have those that a
process of the version before records.
"""

from services.kernel.migrations import run_script

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedule_runs ADD COLUMN call_id text;
        ALTER TABLE celery_schedule_backfills ADD COLUMN call_id text;
        """
    )
