"""Requests that have had their effect, by the ids that their callers gave them: for a day."""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_schedule_requests (
            -- What the id counts in: "CreateSchedule of schedules/cleanup-cache-daily".
            scope text NOT NULL,
            request_id text NOT NULL,
            -- SHA-256 of the caller and the request.
            digest bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (scope, request_id)
        );
        CREATE INDEX celery_schedule_requests_age ON celery_schedule_requests (created_at);
        """
    )
    grant("scheduler", "celery_schedule_requests", "SELECT, INSERT, UPDATE, DELETE")
