"""What a request was that triggered a run or began a backfill, for as long as that is kept.

Requests themselves are kept for a day. After that, an id was answered with the run or the backfill even if
another caller sent it.
"""

from services.kernel.migrations import run_script

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_script(
        """
        -- As celery_schedule_requests.digest. NULL: there was no request_id, or the row is older than this.
        ALTER TABLE celery_schedule_runs ADD COLUMN request_digest bytea;
        ALTER TABLE celery_schedule_backfills ADD COLUMN request_digest bytea;
        """
    )
