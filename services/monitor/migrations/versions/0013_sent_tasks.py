"""Tasks that the monitor sends itself: retries of others, and those that somebody runs by name.

The version before neither reads nor writes them.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_sent_tasks (
            task_id text PRIMARY KEY,
            -- The task that it is a retry of; NULL: it was run by name.
            retry_of text,
            state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
            -- Where a retry's arguments came from.
            source text,
            -- Why it could not be sent.
            note text NOT NULL DEFAULT '',
            actor text NOT NULL,
            request_id text,
            -- SHA-256 of the caller and the request with this id; NULL without one.
            request_digest bytea,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            ended_at timestamptz
        );
        CREATE UNIQUE INDEX celery_sent_tasks_retry_of ON celery_sent_tasks (retry_of)
            WHERE state <> 'failed';
        CREATE UNIQUE INDEX celery_sent_tasks_request ON celery_sent_tasks (request_id)
            WHERE retry_of IS NULL AND request_id IS NOT NULL AND state <> 'failed';
        CREATE INDEX celery_sent_tasks_age ON celery_sent_tasks (created_at);
        """
    )
    grant("monitor", "celery_sent_tasks", "SELECT, INSERT, UPDATE, DELETE")
