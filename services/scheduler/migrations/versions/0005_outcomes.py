"""How the task of a run ended."""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedule_runs
            -- One of Celery's states, as the monitor heard it; NULL as long as no end was heard.
            ADD COLUMN outcome text,
            ADD COLUMN runtime double precision,
            ADD COLUMN error text,
            ADD COLUMN ended_at timestamptz;
        CREATE INDEX celery_schedule_runs_open ON celery_schedule_runs (published_at)
            WHERE state = 'published' AND outcome IS NULL;

        -- Which replica does what one of them does for all, and how long it may.
        CREATE TABLE celery_schedule_leases (
            name text PRIMARY KEY,
            holder text NOT NULL,
            until timestamptz NOT NULL
        );
        """
    )
    grant("scheduler", "celery_schedule_leases", "SELECT, INSERT, UPDATE, DELETE")
